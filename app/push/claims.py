"""Claims on pushes: taken, looked at again, said again, inherited.

A claimed row is written by its claimant alone (worker and fencing number), or taken over from one
who has been condemned.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import TextClause, text

from app.core.frozen import replace
from app.core.push import ENVIRONMENTS, TOKEN_KINDS
from app.credentials.store import STAMP
from app.infra.db import Connection, Row, many
from app.infra.row_values import read
from app.infra.statements import planned_once
from app.push.claimed import Claim, ClaimedPush, Look
from app.push.partitions import tries_of

RINGS_AT_ONCE, MOST_AT_ONCE = 100, 200
"""Rings of a claim: of a crowd so many that two claims have all, since a claim costs beside its
rings what some thirty of them do."""

ALWAYS = datetime(1, 1, 2, tzinfo=UTC)
"""Older than any row."""

# What must be known of a claimed push before it is sent comes with the claim: whether it is still
# wanted, and by its first push what payloads say of a call. A stop is for the phone that rang,
# whoever uses it by now.
STANDING = """
    r.uuid IS NULL AS ring_gone, r.outcome IS NOT NULL AS settled, (p.purpose = 'stop' OR EXISTS (
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
    SELECT ROW(CAST(c.id AS text), c.type, c.name, c.caller_id, c.caller_name, c.caller_avatar_url,
        c.caller_handle, c.title, c.video, c.custom,
        CASE WHEN c.state = 'active' THEN (
            SELECT json_agg(json_build_array(m.user_id, m.person) ORDER BY m.joined_at, m.user_id)
            FROM members m
            WHERE m.session_id = c.id AND m.state IN ('joined', 'away')
        ) END, c.traceparent)
    FROM calls c
"""
"""SQL: the fields of `CallFacts`, in their order: to make an object of JSON of them costs a claim a
sixth of itself."""
SETTINGS = """
    SELECT json_object_agg(n.id, n.settings) FROM tenants n
    WHERE n.id = ANY(ARRAY(SELECT DISTINCT tenant_id FROM {of}))
"""
"""SQL: by their ids, the settings of all whose are the rows of `{of}`: once, not with each call."""
_KINDS, _ENVIRONMENTS = (
    ", ".join(f"'{word}'" for word in words) for words in (TOKEN_KINDS, ENVIRONMENTS)
)
KNOWN = f"kind IN ({_KINDS}) AND environment IN ({_ENVIRONMENTS})"
"""SQL: that a row of `pushes` or `push_batches` is of words which this version reads."""

# A claim need not outlive the server: what a crash takes back is said again, by its record or when
# its worker renews. In no order: nothing waits for a lock here. What is of a newer version's words
# is left to its workers, or to its deadline.
CLAIM = f"""
    WITH p AS (
        UPDATE pushes SET state = 'sending', claimed_by = :worker, fence = fence + 1,
            attempts = attempts + 1 {{more}}
        WHERE id IN (
            SELECT id FROM pushes WHERE {{which}}
                AND deadline > clock_timestamp() AND {KNOWN}
            LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
        ) AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
            AND (SELECT dead_at IS NULL FROM workers WHERE id = :worker)
        RETURNING purpose, kind, environment, id, ring, session_id, tenant_id, user_id, device_row,
            token_id, app_id, token, token_registered_at, token_version, healed, callkit_reason,
            created_at, deadline, claimed_by, fence, attempts, inherited, repeated, reason
    )
    SELECT p.purpose, p.kind, p.environment,
        CASE WHEN row_number() OVER (PARTITION BY p.session_id) = 1 THEN (
            {CALL} WHERE c.id = p.session_id
        ) END AS call,
        CASE WHEN row_number() OVER () = 1 THEN ({STAMP.format(apps="p")}) END AS credentials,
        CASE WHEN row_number() OVER () = 1 THEN ({SETTINGS.format(of="p")}) END AS settings,
        NULL AS tried,
        p.id, p.ring, p.session_id, p.tenant_id, p.user_id, p.device_row, p.token_id, p.app_id,
        p.token, p.token_registered_at, p.token_version, p.healed, p.callkit_reason, p.created_at,
        p.deadline, p.claimed_by, p.fence, p.attempts, p.inherited, p.repeated, p.reason,
        clock_timestamp() AS now, {STANDING},
        coalesce(r.created_at, p.created_at) AS ring_created_at,
        coalesce(r.deadline, p.deadline) AS ring_deadline
    FROM p {RING_OF_PUSH}
"""  # noqa: S608  (constants)
# So that no index takes it: nearly all rows are younger, though statistics may not know it yet.
YOUNGER = "(created_at > :since) IS TRUE"
CLAIM_RINGS = planned_once(
    CLAIM.format(
        which="ring = ANY(CAST(:rings AS uuid[])) AND state = 'pending' "
        f"AND due_at <= clock_timestamp() AND {YOUNGER}",
        more="",
    )
)
CLAIM_PUSHES = planned_once(
    CLAIM.format(
        which="id = ANY(CAST(:pushes AS uuid[])) AND state = 'pending' "
        f"AND due_at <= clock_timestamp() + interval '5 milliseconds' AND {YOUNGER}",
        more="",
    )
)
LOST = "(id, fence) IN (SELECT * FROM unnest(CAST(:pushes AS uuid[]), CAST(:fences AS integer[])))"
MINE = "state = 'sending' AND claimed_by = :worker"
CLAIM_AGAIN = planned_once(
    CLAIM.format(which=f"id = ANY(CAST(:pushes AS uuid[])) AND {LOST} AND {MINE}", more="")
)
# Once who claims: joined freely, a plan made while nothing was claimed reads all pushes for each
# claimant.
OF_THE_DEAD = """
    is_open AND state = 'sending' AND claimed_by = ANY(ARRAY(
        SELECT d.claimed_by FROM (
            SELECT DISTINCT p.claimed_by FROM pushes p
            WHERE p.is_open AND p.state = 'sending' AND p.claimed_by <> :worker OFFSET 0
        ) d
        WHERE NOT EXISTS (
            SELECT FROM workers w WHERE w.id = d.claimed_by AND w.dead_at IS NULL)
    ))
"""
CLAIM_ORPHANS = text(
    CLAIM.format(
        which=f"id = ANY(CAST(:pushes AS uuid[])) AND {OF_THE_DEAD} AND NOT repeated",
        more=", inherited = true",
    )
)
CLAIMS_OF = text(f"""
    SELECT id, fence, CAST(NULL AS uuid) AS batch FROM pushes WHERE is_open AND {MINE}
    UNION ALL
    SELECT u.id, b.fence, b.id
    FROM push_batches b CROSS JOIN LATERAL unnest(b.push_ids) WITH ORDINALITY AS u(id, place)
    WHERE b.done_at IS NULL AND b.claimed_by = :worker
        AND b.open_bits >> CAST(u.place - 1 AS integer) & 1 = 1
""")  # noqa: S608  (constants)


# A statement of its own, of which few claims have need: one that only might look into partitions
# locks all of them each time.
TRIED = text("""
    SELECT push_id, status, reason FROM attempts
    WHERE push_id = ANY(CAST(:pushes AS uuid[]))
        AND id BETWEEN CAST(:first AS uuid) AND CAST(:last AS uuid)
""")


async def _claimed(session: Connection, claim: TextClause, values: Row) -> list[ClaimedPush]:
    """What is claimed, and of what was claimed before, how that ended."""
    pushes = await read(session, claim, ClaimedPush, values)
    again = [push for push in pushes if push.attempts > 1]
    if not again:
        return pushes
    times = [(push.id, push.created_at, push.deadline) for push in again]
    tried: dict[UUID, list[tuple[int | None, str | None]]] = {}
    for row in await many(session, TRIED, tries_of(times)):
        tried.setdefault(row["push_id"], []).append((row["status"], row["reason"]))
    return [replace(push, tried=tried.get(push.id, ())) for push in pushes]


def rings_together(count: int) -> int:
    """How many of so many rings go in one claim."""
    return max(RINGS_AT_ONCE, min(MOST_AT_ONCE, -(-count // 2)))


async def claim_rings(
    session: Connection, worker: UUID, rings: Sequence[UUID], limit: int, since: datetime = ALWAYS
) -> list[ClaimedPush]:
    """Claim the due pushes of these rings, made after `since`: who changes the row first has it.

    A worker that is condemned claims nothing.
    """
    values = {"worker": worker, "rings": list(rings), "limit": limit, "since": since}
    return await _claimed(session, CLAIM_RINGS, values)


async def claim_pushes(
    session: Connection, worker: UUID, pushes: Sequence[UUID], limit: int, since: datetime = ALWAYS
) -> list[ClaimedPush]:
    """Claim these pushes for their next try."""
    values = {"worker": worker, "pushes": list(pushes), "limit": limit, "since": since}
    return await _claimed(session, CLAIM_PUSHES, values)


async def claims_of(session: Connection, worker: UUID) -> dict[Claim, UUID | None]:
    """What this worker has claimed and not yet recorded, and in which batch it is."""
    rows = await many(session, CLAIMS_OF, {"worker": worker})
    return {(row["id"], row["fence"]): row["batch"] for row in rows}


async def claim_again(
    session: Connection, worker: UUID, lost: Sequence[Claim], limit: int
) -> list[ClaimedPush]:
    """Claim anew what this worker has claimed without ever hearing of it."""
    values = {"worker": worker, "limit": limit} | lists(lost)
    return await _claimed(session, CLAIM_AGAIN, values)


END_REPEATED = text(f"""
    UPDATE pushes SET state = 'expired', is_open = false, reason = 'unknown' WHERE id IN (
        SELECT id FROM pushes
        WHERE id = ANY(CAST(:pushes AS uuid[])) AND {OF_THE_DEAD} AND repeated
        FOR NO KEY UPDATE SKIP LOCKED
    ) AND (SELECT dead_at IS NULL FROM workers WHERE id = :worker)
""")  # noqa: S608  (constants)


async def claim_orphans(
    session: Connection, worker: UUID, pushes: Sequence[UUID]
) -> list[ClaimedPush]:
    """Take over those of these that the condemned had claimed: the fencing number rises.

    They may have handed them over. What has had its one repeat is not sent again, but ends.
    """
    values = {"worker": worker, "pushes": list(pushes)}
    await session.execute(END_REPEATED, values)
    return await _claimed(session, CLAIM_ORPHANS, values | {"limit": len(pushes)})


REASSERT = text("""
    UPDATE pushes p SET state = 'sending', claimed_by = :worker, fence = c.fence,
        attempts = attempts + 1
    FROM unnest(CAST(:pushes AS uuid[]), CAST(:fences AS integer[])) AS c(id, fence)
    WHERE p.id IN (
        SELECT id FROM pushes WHERE id = ANY(CAST(:pushes AS uuid[])) AND state = 'pending'
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ) AND p.id = c.id AND p.state = 'pending' AND p.claimed_by IS NULL AND p.fence = c.fence - 1
        AND (SELECT dead_at IS NULL FROM workers WHERE id = :worker)
""")


async def reassert(session: Connection, worker: UUID, held: Sequence[Claim]) -> None:
    """Say again what this worker has claimed, where a crash of the database took it back."""
    await session.execute(REASSERT, {"worker": worker} | lists(held))


LOOK = planned_once(f"""
    WITH c AS (
        SELECT * FROM unnest(CAST(:pushes AS uuid[]), CAST(:fences AS integer[]))
            AS c(id, fence)
    ), marked AS (
        UPDATE pushes SET repeated = true WHERE id IN (
            SELECT id FROM pushes WHERE id = ANY(CAST(:marks AS uuid[]))
                AND (id, fence) IN (SELECT * FROM c) AND {MINE} AND inherited AND NOT repeated
            ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
        ) AND {MINE}
        RETURNING id
    )
    SELECT p.id, marked.id IS NOT NULL AS marked, {STANDING}
    FROM c JOIN pushes p USING (id) LEFT JOIN marked USING (id) {RING_OF_PUSH}
    WHERE p.fence = c.fence AND p.claimed_by = :worker AND p.state = 'sending'
""")  # noqa: S608  (constants)


async def look(
    session: Connection, worker: UUID, held: Sequence[Claim], marks: Sequence[UUID]
) -> dict[UUID, Look]:
    """Whether these claims still hold and their pushes are still wanted, by push, as a claim says.

    `marks`: inherited ones that are about to have their repeat; `marked` says that this is noted.
    """
    values = {"worker": worker, "marks": list(marks)} | lists(held)
    return {look.id: look for look in await read(session, LOOK, Look, values)}


def lists(claims: Sequence[Claim]) -> dict[str, object]:
    """Claims as the two arrays that statements take."""
    return {"pushes": [push for push, _ in claims], "fences": [fence for _, fence in claims]}
