"""What is to be pushed reaches a worker by a direct message, and by Celery's where none took it.

Rings by Celery alone: `tests/e2e/test_broker.py`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from sqlalchemy import event

from app.calls.ringer import Ringer
from app.infra import hints
from app.infra.blocking_hints import BlockingHints
from app.infra.hint_lanes import pause_after
from app.infra.ids import uuid7
from app.infra.push_hints import HintOf, PushHint, read_hint
from app.infra.queue import QUEUE, SEND
from app.infra.runtime import Runtime, open_runtime
from app.infra.tasks import beside
from app.push.dispatch import Dispatcher
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


@pytest.mark.parametrize("of", HintOf)
def test_a_hint_is_read_as_it_was_written_and_by_who_knows_no_kinds_as_its_id(of: HintOf) -> None:
    hint = PushHint(of, uuid7())
    assert read_hint(str(hint)) == hint
    assert UUID(str(hint)) == hint.id
    assert read_hint(str(hint.id)).of is HintOf.ANY  # as the release before writes it


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker has long to take a message, however busy this machine is."""
    monkeypatch.setattr(hints, "AHEAD", 5.0)
    monkeypatch.setattr(hints, "UNSAID", 60.0)


@pytest.mark.usefixtures("patience")
async def test_a_ring_is_sent_by_a_direct_hint_without_queue_and_sweep(bench: Bench) -> None:
    (phone,) = await bench.phones(1)
    bench.start_worker(no_sweep, hints=True)
    async with ringing(bench.tenant, direct=True) as runtime:
        await Ringer(runtime).submit(order(bench.tenant.id, "bob"))
        await bench.sim.arrived(1, token=phone.voip)


@pytest.mark.usefixtures("patience")
async def test_what_cannot_be_read_is_passed_over_and_the_next_hint_is_heard(bench: Bench) -> None:
    (phone,) = await bench.phones(1)
    async with ringing(bench.tenant, direct=True) as runtime:
        for message in ("not json", "[null]", "7", '["x"]'):
            await runtime.redis.lpush(hints.KEY, message)
        bench.start_worker(no_sweep, hints=True)
        await Ringer(runtime).submit(order(bench.tenant.id, "bob"))
        await bench.sim.arrived(1, token=phone.voip)


@pytest.mark.parametrize("of", [HintOf.RING, HintOf.STOP, HintOf.BATCH, HintOf.LATER])
async def test_a_hint_that_says_what_it_is_of_costs_one_claim(bench: Bench, of: HintOf) -> None:
    """Also where somebody else has been there before."""
    worker = bench.start_worker(no_sweep)
    assert worker.runtime is not None
    hint, done, asked = PushHint(of, uuid7()), asyncio.Event(), list[str]()

    def note(_connection: object, _cursor: object, said: str, values: object, *_: object) -> None:
        if str(hint.id) in str(values):
            asked.append(said)

    async def send(dispatcher: Dispatcher) -> None:
        await dispatcher.send([hint])
        loop.call_soon_threadsafe(done.set)

    loop = asyncio.get_running_loop()
    engine = worker.runtime.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    worker.submit(send)
    await asyncio.wait_for(done.wait(), 30)
    event.remove(engine, "before_cursor_execute", note)
    assert len(asked) == 1
    assert ("push_batches" in asked[0]) is (of is HintOf.BATCH)


async def test_celerys_message_goes_where_no_worker_takes_the_direct_one_and_nothing_piles_up(
    bench: Bench,
) -> None:
    async with ringing(bench.tenant, direct=True) as runtime:
        by_queue = asyncio.Event()
        runtime.hints.tell([PushHint(HintOf.RING, uuid7())], by_queue.set)
        await asyncio.wait_for(by_queue.wait(), 10)
        await eventually(lambda: _told(runtime))
        assert await runtime.redis.llen(hints.KEY) == 0


@pytest.mark.usefixtures("patience")
async def test_celerys_message_does_not_go_where_a_waiting_worker_took_the_direct_one(
    bench: Bench,
) -> None:
    async with ringing(bench.tenant, direct=True) as runtime:
        heard, by_queue = asyncio.Queue[list[PushHint]](), list[None]()
        async with beside("hear", runtime.hints.hear(heard.put_nowait, lambda: True)):
            await eventually(lambda: _someone_waits(runtime))
            told = [PushHint(HintOf.STOP, uuid7())]
            runtime.hints.tell(told, lambda: by_queue.append(None))
            assert await asyncio.wait_for(heard.get(), 20) == told
            await eventually(lambda: _told(runtime))
            assert by_queue == []


async def test_celerys_message_goes_where_redis_does_not_say_whether_one_was_taken(
    bench: Bench,
) -> None:
    async with ringing(bench.tenant, direct=True) as runtime:
        called_by = asyncio.get_running_loop().create_future()
        await runtime.redis.client_pause(1_500)  # milliseconds
        runtime.hints.tell(
            [PushHint(HintOf.RING, uuid7())],
            lambda: called_by.set_result(asyncio.current_task()),
        )
        assert await asyncio.wait_for(called_by, 10) is None  # by the clock, and not by an answer


@pytest.mark.usefixtures("patience")
async def test_a_tenants_hint_does_not_wait_for_anothers_to_be_taken(bench: Bench) -> None:
    async with ringing(bench.tenant, direct=True) as runtime:
        tenants, by_queue = [uuid7() for _ in range(hints.LINES + 1)], list[UUID]()

        def tell(whose: UUID) -> None:
            runtime.hints.tell(
                [PushHint(HintOf.RING, uuid7())], lambda: by_queue.append(whose), whose
            )

        for n, whose in enumerate(tenants[: hints.LINES], start=1):
            tell(whose)
            await eventually(lambda n=n: _waiting(runtime, n))
            await asyncio.sleep(pause_after(1))
        assert by_queue == []
        again, one_more = tenants[0], tenants[-1]
        tell(again)
        tell(one_more)
        assert by_queue == [again, one_more]
        await runtime.redis.delete(hints.KEY)


async def _waiting(runtime: Runtime, count: int) -> bool:
    return await runtime.redis.llen(hints.KEY) == count


async def _told(runtime: Runtime) -> bool:
    return not runtime.hints._telling


async def _someone_waits(runtime: Runtime) -> bool:
    return (await runtime.redis.info("clients"))["blocked_clients"] > 0


def _many() -> list[PushHint]:
    return [PushHint(HintOf.RING, uuid7()) for _ in range(hints.MOST_RINGS + 1)]


@pytest.mark.usefixtures("patience")
async def test_many_hints_go_by_one_direct_message_too(bench: Bench) -> None:
    async with ringing(bench.tenant, direct=True) as runtime:
        heard, told = asyncio.Queue[list[PushHint]](), _many()
        before = await runtime.redis.llen(QUEUE)
        async with beside("hear", runtime.hints.hear(heard.put_nowait, lambda: True)):
            await eventually(lambda: _someone_waits(runtime))
            runtime.queue.enqueue(SEND, told, bench.tenant.id)
            assert await asyncio.wait_for(heard.get(), 20) == told
        runtime.queue.close()  # its thread has ended: it has told nothing else
        assert await runtime.redis.llen(QUEUE) == before


@pytest.mark.parametrize("direct", [True, False])
async def test_many_hints_go_by_celery_where_no_worker_takes_them(
    bench: Bench, direct: bool
) -> None:
    async with ringing(bench.tenant, direct=direct) as runtime:
        before = await runtime.redis.llen(QUEUE)
        runtime.queue.enqueue(SEND, _many(), bench.tenant.id)
        await eventually(lambda: _in_queue(runtime, before + 1))
        assert await runtime.redis.llen(hints.KEY) == 0


async def test_many_hints_go_by_celery_where_redis_does_not_answer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Celery's broker may be RabbitMQ, and Redis away; it is asked again a while later."""
    settings = bench.tenant.house.settings().model_copy(update={"direct_hints": True})
    closed = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0"})
    told = BlockingHints(closed)
    assert not told.taken([str(uuid7())])
    monkeypatch.setattr(told, "_settings", settings)
    assert not told.taken([str(uuid7())])
    monkeypatch.setattr(told, "_not_before", 0.0)
    told._redis = None
    async with ringing(bench.tenant, direct=True) as runtime:
        heard = asyncio.Queue[list[PushHint]]()
        async with beside("hear", runtime.hints.hear(heard.put_nowait, lambda: True)):
            await eventually(lambda: _someone_waits(runtime))
            hint = PushHint(HintOf.RING, uuid7())
            assert await asyncio.to_thread(told.taken, [str(hint)])
            assert await asyncio.wait_for(heard.get(), 20) == [hint]
    told.close()


async def _in_queue(runtime: Runtime, messages: int) -> bool:
    return bool(await runtime.redis.llen(QUEUE) == messages)


@pytest.mark.usefixtures("patience")
async def test_a_hint_is_told_whose_connection_was_lost_while_it_rested(bench: Bench) -> None:
    async with ringing(bench.tenant, direct=True) as runtime:
        heard, by_queue = asyncio.Queue[list[PushHint]](), list[None]()
        async with beside("hear", runtime.hints.hear(heard.put_nowait, lambda: True)):
            for _ in range(2):
                await eventually(lambda: _someone_waits(runtime))
                hint = PushHint(HintOf.RING, uuid7())
                runtime.hints.tell([hint], lambda: by_queue.append(None))
                assert await asyncio.wait_for(heard.get(), 10) == [hint]
                await asyncio.sleep(0.05)
                await runtime.redis.client_kill_filter(_type="normal", skipme=True)
        assert by_queue == []
