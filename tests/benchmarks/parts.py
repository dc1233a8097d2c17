"""What one of each kind of work costs, measured apart: the parts of `tests/benchmarks/capacity.py`.

A kind costs what all processes used while it was done at a steady rate, less what they use at rest,
and less what its preparation costs where that is of another kind.
"""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from app.audit.log import Actor
from app.core.capacity import KINDS, PLACES, Cost
from app.webhooks import service
from tests.benchmarks.endpoint import running_endpoint
from tests.benchmarks.house import Ready
from tests.benchmarks.load import post_one
from tests.benchmarks.ring_cpu import RINGS_FOR, ring_body
from tests.benchmarks.rows import add_users, clear
from tests.benchmarks.streams import open_streams

USERS, STREAMS, MEMBERS = 400, 400, 60
CALM = 5.0
"""Seconds after which what the first rings have left to do is done."""

FURTHER = 8
"""Devices beyond one, where they are measured: what eight cost stands out of what one ring costs."""

ANSWERED_AFTER, ENDED_AFTER, SHORT = 1.0, 2.0, 5
"""Seconds after the request to ring; of a ring that is to be missed, its ring time."""

SIZES = """
    SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint),
           (SELECT CAST(sum(pg_total_relation_size(relid)) AS bigint) FROM pg_stat_user_tables)
"""
DEVICES = (
    "SELECT sum(pg_total_relation_size(one)) FROM unnest(ARRAY['users', 'devices', 'tokens']) one"
)
OPEN = "SELECT count(*) FROM pushes WHERE is_open"
LIVE = """
    SELECT count(*) FROM calls WHERE tenant_id = :t AND state = 'ringing'
        AND due_at < now() + interval '30 seconds'
"""
HOOKS = "SELECT count(*) FROM deliveries WHERE tenant_id = :t AND state IN ('pending', 'sending')"

OVER_WITHIN = 240.0
"""Seconds that a busy machine may take to end what is under way."""

Request = tuple[float, str, bytes]
"""Seconds from the begin, path, body."""


@dataclass(frozen=True, slots=True)
class Spent:
    """What was used in so many seconds: microseconds of CPU by place, bytes of log and of tables."""

    seconds: float
    cost: Cost


def less(cost: Cost, other: Cost, times: float) -> Cost:
    """What is left when so many of another are taken off; never below nothing."""
    return Cost(**{
        name: max(0.0, value - times * getattr(other, name))
        for name, value in asdict(cost).items()
    })  # fmt: skip


def share(cost: Cost, count: float) -> Cost:
    """Of one, of so many."""
    return Cost(**{name: value / count for name, value in asdict(cost).items()})


class Bench:
    """One house, measured."""

    def __init__(self, ready: Ready, rate: float, seconds: float) -> None:
        self.ready = ready
        self.rate, self.seconds = rate, seconds
        self.rest = Cost(0, 0, 0, 0, 0, 0)
        self.retried = 0
        self._names = itertools.count()

    @property
    def rings(self) -> int:
        """As many as are rung for a part."""
        return int(self.rate * self.seconds)

    def number(self) -> int:
        """For a name that no call has had."""
        return next(self._names)

    async def spent(self, work: Callable[[], Awaitable[None]]) -> Spent:
        """What `work` uses until nothing is under way any more, beside what rest uses."""
        groups = {name: getattr(self.ready.house, name) for name in PLACES}
        (before,) = await self.ready.sql(SIZES)
        begun, cpu = time.monotonic(), {name: group.cpu() for name, group in groups.items()}
        await work()
        await self.over()
        seconds = time.monotonic() - begun
        taken = {name: (group.cpu() - cpu[name]) * 1e6 for name, group in groups.items()}
        (after,) = await self.ready.sql(SIZES)
        all_of_it = Cost(**taken, wal=after[0] - before[0], disk=max(0, after[1] - before[1]))
        return Spent(seconds, less(all_of_it, self.rest, seconds))

    async def over(self) -> None:
        """Wait until nothing is under way: no push, no call that is to be missed, no delivery."""
        until = time.monotonic() + OVER_WITHIN
        while any([(await self.ready.sql(sql))[0][0] for sql in (OPEN, LIVE, HOOKS)]):
            assert time.monotonic() < until, f"something was under way after {OVER_WITHIN:.0f} s"
            await asyncio.sleep(0.25)

    def ring(
        self, at: float, prefix: str, users: int, *, lasts: int = RINGS_FOR
    ) -> tuple[str, Request]:
        """A call of its own, of the next user in turn: its name and the request."""
        number = self.number()
        name, callee = f"n{number}", f"{prefix}{1 + number % users}"
        body = json.loads(ring_body("capacity", callee)) | {"id": name, "ring_time": lasts}
        return name, (at, "/v1/calls", json.dumps(body).encode())

    async def play(self, lives: Sequence[Sequence[Request]]) -> None:
        """Each request at its time, of a life never before the one before has been answered.

        On connections that are kept; none may be refused but for a moment (503), which is counted.
        """
        house_at, key = ("127.0.0.1", self.ready.house.port), self.ready.tenant.api_key
        idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        begun = time.monotonic()

        async def one(life: Sequence[Request]) -> None:
            for at, path, body in life:
                await asyncio.sleep(max(0.0, begun + at - time.monotonic()))
                found = idle.pop() if idle else await asyncio.open_connection(*house_at)
                while (status := await post_one(*found, path, key, body)) == 503:
                    self.retried += 1  # a machine that is too busy: it says so, and is asked again
                    await asyncio.sleep(1)
                assert status in {200, 202}, f"{path} was answered {status}"
                idle.append(found)

        await asyncio.gather(*map(one, lives))
        for _, writer in idle:
            writer.close()


def acts(name: str, at: float, user: str) -> list[Request]:
    """An accept, and the end."""
    path = f"/v1/calls/capacity:{name}"
    who = json.dumps({"user_id": user, "device_id": "d1"}).encode()
    return [(at + ANSWERED_AFTER, f"{path}/accept", who), (at + ENDED_AFTER, f"{path}/end", b"{}")]


async def measured(bench: Bench, say: Callable[[str], None]) -> dict[str, Any]:
    """The parts, as a file's JSON has them."""
    ready, house, count = bench.ready, bench.ready.house, bench.rings
    found: dict[str, Any] = {"rate": bench.rate, "pool": house.settings.database_pool}
    (empty,) = await ready.sql(DEVICES)
    for prefix, each in (("u", 1), ("v", 1 + FURTHER), ("s", 1), ("w", 2)):
        await add_users(ready, prefix, USERS, each=each)
    (full,) = await ready.sql(DEVICES)
    found["device_bytes"] = float(full[0] - empty[0]) / ((5 + FURTHER) * USERS)
    await add_users(ready, "b", MEMBERS)
    await ready.maintain()
    say("warm")
    await _rings(bench, "u", count)
    await asyncio.sleep(CALM)
    found["api_mib"], found["worker_mib"] = house.api.megabytes(), house.worker.megabytes()
    found["valkey_mib"] = house.valkey.megabytes()
    costs: dict[str, Cost] = {}
    say("rest")
    rest = await bench.spent(lambda: asyncio.sleep(2 * bench.seconds))
    bench.rest = share(rest.cost, rest.seconds)
    found["rest"] = asdict(bench.rest)
    for kind, measure in MEASURES.items():
        say(kind)
        await clear(ready)
        costs[kind] = await measure(bench, costs, found)
    found["costs"] = {kind: asdict(costs[kind]) for kind in KINDS}
    return found


async def _rings(bench: Bench, prefix: str, count: int, **more: int) -> Spent:
    lives = [[bench.ring(n / bench.rate, prefix, USERS, **more)[1]] for n in range(count)]
    return await bench.spent(lambda: bench.play(lives))


async def _ring(bench: Bench, _costs: dict[str, Cost], _found: dict[str, Any]) -> Cost:
    return share((await _rings(bench, "u", bench.rings)).cost, bench.rings)


async def _push(bench: Bench, costs: dict[str, Cost], _found: dict[str, Any]) -> Cost:
    spent = await _rings(bench, "v", bench.rings)
    return share(less(spent.cost, costs["ring"], bench.rings), FURTHER * bench.rings)


async def _answer(bench: Bench, _costs: dict[str, Cost], _found: dict[str, Any]) -> Cost:
    made = [bench.ring(n / bench.rate, "u", USERS) for n in range(bench.rings)]
    await bench.play([[request] for _, request in made])
    await bench.over()
    later = [acts(name, at, callee_of(body)) for name, (at, _, body) in made]
    spent = await bench.spent(lambda: bench.play(later))
    return share(spent.cost, bench.rings)


def callee_of(body: bytes) -> str:
    """Who is rung by a request."""
    found: str = json.loads(body)["callees"][0]
    return found


def life_of(name: str, one: Request) -> list[Request]:
    """A ring, its accept and its end."""
    at, _, body = one
    return [one, *acts(name, at, callee_of(body))]


async def _missed(bench: Bench, costs: dict[str, Cost], _found: dict[str, Any]) -> Cost:
    spent = await _rings(bench, "u", bench.rings, lasts=SHORT)
    return share(less(spent.cost, costs["ring"], bench.rings), bench.rings)


async def _heartbeat(bench: Bench, _costs: dict[str, Cost], _found: dict[str, Any]) -> Cost:
    name, members = await joined(bench)
    beats = 2 * bench.rings
    requests = heartbeats(name, members, beats, 2 * bench.rate)
    spent = await bench.spent(lambda: bench.play(requests))
    return share(spent.cost, beats)


async def joined(bench: Bench) -> tuple[str, list[str]]:
    """A call whose members have all joined."""
    members, name = [f"b{n + 1}" for n in range(MEMBERS)], f"beats{bench.number()}"
    body = json.loads(ring_body("capacity", *members)) | {"id": name}
    await bench.play([[(0, "/v1/calls", json.dumps(body).encode())]])
    await bench.play([acts(name, n / 50, user)[:1] for n, user in enumerate(members)])
    await bench.over()
    await asyncio.sleep(2)  # what the accepts have left to do is done
    return name, members


def heartbeats(name: str, members: Sequence[str], beats: int, rate: float) -> list[list[Request]]:
    """So many, of one member after another."""
    bodies = [json.dumps({"user_id": user, "device_id": "d1"}).encode() for user in members]
    path = f"/v1/calls/capacity:{name}/heartbeat"
    return [[(n / rate, path, bodies[n % len(bodies)])] for n in range(beats)]


def less_answered(cost: Cost, costs: dict[str, Cost], rings: int) -> Cost:
    """What is left when so many rings that are answered are taken off."""
    return less(less(cost, costs["ring"], rings), costs["answer"], rings)


@asynccontextmanager
async def a_webhook(bench: Bench) -> AsyncIterator[None]:
    """The tenant has one for all events while this lasts."""
    ready = bench.ready
    with running_endpoint() as endpoint:
        row, _ = await service.create(
            ready.runtime, ready.tenant.id, f"{endpoint.url}/capacity", ["*"], "", Actor("command")
        )
        yield
        await bench.over()
        await ready.sql("DELETE FROM webhooks WHERE id = :id", id=row.id)


async def _webhook(bench: Bench, costs: dict[str, Cost], found: dict[str, Any]) -> Cost:
    made = [bench.ring(n / bench.rate, "u", USERS) for n in range(bench.rings)]
    lives = [life_of(name, one) for name, one in made]
    async with a_webhook(bench):
        spent = await bench.spent(lambda: bench.play(lives))
        ((count,),) = await bench.ready.sql("SELECT count(*) FROM deliveries WHERE tenant_id = :t")
    found["hooks"] = count / bench.rings
    return share(less_answered(spent.cost, costs, bench.rings), count)


async def _told(bench: Bench, costs: dict[str, Cost], found: dict[str, Any]) -> Cost:
    ready, before = bench.ready, bench.ready.house.api.megabytes()
    made = [bench.ring(n / bench.rate, "s", USERS) for n in range(bench.rings)]
    lives = [life_of(name, one) for name, one in made]
    async with open_streams(ready, "s", STREAMS):
        found["api_mib"] = before  # once it has done everything else, as a process that has lived
        found["stream_kib"] = (ready.house.api.megabytes() - before) * 1024 / STREAMS
        idle = await bench.spent(lambda: asyncio.sleep(bench.seconds))
        found["stream_us"] = idle.cost.api / idle.seconds / STREAMS
        spent = await bench.spent(lambda: bench.play(lives))
        ((count,),) = await ready.sql("SELECT count(*) FROM user_events WHERE tenant_id = :t")
    found["told"] = count / bench.rings
    left = less_answered(spent.cost, costs, bench.rings)
    return share(less(left, share(idle.cost, idle.seconds), spent.seconds), count)


MEASURES: dict[str, Callable[[Bench, dict[str, Cost], dict[str, Any]], Awaitable[Cost]]] = {
    "ring": _ring, "push": _push, "answer": _answer, "missed": _missed, "webhook": _webhook,
    "heartbeat": _heartbeat, "told": _told,
}  # fmt: skip
