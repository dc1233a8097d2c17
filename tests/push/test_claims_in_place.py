"""A claim writes a push's row beside itself and no index (HOT), which is half of what it cost."""

import asyncio
from collections.abc import Sequence
from uuid import UUID, uuid4

from sqlalchemy import text

from app.calls import ringing
from app.calls.schemas import RingIn
from app.infra.db import Connection, Database
from app.push import batch_claims, batches, claims, expiry, store, worker_store
from app.tenants.schemas import TenantSettings
from tests.e2e.house import eventually

TENANT = UUID(int=1)
USERS = 60
PHONES = (
    "INSERT INTO tenants (id, name) VALUES (:tenant, 't')",
    """INSERT INTO users (tenant_id, id)
        SELECT :tenant, 'u' || n FROM generate_series(0, :users) n""",
    """INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
        SELECT CAST(md5('d' || n) AS uuid), :tenant, 'u' || n, 'd', now(), now()
        FROM generate_series(1, :users) n""",
    """INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
            registered_at, expires_at)
        SELECT CAST(md5('t' || n) AS uuid), :tenant, 'u' || n, CAST(md5('d' || n) AS uuid), 'voip',
            'com.example.app', 'production', md5('x' || n) || md5('y' || n), now(),
            now() + interval '9 days'
        FROM generate_series(1, :users) n""",
)
UPDATES = text("""
    SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'pushes'
""")
OF_BATCHES = text("""
    SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'push_batches'
""")
SIZE = text("SELECT pg_relation_size('push_batches')")
LOCK = text("LOCK TABLE push_batches IN ACCESS EXCLUSIVE MODE")
WAITS = text("""
    SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
""")
OPEN = text("SELECT count(*) FROM pushes WHERE is_open")
PLANNED_ANEW = text("SELECT statement FROM pg_prepared_statements WHERE custom_plans > 5")


async def make_phones(session: Connection) -> None:
    for sql in PHONES:
        values = {"tenant": TENANT} | ({"users": USERS} if ":users" in sql else {})
        await session.execute(text(sql), values)


async def ring_all(session: Connection) -> list[UUID]:
    """One call of all; its rings."""
    await make_phones(session)
    return await ring(session, *(f"u{n}" for n in range(1, USERS + 1)))


async def ring(session: Connection, *users: str) -> list[UUID]:
    """One call of these; its rings, or the call where pushes go in batches."""
    return await ring_calls(session, [users])


async def ring_each(session: Connection, users: Sequence[str]) -> list[UUID]:
    """A call of each, written together; their rings."""
    return await ring_calls(session, [(user,) for user in users])


def asked_of(calls: Sequence[Sequence[str]]) -> list[ringing.RingRequest]:
    settings = TenantSettings()
    bodies = [{"caller": {"id": "u0"}, "callees": users} for users in calls]
    return [
        ringing.resolve(TENANT, settings, RingIn.model_validate(body), device="server", key=None)
        for body in bodies
    ]


async def ring_calls(session: Connection, calls: Sequence[Sequence[str]]) -> list[UUID]:
    _, applied = await ringing.ring_new(session, asked_of(calls))
    return [hint.id for hint in applied.hints]


async def test_a_claim_writes_no_index(database: str) -> None:
    """Claimed, and taken over by another: no index names what either changes."""
    db, worker, heir = Database(database), uuid4(), uuid4()
    async with db.transaction() as session:
        rings = await ring_all(session)
        for one in (worker, heir):
            await worker_store.enter_worker(session, one, host="h", pid=1, only=None, lease=9)
        claimed = await claims.claim_rings(session, worker, rings, 500)
        assert len(claimed) == USERS
        assert tuple((await session.execute(UPDATES)).one()) == (USERS, USERS)
        await worker_store.remove_worker(session, worker)
        found = await expiry.orphans(session, heir, 500, [])
        assert sorted(found) == sorted(push.id for push in claimed)
        assert len(await claims.claim_orphans(session, heir, found)) == USERS
        updated, in_place = (await session.execute(UPDATES)).one()
        assert updated == 2 * USERS  # while a page has room: versions of one transaction stay
        assert in_place > USERS
    await db.close()


async def test_a_batch_is_claimed_and_partly_written_without_an_index(database: str) -> None:
    """Its row is small: what never changes lies beside it."""
    db, worker = Database(database), uuid4()
    async with db.transaction() as session:
        await worker_store.enter_worker(session, worker, host="h", pid=1, only=None, lease=9)
        calls = await ring_all(session)
        claimed = await batch_claims.claim_calls(session, worker, calls, 9, claims.ALWAYS)
        in_hand = {place.batch for place in claimed}
        assert (len(claimed), len(in_hand)) == (USERS, -(-USERS // batches.PLACES))
        for place in claimed:
            if place.place % 2:
                now = place.created_at.timestamp() + 0.005
                place.batch.take(place.place, now, now)
        written = await batch_claims.record(session, list(in_hand))
        assert {bits for bits, _ in written.values()} == {batch.taken for batch in in_hand}
        assert tuple((await session.execute(OF_BATCHES)).one()) == (2 * len(in_hand),) * 2
        assert (await session.execute(SIZE)).scalar_one() == 8192
    await db.close()


async def test_what_leaves_its_batch_while_it_is_looked_at_is_found(database: str) -> None:
    """Not taken for another's: it would be let go, and its phone rung a second later."""
    db, worker = Database(database), uuid4()
    async with db.transaction() as session:
        await worker_store.enter_worker(session, worker, host="h", pid=1, only=None, lease=9)
        calls = await ring_all(session)
        held = await batch_claims.claim_calls(session, worker, calls, 9, claims.ALWAYS)

    async def looks() -> set[UUID]:
        async with db.autocommit() as session:
            return set(await batch_claims.look(session, worker, held, []))

    async with db.transaction() as session:
        await session.execute(LOCK)
        looking = asyncio.create_task(looks())
        await eventually(lambda: waits(db))
        await batches.leave_wholly(session, list({place.batch.id for place in held}))
    assert await looking == {place.id for place in held}
    await db.close()


async def waits(db: Database) -> bool:
    async with db.autocommit() as session:
        return bool((await session.execute(WAITS)).all())


async def test_what_has_ended_is_open_no_more(database: str) -> None:
    db = Database(database)
    async with db.transaction() as session:
        rings = await ring_all(session)
        assert (await session.execute(OPEN)).scalar_one() == USERS
        await store.drop_unsent(session, rings)
        assert (await session.execute(OPEN)).scalar_one() == 0
    await db.close()


async def test_a_lone_ring_is_not_planned_anew_each_time(database: str) -> None:
    """A statement whose plan is dearer than itself keeps the one that serves any number."""
    db, worker = Database(database), uuid4()
    async with db.transaction() as session:
        await make_phones(session)
        await session.execute(text("ANALYZE"))
        await worker_store.enter_worker(session, worker, host="h", pid=1, only=None, lease=9)
        for n in range(8):
            rings = await ring(session, f"u{n + 1}")
            assert len(await claims.claim_rings(session, worker, rings, 500)) == 1
        assert (await session.execute(PLANNED_ANEW)).all() == []
    await db.close()


async def test_a_claim_says_the_settings_of_each_tenant_once(database: str) -> None:
    db, worker = Database(database), uuid4()
    async with db.transaction() as session:
        await make_phones(session)
        await session.execute(text("""UPDATE tenants SET settings = '{"presence": false}'"""))
        await worker_store.enter_worker(session, worker, host="h", pid=1, only=None, lease=9)
        rings = await ring_each(session, ["u1", "u2", "u3"])
        claimed = await claims.claim_rings(session, worker, rings, 500)
        (call,) = await ring_calls(session, [[f"u{n}" for n in range(1, USERS + 1)]])
        places = await batch_claims.claim_calls(session, worker, [call], 9, claims.ALWAYS)
    await db.close()
    for pushes in (claimed, places):
        first, *others = [push.settings for push in pushes]
        assert first == {str(TENANT): {"presence": False}}
        assert set(others) == {None}
