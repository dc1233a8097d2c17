"""Claims on batches: taken, looked at, recorded, said again."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from sqlalchemy import text

from app.core.push import ENVIRONMENTS, TOKEN_KINDS, Purpose
from app.credentials.store import STAMP
from app.infra.db import Connection, Row, as_json, many
from app.infra.row_values import read
from app.infra.statements import answer
from app.push import claims
from app.push.claimed import Batch, CallFacts, Claim, ClaimedPlace, ClaimedPush, Look
from app.push.claims import CALL, KNOWN, SETTINGS, YOUNGER

# It names no ring: what settled before has left its batch. In no order: nothing waits for a lock.
# Tokens are looked up by key, whatever the planner thinks of their number.
CLAIM = f"""
    WITH b AS (
        UPDATE push_batches SET claimed_by = :worker, fence = fence + 1
        WHERE id IN (
            SELECT id FROM push_batches
            WHERE {{which}} AND claimed_by IS NULL AND due_at <= clock_timestamp()
                AND deadline > clock_timestamp() AND {YOUNGER} AND {KNOWN}
            ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
        ) AND open_bits <> 0
            AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
            AND (SELECT dead_at IS NULL FROM workers WHERE id = :worker)
        RETURNING *
    )
    SELECT b.id, b.session_id, b.tenant_id, b.kind, b.app_id, b.environment, b.created_at,
        b.deadline, b.fence, b.open_bits, b.push_ids, b.rings, b.token_ids, b.device_rows, b.users,
        b.tokens, b.token_registered_at, b.token_versions,
        CASE WHEN row_number() OVER (PARTITION BY b.session_id) = 1 THEN (
            {CALL} WHERE c.id = b.session_id
        ) END AS call,
        CASE WHEN row_number() OVER () = 1 THEN ({STAMP.format(apps="b")}) END AS credentials,
        CASE WHEN row_number() OVER () = 1 THEN ({SETTINGS.format(of="b")}) END AS settings,
        (SELECT array_agg(u.place)
         FROM unnest(b.token_ids, b.users) WITH ORDINALITY AS u(token_id, user_id, place)
         WHERE (SELECT t.user_id = u.user_id AND t.retired_at IS NULL FROM tokens t
                WHERE t.id = u.token_id LIMIT 1) IS NOT TRUE) AS moved,
        clock_timestamp() AS now
    FROM b
"""  # noqa: S608  (constants)
# so written that no index of what is open takes it: a call has few batches
CLAIM_CALLS = text(
    CLAIM.format(
        which="session_id = ANY(CAST(:calls AS uuid[])) "
        "AND coalesce(done_at, 'infinity') = 'infinity'"
    )
)
CLAIM_BATCHES = text(CLAIM.format(which="id = ANY(CAST(:batches AS uuid[])) AND done_at IS NULL"))


async def claim_calls(
    session: Connection, worker: UUID, calls: Sequence[UUID], limit: int, since: datetime
) -> list[ClaimedPlace]:
    """Claim `limit` due batches of these calls, made after `since`; the open places of them.

    A worker that is condemned claims nothing.
    """
    values = {"worker": worker, "calls": list(calls), "limit": limit, "since": since}
    return _places(worker, await many(session, CLAIM_CALLS, values))


async def claim_batches(
    session: Connection, worker: UUID, batches: Sequence[UUID], limit: int, since: datetime
) -> list[ClaimedPlace]:
    """Claim `limit` of those of these batches that are due."""
    values = {"worker": worker, "batches": list(batches), "limit": limit, "since": since}
    return _places(worker, await many(session, CLAIM_BATCHES, values))


def _places(worker: UUID, rows: Sequence[Row]) -> list[ClaimedPlace]:
    return [place for row in rows for place in _open_places(worker, row)]


def _open_places(worker: UUID, row: Row) -> list[ClaimedPlace]:
    moved, call, open_bits = frozenset(row["moved"] or ()), row["call"], row["open_bits"]
    fence, created_at, deadline = row["fence"], row["created_at"], row["deadline"]
    size = len(row["push_ids"])
    batch = Batch(row["id"], worker, fence, created_at, [None] * size, [None] * size)
    kind, environment = TOKEN_KINDS[row["kind"]], ENVIRONMENTS[row["environment"]]
    session_id, tenant_id, app_id, now = (
        row["session_id"], row["tenant_id"], row["app_id"], row["now"],
    )  # fmt: skip
    facts = None if call is None else CallFacts(*call)
    stamp, settings, found = row["credentials"], row["settings"], list[ClaimedPlace]()
    for place, (push, ring, token_id, device, user, token, registered_at, version) in enumerate(
        zip(
            row["push_ids"], row["rings"], row["token_ids"], row["device_rows"], row["users"],
            row["tokens"], row["token_registered_at"], row["token_versions"], strict=True,
        ),
        1,
    ):  # fmt: skip
        if not open_bits >> place - 1 & 1:
            continue
        found.append(
            ClaimedPlace(
                Purpose.RING, kind, environment, facts, stamp, settings, (), push, ring, session_id,
                tenant_id, user, device, token_id, app_id, token, registered_at, version, False,
                None, created_at, deadline, worker, fence, fence, False, False, None, now, False,
                False, place not in moved, created_at, deadline, batch, place,
            )
        )  # fmt: skip
        facts = stamp = settings = None
    return found


LOOK = text("""
    SELECT c.push AS id, false AS marked, r.uuid IS NULL AS ring_gone,
        r.outcome IS NOT NULL AS settled, EXISTS (
            SELECT FROM tokens t
            WHERE t.id = c.token_id AND t.user_id = c.user_id AND t.retired_at IS NULL
        ) AS owned
    FROM unnest(CAST(:pushes AS uuid[]), CAST(:batches AS uuid[]), CAST(:fences AS integer[]),
        CAST(:places AS integer[]), CAST(:rings AS uuid[]), CAST(:tokens AS uuid[]),
        CAST(:users AS text[])) AS c(push, batch, fence, place, ring, token_id, user_id)
    JOIN push_batches b ON b.id = c.batch AND b.claimed_by = :worker AND b.fence = c.fence
        AND b.open_bits >> c.place - 1 & 1 = 1
    LEFT JOIN LATERAL (SELECT * FROM rings r WHERE r.uuid = c.ring LIMIT 1) r ON true
""")


async def look(
    session: Connection, worker: UUID, held: Sequence[ClaimedPush], marks: Sequence[UUID]
) -> dict[UUID, Look]:
    """As `claims.look`, wherever these lie.

    Batches first: what leaves one meanwhile is found as a row of its own.
    """
    places = [one for one in held if isinstance(one, ClaimedPlace)]
    found = await _look_at_places(session, worker, places) if places else {}
    return found | await claims.look(session, worker, [one.claim for one in held], marks)


async def _look_at_places(
    session: Connection, worker: UUID, held: Sequence[ClaimedPlace]
) -> dict[UUID, Look]:
    values = {
        "worker": worker,
        "pushes": [one.id for one in held],
        "batches": [one.batch.id for one in held],
        "fences": [one.fence for one in held],
        "places": [one.place for one in held],
        "rings": [one.ring for one in held],
        "tokens": [one.token_id for one in held],
        "users": [one.user_id for one in held],
    }
    return {look.id: look for look in await read(session, LOOK, Look, values)}


class Picture(TypedDict):
    """What a worker knows of a batch that it has claimed, as its row shall say."""

    id: UUID
    worker: UUID
    fence: int
    rev: int
    taken: int
    sent_ms: list[int | None]
    answered_ms: list[int | None]


def picture(batch: Batch) -> Picture:
    """The whole of it, newer than what was written before."""
    batch.rev += 1
    return {
        "id": batch.id,
        "worker": batch.worker,
        "fence": batch.fence,
        "rev": batch.rev,
        "taken": batch.taken,
        "sent_ms": batch.sent,
        "answered_ms": batch.answered,
    }


# A claim that a crash of the database took back is taken back with its record.
RECORD = text("""
    WITH held AS (
        SELECT id, accepted_bits FROM push_batches WHERE id = ANY(CAST(:batches AS uuid[]))
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), n AS (
        SELECT * FROM json_to_recordset(CAST(:rows AS json)) AS r(
            id uuid, worker uuid, fence integer, rev integer, taken bigint, sent_ms integer[],
            answered_ms integer[])
    ), mine AS MATERIALIZED (
        SELECT n.* FROM n JOIN held USING (id)
    ), written AS (
        UPDATE push_batches b SET open_bits = b.open_bits & ~n.taken,
            accepted_bits = b.accepted_bits | (b.open_bits & n.taken), sent_ms = n.sent_ms,
            answered_ms = n.answered_ms, rev = n.rev, fence = n.fence, claimed_by = n.worker,
            done_at = CASE WHEN b.open_bits & ~n.taken = 0
                THEN coalesce(b.done_at, clock_timestamp()) END
        FROM mine n
        WHERE b.id = n.id AND b.rev < n.rev AND (
            b.claimed_by = n.worker AND b.fence = n.fence
            OR b.claimed_by IS NULL AND b.fence = n.fence - 1 AND b.open_bits <> 0
        )
        RETURNING b.id, b.accepted_bits
    )
    SELECT n.id, coalesce(w.accepted_bits, 0) AS written, coalesce(h.accepted_bits, 0) AS known
    FROM n LEFT JOIN held h USING (id) LEFT JOIN written w USING (id)
    WHERE h.id IS NOT NULL OR NOT EXISTS (SELECT FROM push_batches b WHERE b.id = n.id)
""")


async def record(session: Connection, batches: Sequence[Batch]) -> dict[UUID, tuple[int, int]]:
    """Write what this worker knows of these batches, where its claim still holds.

    By batch the bits of what it has accepted now, and of what was accepted before. One that another
    transaction has locked is left out.
    """
    rows = [picture(batch) for batch in batches]
    values = {"batches": [batch.id for batch in batches], "rows": as_json(rows)}
    _, found = await answer(session, RECORD, values)
    return {batch: (written, known) for batch, written, known in found}


REASSERT = text("""
    UPDATE push_batches b SET claimed_by = :worker, fence = c.fence
    FROM unnest(CAST(:batches AS uuid[]), CAST(:fences AS integer[])) AS c(id, fence)
    WHERE b.id IN (
        SELECT id FROM push_batches WHERE id = ANY(CAST(:batches AS uuid[])) AND done_at IS NULL
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ) AND b.id = c.id AND b.claimed_by IS NULL AND b.fence = c.fence - 1
        AND (SELECT dead_at IS NULL FROM workers WHERE id = :worker)
""")


async def reassert(session: Connection, worker: UUID, held: Sequence[Claim]) -> None:
    """Say again which batches this worker has claimed, where a crash took it back."""
    values = {
        "worker": worker,
        "batches": [batch for batch, _ in held],
        "fences": [fence for _, fence in held],
    }
    await answer(session, REASSERT, values)
