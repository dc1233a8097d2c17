"""The faults, each a block: it is so from entering to leaving. What is put out is put right again."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import asyncpg
import redis

from devkit.embedded.postgres import Postgres
from devkit.embedded.valkey import Valkey
from tests.chaos import neighbours, skew
from tests.chaos.house import Process, send_all
from tests.chaos.world import World

Put = Callable[[World], AbstractAsyncContextManager[None]]
END_OURS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE backend_type = 'client backend' AND application_name <> 'chaos'"
)
RESTART_AFTER = 1.0
"""Seconds after which a supervisor starts what has died."""


@dataclass(frozen=True, slots=True)
class Spec:
    """A row of the table. `repeats`: it may silence a worker beyond its lease. `lasts` in seconds."""

    name: str
    what: str
    put: Put
    lasts: float = 0.0
    repeats: bool = False
    one_tenant: bool = False
    impossible: Callable[[World], str | None] = lambda _: None


@contextlib.asynccontextmanager
async def nothing(_world: World) -> AsyncIterator[None]:
    yield


def killed(which: Callable[[World], list[Process]]) -> Put:
    """SIGKILL, and a new process a second later; over when that is ready."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        for one in which(world):
            one.kill()
        await asyncio.sleep(RESTART_AFTER)
        for one in which(world):
            one.start()
        yield

    return put


def frozen(which: Callable[[World], list[Process]]) -> Put:
    """SIGSTOP for the length of the block."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        for one in which(world):
            one.send(signal.SIGSTOP)
        try:
            yield
        finally:
            for one in which(world):
                one.send(signal.SIGCONT)

    return put


def an_api(world: World) -> list[Process]:
    return world.house.apis[:1]


def a_worker(world: World) -> list[Process]:
    return world.house.workers[:1]


def all_workers(world: World) -> list[Process]:
    return world.house.workers


@contextlib.asynccontextmanager
async def valkey_gone(world: World) -> AsyncIterator[None]:
    await asyncio.to_thread(world.house.valkey.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(world.house.valkey.start)


def server_frozen(which: Callable[[World], Postgres | Valkey]) -> Put:
    """SIGSTOP of it and all its processes for the length of the block."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        pid = which(world).pid
        send_all(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            send_all(pid, signal.SIGCONT)

    return put


def valkey(world: World) -> Valkey:
    return world.house.valkey


def postgres(world: World) -> Postgres:
    return world.house.postgres


@contextlib.asynccontextmanager
async def valkey_flushed(world: World) -> AsyncIterator[None]:
    client = redis.Redis(unix_socket_path=str(world.house.valkey.socket))

    async def again_and_again() -> None:
        while True:
            await asyncio.to_thread(client.flushall)
            await asyncio.sleep(0.3)

    async with _meanwhile(again_and_again()):
        yield
    client.close()


@contextlib.asynccontextmanager
async def postgres_restarted(world: World) -> AsyncIterator[None]:
    await asyncio.to_thread(world.house.postgres.stop)
    try:
        await asyncio.sleep(RESTART_AFTER)
    finally:
        await asyncio.to_thread(world.house.postgres.start)
    yield


@contextlib.asynccontextmanager
async def postgres_recovering(world: World) -> AsyncIterator[None]:
    """kill -9 of a backend: the server ends all others and recovers."""
    victims = await world.truth.fetch(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
        "AND pid <> pg_backend_pid() LIMIT 1"
    )
    os.kill(victims[0][0], signal.SIGKILL)
    await _answers_again(world)
    yield


@contextlib.asynccontextmanager
async def read_only(world: World) -> AsyncIterator[None]:
    await _alter(world, "SET default_transaction_read_only = on")
    try:
        yield
    finally:
        await _alter(world, "RESET default_transaction_read_only")


@contextlib.asynccontextmanager
async def sessions_read_only(world: World) -> AsyncIterator[None]:
    """As many who host databases do when a disk is nearly full: what begins now takes no writes."""
    setting = "default_transaction_read_only"
    await world.truth.fetch(f"ALTER DATABASE ringline SET {setting} = on")
    await world.truth.fetch(END_OURS)
    try:
        yield
    finally:
        await world.truth.fetch(f"ALTER DATABASE ringline RESET {setting}")


@contextlib.asynccontextmanager
async def full(world: World) -> AsyncIterator[None]:
    """The file system of data and write-ahead log has no byte left."""
    assert world.house.disk is not None
    ballast = world.house.disk / "ballast"
    stop = asyncio.Event()

    def fill() -> None:
        with ballast.open("ab") as file, contextlib.suppress(OSError):
            for size in (2**26, 2**20, 2**12):
                with contextlib.suppress(OSError):
                    while not stop.is_set():
                        os.posix_fallocate(file.fileno(), file.seek(0, 2), size)

    async def keep_full() -> None:
        while True:
            await asyncio.to_thread(fill)
            await asyncio.sleep(0.1)

    try:
        async with _meanwhile(keep_full()):
            yield
    finally:
        stop.set()
        ballast.unlink(missing_ok=True)
        # out of room for its log the server may have ended: whoever makes room starts it again
        await asyncio.to_thread(world.house.postgres.start)
        await _answers_again(world)


def no_small_disk(world: World) -> str | None:
    return None if world.house.disk else "no small file system can be mounted here"


@contextlib.asynccontextmanager
async def no_connections(world: World) -> AsyncIterator[None]:
    """All connections of ours are ended, and every slot is taken by others."""
    taken: list[asyncpg.Connection] = []

    async def take() -> None:
        while True:
            try:
                taken.append(await world.house.connect())
            except (asyncpg.PostgresError, OSError):
                await asyncio.sleep(0.02)

    takers = [asyncio.create_task(take()) for _ in range(8)]
    try:
        for _ in range(10):
            await world.truth.fetch(END_OURS)
            await asyncio.sleep(0.05)
        yield
    finally:
        for task in takers:
            task.cancel()
        await asyncio.gather(*takers, return_exceptions=True)
        await asyncio.gather(*(one.close() for one in taken), return_exceptions=True)


@contextlib.asynccontextmanager
async def connections_mute(world: World) -> AsyncIterator[None]:
    """What is open now never says a word again; new connections work."""
    world.house.mute("mute old")
    yield


@contextlib.asynccontextmanager
async def database_mute(world: World) -> AsyncIterator[None]:
    """New connections are mute too."""
    world.house.mute("mute all")
    try:
        yield
    finally:
        world.house.mute("clear")


@contextlib.asynccontextmanager
async def row_locked(world: World) -> AsyncIterator[None]:
    """The rows of some calls that have just begun are locked."""
    find = (
        "SELECT id FROM calls WHERE ended_at IS NULL AND tenant_id = $1 "
        "ORDER BY created_at DESC LIMIT 3 FOR UPDATE"
    )
    async with _transaction(world) as holder:
        await holder.fetch(find, world.tenant.id)
        yield


@contextlib.asynccontextmanager
async def table_locked(world: World) -> AsyncIterator[None]:
    async with _transaction(world) as holder:
        await holder.execute("LOCK TABLE pushes IN ACCESS EXCLUSIVE MODE")
        yield


def clock_off(which: Callable[[World], list[Process]], seconds: int) -> Put:
    """A process with another clock, in the place of one that had ours."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        for one in which(world):
            await asyncio.to_thread(one.stop)
            one.start(skew.environment(seconds))
        await asyncio.to_thread(world.house.await_ready, 30)
        try:
            yield
        finally:
            for one in which(world):
                await asyncio.to_thread(one.stop)
                one.start()

    return put


def no_other_clock(_world: World) -> str | None:
    return skew.why_not()


@contextlib.asynccontextmanager
async def _transaction(world: World) -> AsyncIterator[asyncpg.Connection]:
    holder = await world.house.connect()
    try:
        async with holder.transaction():
            yield holder
    finally:
        await holder.close()


async def _alter(world: World, what: str) -> None:
    await world.truth.fetch(f"ALTER SYSTEM {what}")
    await world.truth.fetch("SELECT pg_reload_conf()")


@contextlib.asynccontextmanager
async def _meanwhile(work: object) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)  # type: ignore[call-overload]
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _answers_again(world: World, within: float = 30.0) -> None:
    end = time.monotonic() + within
    while True:
        try:
            await (await world.house.connect()).close()
        except (asyncpg.PostgresError, OSError, TimeoutError):
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.05)
        else:
            return


API, WORKER = "of one API process", "of one worker"
ROWS = (
    Spec("calm", "nothing", nothing, 5),
    Spec("api-killed", "kill -9 of an API process", killed(an_api)),
    Spec("api-frozen", "SIGSTOP of an API process, 5 s", frozen(an_api), 5),
    Spec("worker-killed", "kill -9 of a worker", killed(a_worker), repeats=True),
    Spec("worker-frozen", "SIGSTOP of a worker, 6 s", frozen(a_worker), 6, repeats=True),
    Spec("workers-killed", "kill -9 of all workers", killed(all_workers), repeats=True),
    Spec("valkey-gone", "Valkey gone, 5 s", valkey_gone, 5),
    Spec("valkey-frozen", "SIGSTOP of Valkey, 8 s", server_frozen(valkey), 8),
    Spec("valkey-flushed", "Valkey flushed again and again, 4 s", valkey_flushed, 4),
    Spec("postgres-restarted", "PostgreSQL restarted", postgres_restarted),
    Spec("postgres-recovering", "kill -9 of a PostgreSQL backend", postgres_recovering),
    Spec("postgres-frozen", "SIGSTOP of PostgreSQL, 5 s", server_frozen(postgres), 5),
    Spec("read-only", "PostgreSQL read-only, 3 s", read_only, 3),
    # a worker's life may fail by one connection and another be told of it by none
    Spec("sessions-read-only", "PostgreSQL's new sessions read-only, 5 s", sessions_read_only, 5,
         repeats=True),
    Spec("full", "PostgreSQL's disk full, 4 s", full, 4, impossible=no_small_disk),
    # one worker may keep a connection while the other is silent for longer than its lease
    Spec("no-connections", "no connection left, 4 s", no_connections, 4, repeats=True),
    Spec("connections-mute", "open connections mute for ever", connections_mute, 1, repeats=True),
    Spec("database-mute", "all connections mute, 6 s", database_mute, 6, repeats=True),
    Spec("row-locked", "rows of calls locked, 2 s", row_locked, 2),
    Spec("row-locked-long", "rows of calls locked, 25 s", row_locked, 25),
    Spec("table-locked", "table of pushes locked, 2 s", table_locked, 2),
    Spec("table-locked-long", "table of pushes locked, 25 s", table_locked, 25),
    Spec("api-ahead", f"clock {API} an hour ahead", clock_off(an_api, 3600), 4,
         impossible=no_other_clock),
    Spec("api-behind", f"clock {API} an hour behind", clock_off(an_api, -3600), 4,
         impossible=no_other_clock),
    Spec("worker-ahead", f"clock {WORKER} an hour ahead", clock_off(a_worker, 3600), 4,
         impossible=no_other_clock),
    Spec("worker-behind", f"clock {WORKER} an hour behind", clock_off(a_worker, -3600), 4,
         impossible=no_other_clock),
    Spec("flood", "another tenant floods", neighbours.flood, 20, one_tenant=True),
    Spec("crawl", "another's 20 webhooks answer after 9 s", neighbours.crawl, 20, one_tenant=True),
    Spec("unsendable", "another's 14 webhooks cannot be sent to", neighbours.unsendable, 20,
         one_tenant=True),
    Spec("erase", "another erases users named by our own words", neighbours.erase, 20,
         one_tenant=True),
    Spec("fuzzed", "another's key in schemathesis' hands, 90 s", neighbours.fuzzed),
    Spec("held-call", "another's call is locked, 30 decline it, 8 s", neighbours.held_call, 8,
         one_tenant=True),
)  # fmt: skip
