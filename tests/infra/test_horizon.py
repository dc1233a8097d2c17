"""Who writes while something is made known is waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.calls import apply, erase, lookup, ringing
from app.calls.lost import Lost, User
from app.calls.ring_request import RingRequest
from app.infra import horizon
from app.infra.db import Connection, Database
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings
from app.live import feeds
from app.tenants import erasures
from tests.e2e.house import eventually
from tests.e2e.test_races import order
from tests.push.test_claims_in_place import waits

BEGIN_TO_WRITE = text("SELECT pg_current_xact_id()")
TENANT = text("INSERT INTO tenants (id, name) VALUES (:id, 't')")


async def is_over(database: Database, until: int) -> bool:
    async with database.autocommit() as session:
        return await horizon.oldest_transaction(session) >= until


async def begin_to_write(session: Connection) -> None:
    await session.execute(BEGIN_TO_WRITE)


async def test_who_begins_to_write_while_a_feed_is_made_is_waited_for(database: str) -> None:
    """It does not see the feed, and its number is above that of whoever made it."""
    db = Database(database)
    async with db.transaction() as writing:
        async with db.transaction() as opening:
            await feeds.open_feeds(opening, [(uuid4(), "bob")])
            await begin_to_write(writing)
        async with db.autocommit() as session:
            until = await horizon.next_transaction(session)
        assert not await is_over(db, until)
    assert await is_over(db, until)
    await db.close()


async def test_who_begins_to_write_while_a_user_is_erased_is_waited_for(database: str) -> None:
    db, tenant = Database(database), uuid4()
    async with db.transaction() as session:
        await session.execute(TENANT, {"id": tenant})
    async with db.transaction() as writing:
        async with db.transaction() as erasing:
            erasure = (await erasures.add(erasing, tenant, "bob"))["id"]
            await begin_to_write(writing)
        async with db.autocommit() as session:
            assert await erasures.unfinished(session, erasure) is not None
            assert not await erasures.alone(session, erasure)
    async with db.autocommit() as session:
        assert await erasures.alone(session, erasure)
    await db.close()


CALL = text("""
    INSERT INTO calls (id, tenant_id, type, name, state, reason, caller_id, video, custom, limits,
        created_at, ended_at, event_seq, version)
    VALUES (:id, :tenant, 'default', 'c', 'ended', 'missed', 'alice', false, '{}', '{}',
        clock_timestamp(), clock_timestamp(), 1, 1)
""")
MEMBER = text("""
    INSERT INTO members (session_id, user_id, tenant_id, role, state, monitored)
    VALUES (:id, 'bob', :tenant, 'callee', 'missed', false)
""")
USERS = text("""
    INSERT INTO users (tenant_id, id) SELECT :tenant, unnest(CAST(:users AS text[]))
""")
NAMED = text("SELECT count(*) FROM members WHERE user_id = 'bob'")
DONE = text("SELECT due_at IS NULL FROM erasures")
LOCK_PUSHES = text("LOCK TABLE pushes IN ACCESS EXCLUSIVE MODE")
LOCK_ERASURES = text("LOCK TABLE erasures IN ACCESS EXCLUSIVE MODE")


@pytest.fixture
async def runtime(database: str, redis: str) -> AsyncIterator[Runtime]:
    opened = open_runtime(
        Settings(environment="development", database_url=database, redis_url=redis)
    )
    yield opened
    await opened.close()


async def erased_bob(runtime: Runtime, tenant: UUID) -> None:
    async with runtime.database.transaction() as session:
        await erasures.add(session, tenant, "bob")
    await erase.sweep(runtime)


async def is_erased(runtime: Runtime) -> bool:
    await erase.sweep(runtime)
    async with runtime.database.autocommit() as session:
        return bool((await session.execute(DONE)).scalar_one())


async def test_who_commits_between_the_last_looks_at_an_erasure_is_found_by_the_next(
    runtime: Runtime,
) -> None:
    """Whether all have ended is asked before it is looked who names the user, never after."""
    db, of_call = runtime.database, {"id": uuid4(), "tenant": uuid4()}
    async with db.transaction() as session:
        await session.execute(TENANT, {"id": of_call["tenant"]})
    async with AsyncExitStack() as ringing, AsyncExitStack() as first, AsyncExitStack() as second:
        session = await ringing.enter_async_context(db.transaction())
        for statement in (CALL, MEMBER):
            await session.execute(statement, of_call)
        async with db.transaction() as session:
            await erasures.add(session, of_call["tenant"], "bob")
        session = await first.enter_async_context(db.transaction())
        await session.execute(LOCK_PUSHES)
        looking = asyncio.create_task(erase.sweep(runtime))
        await eventually(lambda: waits(db))  # as the last look begins
        await second.enter_async_context(holding_unless_asked(db))
        await first.aclose()
        await eventually(lambda: over_or_waits(looking, db))
        await ringing.aclose()
        await second.aclose()
    await looking
    await eventually(lambda: is_erased(runtime))
    async with db.autocommit() as session:
        assert (await session.execute(NAMED)).scalar_one() == 0


@asynccontextmanager
async def holding_unless_asked(db: Database) -> AsyncIterator[None]:
    """Nobody asks there whether all have ended, unless that has been asked by who waits now.

    Whoever has asked holds the table until its own end, for which this would wait in vain.
    """
    async with db.transaction() as session:
        await session.execute(text("SET LOCAL lock_timeout = '200ms'"))
        with suppress(DBAPIError):  # the lock's time-out
            async with session.begin_nested():
                await session.execute(LOCK_ERASURES)
        yield


UNHURRIED = (
    "SET LOCAL lock_timeout = 0",
    "SET LOCAL statement_timeout = 0",
    "SET LOCAL idle_in_transaction_session_timeout = 0",
)
LOCK_CALLS = "LOCK TABLE calls IN SHARE MODE"


async def unhurried(session: Connection, *statements: str) -> None:
    """In a transaction that may take as long as a busy machine needs."""
    for statement in (*UNHURRIED, *statements):
        await session.execute(text(statement))


async def some_ring(runtime: Runtime) -> RingRequest:
    """Of bob, by a tenant of its own, all of whom are known."""
    one = order(uuid4(), "bob")
    async with runtime.database.transaction() as session:
        await session.execute(TENANT, {"id": one.tenant_id})
        await session.execute(USERS, {"tenant": one.tenant_id, "users": sorted(one.users)})
    return one


async def test_a_ring_that_has_looked_and_not_written_is_waited_for(runtime: Runtime) -> None:
    """In the whole transaction of a ring: its process may stand still in between."""
    db, one = runtime.database, await some_ring(runtime)

    async def ring() -> None:
        async with db.transaction() as session:
            await unhurried(session)
            await ringing.ring_new(session, [one])

    async with db.transaction() as holding:
        await unhurried(holding, LOCK_CALLS)
        going = asyncio.create_task(ring())
        await eventually(lambda: waits(db))
        await erased_bob(runtime, one.tenant_id)
    await going
    await eventually(lambda: is_erased(runtime))
    async with db.autocommit() as session:
        assert (await session.execute(NAMED)).scalar_one() == 0


async def test_what_was_found_before_an_erasure_begins_no_call(runtime: Runtime) -> None:
    db, one = runtime.database, await some_ring(runtime)
    async with db.autocommit() as session:
        found = await lookup.see_and_find(session, *ringing.named([one]))
    await erased_bob(runtime, one.tenant_id)
    assert await is_erased(runtime)
    begun = ringing.start_of(one, found.now, Lost(), {}, frozenset[User]())
    async with db.transaction() as session:
        added, _ = await apply.start(session, [begun], found.now, found.tokens, batched=False)
        assert added == set()
    async with db.autocommit() as session:
        assert (await session.execute(NAMED)).scalar_one() == 0


async def over_or_waits(task: "asyncio.Task[int]", database: Database) -> bool:
    return task.done() or await waits(database)
