"""Each second's statements touch as many rows as there is work, whatever the statistics say.

Thousands of rings live, registrations are fresh and history is long, while PostgreSQL's statistics
are from before: as in the first minute of a rush, when plans are made that stay.
"""

import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from app.calls import apply, begin_pairs, lost, ringing, saving
from app.calls import late_devices as late
from app.calls import store as calls
from app.calls.schemas import RingIn
from app.infra import db
from app.infra.connections import SHORT, server_settings
from app.infra.db import as_json
from app.push import claims, expiry, records
from app.push import store as pushes
from app.tenants.schemas import TenantSettings
from app.webhooks import claims as hook_claims
from tests.test_plans import parts
from workers import retention

TENANT = "00000000-0000-7000-8000-000000000001"
PAST, RINGING, FRESH, FLYING = 6_000, 2_000, 1_000, 300
RING = "uuid, session_id, tenant_id, user_id, created_at, deadline, outcome"
TOKEN = (
    "id, tenant_id, user_id, device_row, kind, app_id, environment, token, registered_at, "
    "expires_at"
)
PUSH = (
    "id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose, kind, app_id, "
    "environment, token, token_registered_at, token_version, created_at, deadline, state, is_open, "
    "due_at, claimed_by, attempts"
)


def some(table: str, columns: str, values: str, first: int, last: int) -> str:
    return (
        f"INSERT INTO {table} ({columns}) SELECT {values} FROM generate_series({first}, {last}) n"
    )


def ring(outcome: str) -> str:
    return (
        f"CAST(md5('r' || n) AS uuid), CAST(md5('c' || n) AS uuid), '{TENANT}', 'u' || n % 3000, "
        f"now(), now() + interval '45 s', {outcome}"
    )


def token(registered: str) -> str:
    return (
        f"CAST(md5('t' || n) AS uuid), '{TENANT}', 'u' || n % 3000, CAST(md5('d' || n) AS uuid), "
        f"'voip', 'com.example.app', 'production', md5('x' || n), {registered}, "
        "now() + interval '9 days'"
    )


def push(state: str) -> str:
    return (
        "CAST(md5('p' || n) AS uuid), CAST(md5('r' || n) AS uuid), CAST(md5('c' || n) AS uuid), "
        f"'{TENANT}', 'u' || n % 3000, CAST(md5('d' || n) AS uuid), CAST(md5('t' || n) AS uuid), "
        "'ring', 'voip', 'com.example.app', 'production', 'x', now(), 1, now(), "
        f"now() + interval '45 s', '{state}', {state in OPEN}, now(), CAST(md5('w' || n % 5) AS uuid), 1"
    )


def call(due: str, ended: str) -> str:
    return (
        f"CAST(md5('c' || n) AS uuid), '{TENANT}', 'default', 'c' || n, 'ringing', 'u1', false, "
        f"'{{}}', '{{}}', now(), {ended}, {due}, 5, 1"
    )


CALL = (
    "id, tenant_id, type, name, state, caller_id, video, custom, limits, created_at, ended_at, "
    "due_at, event_seq, version"
)
DELIVERY = "webhook_id, event_id, tenant_id, type, session_id, seq, created_at, due_at, state"
EVENT = "session_id, seq, tenant_id, type, at, data"
OPEN = {"pending", "sending"}
LIVE = (PAST + 1, PAST + RINGING)
BEFORE = (
    f"INSERT INTO tenants (id, name) VALUES ('{TENANT}', 't')",
    some("calls", CALL, call("NULL", "now()"), 1, PAST),
    some("rings", RING, ring("'missed'"), 1, PAST),
    some("tokens", TOKEN, token("now() - interval '1 hour'"), 1, PAST),
    some("pushes", PUSH, push("accepted"), 1, PAST),
    some(
        "events",
        EVENT,
        f"CAST(md5('c' || n) AS uuid), 1, '{TENANT}', 'call.ended', "
        "now() - CASE WHEN n <= 10 THEN interval '9 days' ELSE interval '1 day' END, '{}'",
        1,
        PAST,
    ),
    "ANALYZE",
)
RUSH = (
    some("calls", CALL, call("now() + interval '45 s'", "NULL"), *LIVE),
    some("rings", RING, ring("NULL"), *LIVE),
    some("tokens", TOKEN, token("now()"), PAST + 1, PAST + FRESH),
    some("pushes", PUSH, push("sending"), PAST + 1, PAST + FLYING),
    some("pushes", PUSH, push("accepted"), PAST + FLYING + 1, PAST + RINGING),
    f"""INSERT INTO webhooks (id, tenant_id, url, events, state, failures, created_at)
        VALUES ('{TENANT}', '{TENANT}', 'https://a.example', '["*"]', 'active', 0, now())""",
    some(
        "deliveries",
        DELIVERY,
        f"'{TENANT}', 'e' || n, '{TENANT}', 'call.ended', CAST(md5('c' || n) AS uuid), 1, now(), "
        "now(), CASE n % 10 WHEN 0 THEN 'sending' ELSE 'delivered' END",
        *LIVE,
    ),
)
NOBODYS = [uuid4() for _ in range(100)]
WORKER: dict[str, Any] = {"worker": uuid4(), "limit": 500, "since": claims.ALWAYS, "aside": []}
OLD = {"tenant": TENANT, "days": 7, "limit": retention.BATCH, "aside": []}
EACH_SECOND: dict[str, tuple[TextClause, dict[str, Any], int]] = {
    # a look-up for each registration: its token, its ring, its push
    "late devices": (late.LATE_OF_ALL, {"limit": 200, "aside": []}, 3 * FRESH),
    "late devices of a user": (
        late.LATE_OF_USER,
        {"tenant": TENANT, "user": "u1", "limit": 200, "aside": []},
        20,
    ),
    "calls": (calls.DUE, {"limit": 200, "aside": []}, 0),
    "claims of rings": (claims.CLAIM_RINGS, {**WORKER, "rings": NOBODYS}, 0),
    "claims of pushes": (claims.CLAIM_PUSHES, {**WORKER, "pushes": NOBODYS}, 0),
    "due pushes": (expiry.DUE, WORKER, FLYING),
    "orphans": (expiry.ORPHANS, WORKER, 2 * FLYING),
    "expired": (expiry.OVER, WORKER, FLYING),
    "webhooks with work": (hook_claims.WORK, {"full": []}, 2),
    "orphaned deliveries": (hook_claims.ORPHANS, {}, 4 * RINGING // 10),
    "old events": (retention.OF_EVENT_DAYS[1].find, OLD, 2 * 10),
    "old calls": (retention.OLD_CALLS, OLD, 0),
}


def touched(plan: dict[str, Any]) -> int:
    """Rows that scans gave or threw away, over all their loops."""
    return sum(
        round((part["Actual Rows"] + thrown_away(part)) * part["Actual Loops"])
        for part in parts(plan)
        if part["Node Type"].endswith("Scan") and "Relation Name" in part
    )


def most_looks(plan: dict[str, Any]) -> float:
    """Rows that the busiest scan gave or threw away, over all its loops."""
    scans = [part for part in parts(plan) if part["Node Type"].endswith("Scan")]
    return max(
        float(part["Actual Loops"] * (part["Actual Rows"] + thrown_away(part))) for part in scans
    )


def thrown_away(part: dict[str, Any]) -> float:
    return float(
        part.get("Rows Removed by Filter", 0) + part.get("Rows Removed by Index Recheck", 0)
    )


@pytest.fixture
async def rush(database: str) -> AsyncIterator[AsyncConnection]:
    options = server_settings(SHORT) | {"session_replication_role": "replica"}
    engine = create_async_engine(database, connect_args={"server_settings": options})
    async with engine.connect() as connection:
        session = await connection.execution_options(isolation_level="AUTOCOMMIT")
        for sql in (*BEFORE, *RUSH):
            await session.execute(text(sql))
        yield session
    await engine.dispose()


def plan_of(found: Any) -> dict[str, Any]:
    parsed = found if isinstance(found, list) else orjson.loads(found)
    plan: dict[str, Any] = parsed[0]["Plan"]
    return plan


def too_many(counts: dict[tuple[str, str], int]) -> Iterator[str]:
    for (name, mode), count in counts.items():
        if count > EACH_SECOND[name][2]:
            yield f"{name} ({mode}): {count} rows"


async def test_what_runs_each_second_touches_as_many_rows_as_there_is_work(
    rush: AsyncConnection,
) -> None:
    counts = {}
    for mode in ("force_custom_plan", "force_generic_plan"):
        await rush.execute(text(f"SET plan_cache_mode = {mode}"))
        for name, (statement, values, _most) in EACH_SECOND.items():
            explained = text("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + statement.text)
            wanted = {bind: values[bind] for bind in explained.compile().params}
            counts[name, mode] = touched(
                plan_of((await rush.execute(explained, wanted)).scalar_one())
            )
    assert not list(too_many(counts))


FLIGHT = text("""
    SELECT id, claimed_by AS worker, fence, 'accepted' AS state, 'production' AS environment,
        false AS healed, false AS silent, gen_random_uuid() AS try_id
    FROM pushes WHERE state = 'sending' ORDER BY id LIMIT :count
""")


@pytest.mark.parametrize("statement", [records.RECORD, records.TAKEN], ids=["any", "taken"])
async def test_to_record_many_compares_no_result_with_each_row(
    rush: AsyncConnection, statement: TextClause
) -> None:
    """It did, by a plan that came from nothing being known: a hundred results cost 10,000 looks."""
    rows = [dict(row) for row in (await rush.execute(FLIGHT, {"count": 100})).mappings()]
    assert len(rows) == 100
    values: dict[str, Any] = {"ids": [row["id"] for row in rows]}
    if statement is records.RECORD:
        values |= {"rows": as_json(rows), "attempts": "[]"}
    else:
        taken = [(row["id"], row["fence"], 200, 1.0, 2.0) for row in rows]
        values |= {"rows": as_json(taken), "worker": rows[0]["worker"]}
    explained = text("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + statement.text)
    plan = plan_of((await rush.execute(explained, values)).scalar_one())
    assert most_looks(plan) <= 2 * len(rows)


RUNG = text("""
    SELECT ring, min(callkit_reason) FROM pushes WHERE attempts > 0 AND purpose = 'ring'
    GROUP BY ring ORDER BY ring LIMIT :count
""")


async def test_to_stop_many_compares_no_ring_with_each_token(rush: AsyncConnection) -> None:
    """It did, as above, for each token there was: hundreds that ended at one moment took seconds."""
    rings = list((await rush.execute(RUNG, {"count": 200})).scalars())
    values = {"rings": rings, "callkit_reasons": [4] * 200, "spared": [None] * 200}
    explained = text("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + pushes.STOPS.text)
    plan = plan_of((await rush.execute(explained, values)).scalar_one())
    assert len(rings) == 200
    assert most_looks(plan) <= 4 * len(rings)


TOKENS = text("""
    SELECT DISTINCT ON (user_id) id, tenant_id, user_id, NULL AS every FROM tokens
    WHERE registered_at = (SELECT max(registered_at) FROM tokens) ORDER BY user_id LIMIT :count
""")


async def test_to_ring_many_compares_no_row_with_each_call(rush: AsyncConnection) -> None:
    """It did, as above: a hundred rings of two phones cost 20,000 looks at the calls before them."""
    changes, tokens, now = await _begun(rush)
    some = [
        saving.calls_as_rows([apply.as_inserted(change) for change in changes]),
        *apply._new_rows(changes, apply.members_of(changes), now, tokens),
    ]
    statement = db._insert_with(tuple(one.shape() for one in some), "session_id")
    explained = text("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + statement.text)
    plan = plan_of((await rush.execute(explained, db._values(some))).scalar_one())
    assert most_looks(plan) <= 2 * len(tokens)


async def test_to_ring_many_pairs_compares_no_row_with_each_call(rush: AsyncConnection) -> None:
    """The statement of the function for calls of two."""
    changes, tokens, now = await _begun(rush)
    asked = begin_pairs.document(changes, now, tokens)
    assert asked is not None
    said = {"asked": as_json(asked), "the_tenant": asked["tenant_id"], "the_moment": now}
    said["the_deadline"] = asked["deadline"]
    kinds = {"asked": "jsonb", "the_tenant": "uuid"}
    sql = re.sub(
        r"\b(asked|the_tenant|the_moment|the_deadline)\b",
        lambda found: f"CAST(:{found[1]} AS {kinds.get(found[1], 'timestamptz')})",
        begin_pairs.WRITE,
    )
    explained = text("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + sql)
    plan = plan_of((await rush.execute(explained, said)).scalar_one())
    assert most_looks(plan) <= 2 * len(tokens)


async def _begun(
    rush: AsyncConnection,
) -> tuple[list[apply.Change], list[dict[str, Any]], datetime]:
    """A hundred calls that begin, each of one who has a token; those, and the time."""
    tokens = [dict(row) for row in (await rush.execute(TOKENS, {"count": 100})).mappings()]
    assert len(tokens) == 100
    now = (await rush.execute(calls.CLOCK)).scalar_one()
    return [_ring(one["user_id"], now) for one in tokens], tokens, now


def _ring(user: str, now: datetime) -> apply.Change:
    request = RingIn.model_validate({"caller": {"id": "alice"}, "callees": [user]})
    one = ringing.resolve(UUID(TENANT), TenantSettings(), request, device="server", key=None)
    return ringing.start_of(one, now, lost.Lost(), {}, frozenset())
