"""Notifications that a phone's system shows by itself: whom they go to, and the number on the app.

They are pushes as any other, one to each device, at its best address of those that show them.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from app import senders
from app.core.frozen import frozen
from app.core.push import Purpose
from app.infra.db import Connection, insert_all, many
from app.infra.ids import uuid7
from app.infra.row_values import RowValue, read
from app.infra.statements import planned_once
from app.push.new_pushes import NewRepeat, NewRing, new_pushes
from app.push.store import MISSED_LIVES
from app.push.tokens import User, live

COUNTED = 100
"""Newest calls of a user among which unseen missed ones are counted for a badge."""

MISSED = """(m.role = 'callee' AND (m.state = 'missed'
    OR m.state = 'unreachable' AND c.ended_at IS NOT NULL))"""
"""Of a member `m` of a call `c`: whether it is a missed call."""

_KINDS = ", ".join(f"'{kind}'" for kind in senders.ALERT_KINDS)


def _shows(t: str) -> str:
    """SQL: whether the token `t` shows a notification: live, of such a kind, its device not off."""
    return f"({t}.kind IN ({_KINDS}) AND {t}.rings AND {live(t)})"


def _rank(t: str) -> str:
    return f"array_position(ARRAY[{_KINDS}], {t}.kind)"


# The last condition is asked once, and first: most tenants say nothing. Then look-ups by key,
# whatever the statistics say.
TARGETS = planned_once(f"""
    SELECT r.uuid AS ring, r.session_id, r.tenant_id, r.user_id, r.deadline, t.id AS token_id
    FROM unnest(CAST(:rings AS uuid[])) AS w(uuid)
    CROSS JOIN LATERAL (SELECT * FROM rings WHERE uuid = w.uuid OFFSET 0) r
    CROSS JOIN LATERAL (
        SELECT FROM tenants n, calls c
        WHERE n.id = r.tenant_id AND c.id = r.session_id
            AND jsonb_typeof(
                n.settings #> ARRAY['notifications', c.type, CAST(:event AS text)]) = 'object'
        OFFSET 0
    ) said
    CROSS JOIN LATERAL (
        SELECT t.id FROM tokens t
        WHERE t.tenant_id = r.tenant_id AND t.user_id = r.user_id AND {_shows("t")}
            AND NOT EXISTS (
                SELECT FROM tokens o WHERE o.device_row = t.device_row AND {_shows("o")}
                    AND {_rank("o")} < {_rank("t")})
        OFFSET 0
    ) t
    WHERE EXISTS (
        SELECT FROM tenants WHERE id = ANY(CAST(:tenants AS uuid[])) AND settings ? 'notifications')
""")  # noqa: S608  (constants)
UNSEEN = text(f"""
    SELECT w.tenant_id, w.user_id, (
        SELECT count(*) FROM (
            SELECT session_id, role, state, ring FROM members
            WHERE tenant_id = w.tenant_id AND user_id = w.user_id
                AND suppressed IS DISTINCT FROM 'blocked'
            ORDER BY session_id DESC LIMIT {COUNTED}
        ) m CROSS JOIN LATERAL (SELECT ended_at FROM calls WHERE id = m.session_id OFFSET 0) c
        LEFT JOIN LATERAL (SELECT settled_at FROM rings WHERE uuid = m.ring OFFSET 0) r ON true
        WHERE {MISSED}
            AND (s.seen_at IS NULL OR coalesce(r.settled_at, c.ended_at) > s.seen_at)
    ) AS unseen
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
    LEFT JOIN seen_marks s ON s.tenant_id = w.tenant_id AND s.user_id = w.user_id
""")  # noqa: S608  (constants)


LOCALES = text("""
    SELECT id, locale FROM devices WHERE id = ANY(CAST(:ids AS uuid[])) AND locale IS NOT NULL
""")


@frozen
class Target(RowValue):
    """Where a notification of a ring goes."""

    ring: UUID
    session_id: UUID
    tenant_id: UUID
    user_id: str
    deadline: datetime
    token_id: UUID


async def targets(
    session: Connection, rings: Sequence[tuple[UUID, UUID]], purpose: Purpose
) -> list[Target]:
    """Where notifications of these (tenant, ring) go, if the tenant says what one says."""
    if not rings:
        return []
    tenants, uuids = zip(*rings, strict=True)
    values = {"tenants": list(set(tenants)), "rings": list(uuids), "event": purpose.value}
    return await read(session, TARGETS, Target, values)


async def add(
    session: Connection, found: Sequence[Target], purpose: Purpose, now: datetime
) -> list[UUID]:
    """Write the notifications that go there, those that are not yet; returns their rings."""
    if not found:
        return []
    rows: list[NewRing] = [
        {
            "id": uuid7(),
            "ring": target.ring,
            "session_id": target.session_id,
            "tenant_id": target.tenant_id,
            "user_id": target.user_id,
            "token_id": target.token_id,
            "purpose": purpose,
            "created_at": now,
            "deadline": now + MISSED_LIVES if purpose is Purpose.MISSED else target.deadline,
        }
        for target in found
    ]
    await insert_all(session, [new_pushes(rows)])
    return sorted({target.ring for target in found})


def repeats(ring: NewRing, every: float) -> list[NewRepeat]:
    """The notifications that ring a device again, each good until the next one.

    From where this device began to ring, which may be later than its ring did. Whoever writes them
    later writes no more numbers than there are.
    """
    step, rows, number = timedelta(seconds=every), list[NewRepeat](), 1
    while (due := ring["created_at"] + number * step) < ring["deadline"]:
        number += 1
        row: NewRepeat = {
            **ring,
            "id": uuid7(),
            "purpose": f"{Purpose.AGAIN.value} {number}",
            "due_at": due,
            "deadline": min(due + step, ring["deadline"]),
        }
        rows.append(row)
    return rows


async def unseen(session: Connection, users: Collection[User]) -> dict[User, int]:
    """How many of each user's newest calls were missed and have not been seen."""
    ordered = sorted(users)
    values = {"tenants": [one[0] for one in ordered], "users": [one[1] for one in ordered]}
    rows = await many(session, UNSEEN, values)
    return {(row["tenant_id"], row["user_id"]): row["unseen"] for row in rows}


async def locales(session: Connection, devices: Collection[UUID]) -> dict[UUID, str]:
    """In which language each of these devices is, of those that say."""
    rows = await many(session, LOCALES, {"ids": list(devices)})
    return {row["id"]: row["locale"] for row in rows}
