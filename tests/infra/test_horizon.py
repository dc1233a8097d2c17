"""Who writes while something is made known is waited for."""

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

from sqlalchemy import text

from app.calls import erase
from app.infra import horizon
from app.infra.db import Connection, Database
from app.infra.runtime import open_runtime
from app.infra.settings import Settings
from app.live import feeds
from app.tenants import erasures
from tests.e2e.house import eventually
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
NAMED = text("SELECT count(*) FROM members WHERE user_id = 'bob'")
DONE = text("SELECT due_at IS NULL FROM erasures")
LOCK_PUSHES = text("LOCK TABLE pushes IN ACCESS EXCLUSIVE MODE")
LOCK_ERASURES = text("LOCK TABLE erasures IN ACCESS EXCLUSIVE MODE")


async def test_who_commits_between_the_last_looks_at_an_erasure_is_found_by_the_next(
    database: str, redis: str
) -> None:
    """Whether all have ended is asked before it is looked who names the user, never after."""
    runtime = open_runtime(
        Settings(environment="development", database_url=database, redis_url=redis)
    )
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
        session = await second.enter_async_context(db.transaction())
        await session.execute(LOCK_ERASURES)
        await first.aclose()
        await eventually(lambda: over_or_waits(looking, db))
        await ringing.aclose()
        await second.aclose()
    await looking

    async def done() -> bool:
        await erase.sweep(runtime)
        async with db.autocommit() as session:
            return bool((await session.execute(DONE)).scalar_one())

    await eventually(done)
    async with db.autocommit() as session:
        assert (await session.execute(NAMED)).scalar_one() == 0
    await runtime.close()


async def over_or_waits(task: "asyncio.Task[int]", database: Database) -> bool:
    return task.done() or await waits(database)
