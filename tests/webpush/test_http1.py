"""Push services that speak nothing newer than HTTP/1.1: UnifiedPush servers behind plain proxies."""

import asyncio
import uuid

import pytest
import uvloop

from app.core.push_policy import NoAnswer
from devkit.simulator import Simulator
from tests.apns.rig import until
from tests.webpush.conftest import PUBLIC, Rig, id_of, rigged
from tests.webpush.test_sender import ANSWERS


@pytest.fixture
async def old(rig: Rig) -> Rig:
    """By ALPN the service chooses http/1.1."""
    rig.sim.connection_fault(environment="webpush", http1=True)
    return rig


def connections(rig: Rig) -> set[int]:
    return {one.connection for one in rig.sim.arrivals()}


@pytest.mark.parametrize("fault", [{"http1": True}, {"alpn": False}])
async def test_a_push_goes_as_by_http2_and_the_connection_is_kept(rig: Rig, fault) -> None:
    rig.sim.connection_fault(environment="webpush", **fault)
    browser, ring = rig.subscribe(), str(uuid.uuid4())
    for _ in range(5):
        assert (await rig.push(browser, ring=ring, within=5.0)).code == 201
    arrival = rig.sim.deliveries(id_of(browser))[-1]
    assert arrival.payload == {"web_push": 8030}
    assert arrival.header("urgency") == "high"
    assert arrival.header("ttl") in {"29", "30"}
    assert arrival.header("topic") == uuid.UUID(ring).hex
    assert arrival.client == {"kind": "vapid", "key": PUBLIC, "subject": "mailto:push@example.com"}
    assert len(connections(rig)) == 1
    assert rig.sender.stats().handshakes <= 2
    await rig.settled()


@pytest.mark.parametrize(("fault", "code", "reason"), ANSWERS)
async def test_any_answer_is_an_outcome(old: Rig, fault, code: int, reason: str | None) -> None:
    browser = old.subscribe()
    old.sim.fault(token=id_of(browser), **fault)
    outcome = await old.push(browser, within=5.0)
    assert (outcome.code, outcome.reason) == (code, reason)
    assert outcome.retry_after == fault.get("retry_after")
    await old.settled()


@pytest.mark.parametrize(
    "fault",
    [
        {"silence": True},
        {"close": "rst"},
        {"close": "tls"},
        {"status": 500, "reason": "InternalError", "cut": "body", "close": "rst"},
    ],
)
async def test_no_answer_is_an_outcome_and_costs_the_connection(old: Rig, fault) -> None:
    browser = old.subscribe()
    old.sim.fault(token=id_of(browser), **fault)
    outcome = await old.push(browser, within=5.0)
    assert outcome.no_answer is NoAnswer.LOST
    assert outcome.may_have_reached
    assert (await old.push(within=5.0)).code == 201
    assert len(connections(old)) == 2
    await old.settled()


async def test_many_at_once_share_a_bounded_number_of_connections(old: Rig) -> None:
    old.sim.fault(environment="webpush", delay=0.02)
    outcomes = await asyncio.gather(*(old.push(within=10.0) for _ in range(60)))
    assert {one.code for one in outcomes} == {201}
    assert 2 < len(connections(old)) <= 8
    await old.settled()


@pytest.mark.parametrize("how", ["asked", "silently"])
async def test_a_connection_that_the_server_ends_is_followed_by_another(old: Rig, how: str) -> None:
    browser = old.subscribe()
    if how == "asked":
        old.sim.fault(token=id_of(browser), times=1, headers={"connection": "close"})
    assert (await old.push(browser, within=5.0)).code == 201
    [pool] = old.sender._pools.values()
    if how == "silently":
        [number] = connections(old)
        [held] = [one for one in pool.connections if one.long_lived()]
        old.sim.close_connections(number)
        await until(lambda: held not in pool.connections)
    assert (await old.push(browser, within=5.0)).code == 201
    assert len(connections(old)) == 2
    await old.settled()


async def test_what_is_not_begun_in_time_or_given_up_leaves_nothing_behind(old: Rig) -> None:
    browser = old.subscribe()
    request = await old.renewed(browser)
    old.sim.fault(token=id_of(browser), times=1, silence=True)
    given_up = old.sender.start(request, old.loop.time() + 5.0)
    await until(lambda: len(old.sim.arrivals(id_of(browser))) == 2)
    old.sender.abandon(given_up)
    await until(lambda: not old.sender.stats().leaving)
    assert (await old.push(browser, within=5.0)).code == 201
    await old.settled()


def test_it_goes_by_the_loop_of_workers_too(simulator: Simulator) -> None:
    async def pushes() -> None:
        async with rigged(simulator) as made:
            simulator.connection_fault(environment="webpush", http1=True)
            outcomes = await asyncio.gather(*(made.push(within=10.0) for _ in range(20)))
            assert {one.code for one in outcomes} == {201}
            assert len(connections(made)) <= 8
            await made.settled()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for _ in range(3):  # each leaves a connection that was being opened
            runner.run(pushes())
