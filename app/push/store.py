"""Rows of pushes, attempts and workers."""

from collections.abc import Sequence, Set
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from app import senders
from app.core.frozen import frozen
from app.core.push import Purpose, PushReason
from app.infra.db import Connection, insert_all, many, one
from app.infra.ids import uuid7
from app.infra.push_hints import HintOf, PushHint
from app.infra.row_values import RowValue, read
from app.infra.statements import answer, planned_once
from app.push import batches
from app.push.claimed import OVER, RingRow
from app.push.claims import CALL
from app.push.life import FRESH
from app.push.new_pushes import NewStop, new_pushes
from app.push.targets import of_ring, of_rings
from app.push.tokens import REPEATED, live

STOP_LATER = FRESH + 0.1
"""Seconds from the settle to the stop of a push that is in a worker's hands: its commit, and what
may begin for a moment after it."""


DROP_RINGS = planned_once("""
    UPDATE pushes SET state = CASE WHEN inherited THEN 'expired' ELSE 'dropped' END,
        is_open = false,
        reason = CASE WHEN inherited THEN 'unknown' ELSE 'ring_settled' END
    WHERE id IN (
        SELECT id FROM pushes
        WHERE ring = ANY(CAST(:rings AS uuid[])) AND state = 'pending' AND purpose <> 'stop'
        ORDER BY id FOR NO KEY UPDATE
    ) AND state = 'pending'
""")


async def drop_unsent(
    session: Connection, rings: Sequence[UUID], large: Sequence[UUID] = ()
) -> None:
    """Drop what has not been sent for rings that settle in this transaction.

    `large`: those of their calls that may have pushes in batches.

    What was inherited may have rung its phone: it is not dropped, it ends unknown. A claimed push
    is its worker's to end.
    """
    if large:
        await batches.leave_rings(session, large, rings)
    await answer(session, DROP_RINGS, {"rings": list(rings)})


REPORT = """
    UPDATE pushes p SET {column} = :now
    WHERE p.ring = :ring AND p.purpose = 'ring' AND p.{column} IS NULL AND {device}
    RETURNING p.id
"""
BY_ROW = "p.device_row = :device"
BY_ID = "EXISTS (SELECT FROM devices d WHERE d.id = p.device_row AND d.device_id = :device)"
REPORTED = {
    (column, by): text(REPORT.format(column=column, device=by))
    for column in ("delivered_at", "unavailable_at", "declined_at")
    for by in (BY_ROW, BY_ID)
}
OTHERS_RING = text(f"""
    SELECT EXISTS (
        SELECT FROM rings r CROSS JOIN LATERAL (
            SELECT * FROM targets p WHERE {of_ring("p", "r.uuid", "r.session_id")} OFFSET 0
        ) p CROSS JOIN LATERAL (SELECT * FROM devices WHERE id = p.device_row OFFSET 0) d
        WHERE r.uuid = :ring AND p.purpose = 'ring' AND p.declined_at IS NULL
            AND p.unavailable_at IS NULL AND p.state IN ('pending', 'sending', 'accepted')
            AND d.device_id <> :device
    ) AS others
""")  # noqa: S608  (constants)


async def note_report(
    session: Connection,
    ring: UUID,
    device: UUID | str,
    now: datetime,
    *,
    delivered: bool,
    large: UUID | None = None,
) -> bool:
    """Note what a device, by its row or the app's own id, says of a ring's push.

    `large`: the ring's call, if it may have pushes in batches. False when it has said so before,
    or had none.
    """
    if large is not None:
        await batches.leave_device(session, large, ring, device)
    column = "delivered_at" if delivered else "unavailable_at"
    statement = REPORTED[column, BY_ROW if isinstance(device, UUID) else BY_ID]
    values = {"ring": ring, "device": device, "now": now}
    return bool(await many(session, statement, values))


DROP_REPEATS = text("""
    UPDATE pushes SET state = 'dropped', is_open = false, reason = 'ring_settled'
    WHERE id IN (
        SELECT p.id FROM pushes p JOIN devices d ON d.id = p.device_row AND d.device_id = :device
        WHERE p.ring = :ring AND p.purpose LIKE 'again %' AND p.state = 'pending'
            AND NOT p.inherited
        ORDER BY p.id FOR NO KEY UPDATE OF p
    ) AND state = 'pending'
""")


async def note_declined(
    session: Connection, ring: UUID, device_id: str, now: datetime, *, large: UUID | None = None
) -> bool:
    """Note that a device, by the app's own id, has declined for itself; False if it has before.

    It is not rung again. `large`: the ring's call, if it may have pushes in batches.
    """
    if large is not None:
        await batches.leave_device(session, large, ring, device_id)
    values = {"ring": ring, "device": device_id, "now": now}
    await session.execute(DROP_REPEATS, {"ring": ring, "device": device_id})
    return bool(await many(session, REPORTED["declined_at", BY_ID], values))


DECLINED = text("""
    SELECT p.ring, d.device_id FROM pushes p JOIN devices d ON d.id = p.device_row
    WHERE p.ring = ANY(CAST(:rings AS uuid[])) AND p.purpose = 'ring' AND p.declined_at IS NOT NULL
    ORDER BY d.device_id
""")


async def declined_on(session: Connection, rings: Sequence[UUID]) -> dict[UUID, list[str]]:
    """Of each of these rings the devices, by the app's own ids, that have declined for themselves.

    A push that was in a batch has left it then.
    """
    found: dict[UUID, list[str]] = {}
    for row in await many(session, DECLINED, {"rings": list(rings)}):
        found.setdefault(row["ring"], []).append(row["device_id"])
    return found


async def others_ring(session: Connection, ring: UUID, device_id: str) -> bool:
    """Whether another device still rings, or is to, as far as is known."""
    row = await one(session, OTHERS_RING, {"ring": ring, "device": device_id})
    return row is not None and bool(row["others"])


DROP_TOKENS = text("""
    UPDATE pushes SET state = CASE WHEN inherited THEN 'expired' ELSE 'dropped' END,
        is_open = false,
        reason = CASE WHEN inherited THEN 'unknown' ELSE :why END
    WHERE id IN (
        SELECT id FROM pushes
        WHERE token_id = ANY(CAST(:tokens AS uuid[])) AND tenant_id = :tenant
            AND is_open AND state = 'pending' AND purpose <> 'stop'
        ORDER BY id FOR NO KEY UPDATE
    ) AND state = 'pending'
""")


async def drop_for_tokens(
    session: Connection, tenant_id: UUID, tokens: Sequence[UUID], why: PushReason
) -> None:
    """Drop unsent pushes to tokens that change hands or go.

    One that is claimed at this moment is not seen here: what it claims says `owned` false.
    """
    await batches.leave_tokens(session, tenant_id, tokens)
    await session.execute(DROP_TOKENS, {"tenant": tenant_id, "tokens": list(tokens), "why": why})


STOP_LIVES = timedelta(seconds=30)
"""How long a stop is worth sending: iOS itself ends an unanswered call after 30 to 60 s."""

MISSED_LIVES = timedelta(minutes=5)
"""How long it is tried to say that a call was missed."""

ENDED_HERE = 2
"""CallKit's reason for a device that is taken out of a ring which may go on elsewhere."""


@frozen
class StopTarget(RowValue):
    """Where a stop goes; `in_hand`: a worker has the push that rang there at this moment.

    `shown`: it rang by notifications, of which this one is the last. `replaced`: what says that
    the call was missed takes the place of the stop, where that is to be said there.
    """

    ring: UUID
    session_id: UUID
    tenant_id: UUID
    user_id: str
    callkit_reason: int
    token_id: UUID
    in_hand: bool
    shown: bool
    replaced: bool

    @property
    def is_missed(self) -> bool:
        """Whether the last notification says that the call was missed."""
        return self.shown and self.callkit_reason not in OVER


_SHOWN = ", ".join(f"'{kind}'" for kind in sorted(senders.SHOWN_KINDS))
_LADDER = ", ".join(f"('{ring}', '{stop}')" for ring, stop in sorted(senders.STOP_KINDS.items()))
STOPPED_BY = f"""
    (p.kind, t.kind) IN ({_LADDER}) AND (t.kind <> p.kind OR t.id = p.token_id)
        OR t.id = p.token_id AND CAST(n.settings ->> 'voip_stops' AS boolean) AND NOT EXISTS (
            SELECT FROM tokens a
            WHERE a.device_row = t.device_row AND a.app_id = p.app_id AND a.kind = 'alert'
                AND {live("a")})
"""
"""Whether the token `t` is told to stop what the push `p` rang: by the sender's own ladder."""

# OFFSET 0: in this order whatever the statistics say. Where the tokens came first, each of hundreds
# of rings that had ended was compared with each of the others, for each token there was.
STOPS = planned_once(f"""
    SELECT p.ring, p.session_id, p.tenant_id, p.user_id, p.why AS callkit_reason, t.id AS token_id,
        p.state = 'sending' AS in_hand, p.kind IN ({REPEATED}) AS shown,
        t.kind IN ({_SHOWN}) AS replaced
    FROM (SELECT s.callkit_reason AS why, s.spared, p.*
        FROM unnest(CAST(:rings AS uuid[]), CAST(:callkit_reasons AS integer[]),
            CAST(:spared AS text[])) AS s(ring, callkit_reason, spared)
        JOIN (SELECT * FROM targets p WHERE {of_rings("p", "CAST(:rings AS uuid[])")}
            AND p.purpose = 'ring' AND p.attempts > 0 AND p.state <> 'refused' OFFSET 0
        ) p USING (ring) OFFSET 0) p
    CROSS JOIN LATERAL (SELECT * FROM devices WHERE id = p.device_row OFFSET 0) d
    CROSS JOIN LATERAL (SELECT * FROM tokens t WHERE t.device_row = d.id AND t.app_id = p.app_id
        AND {live("t")} OFFSET 0) t
    JOIN tenants n ON n.id = p.tenant_id
    WHERE d.device_id IS DISTINCT FROM p.spared
        AND ({STOPPED_BY} OR p.kind IN ({REPEATED}) AND t.id = p.token_id)
""")  # noqa: S608  (constants)


async def stop_targets(
    session: Connection, stops: Sequence[tuple[UUID, int, str | None]]
) -> list[StopTarget]:
    """Where a stop goes for each (ring, CallKit reason, spared device): to alert tokens.

    To a device that has none it goes by VoIP push, if the tenant has turned that on.
    """
    values = {
        "rings": [stop[0] for stop in stops],
        "callkit_reasons": [stop[1] for stop in stops],
        "spared": [stop[2] for stop in stops],
    }
    return await read(session, STOPS, StopTarget, values)


ENDING = text(f"""
    SELECT DISTINCT p.ring, p.session_id, p.tenant_id, p.user_id,
        CAST(:callkit_reason AS integer) AS callkit_reason,
        t.id AS token_id, p.state = 'sending' AS in_hand, false AS shown, false AS replaced
    FROM unnest(CAST(:users AS text[])) AS u(user_id)
    JOIN rings r ON r.tenant_id = :tenant AND r.user_id = u.user_id AND r.outcome IS NULL
        AND r.deadline > clock_timestamp()
    CROSS JOIN LATERAL (
        SELECT * FROM targets p
        WHERE {of_ring("p", "r.uuid", "r.session_id")} AND p.purpose = 'ring' AND p.attempts > 0
            AND p.state <> 'refused' AND (p.state <> 'pending' OR p.status IS NULL)
            AND (p.device_row = ANY(CAST(:devices AS uuid[]))
                 OR p.token_id = ANY(CAST(:tokens AS uuid[])))
        OFFSET 0
    ) p
    JOIN tokens t ON t.device_row = p.device_row AND t.app_id = p.app_id
        AND {live("t")}
    JOIN tenants n ON n.id = p.tenant_id
    WHERE {STOPPED_BY}
""")  # noqa: S608  (constants)


async def stop_ending(
    session: Connection,
    tenant_id: UUID,
    users: Sequence[str],
    devices: Sequence[UUID],
    tokens: Sequence[UUID],
    now: datetime,
) -> list[PushHint]:
    """Stop what rings on devices (or tokens) of these users that are about to go.

    Returns hints of the stops to be sent.

    Comes before they go: afterwards nothing says where a stop can be sent.
    """
    values = {"tenant": tenant_id, "users": list(users), "callkit_reason": ENDED_HERE}
    values |= {"devices": list(devices), "tokens": list(tokens)}
    return await add_stops(session, await read(session, ENDING, StopTarget, values), now)


async def add_stops(
    session: Connection,
    targets: Sequence[StopTarget],
    now: datetime,
    missed: Set[tuple[UUID, UUID]] = frozenset(),
) -> list[PushHint]:
    """Write the stops of these targets; returns hints of them.

    `missed` are the (ring, token) to which it is said besides that the call was missed.

    A push that a worker has in hand may still be handed over for a moment: its stop is due later.
    """
    later = now + timedelta(seconds=STOP_LATER)
    purposes = [_stop_purpose(target, missed) for target in targets]
    rows: list[NewStop] = [
        {
            "id": uuid7(),
            "ring": target.ring,
            "session_id": target.session_id,
            "tenant_id": target.tenant_id,
            "user_id": target.user_id,
            "token_id": target.token_id,
            "purpose": purpose,
            "callkit_reason": target.callkit_reason,
            "created_at": now,
            "due_at": later if target.in_hand else now,
            "deadline": now + (MISSED_LIVES if purpose is Purpose.MISSED else STOP_LIVES),
        }
        for target, purpose in zip(targets, purposes, strict=True)
    ]
    await insert_all(session, [new_pushes(rows)])
    told = {(HintOf.LATER if one.in_hand else HintOf.STOP, one.ring) for one in targets}
    return [PushHint(of, ring) for of, ring in sorted(told, key=lambda one: one[1])]


def _stop_purpose(target: StopTarget, missed: Set[tuple[UUID, UUID]]) -> Purpose:
    if target.is_missed or (target.replaced and (target.ring, target.token_id) in missed):
        return Purpose.MISSED
    return Purpose.OVER if target.shown else Purpose.STOP


FACTS = text(f"""
    SELECT r.uuid AS ring, r.user_id, r.created_at AS ring_created_at,
           r.deadline AS ring_deadline, ({CALL} WHERE c.id = r.session_id) AS call
    FROM rings r WHERE r.uuid = :ring
""")  # noqa: S608  (constants)


async def facts(session: Connection, ring: UUID) -> RingRow | None:
    """What the payloads of a ring say: as a claim gives it with the first push of its call."""
    return next(iter(await read(session, FACTS, RingRow, {"ring": ring})), None)
