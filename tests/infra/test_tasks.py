"""Background tasks: what fails is started again, counted and told; a running process lists all."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.worker import WorkController, state
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app.infra.outage import DatabaseAway
from app.infra.queue import make_celery
from app.infra.settings import Settings
from app.infra.supervision import LongLived
from app.infra.tasks import Tasks, beside, supervised
from app.main import create_app
from workers.loop import Loop
from workers.sweep import sweep

ROOT = Path(__file__).resolve().parents[2]
OF_API = {"dashboard.count", "queue.publish", "streams.compare", "streams.hear"}
OF_WORKER = {
    "worker.analyze",
    "worker.deliver",
    "worker.forget",
    "worker.hear",
    "worker.keep_warm",
    "worker.probe",
    "worker.send_lost",
    "worker.show_life",
    "worker.sweep",
    "worker.backlog",
    "worker.look",
}


class Bug(Exception):
    """What a test wants raised."""


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines


@pytest.fixture
def settings(database: str, redis: str) -> Settings:
    return Settings(
        environment="development",
        database_url=database.replace("postgresql+asyncpg", "postgresql"),
        redis_url=redis,
    )


def counted(name: str) -> float:
    return REGISTRY.get_sample_value("ringline_task_failures_total", {"task": name}) or 0.0


def failing(name: str) -> float | None:
    return REGISTRY.get_sample_value("ringline_tasks_failing", {"task": name})


def drill(names: set[str], logs: list[Any]) -> None:
    """Raise inside each long-lived task once; see it started again, counted and told."""
    tasks: dict[str, LongLived] = {one.name: one for one in supervised()}
    assert names <= set(tasks)
    before = {name: (one.restarts, counted(name)) for name, one in tasks.items()}
    for one in tasks.values():
        one.fail(Bug(one.name))
    end = time.monotonic() + 20
    for name, one in tasks.items():
        while one.restarts == before[name][0] or not one.running:
            assert time.monotonic() < end, f"{name} was not started again"
            time.sleep(0.01)
        assert counted(name) > before[name][1]
    told = {line["task"] for line in logs if line["event"] == "task_failed"}
    assert set(tasks) <= told


async def test_every_task_of_an_api_is_started_again(settings: Settings, logs: list[Any]) -> None:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        await asyncio.to_thread(drill, OF_API, logs)
    assert supervised() == []


def test_every_task_of_a_worker_is_started_again(settings: Settings, logs: list[Any]) -> None:
    loop = Loop(settings, sweep)
    loop.start()
    end = time.monotonic() + 20
    while missing := OF_WORKER - {one.name for one in supervised() if one.running}:
        assert time.monotonic() < end, missing
        time.sleep(0.01)
    drill(OF_WORKER, logs)
    loop.stop()
    assert supervised() == []


@pytest.mark.filterwarnings("ignore::celery.exceptions.CPendingDeprecationWarning")
def test_the_brokers_consumer_is_started_again(settings: Settings, logs: list[Any]) -> None:
    worker = WorkController(app=make_celery(settings), pool="threads", concurrency=1)
    thread = threading.Thread(target=worker.start)
    thread.start()
    try:
        end = time.monotonic() + 20
        while not any(one.name == "worker.consume" and ready(one) for one in supervised()):
            assert time.monotonic() < end
            time.sleep(0.01)
        drill({"worker.consume"}, logs)
    finally:
        state.should_stop = 0
        thread.join(20)
        state.should_stop = None
    assert supervised() == []


def ready(consumer: Any) -> bool:
    """Whether it has connected: what a drill raises before that is never seen."""
    return consumer.running and consumer.task_consumer is not None


async def test_what_returns_or_is_cancelled_has_failed_too(logs: list[Any]) -> None:
    tasks, begun = Tasks("test"), asyncio.Event()
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        if runs == 2:
            raise asyncio.CancelledError
        if runs == 3:
            begun.set()
            await asyncio.sleep(3_600)

    one = tasks.supervise("short", work)
    await asyncio.wait_for(begun.wait(), 5)
    assert one.restarts == 2
    assert [line["task"] for line in logs if line["event"] == "task_failed"] == ["test.short"]
    assert failing("test.short") == 1
    await tasks.stop()
    assert one not in supervised()


async def test_a_round_that_fails_or_hangs_is_followed_by_the_next(logs: list[Any]) -> None:
    tasks, well = Tasks("test"), asyncio.Event()
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise Bug
        if rounds == 2:
            await asyncio.sleep(3_600)
        if rounds == 3:
            raise TimeoutError
        if rounds == 5:
            well.set()

    tasks.every("round", 0.05, work, within=0.1)
    await asyncio.wait_for(well.wait(), 5)
    kinds = [line["exc_info"].__class__.__name__ for line in logs if line["event"] == "task_failed"]
    assert kinds == ["Bug", "TookTooLong", "TimeoutError"]
    assert failing("test.round") == 0
    assert [line["failures"] for line in logs if line["event"] == "task_well_again"] == [3]
    await tasks.stop()


async def test_the_same_trouble_is_told_once_and_that_of_the_database_not_here(
    logs: list[Any],
) -> None:
    tasks, done = Tasks("test"), asyncio.Event()
    rounds = 0

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds > 4:
            done.set()
        raise Bug if rounds % 2 else DatabaseAway

    tasks.every("trouble", 0.01, work, within=1)
    await asyncio.wait_for(done.wait(), 5)
    assert len([line for line in logs if line["event"] == "task_failed"]) == 1
    assert counted("test.trouble") >= 5
    await tasks.stop()


async def test_a_short_task_is_told_of_when_it_fails(logs: list[Any]) -> None:
    tasks = Tasks("test")

    async def work() -> None:
        raise Bug

    with pytest.raises(Bug):
        await tasks.spawn("alone", work())
    with pytest.raises(Bug):
        await tasks.spawn("heard", work(), awaited=True)
    with pytest.raises(Bug):
        async with beside("beside", work()):
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert [line["task"] for line in logs] == ["test.alone"]
    assert counted("test.alone") == 1
    await tasks.stop()


async def test_work_that_takes_a_cancellation_for_something_else_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """redis-py takes it for a lost connection now and then; nothing is left running behind."""
    monkeypatch.setattr("app.infra.tasks.DEAF", 0.05)
    tasks, ended, cancels = Tasks("test"), asyncio.Event(), 0

    async def deaf() -> None:
        nonlocal cancels
        while True:
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                cancels += 1
                if cancels == 3:
                    ended.set()
                    raise

    tasks.supervise("deaf", deaf)
    await asyncio.sleep(0.01)
    await tasks.stop()
    assert ended.is_set()


async def test_stopping_waits_for_what_short_tasks_begin() -> None:
    tasks, ended = Tasks("test"), []

    async def second() -> None:
        await asyncio.sleep(0.01)
        ended.append(2)

    async def first() -> None:
        await asyncio.sleep(0.01)
        tasks.spawn("second", second())
        ended.append(1)

    tasks.spawn("first", first())
    await tasks.stop(within=5)
    assert ended == [1, 2]


def test_no_task_is_started_elsewhere() -> None:
    """`asyncio.wait_for` and `gather` begin tasks too, but whoever calls them awaits them."""
    starts = re.compile(
        r"create_task|ensure_future|TaskGroup|run_coroutine_threadsafe|[^d]Thread\("
    )
    ours = {"app/infra/tasks.py", "app/infra/supervision.py"}
    # the one thread on which the worker's loop itself runs, and one that a process which ends waits
    # for no longer than it may, whatever the collector of traces does
    allowed = ours | {"workers/loop.py", "app/infra/traces.py"}
    found = [
        str(path.relative_to(ROOT))
        for room in ("app", "workers", "devkit/lab")
        for path in ROOT.glob(f"{room}/**/*.py")
        if starts.search(path.read_text())
    ]
    assert set(found) - allowed == set()
    assert starts.findall((ROOT / "workers/loop.py").read_text()) == [".Thread("]
