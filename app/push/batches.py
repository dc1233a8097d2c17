"""A group's pushes that ring, by the fifty in one row: written, and left by places one by one.

A place stands for the row of `pushes` that the view `places` shows of it. It may leave whenever its
batch's row can be locked: that very row is inserted, and what is asked of either is the same before
and after. So a batch holds only what is written, claimed once and taken at its first try; all else
leaves first, and then is what any push is.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text

from app.infra.arrays import as_array
from app.infra.db import Connection, Insert, Joined, Row, many, one
from app.infra.ids import uuid7_hexes
from app.push.models import PushBatch

BATCHED_FROM: Final = 10
"""Rings of a call that one transaction begins, from which on their pushes are batched."""

PLACES: Final = 50
"""Pushes in one batch at most; a bit each in a bigint."""

IN_BATCHES = Joined(
    "",
    # arrays by a SELECT of their own: else it is planned anew for each length
    source="""
        SELECT u.*, (SELECT CAST(:rows{n}_calls AS uuid[]))[u.batch] AS session_id,
            (SELECT CAST(:rows{n}_tenants AS uuid[]))[u.batch] AS tenant_id,
            (SELECT CAST(:rows{n}_deadlines AS timestamptz[]))[u.batch] AS deadline,
            CAST(:rows{n}_now AS timestamptz) AS created_at
        FROM unnest((SELECT CAST(CAST(:rows{n}_ids AS text) AS uuid[])),
            (SELECT CAST(CAST(:rows{n}_rings AS text) AS uuid[])),
            (SELECT CAST(:rows{n}_tokens AS uuid[])),
            (SELECT CAST(CAST(:rows{n}_users AS text) AS text[])),
            (SELECT CAST(CAST(:rows{n}_batches AS text) AS integer[]))
        ) AS u(id, ring, token_id, user_id, batch)
    """,
    instead="""
        INSERT INTO push_batches (id, session_id, tenant_id, kind, app_id, environment, created_at,
            due_at, deadline, push_ids, rings, token_ids, device_rows, users, tokens,
            token_registered_at, token_versions, open_bits)
        SELECT (array_agg(o.id))[1], o.session_id, o.tenant_id, o.kind, o.app_id, o.environment,
            o.created_at, o.created_at, o.deadline, array_agg(o.id), array_agg(o.ring),
            array_agg(o.token_id), array_agg(o.device_row), array_agg(o.user_id),
            array_agg(o.token), array_agg(o.registered_at), array_agg(o.version),
            (CAST(1 AS bigint) << CAST(count(*) AS integer)) - 1
        FROM (
            SELECT r.*, t.device_row, t.kind, t.app_id, t.environment, t.token, t.registered_at,
                t.version
            FROM {rows} JOIN LATERAL (SELECT * FROM tokens t WHERE t.id = r.token_id LIMIT 1) t
                ON t.tenant_id = r.tenant_id AND t.user_id = r.user_id
        ) o
        GROUP BY o.batch, o.kind, o.app_id, o.environment, o.session_id, o.tenant_id, o.created_at,
            o.deadline
    """,
)
"""Arrays as `in_batches` makes them, of rings that begin in this transaction: so nobody has written
a push of them before. What a token is counts as it is now, so a batch may become two."""

ALL_READ = text("""
    SELECT coalesce(bool_and(batches), false) AS all_read FROM workers
    WHERE alive_until > clock_timestamp() AND dead_at IS NULL
        AND "only" IS DISTINCT FROM 'webhooks'
""")


async def batched(
    session: Connection, begun: Mapping[UUID, int], *, all_read: bool | None = None
) -> frozenset[UUID]:
    """Those of these calls whose pushes go in batches; `begun`: of how many rings each.

    None, while a worker lives that takes none: one of a release before, or told not to. `all_read`:
    whether all take them, where this transaction has asked (ALL_READ).
    """
    large = frozenset(call for call, rings in begun.items() if rings >= BATCHED_FROM)
    if large and all_read is None:
        row = await one(session, ALL_READ)
        all_read = row is not None and row["all_read"]
    return large if all_read else frozenset()


OfCall = tuple[UUID, UUID, datetime]
"""Tenant and call of rings, and until when they ring."""

Place = tuple[UUID, UUID, str]
"""A push by its ring, its token and its user."""


def in_batches(pushes: Mapping[OfCall, Iterable[Sequence[Place]]], now: datetime) -> Insert:
    """Pushes that ring, those together that may lie in one batch, to be written in batches.

    As an array for each column: of hundreds a server reads that in a quarter of the time that JSON
    takes, and numbers of batches that are given need no window over the rows. As text, but for
    tokens: what the driver has read as ids it writes as fast.
    """
    calls, numbers, places = list[OfCall](), list[int](), list[Place]()
    for of_call, alike in pushes.items():
        for group in alike:
            for start in range(0, len(group), PLACES):
                some = group[start : start + PLACES]
                calls.append(of_call)
                numbers += [len(calls)] * len(some)
                places += some
    tenants, sessions, deadlines = zip(*calls, strict=True)
    rings, tokens, users = zip(*places, strict=True)
    arrays = {
        "calls": sessions, "tenants": tenants, "deadlines": deadlines, "now": now,
        "ids": as_array(uuid7_hexes(len(places))), "rings": as_array(rings), "tokens": tokens,
        "users": as_array(users), "batches": as_array(numbers),
    }  # fmt: skip
    return Insert(PushBatch.__table__, [arrays], "", IN_BATCHES)


# What is locked is the newest version of a row, and only what is read of it counts.
LEAVE = """
    WITH b AS (
        SELECT * FROM push_batches WHERE {which} ORDER BY id FOR NO KEY UPDATE {wait}
    ), u AS (
        SELECT b.id AS batch, CAST(1 AS bigint) << p.nth AS mask,
            b.accepted_bits >> p.nth & 1 = 1 AS taken, u.*
        FROM b CROSS JOIN LATERAL unnest(
            b.push_ids, b.rings, b.token_ids, b.device_rows, b.users, b.tokens,
            b.token_registered_at, b.token_versions, b.sent_ms, b.answered_ms
        ) WITH ORDINALITY AS u(id, ring, token_id, device_row, user_id, token,
            token_registered_at, token_version, sent_ms, answered_ms, place)
        CROSS JOIN LATERAL (SELECT CAST(u.place - 1 AS integer) AS nth) p
        WHERE (b.open_bits | b.accepted_bits) >> p.nth & 1 = 1 AND {places}
    ), gone AS (
        UPDATE push_batches p SET open_bits = p.open_bits & ~m.bits,
            accepted_bits = p.accepted_bits & ~m.bits,
            done_at = CASE WHEN p.open_bits & ~m.bits = 0
                THEN coalesce(p.done_at, clock_timestamp()) END
        FROM (SELECT batch, bit_or(mask) AS bits FROM u GROUP BY batch) m
        WHERE p.id = m.batch
    ), made AS (
        INSERT INTO pushes (id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose,
            kind, app_id, environment, token, token_registered_at, token_version, created_at,
            deadline, state, is_open, due_at, claimed_by, fence, attempts, status, sent_at,
            answered_at)
        SELECT u.id, u.ring, b.session_id, b.tenant_id, u.user_id, u.device_row, u.token_id, 'ring',
            b.kind, b.app_id, b.environment, u.token, u.token_registered_at, u.token_version,
            b.created_at, b.deadline,
            CASE WHEN u.taken THEN 'accepted' WHEN b.claimed_by IS NULL THEN 'pending'
                ELSE 'sending' END,
            NOT u.taken, b.due_at, b.claimed_by, b.fence, b.fence, CASE WHEN u.taken THEN 200 END,
            b.created_at + u.sent_ms * interval '1 millisecond',
            b.created_at + u.answered_ms * interval '1 millisecond'
        FROM u JOIN b ON b.id = u.batch
        ON CONFLICT DO NOTHING
    )
    {answer}
"""
OPEN = "b.open_bits >> p.nth & 1 = 1"


def _leaving(which: str, places: str, *, wait: str = "", answer: str = "SELECT 1") -> TextClause:
    """Those `places` leave of the batches of `which`."""
    return text(LEAVE.format(which=which, places=places, wait=wait, answer=answer))


OF_RINGS = _leaving(
    which="session_id = ANY(CAST(:calls AS uuid[])) AND done_at IS NULL AND claimed_by IS NULL "
    "AND rings && CAST(:rings AS uuid[])",
    places=f"u.ring = ANY(CAST(:rings AS uuid[])) AND {OPEN}",
)
UNCLAIMED = """
    done_at IS NULL AND claimed_by IS NULL AND tenant_id = :tenant
        AND token_ids && CAST(:tokens AS uuid[])
"""
OF_TOKENS = _leaving(
    which=UNCLAIMED,
    places=f"u.token_id = ANY(CAST(:tokens AS uuid[])) AND {OPEN}",
)
# Asked first, as it is nearly always none: who registers holds a user meanwhile.
WAITING = text(f"SELECT EXISTS (SELECT FROM push_batches WHERE {UNCLAIMED}) AS any")  # noqa: S608
OF_DEVICE = _leaving(
    which="session_id = :call AND CAST(:ring AS uuid) = ANY(rings)",
    places="""u.ring = :ring AND CAST(:device AS text) IN (
        CAST(u.device_row AS text),
        (SELECT d.device_id FROM devices d WHERE d.id = u.device_row)
    )""",
)
WHOLLY = _leaving(
    which="id = ANY(CAST(:batches AS uuid[]))",
    places=OPEN,
    wait="SKIP LOCKED",
    answer="SELECT u.id FROM u",
)
BY_ID = _leaving(
    which="id = ANY(CAST(:batches AS uuid[]))",
    places="u.id = ANY(CAST(:pushes AS uuid[]))",
    wait="SKIP LOCKED",
    answer="""
        SELECT w.push FROM unnest(CAST(:pushes AS uuid[]), CAST(:batches AS uuid[]))
            AS w(push, batch)
        LEFT JOIN b ON b.id = w.batch
        WHERE b.id IS NOT NULL
            OR NOT EXISTS (SELECT FROM push_batches o WHERE o.id = w.batch)
    """,
)


async def leave_rings(session: Connection, calls: Sequence[UUID], rings: Sequence[UUID]) -> None:
    """What nobody has claimed for these rings, of these calls which are held, leaves its batch."""
    await session.execute(OF_RINGS, {"calls": list(calls), "rings": list(rings)})


async def leave_tokens(session: Connection, tenant_id: UUID, tokens: Sequence[UUID]) -> None:
    """What nobody has claimed for these tokens leaves its batch."""
    values = {"tenant": tenant_id, "tokens": list(tokens)}
    waiting = await one(session, WAITING, values)
    if waiting is not None and waiting["any"]:
        await session.execute(OF_TOKENS, values)


async def leave_device(session: Connection, call: UUID, ring: UUID, device: UUID | str) -> None:
    """What a device, by its row or the app's own id, has of a ring leaves its batch, sent or not:
    there is more to be said of it."""
    await session.execute(OF_DEVICE, {"call": call, "ring": ring, "device": str(device)})


async def leave_wholly(session: Connection, batches: Sequence[UUID]) -> list[UUID]:
    """What is open leaves these batches, but those that somebody holds; returns what has left."""
    return [row[0] for row in await session.execute(WHOLLY, {"batches": list(batches)})]


async def leave(session: Connection, places: Mapping[UUID, UUID]) -> set[UUID]:
    """These pushes leave their batches; returns those that have, now or before, or are no more.

    The others are in a batch that another transaction has locked.
    """
    values = {"pushes": list(places), "batches": list(places.values())}
    return {row[0] for row in await session.execute(BY_ID, values)}


WRITTEN = text("""
    SELECT ring, token_id FROM places WHERE session_id = ANY(CAST(:calls AS uuid[]))
""")


async def written(session: Connection, calls: Collection[UUID]) -> set[tuple[UUID, UUID]]:
    """For which (ring, token) these calls, which are held, have pushes in batches."""
    rows = await many(session, WRITTEN, {"calls": list(calls)})
    return {(row["ring"], row["token_id"]) for row in rows}


BURY_OPEN = _leaving(
    which="session_id = ANY(CAST(:calls AS uuid[])) AND done_at IS NULL "
    "AND tenant_id = :tenant AND CAST(:user AS text) = ANY(users)",
    places=f"u.user_id = :user AND {OPEN}",
)
BURY = text("""
    UPDATE push_batches b SET users = array_replace(b.users, :user, :tombstone), tokens = (
        SELECT array_agg(CASE WHEN u.user_id = :user THEN '' ELSE u.token END ORDER BY u.place)
        FROM unnest(b.users, b.tokens) WITH ORDINALITY AS u(user_id, token, place))
    WHERE b.session_id = ANY(CAST(:calls AS uuid[])) AND b.tenant_id = :tenant
        AND CAST(:user AS text) = ANY(b.users)
""")


async def bury(session: Connection, erased: Row, calls: Sequence[UUID]) -> None:
    """Take an erased user and their tokens out of the batches of these calls.

    What is open leaves first: the pushes' own burying ends it.
    """
    if not calls:
        return
    values = {name: erased[name] for name in ("tenant", "user")} | {"calls": list(calls)}
    await session.execute(BURY_OPEN, values)
    await session.execute(BURY, values | {"tombstone": erased["tombstone"]})
