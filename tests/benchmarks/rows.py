"""Rows by the million, each table by one statement; and whether the rows agree with what was done."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app.infra.ids import least_uuid7
from tests.benchmarks.fast_server import BUNDLE, Arrived
from tests.benchmarks.house import Ready

# Ids in order of time, as uuid7 makes them: `n` counts, `k` tells tables apart.
ID = "CAST('01900000-0000-7' || lpad(to_hex({k}), 3, '0') || '-8000-' || lpad(to_hex({n}), 12, '0') AS uuid)"
USERS = """
    INSERT INTO users (tenant_id, id)
    SELECT :t, :prefix || n FROM generate_series(CAST(:first AS integer), :last) n
"""
DEVICES = """
    INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
    SELECT gen_random_uuid(), :t, :prefix || n, 'd' || d, now() - interval '1 hour',
           now() - interval '1 hour'
    FROM generate_series(CAST(:first AS integer), :last) n,
         generate_series(1, CAST(:each AS integer)) d
"""
TOKENS = f"""
    INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
                        registered_at, expires_at)
    SELECT gen_random_uuid(), tenant_id, user_id, id, 'voip', '{BUNDLE}', 'production',
           md5(CAST(id AS text)) || md5(user_id || device_id), registered_at,
           now() + interval '90 days'
    FROM devices WHERE tenant_id = :t AND starts_with(user_id, :prefix)
        AND CAST(substr(user_id, 2) AS integer) BETWEEN :first AND :last
"""


async def add_users(ready: Ready, prefix: str, last: int, *, first: int = 1, each: int = 1) -> None:
    """Users such as `u1` (a letter and `first` to `last`), each with so many devices to ring."""
    given = {"prefix": prefix, "first": first, "last": last}
    await ready.sql(USERS, **given)
    await ready.sql(DEVICES, **given, each=each)
    await ready.sql(TOKENS, **given)


async def forget_users(ready: Ready, prefix: str, last: int, *, first: int = 1) -> None:
    """Take away what `add_users` has made, and what has come of it."""
    for table, column in (("tokens", "user_id"), ("devices", "user_id"), ("users", "id")):
        await ready.sql(
            f"""DELETE FROM {table} WHERE tenant_id = :t AND starts_with({column}, :prefix)
                AND CAST(substr({column}, 2) AS integer) BETWEEN :first AND :last""",
            prefix=prefix, first=first, last=last,
        )  # fmt: skip


async def token_owners(ready: Ready, prefix: str, last: int) -> dict[str, str]:
    """Token to user, of `u1` to `u<last>` for the prefix `u`."""
    rows = await ready.sql(
        "SELECT token, user_id FROM tokens WHERE tenant_id = :t AND user_id = ANY(:users)",
        users=[f"{prefix}{n + 1}" for n in range(last)],
    )
    return dict(rows)


PAST = {
    "calls": f"""
        INSERT INTO calls (id, tenant_id, type, name, state, reason, caller_id, video, custom,
                           limits, created_at, ended_at, event_seq, version)
        SELECT {ID.format(k=1, n="n")}, :t, 'default', 'past' || n, 'ended', 'missed', 'alice', true,
               '{{}}', '{{}}', now() - n * interval '2 seconds', now() - n * interval '2 seconds', 4, 2
        FROM generate_series(1, CAST(:count AS integer)) n""",
    "members": f"""
        INSERT INTO members (session_id, user_id, tenant_id, role, state, monitored, ring)
        SELECT {ID.format(k=1, n="n")}, CASE m WHEN 1 THEN 'alice' ELSE 'u' || (1 + n % CAST(:users AS integer)) END,
               :t, CASE m WHEN 1 THEN 'caller' ELSE 'callee' END, 'missed', false,
               CASE m WHEN 2 THEN {ID.format(k=2, n="n")} END
        FROM generate_series(1, CAST(:count AS integer)) n, generate_series(1, 2) m""",
    "rings": f"""
        INSERT INTO rings (uuid, session_id, tenant_id, user_id, created_at, deadline, outcome,
                           settled_at, callkit_reason)
        SELECT {ID.format(k=2, n="n")}, {ID.format(k=1, n="n")}, :t, 'u' || (1 + n % CAST(:users AS integer)),
               now() - n * interval '2 seconds', now() - n * interval '2 seconds', 'missed',
               now() - n * interval '2 seconds', 3
        FROM generate_series(1, CAST(:count AS integer)) n""",
    "pushes": f"""
        INSERT INTO pushes (id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose,
                            kind, app_id, environment, token, token_registered_at, token_version,
                            created_at, deadline, state, is_open, due_at, fence, attempts,
                            status)
        SELECT {ID.format(k=3, n="n")}, {ID.format(k=2, n="n")}, {ID.format(k=1, n="n")}, :t,
               t.user_id, t.device_row, t.id, 'ring', 'voip', t.app_id, t.environment, t.token,
               t.registered_at, 1, now() - n * interval '2 seconds',
               now() - n * interval '2 seconds', 'accepted', false,
               now() - n * interval '2 seconds', 1, 1,
               200
        FROM generate_series(1, CAST(:count AS integer)) n
        JOIN (SELECT row_number() OVER () AS place, * FROM tokens
              WHERE tenant_id = :t AND starts_with(user_id, 'u')) t
            ON t.place = 1 + n % CAST(:users AS integer)""",
    "attempts": f"""
        INSERT INTO attempts (id, push_id, session_id, worker_id, fence, environment, started_at,
                              finished_at, status)
        SELECT {ID.format(k=4, n="n")}, {ID.format(k=3, n="n")}, {ID.format(k=1, n="n")},
               {ID.format(k=5, n="1")}, 1, 'production', now() - n * interval '0.5 seconds',
               now() - n * interval '0.5 seconds', 200
        FROM generate_series(1, CAST(:count AS integer)) n""",
    "events": f"""
        INSERT INTO events (session_id, seq, tenant_id, type, at, data)
        SELECT {ID.format(k=1, n="n")}, s, :t, 'ring.started', now() - n * interval '0.5 seconds',
               '{{}}'
        FROM generate_series(1, CAST(:count AS integer)) n, generate_series(1, 4) s""",
}
"""A past call: one missed ring of one device. Events and attempts are a week's, so that none is old
enough to be forgotten meanwhile, calls three weeks'."""


async def add_past_calls(ready: Ready, count: int, users: int) -> None:
    """Calls that have ended, with all their rows, spread over users `u1` to `u<users>`."""
    for statement in PAST.values():
        given = {"count": count} | ({"users": users} if ":users" in statement else {})
        await ready.sql(statement, **given)


# by the index of what is under way: with a million rows, to look otherwise costs a ring as much as
# the ring itself
LEFT = """
    SELECT (SELECT count(*) FROM pushes WHERE is_open)
        + (SELECT count(*) FROM push_batches WHERE done_at IS NULL)
"""
LONGEST_RUN = timedelta(hours=1)

# From an id on: else a run ends in reading all past rows, after which none of what the next one needs
# is in memory.
OF_RUN = """
    c AS (SELECT id FROM calls WHERE tenant_id = :t AND type = :type AND id >= :since),
    p AS (SELECT p.* FROM targets p JOIN c ON c.id = p.session_id
          WHERE p.purpose = 'ring' AND p.id >= :since)
"""
COUNTS = f"""
    WITH {OF_RUN}
    SELECT (SELECT count(*) FROM c),
           (SELECT count(*) FROM rings r JOIN c ON c.id = r.session_id WHERE r.uuid >= :since),
           (SELECT count(*) FROM p),
           (SELECT count(*) FROM p WHERE state = 'accepted' AND status = 200),
           (SELECT count(*) FROM p WHERE sent_at IS NOT NULL AND answered_at IS NOT NULL)
"""

ROWS = f"WITH {OF_RUN} SELECT CAST(id AS text), token FROM p"


async def all_sent(ready: Ready, within: float = 60.0) -> None:
    """Wait until no push is under way."""
    until = time.monotonic() + within
    while (await ready.sql(LEFT))[0][0]:
        if time.monotonic() > until:
            raise TimeoutError(f"pushes were still under way after {within:.0f} s")
        await asyncio.sleep(0.05)


async def agree(
    ready: Ready, call_type: str, arrived: list[Arrived], *, calls: int, rings: int, pushes: int
) -> None:
    """Fail unless what was asked, the rows, their states and what arrived are exactly the same.

    Every call of a run has the run's own type, by which its rows are found.
    """
    await all_sent(ready)
    since = least_uuid7(datetime.now(UTC) - LONGEST_RUN)
    of_run = {"t": ready.tenant.id, "type": call_type, "since": since}
    async with ready.runtime.database.transaction() as session:
        # what was written a moment ago is in no statistics yet, and seems to be a single row
        await session.execute(text("SET LOCAL enable_nestloop = off"))
        found = (await session.execute(text(COUNTS), of_run)).one()
        rows = list(await session.execute(text(ROWS), of_run))
    asked = (calls, rings, pushes, pushes, pushes)
    names = ("calls", "rings", "pushes", "accepted", "answered")
    assert tuple(found) == asked, f"{names}: {asked} were asked, {tuple(found)} were found"
    pairs = [(one.apns_id, one.token) for one in arrived]
    assert len(pairs) == len(set(pairs)) == pushes, f"{len(pairs)} arrived, {pushes} were asked"
    assert set(pairs) == set(map(tuple, rows)), "what arrived is not what the rows say"


async def clear(ready: Ready) -> None:
    """Forget every call: what one benchmark has rung must not expire during the next."""
    await ready.sql(
        "TRUNCATE calls, members, rings, pushes, push_batches, attempts, events, user_events, idempotency"
    )
