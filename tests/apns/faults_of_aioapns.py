"""The eighteen faults that aioapns 4.0 was measured to have, each as a check of any client.

A check scripts the simulator, pushes, and raises if the client does not do what it should. It
runs against ours and against raw aioapns, through the same small interface.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from devkit.simulator import Simulator
from tests.apns.rig import TOPIC, some_token


class Client(Protocol):
    """What a check needs of a client."""

    async def push(self, token: str, payload: bytes = ..., apns_id: str | None = None) -> Any:
        """One push; gives a result with `status` and `description`, or raises."""

    def leftovers(self) -> int:
        """How much it still remembers of pushes that have ended."""


Check = Callable[[Client, Simulator], Awaitable[None]]
CHECKS: dict[str, tuple[Check, dict[str, Any]]] = {}
"""Name to (check, options of the client)."""


def check(name: str, **options: Any) -> Callable[[Check], Check]:
    def add(function: Check) -> Check:
        CHECKS[name] = (function, options)
        return function

    return add


def live(sim: Simulator) -> str:
    token = some_token()
    sim.live(token, topic=TOPIC, environment=None)
    return token


async def accepted(client: Client, sim: Simulator) -> None:
    result = await client.push(live(sim))
    assert result.status == "200", f"a healthy push ended as {result.status!r}"


@check("1. agrees on h2 by ALPN", alpn=False)
async def alpn(client: Client, sim: Simulator) -> None:
    await accepted(client, sim)


@check("2. ends a push that nobody answers")
async def deadline(client: Client, sim: Simulator) -> None:
    silent = live(sim)
    sim.fault(token=silent, silence=True)
    await client.push(silent)
    assert len(sim.arrivals(silent)) == 1, "sent more than once"


@check("3. ends a push whose stream was reset, and uses its slot again", max_connections=1)
async def reset(client: Client, sim: Simulator) -> None:
    sim.connection_fault(settings={"max_concurrent_streams": 2})
    await accepted(client, sim)
    sim.fault(reset="INTERNAL_ERROR", times=4)
    for _ in range(4):
        await client.push(live(sim))
    await accepted(client, sim)


@check("4. sends a body that is larger than the window", max_connections=1)
async def window(client: Client, sim: Simulator) -> None:
    sim.connection_fault(settings={"initial_window_size": 100})
    await accepted(client, sim)
    token = live(sim)
    result = await client.push(token, b'{"x":"' + b"y" * 1_000 + b'"}')
    assert result.status == "200"
    assert len(sim.arrivals(token)) == 1


@check("5a. takes an answer with HTML in it")
async def html(client: Client, sim: Simulator) -> None:
    sim.fault(status=502, body="<html>Bad gateway</html>", times=1)
    token = live(sim)
    assert (await client.push(token)).status == "502"
    assert len(sim.arrivals(token)) == 1, "sent more than once"


@check("5b. takes an answer in two DATA frames")
async def split(client: Client, sim: Simulator) -> None:
    sim.fault(status=410, reason="Unregistered", pieces=2, pause=0.01)
    result = await client.push(live(sim))
    assert (result.status, result.description) == ("410", "Unregistered")


@check("5c. takes an error without a body")
async def empty(client: Client, sim: Simulator) -> None:
    sim.fault(status=500, body="")
    assert (await client.push(live(sim))).status == "500"


@check("6. refills the window that error bodies use up")
async def refill(client: Client, sim: Simulator) -> None:
    sim.fault(status=400, reason="BadDeviceToken", body_size=4_000)
    for _ in range(40):
        assert (await client.push(live(sim))).description == "BadDeviceToken"


@check("7. keeps the others going when a caller is cancelled")
async def cancelled(client: Client, sim: Simulator) -> None:
    token, other = live(sim), live(sim)
    hold, others = sim.fault(token=token, hold=True), sim.fault(token=other, hold=True)
    victim = asyncio.create_task(client.push(token))
    bystander = asyncio.create_task(client.push(other))
    await sim.arrived(2)
    victim.cancel()
    await asyncio.gather(victim, return_exceptions=True)
    sim.release(hold)
    await asyncio.sleep(0.05)
    sim.release(others)
    assert (await bystander).status == "200"
    assert len(sim.arrivals(other)) == 1, "the connection was torn down, and another push repeated"


@check("8. uses every slot after the limit was raised while busy", max_connections=1)
async def raised(client: Client, sim: Simulator) -> None:
    sim.connection_fault(settings={"max_concurrent_streams": 1})
    await accepted(client, sim)
    token = live(sim)
    hold = sim.fault(token=token, hold=True)
    pushes = [asyncio.create_task(client.push(token)) for _ in range(20)]
    await sim.arrived(1, token=token)
    sim.send_settings(max_concurrent_streams=1_000)
    try:
        await sim.arrived(20, token=token, timeout=0.3)
    finally:
        sim.release(hold)
        sim.end_fault(hold)
        await asyncio.gather(*pushes)


@check("9. goes on after REFUSED_STREAM at a limit of one", max_connections=1)
async def refused(client: Client, sim: Simulator) -> None:
    sim.connection_fault(settings={"max_concurrent_streams": 1})
    await accepted(client, sim)
    sim.fault(reset="REFUSED_STREAM", times=1)
    await client.push(live(sim))
    await accepted(client, sim)


@check("10. ends those who wait when the only connection dies", max_connections=1)
async def only_connection(client: Client, sim: Simulator) -> None:
    sim.connection_fault(settings={"max_concurrent_streams": 1}, times=1)
    token = live(sim)
    sim.fault(token=token, hold=True, times=1)
    first = asyncio.create_task(client.push(token))
    await sim.arrived(1, token=token)
    rest = [asyncio.create_task(client.push(live(sim))) for _ in range(3)]
    await asyncio.sleep(0.02)
    first.cancel()
    sim.close_connections(how="rst")
    await asyncio.gather(*rest)


@check("11. matches answers without the echoed apns-id")
async def echo(client: Client, sim: Simulator) -> None:
    sim.fault(apns_id_header="uppercase")
    token = live(sim)
    assert (await client.push(token)).status == "200"
    assert len(sim.arrivals(token)) == 1, "sent more than once"


@check("12. lets a GOAWAY's covered streams be answered, and sends none twice")
async def goaway(client: Client, sim: Simulator) -> None:
    token = live(sim)
    hold = sim.fault(token=token, hold=True)
    pushes = [asyncio.create_task(client.push(token)) for _ in range(5)]
    await sim.arrived(5, token=token)
    sim.send_goaway(covering=True)
    await asyncio.sleep(0.05)
    sim.release(hold)
    sim.end_fault(hold)
    assert {x.status for x in await asyncio.gather(*pushes)} == {"200"}
    assert len(sim.arrivals(token)) == 5, "sent more than once"


@check("13. leaves the connection on which its provider token had expired", key=True)
async def expired(client: Client, sim: Simulator) -> None:
    sim.fault(status=403, reason="ExpiredProviderToken", times=1)
    await client.push(live(sim))
    await accepted(client, sim)
    first, second = sim.arrivals()
    assert first.connection != second.connection, "the same connection again"


@check("14. carries one provider token on all connections", key=True)
async def one_token(client: Client, sim: Simulator) -> None:
    sim.set_conduct(max_concurrent_streams=1)
    for _ in range(2):
        token = live(sim)
        hold = sim.fault(token=token, hold=True)
        first = asyncio.create_task(client.push(token))
        await sim.arrived(1, token=token)
        second = asyncio.create_task(client.push(live(sim)))
        await asyncio.sleep(0.05)
        sim.release(hold)
        await asyncio.gather(first, second)
    assert len({x.connection for x in sim.arrivals()}) > 1
    assert len({x.header("authorization") for x in sim.arrivals()}) == 1, "several tokens"


@check("15. keeps its connection over a quiet spell", idle=0.1)
async def quiet(client: Client, sim: Simulator) -> None:
    await accepted(client, sim)
    await asyncio.sleep(0.4)
    await accepted(client, sim)
    assert sim.statistics()["handshakes"] == 1, "the next push paid a TLS handshake"


@check("16. forgets pushes that have ended")
async def forgets(client: Client, sim: Simulator) -> None:
    for _ in range(20):
        await accepted(client, sim)
    assert client.leftovers() == 0, f"{client.leftovers()} pushes are still remembered"


@check("17. lets nobody wait for a connection while a slot is free")
async def connecting(client: Client, sim: Simulator) -> None:
    sim.set_conduct(max_concurrent_streams=1)
    token = live(sim)
    hold = sim.fault(token=token, hold=True, times=1)
    first = asyncio.create_task(client.push(token))
    await sim.arrived(1, token=token)
    sim.connection_fault(hold=True)
    second = asyncio.create_task(client.push(live(sim)))
    await asyncio.sleep(0.05)
    sim.release(hold)
    assert [x.status for x in await asyncio.gather(first, second)] == ["200", "200"]


@check("18. gives Retry-After")
async def says_all(client: Client, sim: Simulator) -> None:
    sim.fault(status=429, reason="TooManyRequests", retry_after=3, times=1)
    result = await client.push(live(sim))
    assert getattr(result, "retry_after", None) == 3, "Retry-After is dropped"
