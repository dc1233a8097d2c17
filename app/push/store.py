"""Rows of pushes, attempts and workers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Insert, Joined, Row, Session, as_json, many, one
from app.push.models import Push

OF_TOKEN = Joined(
    # by key, whatever the planner thinks of the number of tokens: see RING_OF_PUSH
    """JOIN LATERAL (SELECT * FROM tokens t WHERE t.id = r.token_id LIMIT 1) t
        ON t.tenant_id = r.tenant_id AND t.user_id = r.user_id""",
    (
        ("device_row", "t.device_row"),
        ("kind", "t.kind"),
        ("bundle_id", "t.bundle_id"),
        ("environment", "t.environment"),
        ("token", "t.token"),
        ("token_registered_at", "t.registered_at"),
        ("token_version", "t.version"),
        ("state", "'pending'"),
        ("due_at", "r.created_at"),
    ),
)


def new_pushes(rows: Sequence[Row]) -> Insert:
    """Pushes to be written: these rows are the outbox. One that is there already stays as it is.

    None is made to a token that is not the user's any more; the token's columns are the server's to
    find, which is cheaper than to bring them here and back.
    """
    free = "ON CONFLICT (ring, token_id, purpose) DO NOTHING"
    return Insert(Push.__table__, rows, free, OF_TOKEN)


DROP_RINGS = text("""
    UPDATE pushes SET state = 'dropped', reason = 'ring_settled'
    WHERE id IN (
        SELECT id FROM pushes
        WHERE ring = ANY(CAST(:rings AS uuid[])) AND state = 'pending' AND purpose = 'ring'
        ORDER BY id FOR NO KEY UPDATE
    ) AND state = 'pending'
""")


async def drop_unsent(session: Session, rings: Sequence[UUID]) -> None:
    """Drop what has not been sent for rings that settle in this transaction."""
    await session.execute(DROP_RINGS, {"rings": list(rings)})


REPORT = """
    UPDATE pushes SET {column} = :now
    WHERE ring = :ring AND device_row = :device AND purpose = 'ring' AND {column} IS NULL
    RETURNING id
"""
DELIVERED = text(REPORT.format(column="delivered_at"))
UNAVAILABLE = text(REPORT.format(column="unavailable_at"))


async def note_report(
    session: Session, ring: UUID, device: UUID, now: datetime, *, delivered: bool
) -> bool:
    """Note what a device says of a ring's push; False when it has said so before."""
    statement = DELIVERED if delivered else UNAVAILABLE
    values = {"ring": ring, "device": device, "now": now}
    return bool(await many(session, statement, values))


DROP_TOKENS = text("""
    UPDATE pushes SET state = 'dropped', reason = :why
    WHERE id IN (
        SELECT id FROM pushes
        WHERE token_id = ANY(CAST(:tokens AS uuid[])) AND tenant_id = :tenant
            AND state = 'pending' AND purpose = 'ring'
        ORDER BY id FOR NO KEY UPDATE
    ) AND state = 'pending'
""")


async def drop_for_tokens(
    session: Session, tenant_id: UUID, tokens: Sequence[UUID], why: str
) -> None:
    """Drop unsent pushes to tokens that change hands or go.

    One that is claimed at this moment is not seen here: what it claims says `owned` false.
    """
    await session.execute(DROP_TOKENS, {"tenant": tenant_id, "tokens": list(tokens), "why": why})


STOPS = text("""
    SELECT p.ring, p.call_id, p.tenant_id, p.user_id, s.callkit, t.id AS token_id
    FROM unnest(CAST(:rings AS uuid[]), CAST(:callkits AS integer[]), CAST(:spared AS text[]))
         AS s(ring, callkit, spared)
    JOIN pushes p ON p.ring = s.ring AND p.purpose = 'ring'
        AND p.attempts > 0 AND p.state <> 'refused'
    JOIN devices d ON d.id = p.device_row AND d.device_id IS DISTINCT FROM s.spared
    JOIN tokens t ON t.device_row = d.id AND t.bundle_id = p.bundle_id
        AND t.retired_at IS NULL AND t.expires_at > clock_timestamp()
    JOIN tenants n ON n.id = p.tenant_id
    WHERE t.kind = 'alert'
        OR t.id = p.token_id AND CAST(n.settings ->> 'voip_stops' AS boolean) AND NOT EXISTS (
            SELECT FROM tokens a
            WHERE a.device_row = d.id AND a.bundle_id = p.bundle_id AND a.kind = 'alert'
                AND a.retired_at IS NULL AND a.expires_at > clock_timestamp())
""")


async def stop_targets(
    session: Session, stops: Sequence[tuple[UUID, int, str | None]]
) -> list[dict[str, Any]]:
    """Where a stop goes for each (ring, CallKit reason, spared device): to alert tokens.

    To a device that has none it goes by VoIP push, if the tenant has turned that on.
    """
    values = {
        "rings": [stop[0] for stop in stops],
        "callkits": [stop[1] for stop in stops],
        "spared": [stop[2] for stop in stops],
    }
    return await many(session, STOPS, values)


# What must be known of a claimed push before it is sent comes with the claim: whether it is still
# wanted, and by its first push what payloads say of a call. A stop is for the phone that rang,
# whoever uses it by now.
STANDING = """
    r.outcome, r.created_at AS ring_created_at, r.deadline AS ring_deadline,
    (p.purpose = 'stop' OR EXISTS (
        SELECT FROM tokens t
        WHERE t.id = p.token_id AND t.user_id = p.user_id AND t.retired_at IS NULL
    )) AS owned
"""
# `LIMIT 1` keeps it a look-up by key: a join may be planned, while there are few rings, as one that
# reads them all, and such a plan stays with its connection when there are many.
RING_OF_PUSH = """
    LEFT JOIN LATERAL (SELECT * FROM rings r WHERE r.uuid = p.ring LIMIT 1) r ON true
"""
CALL = """
    SELECT json_build_object(
        'id', c.id, 'type', c.type, 'name', c.name, 'caller_id', c.caller_id,
        'caller_name', c.caller_name, 'has_video', c.has_video, 'custom', c.custom,
        'settings', n.settings,
        'joined', CASE WHEN c.state = 'active' THEN (
            SELECT json_agg(m.user_id ORDER BY m.joined_at, m.user_id) FROM members m
            WHERE m.call_id = c.id AND m.state IN ('joined', 'away')
        ) END)
    FROM calls c JOIN tenants n ON n.id = c.tenant_id
"""
# A claim need not outlive the server: what a crash takes back is sent once more, under its apns-id.
# In no order, or that of an index: nothing waits for a lock here, and `ORDER BY id LIMIT` can make
# PostgreSQL walk the whole table by its key.
CLAIM = f"""
    WITH p AS (
        UPDATE pushes SET state = 'sending', claimed_by = :worker, fence = fence + 1,
            attempts = attempts + 1
        WHERE id IN (
            SELECT id FROM pushes WHERE {{which}}
                AND deadline > clock_timestamp()
            {{order}} LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
        ) AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
        RETURNING id, ring, call_id, tenant_id, user_id, device_row, token_id, purpose, kind,
            bundle_id, environment, token, token_registered_at, token_version, healed, callkit,
            created_at, deadline, claimed_by, fence, attempts, reason
    )
    SELECT p.*, clock_timestamp() AS now, {STANDING},
        CASE WHEN row_number() OVER (PARTITION BY p.call_id) = 1 THEN (
            {CALL} WHERE c.id = p.call_id
        ) END AS call
    FROM p {RING_OF_PUSH}
"""  # noqa: S608  (constants)
CLAIM_RINGS = text(
    CLAIM.format(
        which="ring = ANY(CAST(:rings AS uuid[])) AND state = 'pending' "
        "AND due_at <= clock_timestamp()",
        order="",
    )
)
CLAIM_PUSHES = text(
    CLAIM.format(
        which="id = ANY(CAST(:pushes AS uuid[])) AND state = 'pending' "
        "AND due_at <= clock_timestamp() + interval '5 milliseconds'",
        order="",
    )
)
CLAIM_AGAIN = text(
    CLAIM.format(
        which="id = ANY(CAST(:pushes AS uuid[])) AND state = 'sending' AND claimed_by = :worker",
        order="",
    )
)
CLAIM_DUE = text(
    CLAIM.format(
        which="state = 'pending' AND due_at <= statement_timestamp()", order="ORDER BY due_at"
    )
)
CLAIM_ORPHANS = text(
    CLAIM.format(
        which="state = 'sending' AND claimed_by IN ("
        " SELECT DISTINCT p.claimed_by FROM pushes p"
        " LEFT JOIN workers w ON w.id = p.claimed_by"
        " WHERE p.state = 'sending' AND p.claimed_by <> :worker"
        " AND (w.id IS NULL OR w.alive_until < clock_timestamp()))",
        order="",
    )
)
CLAIMS_OF = text("""
    SELECT id, fence FROM pushes
    WHERE state = 'sending' AND claimed_by = :worker AND deadline > clock_timestamp()
""")


async def claim_rings(
    session: Session, worker: UUID, rings: Sequence[UUID], limit: int
) -> list[dict[str, Any]]:
    """Claim the due pushes of these rings: whoever changes the row first has it.

    `outcome`, `ring_created_at` (None when the ring is gone) and `owned` say whether a push is
    still wanted; `call` of the first push of each call says what payloads tell of it.
    """
    values = {"worker": worker, "rings": list(rings), "limit": limit}
    return await many(session, CLAIM_RINGS, values)


async def claim_pushes(
    session: Session, worker: UUID, pushes: Sequence[UUID], limit: int
) -> list[dict[str, Any]]:
    """Claim these pushes for their next try."""
    values = {"worker": worker, "pushes": list(pushes), "limit": limit}
    return await many(session, CLAIM_PUSHES, values)


async def claims_of(session: Session, worker: UUID) -> list[tuple[UUID, int]]:
    """What this worker has claimed and not yet recorded: (push, fencing number)."""
    return [(row["id"], row["fence"]) for row in await many(session, CLAIMS_OF, {"worker": worker})]


async def claim_again(
    session: Session, worker: UUID, pushes: Sequence[UUID], limit: int
) -> list[dict[str, Any]]:
    """Claim anew what this worker has claimed and lost sight of."""
    values = {"worker": worker, "pushes": list(pushes), "limit": limit}
    return await many(session, CLAIM_AGAIN, values)


async def claim_due(session: Session, worker: UUID, limit: int) -> list[dict[str, Any]]:
    """Claim pushes that are due and that nobody has claimed."""
    return await many(session, CLAIM_DUE, {"worker": worker, "limit": limit})


async def claim_orphans(session: Session, worker: UUID, limit: int) -> list[dict[str, Any]]:
    """Take over the claims of workers that are dead: the fencing number rises."""
    return await many(session, CLAIM_ORPHANS, {"worker": worker, "limit": limit})


STANDINGS = text(f"""
    SELECT p.id, {STANDING}
    FROM pushes p {RING_OF_PUSH}
    WHERE p.id = ANY(CAST(:pushes AS uuid[]))
""")  # noqa: S608  (constants)


async def standings(session: Session, pushes: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """Whether these pushes are still wanted, by push: what a claim said, as it is now."""
    rows = await many(session, STANDINGS, {"pushes": list(pushes)})
    return {row["id"]: row for row in rows}


FACTS = text(f"""
    SELECT r.uuid AS ring, r.user_id, r.created_at AS ring_created_at,
           r.deadline AS ring_deadline, ({CALL} WHERE c.id = r.call_id) AS call
    FROM rings r WHERE r.uuid = :ring
""")  # noqa: S608  (constants)


async def facts(session: Session, ring: UUID) -> dict[str, Any] | None:
    """What the payloads of a ring say: as a claim gives it with the first push of its call."""
    return await one(session, FACTS, {"ring": ring})


RECORD = text("""
    WITH held AS (
        SELECT id FROM pushes WHERE id = ANY(CAST(:ids AS uuid[]))
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), n AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(
            id uuid, worker uuid, fence integer, state text, due_at timestamptz, status integer,
            reason text, environment text, healed boolean, sent_at timestamptz,
            answered_at timestamptz)
    ), tried AS (
        INSERT INTO attempts (id, push_id, call_id, worker_id, fence, environment, started_at,
                              finished_at, status, reason, unique_id)
        SELECT * FROM json_to_recordset(CAST(:attempts AS json)) AS r(
            id uuid, push_id uuid, call_id uuid, worker_id uuid, fence integer, environment text,
            started_at timestamptz, finished_at timestamptz, status integer, reason text,
            unique_id text)
        ON CONFLICT (id) DO NOTHING
    ), written AS (
        UPDATE pushes p SET state = n.state, fence = n.fence,
            due_at = coalesce(n.due_at, p.due_at),
            claimed_by = CASE WHEN n.state = 'pending' THEN NULL ELSE n.worker END,
            status = n.status, reason = n.reason, environment = n.environment, healed = n.healed,
            sent_at = coalesce(p.sent_at, n.sent_at), answered_at = n.answered_at
        FROM n JOIN held USING (id)
        WHERE p.id = n.id AND (
            p.state = 'sending' AND p.claimed_by = n.worker AND p.fence = n.fence
            OR p.state = 'pending' AND p.claimed_by IS NULL AND p.fence = n.fence - 1
        )
        RETURNING p.id, p.state
    )
    SELECT n.id, written.state
    FROM n LEFT JOIN held USING (id) LEFT JOIN written USING (id)
    WHERE held.id IS NOT NULL OR NOT EXISTS (SELECT FROM pushes p WHERE p.id = n.id)
""")


async def record(
    session: Session, results: Sequence[Row], attempts: Sequence[Row]
) -> dict[UUID, str | None]:
    """Write results, set-wise, where the claim still holds; the states that pushes now have.

    None where the claim has been taken over, or the same was written before. A row that another
    transaction has locked is not waited for, and left out of what is returned. A claim that a crash
    of the database took back (it is committed asynchronously) is taken back with its result.

    `attempts`: what was tried, which is written also of a claim that has been taken over.
    """
    values = {
        "ids": [result["id"] for result in results],
        "rows": as_json(results),
        "attempts": as_json(attempts),
    }
    return {row["id"]: row["state"] for row in await many(session, RECORD, values)}


EXPIRE = """
    UPDATE pushes SET state = 'expired', reason = coalesce(reason, 'deadline')
    WHERE id IN (
        SELECT id FROM pushes WHERE {which} AND deadline <= clock_timestamp()
        LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    )
"""
EXPIRE_PENDING = text(EXPIRE.format(which="state = 'pending'"))
EXPIRE_ORPHANS = text(
    EXPIRE.format(
        which="state = 'sending' AND NOT EXISTS (SELECT FROM workers w "
        "WHERE w.id = claimed_by AND w.alive_until >= clock_timestamp())"
    )
)


async def expire(session: Session, limit: int) -> None:
    """Pushes whose deadline has passed unsent, or unanswered in the hands of a dead worker."""
    await session.execute(EXPIRE_PENDING, {"limit": limit})
    await session.execute(EXPIRE_ORPHANS, {"limit": limit})


OPEN_STOP = "p.purpose = 'stop' AND p.state IN ('pending', 'sending')"
BURY = """
    UPDATE pushes p SET user_id = :tombstone, token = '',
        state = CASE WHEN p.state = 'pending' THEN 'dropped' ELSE p.state END
    WHERE p.tenant_id = :tenant AND p.user_id = :user AND p.ring IN ({rings}) AND NOT ({stop})
"""
BURY_IN = text(
    BURY.format(
        stop=OPEN_STOP,
        rings="SELECT r.uuid FROM rings r WHERE r.call_id = ANY(CAST(:calls AS uuid[]))",
    )
)
OF_TOMBSTONE = """
    SELECT r.uuid FROM members m JOIN rings r ON r.call_id = m.call_id AND r.user_id = :tombstone
    WHERE m.tenant_id = :tenant AND m.user_id = :tombstone
"""
BURY_REST = text(BURY.format(stop=OPEN_STOP, rings=OF_TOMBSTONE))
OPEN_STOPS = text(f"""
    SELECT count(*) AS n FROM pushes p
    WHERE p.ring IN ({OF_TOMBSTONE}) AND {OPEN_STOP} AND p.deadline > clock_timestamp()
""")  # noqa: S608  (constants)


async def bury_in(session: Session, erasure: Row, calls: Sequence[UUID]) -> None:
    """Take an erased user and their tokens out of the pushes of these calls.

    What is unsent is dropped, but not the stops: a phone that rings is to be told that it is over.
    """
    await session.execute(BURY_IN, _erased(erasure) | {"calls": list(calls)})


async def bury(session: Session, erasure: Row) -> int:
    """The same for what has been sent since; answers how many stops are still under way.

    Comes after members and rings have the tombstone: by them the pushes are found.
    """
    values = _erased(erasure)
    await session.execute(BURY_REST, values)
    row = await one(session, OPEN_STOPS, {name: values[name] for name in ("tenant", "tombstone")})
    assert row is not None
    return int(row["n"])


def _erased(erasure: Row) -> dict[str, Any]:
    return {
        "tenant": erasure["tenant_id"],
        "user": erasure["user_id"],
        "tombstone": erasure["tombstone"],
    }
