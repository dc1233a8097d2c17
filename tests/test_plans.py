"""The statements of the ring's path, and all others: none reads a large table from end to end."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.calls import (
    at_once,
    busy,
    closing,
    erase,
    heartbeats,
    histories,
    history,
    lookup,
    lost,
    missed_calls,
    saving,
    suppressing,
)
from app.calls import call_token_view as state
from app.calls import late_devices as late
from app.calls import store as calls
from app.calls.ringing import resolve
from app.calls.schemas import CallerIn, RingIn
from app.credentials import store as credentials
from app.dashboard import store_counts, store_lists
from app.devices import store as devices
from app.events import store as events
from app.infra import tenant_rows
from app.infra.connections import SHORT, server_settings
from app.infra.db import Database, as_json
from app.infra.ids import uuid7
from app.live import feeds
from app.push import alerts, claims, expiry, records, tokens, worker_store
from app.push import erasure as push_erasure
from app.push import store as pushes
from app.push.partitions import tries_of
from app.tenants.schemas import TenantSettings
from app.webhooks import claims as webhooks
from tests import every_statement
from tests.conftest import DatabaseServer
from workers import removal, retention

TENANT = "00000000-0000-7000-8000-000000000001"
WEEKS = re.compile(r"(events|user_events|attempts)_")
LARGE = {
    "calls",
    "members",
    "rings",
    "pushes",
    "push_batches",
    "tokens",
    "devices",
    "users",
    "attempts_default",
    "deliveries",
    "delivery_attempts",
    "audit",
    "tenant_events",
    "feeds",
}
ROWS = 40_000

# One call, ring, device, token and push for each n; nearly all of them are history.
FILL = (
    f"INSERT INTO tenants (id, name) VALUES ('{TENANT}', 't')",
    f"""INSERT INTO users (tenant_id, id) SELECT '{TENANT}', 'u' || n
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO calls (id, tenant_id, type, name, state, reason, caller_id, video, custom,
            limits, created_at, ended_at, due_at, event_seq, version)
        SELECT CAST(md5('c' || n) AS uuid), '{TENANT}', 'default', 'c' || n,
            CASE WHEN n % 1000 = 0 THEN 'ringing' ELSE 'ended' END, 'missed', 'u1', false, '{{}}',
            '{{}}', now() - n * interval '1 second',
            CASE WHEN n % 1000 = 0 THEN NULL ELSE now() END,
            CASE WHEN n % 1000 = 0 THEN now() + (n - 20000) * interval '1 second' END, 5, 1
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO rings (uuid, session_id, tenant_id, user_id, created_at, deadline, outcome)
        SELECT CAST(md5('r' || n) AS uuid), CAST(md5('c' || n) AS uuid), '{TENANT}', 'u' || n,
            now(), now() + interval '45 seconds',
            CASE WHEN n % 1000 = 0 THEN NULL ELSE 'missed' END
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO members (session_id, user_id, tenant_id, role, state, monitored, ring)
        SELECT CAST(md5('c' || n) AS uuid), 'u' || n, '{TENANT}', 'callee', 'missed', false,
            CAST(md5('r' || n) AS uuid) FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
        SELECT CAST(md5('d' || n) AS uuid), '{TENANT}', 'u' || n, 'd', now(), now()
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
            registered_at, expires_at)
        SELECT CAST(md5('t' || n) AS uuid), '{TENANT}', 'u' || n, CAST(md5('d' || n) AS uuid),
            'voip', 'com.example.app', 'production', md5('x' || n),
            now() - n * interval '1 minute', now() + n * interval '1 minute'
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO pushes (id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose,
            kind, app_id, environment, token, token_registered_at, token_version, created_at,
            deadline, state, is_open, due_at, claimed_by, attempts)
        SELECT CAST(md5('p' || n) AS uuid), CAST(md5('r' || n) AS uuid),
            CAST(md5('c' || n) AS uuid), '{TENANT}', 'u' || n, CAST(md5('d' || n) AS uuid),
            CAST(md5('t' || n) AS uuid), 'ring', 'voip', 'com.example.app', 'production', 'x',
            now(), 1, now(), now() + interval '45 seconds',
            CASE n % 1000 WHEN 0 THEN 'pending' WHEN 1 THEN 'sending' ELSE 'accepted' END,
            n % 1000 IN (0, 1),
            now() - interval '1 second', CAST(md5('w' || n % 5) AS uuid), 1
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO push_batches (id, session_id, tenant_id, kind, app_id, environment, created_at,
            due_at, deadline, push_ids, rings, token_ids, device_rows, users, tokens,
            token_registered_at, token_versions, claimed_by, fence, open_bits, accepted_bits, done_at)
        SELECT CAST(md5('b' || n) AS uuid), CAST(md5('c' || n) AS uuid), '{TENANT}', 'voip',
            'com.example.app', 'production', now() - n * interval '1 second', now(),
            now() + interval '45 seconds', ARRAY[CAST(md5('p' || n) AS uuid)],
            ARRAY[CAST(md5('r' || n) AS uuid)], ARRAY[CAST(md5('t' || n) AS uuid)],
            ARRAY[CAST(md5('d' || n) AS uuid)], ARRAY['u' || n], ARRAY['x'], ARRAY[now()],
            ARRAY[1], CASE n % 1000 WHEN 0 THEN NULL ELSE CAST(md5('w' || n % 5) AS uuid) END, 1,
            CAST(n % 1000 IN (0, 1) AS integer), CAST(n % 1000 > 1 AS integer),
            CASE WHEN n % 1000 > 1 THEN now() END
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO attempts (id, push_id, session_id, worker_id, fence, environment, started_at,
            finished_at)
        SELECT CAST(md5('a' || n) AS uuid), CAST(md5('p' || n) AS uuid),
            CAST(md5('c' || n) AS uuid), CAST(md5('w' || n % 5) AS uuid), 1, 'production', now(),
            now() FROM generate_series(1, {ROWS}) n""",
    # of 40 webhooks and 4,000 users each their own; one delivery in a thousand waits
    f"""INSERT INTO deliveries (webhook_id, event_id, tenant_id, type, state, created_at, due_at,
            fence, attempts, session_id, seq)
        SELECT CAST(md5('h' || n % 40) AS uuid), 'evt_' || n, '{TENANT}', 'call.started',
            CASE n % 1000 WHEN 0 THEN 'pending' ELSE 'delivered' END,
            now() - n * interval '1 second', now(), 0, 1, CAST(md5('c' || n) AS uuid), 1
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO delivery_attempts (id, tenant_id, webhook_id, event_id, started_at, finished_at,
            status, error, answer)
        SELECT CAST(md5('s' || n) AS uuid), '{TENANT}', CAST(md5('h' || n % 40) AS uuid),
            'evt_' || n, now(), now() - n * interval '1 second', 200, NULL, 'ok'
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO audit (id, tenant_id, at, actor, action, target, detail)
        SELECT CAST(md5('l' || n) AS uuid), '{TENANT}', now(), '{{}}', 'call.end', 'call:' || n, '{{}}'
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO tenant_events (id, tenant_id, type, at, data)
        SELECT CAST(md5('e' || n) AS uuid), '{TENANT}', 'x', now() - n * interval '1 second', '{{}}'
        FROM generate_series(1, {ROWS}) n""",
    f"""INSERT INTO feeds (tenant_id, user_id, seq, opened_at)
        SELECT '{TENANT}', 'u' || n, 1, now() FROM generate_series(1, {ROWS}) n""",
)

CREDENTIAL = f"""
    INSERT INTO credentials (id, tenant_id, app_id, kind, environments, topics, state, sealed,
        fingerprint, refused, probe, created_at)
    VALUES (gen_random_uuid(), '{TENANT}', 'com.example.app', 'certificate',
        '["production", "sandbox"]', '[]', 'active', 'x', 'x', '{{}}', '{{}}',
        now())
"""
IDS = [uuid7(), uuid7()]
USER = {"tenant": TENANT, "user": "u7"}
WANTED = tokens.wanted([(TENANT, "u7")])
SEEN = devices.seen([(TENANT, "u7")]) | WANTED
PAIRS = {"pair_tenants": [TENANT], "callees": ["u7"], "callers": ["u1"], "since": IDS[0]}
TOKENS = {"kinds": ["voip"], "bundles": ["com.example.app"], "tokens": ["ab"]}
RESULT = {
    "ids": IDS,
    "rows": as_json([{"id": one, "fence": 1, "state": "accepted"} for one in IDS]),
    "attempts": "[]",
}
TAKEN = {
    "ids": IDS,
    "rows": as_json([(one, 1, 200, 9.0, 9.5) for one in IDS]),
    "worker": IDS[0],
}
NOW = datetime.now(UTC)
ERASED = USER | {"tombstone": "erased~1", "calls": IDS}
PAGE = USER | {
    **dict.fromkeys(("state", "reason", "type", "direction", "missed")),
    "since": histories.EARLIEST,
    "until": histories.LATEST,
    "since_id": UUID(int=0),
    "before": NOW,
    "before_id": histories.NEWEST,
    "window": 51,
    "limit": 51,
}
MINUTES = {"since": NOW, "until": NOW, "low": IDS[0], "high": IDS[0]}
REMOVED = {"tenant": TENANT, "together": 200, "calls": IDS, "most": 500}
WORKER = {"worker": uuid4(), "limit": 500, "since": claims.ALWAYS}
LOST = {"worker": IDS[0], "pushes": IDS, "fences": [1, 2], "limit": 500}
STATEMENTS: dict[str, tuple[TextClause, dict[str, Any]]] = {
    "claim rings": (claims.CLAIM_RINGS, WORKER | {"rings": IDS * 200}),
    "claim pushes": (claims.CLAIM_PUSHES, WORKER | {"pushes": IDS * 200}),
    "claim due": (expiry.DUE, WORKER | {"aside": []}),
    "orphans": (expiry.ORPHANS, WORKER | {"aside": []}),
    "claim orphans": (claims.CLAIM_ORPHANS, WORKER | LOST),
    "end repeated": (claims.END_REPEATED, WORKER | LOST),
    "claim again": (claims.CLAIM_AGAIN, LOST),
    "say claims again": (claims.REASSERT, LOST),
    "look": (claims.LOOK, LOST | {"marks": IDS}),
    "standing": (worker_store.STANDING, {}),
    "claims of a worker": (claims.CLAIMS_OF, {"worker": IDS[0]}),
    "over": (expiry.OVER, {"limit": 500, "aside": []}),
    "expire pending": (expiry.EXPIRE_PENDING, LOST),
    "expire orphans": (expiry.EXPIRE_ORPHANS, WORKER | LOST),
    "expire lost": (expiry.EXPIRE_LOST, LOST),
    "drop rings": (pushes.DROP_RINGS, {"rings": IDS}),
    "drop for tokens": (pushes.DROP_TOKENS, {"tokens": IDS, "tenant": TENANT, "why": "x"}),
    "stops": (
        pushes.STOPS,
        {"rings": IDS, "callkit_reasons": [4, 4], "spared": ["d", None]},
    ),
    "missed": (alerts.TARGETS, {"tenants": [TENANT], "rings": IDS, "event": "missed"}),
    "unseen": (alerts.UNSEEN, {"tenants": [TENANT], "users": ["u7"]}),
    "facts": (pushes.FACTS, {"ring": IDS[0]}),
    "history of pushes": (history.PUSHES, {"call": IDS[0], "limit": 100}),
    "pushes of calls": (retention.PUSHES_OF_CALLS, {"calls": IDS}),
    **{f"forget {n}": (one, {"pushes": IDS}) for n, one in enumerate(retention.OF_PUSHES)},
    "tries at pushes": (claims.TRIED, tries_of([(one, NOW, NOW) for one in IDS])),
    "record": (records.RECORD, RESULT),
    "record taken": (records.TAKEN, TAKEN),
    **{
        f"{column} {by}": (
            sql,
            {"ring": IDS[0], "device": IDS[1] if by == pushes.BY_ROW else "d", "now": None},
        )
        for (column, by), sql in pushes.REPORTED.items()
    },
    "drop repeats": (pushes.DROP_REPEATS, {"ring": IDS[0], "device": "d"}),
    "others that ring": (pushes.OTHERS_RING, {"ring": IDS[0], "device": "d"}),
    "in calls": (busy.IN_CALLS, {"tenants": [TENANT], "users": ["u7"], "since": IDS[0]}),
    "calling back": (
        busy.MEETING,
        {"tenants": [TENANT], "callers": ["u7"], "callees": ["u8"], "types": ["default"]}
        | {"places": [0], "since": IDS[0]},
    ),
    "live names": (calls.LIVE_NAMES, {"tenants": [TENANT], "types": ["default"], "names": ["c9"]}),
    "hold users": (devices.LOCK_USERS, {"tenants": [TENANT], "users": ["u7"]}),
    "call by name": (calls.BY_NAME, {"tenant": TENANT, "type": "default", "name": "c9"}),
    "lock": (calls.LOCK, {"ids": IDS, "tenant": TENANT}),
    "lock if free": (calls.LOCK_IF_FREE, {"id": IDS[0], "tenant": TENANT}),
    "ring": (calls.RING_BY_UUID, {"ring": IDS[0], "tenant": TENANT}),
    "calls": (calls.CALLS, {"ids": IDS}),
    "members": (calls.MEMBERS, {"ids": IDS}),
    "missed alike": (missed_calls.LOAD, {"ids": IDS, "length": 9.0}),
    "save missed": (
        saving.SAVE_MISSED,
        {"rows": as_json([{"id": one, "ring": one} for one in IDS]), "events": 3}
        | dict.fromkeys(("state", "reason", "caller", "callee", "outcome"), "x")
        | {"callkit_reason": 3},
    ),
    "due": (calls.DUE, {"limit": 200, "aside": []}),
    "late devices": (late.LATE_OF_ALL, {"limit": 200, "aside": []}),
    "late devices of a user": (late.LATE_OF_USER, USER | {"limit": 200, "aside": []}),
    "live calls of a user": (calls.LIVE_CALLS, USER),
    "state": (state.STATE, {"ring": IDS[0], "device": IDS[1], "tenant": TENANT}),
    "see and find": (lookup.SEE_AND_FIND, SEEN),
    "see, find and rule": (lookup.SEE_FIND_AND_RULE, SEEN | PAIRS),
    "calls of a tenant": (histories.OF_TENANT, PAGE),
    "calls of a user": (histories.OF_USER, PAGE),
    "rules of callees": (suppressing.FIND_RULES, PAIRS),
    "sizes of calls": (histories.SIZES, {"ids": IDS}),
    "own calls": (histories.OWN, {"ids": IDS, "user": "u7"}),
    "missed calls": (histories.COUNT, USER),
    "users counted": (
        store_lists.COUNT_USERS,
        {"tenant": TENANT, "most": 1_001, "low": "", "high": chr(0x10FFFF)},
    ),
    "last pushes of devices": (store_lists.LAST_PUSHES, USER),
    "minutes": (store_counts.ADD, MINUTES),
    "fresh minutes": (store_counts.FRESH, MINUTES | {"tenant": TENANT}),
    "heartbeat": (heartbeats.BY_ID, USER | {"id": IDS[0], "device": "d"}),
    "heartbeat by name": (
        heartbeats.BY_NAME,
        USER | {"type": "default", "name": "c9", "device": "d"},
    ),
    "ringable": (tokens.RINGABLE_BY_WAY, WANTED),
    "whom a call owes": (lookup.OWED, WANTED),
    "pushable": (tokens.PUSHABLE, WANTED),
    "silenced": (lost.SILENCED, {"tenants": [TENANT], "users": ["u7"]}),
    "turn a device off": (tokens.SET_RINGS, {"device": IDS[0], "rings": False}),
    "expired tokens": (tokens.EXPIRED, {"limit": 500, "aside": []}),
    "expire tokens": (tokens.EXPIRE, {"ids": IDS}),
    "devices": (devices.DEVICES, USER | {"device": None}),
    "tokens given up": (tokens.TOKENS_GIVEN_UP, USER | TOKENS | {"device": IDS[0]}),
    "lock tokens": (
        tokens.LOCK_TOKENS,
        TOKENS | {"tenant": TENANT, "devices": IDS, "given_up": IDS},
    ),
    "bury pushes": (push_erasure.BURY_REST, ERASED),
    "open stops": (push_erasure.OPEN_STOPS, ERASED),
    "bury pushes of calls": (push_erasure.BURY_IN, ERASED),
    "live calls of deleted tenants": (closing.LIVE, {"limit": 20, "aside": []}),
    "tenants to be removed": (closing.REMOVABLE, {"forgotten": 3.0, "stops": 30.0}),
    "calls to be removed": (removal.SOME_CALLS, REMOVED),
    "pushes to be removed": (removal.PUSHES, REMOVED),
    **{f"remove {n}": (one, REMOVED) for n, one in enumerate(removal.OF_CALLS)},
    "calls naming a user": (erase.NAMING, ERASED | {"before": NOW, "aside": [], "limit": 20}),
    **{
        f"bury {n}": (sql, ERASED)
        for n, sql in enumerate(erase.BURY)
        if "idempotency" not in sql.text
    },
}


UNCHECKED = """
    SELECT set_config('session_replication_role', 'replica', false)
    FROM pg_roles WHERE rolname = current_user AND rolsuper
"""
"""Whether each of half a million rows has its call, its user and its tenant, is half of all work."""


async def fill(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as session:
        for sql in (UNCHECKED, *FILL, "ANALYZE"):
            await session.execute(text(sql))
    await engine.dispose()


@pytest.fixture(scope="module")
def filled(database_server: DatabaseServer) -> Iterator[str]:
    """A database with a history, made by one statement per table."""
    with database_server.database("plans") as url:
        database_server.on_thread(lambda: asyncio.run(fill(url)))
        yield url


def scans(plan: dict[str, Any]) -> Iterator[str]:
    """Names of tables that a plan reads from end to end."""
    if plan["Node Type"] == "Seq Scan":
        yield plan["Relation Name"]
    for part in plan.get("Plans", ()):
        yield from scans(part)


async def explain(session: AsyncConnection, statement: TextClause, values: Any) -> dict[str, Any]:
    clause = text("EXPLAIN (FORMAT JSON) " + statement.text)
    wanted = {name: values[name] for name in clause.compile().params}
    found = (await session.execute(clause, wanted)).scalar_one()
    parsed = found if isinstance(found, list) else orjson.loads(found)
    plan: dict[str, Any] = parsed[0]["Plan"]
    return plan


def unbounded(plan: dict[str, Any]) -> Iterator[str]:
    """Indexes of times that a plan reads from end to end: without a condition on the time."""
    bounded = "Index Cond" in plan
    if plan["Node Type"].endswith("Index Scan") and plan["Index Name"] in OF_TIMES and not bounded:
        yield plan["Index Name"]
    for part in plan.get("Plans", ()):
        yield from unbounded(part)


OF_TIMES = {"ix_calls_due_at", "ix_pushes_open", "ix_tokens_expires_at"}
BY_TIME = {"due", "claim due", "expired tokens"}


async def test_what_is_wanted_is_one_look_up_for_each_environment(filled: str) -> None:
    """40,000 phones in production and none in the sandbox: it read them all, each second."""
    engine = create_async_engine(filled)
    try:
        async with engine.begin() as session:
            await session.execute(text(CREDENTIAL))
            await session.execute(text("ANALYZE credentials"))
            clause = text("EXPLAIN (ANALYZE, FORMAT JSON) " + credentials.WANTED.text)
            found = (await session.execute(clause, {"most": 200, "used": []})).scalar_one()
            plan = (found if isinstance(found, list) else orjson.loads(found))[0]["Plan"]
            of_tokens = [part for part in parts(plan) if part.get("Relation Name") == "tokens"]
            indexes = [part["Index Name"] for part in of_tokens]
            assert indexes == ["ix_tokens_environment", *["uq_tokens_token"] * 2]  # Apple, others
            read = [
                part["Actual Rows"] + part.get("Rows Removed by Filter", 0) for part in of_tokens
            ]
            assert max(read) <= 2
            await session.rollback()
    finally:
        await engine.dispose()


def parts(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's nodes, all the way down."""
    yield plan
    for part in plan.get("Plans", ()):
        yield from parts(part)


async def test_no_statement_reads_a_large_table_from_end_to_end(filled: str) -> None:
    engine = create_async_engine(filled)
    try:
        wrong = {}
        async with engine.connect() as session:
            for mode in ("force_custom_plan", "force_generic_plan"):
                await session.execute(text(f"SET plan_cache_mode = {mode}"))
                for name, (statement, values) in STATEMENTS.items():
                    plan = await explain(session, statement, values)
                    found = LARGE & set(scans(plan))
                    if name in BY_TIME:
                        found |= set(unbounded(plan))
                    if found:
                        wrong[name, mode] = found
        assert not wrong
    finally:
        await engine.dispose()


SMALL = 900
"""Rows: fewer than those of which the workers gather statistics before PostgreSQL does."""


async def test_whom_a_ring_finds_it_finds_by_user_before_there_are_statistics(
    database: str,
) -> None:
    """It compared each phone that rings with each callee: 20 ms for 150 of a house of 700."""
    engine = create_async_engine(database, connect_args={"server_settings": server_settings(SHORT)})
    try:
        async with engine.connect() as session:
            for sql in FILL:
                if not re.search(r"INTO (tenants|users|devices|tokens) ", sql):
                    continue
                await session.execute(text(sql.replace(str(ROWS), str(SMALL))))
            for name in ("ringable", "pushable", "silenced", "see and find"):
                read = [
                    part.get("Index Cond", "")
                    for part in parts(await explain(session, *STATEMENTS[name]))
                    if "_tokens" in part.get("Index Name", "")
                ]
                assert any("user_id" in one for one in read), name
                assert all("user_id" in one or "device_row" in one for one in read), name
    finally:
        await engine.dispose()


READ_WHOLE = text("SELECT relname FROM pg_stat_xact_user_tables WHERE seq_scan > 0")


async def test_to_find_and_begin_a_call_reads_no_large_table_from_end_to_end(filled: str) -> None:
    """The function, whose plans nobody shows: by what the server counts of a transaction."""
    db = Database(filled)
    body = RingIn(caller=CallerIn(id="u1"), callees=["u7"])
    try:
        for mode in ("force_custom_plan", "force_generic_plan"):
            async with db.rehearsal() as session:
                await session.execute(text(f"SET LOCAL plan_cache_mode = {mode}"))
                await session.execute(text("SET LOCAL enable_seqscan = on"))
                order = resolve(UUID(TENANT), TenantSettings(), body, device="server", key="k")
                rung = await at_once.ring_at_once(session, [order])
                assert rung is not None
                assert len(rung[1].hints) == 1
                read = set((await session.execute(READ_WHOLE)).scalars())
            assert not LARGE & read, mode
    finally:
        await db.close()


ONE_BY_ONE = (
    "claim rings", "claim pushes", "claim again", "look", "record", "record taken", "live names",
    "lock", "calls", "members", "in calls", "calling back", "drop rings", "stops", "missed", "hold users",
    "silenced", "tokens given up", "lock tokens",
)  # fmt: skip
PLANS = text("SELECT max(custom_plans) FROM pg_prepared_statements")


async def test_what_is_asked_of_one_ring_or_call_after_another_is_planned_once(filled: str) -> None:
    """Each was planned anew each time: for one row that seemed cheaper than a plan for any number."""
    engine = create_async_engine(filled, connect_args={"server_settings": server_settings(SHORT)})
    anew = {}
    try:
        for name in ONE_BY_ONE:
            statement, given = STATEMENTS[name]
            values = {
                bind: given[bind][:1] if isinstance(given[bind], list) else given[bind]
                for bind in statement.compile().params
            }
            async with engine.connect() as session:
                for _ in range(8):
                    await session.execute(statement, values)
                    await session.rollback()
                anew[name] = (await session.execute(PLANS)).scalar_one()
                await session.invalidate()
    finally:
        await engine.dispose()
    assert {name: count for name, count in anew.items() if count > 5} == {}  # PostgreSQL tries five


CALL = {"first": IDS[0], "last": IDS[0]}
TRIES = tries_of([(IDS[0], NOW - timedelta(days=3), NOW - timedelta(days=3))])
OF_A_WEEK: dict[str, tuple[TextClause, dict[str, Any]]] = {
    "events of a call": (history.EVENTS, {"call": IDS[0], "limit": 100}),
    "tries at pushes": (claims.TRIED, TRIES),
    "tries at pushes of a call": (history.ATTEMPTS, TRIES),
    "changed members": (events.CHANGED_MEMBERS, CALL | {"calls": IDS[:1], "seqs": [3]}),
    "facts of deliveries": (
        webhooks.FACTS,
        CALL
        | {"events": ["evt_1"], "calls": IDS[:1], "seqs": [3]}
        | {"of_tenants": ["evt_2"], "ids": IDS[:1], "webhooks": IDS[:1]},
    ),
    "pages of feeds": (
        feeds.PAGES,
        {"tenants": [TENANT], "users": ["u7"], "afters": [5], "page": 100}
        | {"since": NOW - feeds.RECENT, "until": NOW + feeds.RECENT},
    ),
}


async def test_what_is_asked_of_a_call_or_of_now_opens_one_week(filled: str) -> None:
    """Whatever plan is kept: the others are not even opened, however many weeks there are."""
    engine = create_async_engine(filled)
    try:
        async with engine.connect() as session:
            await session.execute(text("SET enable_seqscan = off"))
            for mode in ("force_custom_plan", "force_generic_plan"):
                await session.execute(text(f"SET plan_cache_mode = {mode}"))
                for name, (statement, values) in OF_A_WEEK.items():
                    plan = await explain(session, statement, values)
                    opened = {part.get("Relation Name", "") for part in parts(plan)}
                    weeks = [one for one in opened if WEEKS.match(one)]
                    assert len(weeks) == 1, (name, mode, opened)
                for name in ("claim rings", "claim pushes"):
                    plan = await explain(session, *STATEMENTS[name])
                    assert not [
                        one for one in parts(plan) if WEEKS.match(one.get("Relation Name", ""))
                    ]
    finally:
        await engine.dispose()


async def test_rows_of_a_deleted_tenant_are_found_in_the_order_of_an_index(filled: str) -> None:
    """Neither read from end to end nor sorted, though all rows of a large table are this tenant's."""
    engine = create_async_engine(filled)
    try:
        async with engine.begin() as session:
            found = await tenant_rows.tables(session)
            assert LARGE & {one.name for one in found} >= {"calls", "members", "tokens", "devices"}
            for mode in ("force_custom_plan", "force_generic_plan"):
                await session.execute(text(f"SET plan_cache_mode = {mode}"))
                for one in found:
                    values = {"tenant": TENANT, "most": 500, "keys": ["(0,1)", "(7,2)"]}
                    for statement in (tenant_rows.finding(one), tenant_rows.removing(one)):
                        plan = await explain(session, statement, values)
                        assert not LARGE & set(scans(plan)), (one.name, mode)
                        sorted_ = [part for part in parts(plan) if part["Node Type"] == "Sort"]
                        assert not sorted_ or one.name not in LARGE, (one.name, mode)
    finally:
        await engine.dispose()


HEAVY = f"""INSERT INTO members (session_id, user_id, tenant_id, role, state, monitored)
    SELECT CAST(md5('c' || n) AS uuid), 'heavy', '{TENANT}', 'callee', 'missed', false
    FROM generate_series(1, {ROWS}) n"""
NTH = """SELECT c.created_at, c.id FROM members m JOIN calls c ON c.id = m.session_id
    WHERE m.user_id = :user ORDER BY m.session_id DESC OFFSET :offset LIMIT 1"""
NTH_OF_ALL = (
    "SELECT created_at, id FROM calls ORDER BY created_at DESC, id DESC OFFSET :offset LIMIT 1"
)


async def test_a_page_of_history_reads_as_little_at_the_end_as_at_the_beginning(
    filled: str,
) -> None:
    """Blocks read by pages of a tenant and of a user with 40,000 calls each, filtered and not."""
    engine = create_async_engine(filled)
    try:
        async with engine.begin() as session:
            await session.execute(text(HEAVY))
            await session.execute(text("ANALYZE members"))
            for statement, nth in ((histories.OF_TENANT, NTH_OF_ALL), (histories.OF_USER, NTH)):
                for window, chosen in ((51, {}), (histories.WINDOW, {"reason": "busy"})):
                    values = PAGE | {"user": "heavy", "window": window} | chosen
                    first = await blocks(session, statement, values)
                    at = {"offset": ROWS - 5_000, "user": "heavy"}
                    wanted = {name: at[name] for name in text(nth).compile().params}
                    before, below = (await session.execute(text(nth), wanted)).one()
                    place = {"before": before, "before_id": below}
                    late = await blocks(session, statement, values | place)
                    # a tenth of a block for each call looked at; all of them lie in over 800
                    most = 2 * max(first, window // 10)
                    assert late <= most, (statement.text, window, first, late)
            counted = await blocks(session, histories.COUNT, {"tenant": TENANT, "user": "heavy"})
            assert counted <= 12 * histories.COUNTED
            await session.rollback()
    finally:
        await engine.dispose()


async def blocks(session: AsyncConnection, statement: TextClause, values: dict[str, Any]) -> int:
    """How many blocks a statement reads, when it is run."""
    plan = await run(session, statement, values)
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


GROUP = (
    f"INSERT INTO tenants (id, name) VALUES ('{TENANT}', 't') ON CONFLICT DO NOTHING",
    f"INSERT INTO users (tenant_id, id) VALUES ('{TENANT}', 'g7')",
    f"""INSERT INTO calls (id, tenant_id, type, name, state, caller_id, video, custom, limits,
            created_at, event_seq, version)
        VALUES (CAST(md5('group') AS uuid), '{TENANT}', 'default', 'group', 'ringing', 'g0', false,
            '{{}}', '{{}}', now(), 1, 1)""",
    f"""INSERT INTO members (session_id, user_id, tenant_id, role, state, monitored, ring)
        VALUES (CAST(md5('group') AS uuid), 'g7', '{TENANT}', 'callee', 'ringing', false,
            CAST(md5('gr7') AS uuid))""",
    f"""INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
        VALUES (CAST(md5('gd7') AS uuid), '{TENANT}', 'g7', 'd', now(), now())""",
    f"""INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
            registered_at, expires_at)
        VALUES (CAST(md5('gt7') AS uuid), '{TENANT}', 'g7', CAST(md5('gd7') AS uuid), 'voip',
            'com.example.app', 'production', 'g7', now(), now() + interval '9 days')""",
    f"""INSERT INTO rings (uuid, session_id, tenant_id, user_id, created_at, deadline)
        SELECT CAST(md5('gr' || n) AS uuid), CAST(md5('group') AS uuid), '{TENANT}', 'g' || n,
            now(), now() + interval '45 seconds' FROM generate_series(1, 1000) n""",
    f"""INSERT INTO push_batches (id, session_id, tenant_id, kind, app_id, environment, created_at,
            due_at, deadline, push_ids, rings, token_ids, device_rows, users, tokens,
            token_registered_at, token_versions, claimed_by, fence, open_bits)
        SELECT CAST(md5('gb' || n / 50) AS uuid), CAST(md5('group') AS uuid), '{TENANT}', 'voip',
            'com.example.app', 'production', now(), now(), now() + interval '45 seconds',
            array_agg(CAST(md5('gp' || n) AS uuid)), array_agg(CAST(md5('gr' || n) AS uuid)),
            array_agg(CAST(md5('gt' || n) AS uuid)), array_agg(CAST(md5('gd' || n) AS uuid)),
            array_agg('g' || n), array_agg(md5('gx' || n)), array_agg(now()),
            array_agg(CAST(1 AS bigint)), CAST(md5('w1') AS uuid), 1, (CAST(1 AS bigint) << 50) - 1
        FROM generate_series(1, 1000) n GROUP BY n / 50""",
)
BY_RING = ("stops", "others that ring", "state", "late devices of a user", "last pushes of devices")


async def test_of_a_large_call_one_batch_is_taken_apart(filled: str) -> None:
    """To accept in a call of a thousand costs what it does in a call of ten."""
    engine = create_async_engine(filled)
    try:
        async with engine.begin() as session:
            for sql in GROUP:
                await session.execute(text(sql))
            ring = (
                await session.execute(text("SELECT uuid FROM rings WHERE user_id = 'g7'"))
            ).scalar_one()
            device = (
                await session.execute(text("SELECT id FROM devices WHERE user_id = 'g7'"))
            ).scalar_one()
            of_one = {"rings": [ring, IDS[0]], "ring": ring, "user": "g7"}
            for mode in ("force_custom_plan", "force_generic_plan"):
                await session.execute(text(f"SET plan_cache_mode = {mode}"))
                for name in BY_RING:
                    clause, values = STATEMENTS[name]
                    values = values | of_one | {"device": device if name == "state" else "d"}
                    assert 0 < await taken_apart(session, clause, values) <= 50, (name, mode)
            await session.rollback()
    finally:
        await engine.dispose()


async def taken_apart(session: AsyncConnection, statement: TextClause, values: Any) -> int:
    """Places of batches that a statement looks at, when it is run."""
    return sum(
        round(part["Actual Loops"] * (part["Actual Rows"] + part.get("Rows Removed by Filter", 0)))
        for part in parts(await run(session, statement, values))
        if part["Node Type"] == "Function Scan" and part["Alias"] == "u"
    )


async def run(session: AsyncConnection, statement: TextClause, values: Any) -> dict[str, Any]:
    """The plan of a statement that is run, with what it did."""
    clause = text("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement.text)
    wanted = {name: values[name] for name in clause.compile().params}
    found = (await session.execute(clause, wanted)).scalar_one()
    plan: dict[str, Any] = (found if isinstance(found, list) else orjson.loads(found))[0]["Plan"]
    return plan


READS_ALL = {
    "app.credentials.rotation.ROTATED": "by hand, when a key is changed",
    "app.dashboard.store_counts.OLDEST": "once in a house's life, when nothing was counted yet",
}


async def test_no_statement_that_there_is_reads_a_growing_table_from_end_to_end(
    filled: str,
) -> None:
    """Whether or not somebody thought of it above: by the plan that serves any values."""
    engine = create_async_engine(filled)
    wrong, looked = dict[str, set[str]](), 0
    try:
        async with engine.connect() as session:
            driver = (await session.get_raw_connection()).driver_connection
            assert driver is not None
            await driver.execute("SET plan_cache_mode = force_generic_plan")
            for name, statement in every_statement.statements().items():
                sql, count = every_statement.numbered(statement)
                if not re.search(rf"\b({'|'.join(LARGE)}|attempts)\b", sql):
                    continue
                await driver.execute(f"PREPARE this AS {sql}")
                nulls = f"({', '.join(['NULL'] * count)})" if count else ""
                found = await driver.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE this{nulls}")
                await driver.execute("DEALLOCATE this")
                plan = (found if isinstance(found, list) else orjson.loads(found))[0]["Plan"]
                looked += 1
                if read := LARGE & set(scans(plan)):
                    wrong[name] = read
        assert looked > 150
        assert wrong.keys() == READS_ALL.keys(), wrong
    finally:
        await engine.dispose()
