"""A ring reaches a worker by a direct message. Rings by Celery alone: `tests/e2e/test_broker.py`."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from app.calls.ringer import Ringer
from app.infra import hint_lanes, hints
from app.infra.ids import uuid7
from app.infra.runtime import Runtime, open_runtime
from tests.e2e.house import Tenant, eventually
from tests.e2e.test_races import order
from tests.push.conftest import Bench


async def no_sweep(*_of: object) -> None:
    """Nothing: what is sent has been hinted at."""


@contextlib.asynccontextmanager
async def ringing(tenant: Tenant, *, direct: bool) -> AsyncIterator[Runtime]:
    settings = tenant.house.settings().model_copy(update={"direct_hints": direct})
    runtime = open_runtime(settings)
    try:
        yield runtime
    finally:
        await runtime.close()


async def test_a_ring_is_sent_by_a_direct_hint_without_queue_and_sweep(bench: Bench) -> None:
    (phone,) = await bench.phones(1)
    bench.start_worker(no_sweep, hints=True)
    async with ringing(bench.tenant, direct=True) as runtime:
        await Ringer(runtime).submit(order(bench.tenant.id, "bob"))
        await bench.sim.arrived(1, token=phone.voip)


async def test_what_cannot_be_read_is_passed_over_and_the_next_hint_is_heard(bench: Bench) -> None:
    (phone,) = await bench.phones(1)
    async with ringing(bench.tenant, direct=True) as runtime:
        for message in ("not json", "[null]", "7", '["x"]'):
            await runtime.redis.lpush(hints.KEY, message)
        bench.start_worker(no_sweep, hints=True)
        await Ringer(runtime).submit(order(bench.tenant.id, "bob"))
        await bench.sim.arrived(1, token=phone.voip)


async def test_hints_that_nobody_takes_do_not_pile_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hint_lanes, "PAUSE_FOR_EACH", 0.0)
    monkeypatch.setattr(hints, "MOST_KEPT", 3)
    async with ringing(bench.tenant, direct=True) as runtime:
        for _ in range(8):
            runtime.hints.tell([uuid7()])
            await eventually(lambda: _told(runtime))
        assert await runtime.redis.llen(hints.KEY) <= 3
        assert 0 < await runtime.redis.ttl(hints.KEY) <= hints.KEPT_FOR


async def _told(runtime: Runtime) -> bool:
    return runtime.hints._telling is None
