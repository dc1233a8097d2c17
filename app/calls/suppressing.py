"""Which callees of a ring are not to be rung: their preferences and blocks, looked up set-wise."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text

from app.audit.log import SERVER, About, record_all
from app.calls.apply import Change
from app.core.suppression import REPEAT_WITHIN, Why, why_suppressed
from app.infra.db import Connection, many
from app.infra.ids import least_uuid7
from app.infra.observe import SUPPRESSED
from app.users.schemas import preferences_of
from app.users.store import OF_PAIRS

Pair = tuple[UUID, str, str, str]
"""(tenant, callee, caller, call type)."""

RULES = text(f"""
    SELECT w.tenant_id, w.callee, w.caller, w.type, p.settings, b.user_id IS NOT NULL AS blocked,
           p.settings #>> '{{exceptions,repeat}}' = 'true' AND EXISTS (
               SELECT FROM members m JOIN calls c ON c.id = m.session_id
               WHERE m.tenant_id = w.tenant_id AND m.user_id = w.callee
                   AND m.session_id > :since AND c.caller_id = w.caller) AS repeated
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:callees AS text[]), CAST(:callers AS text[]),
                CAST(:types AS text[])) AS w(tenant_id, callee, caller, type)
    {OF_PAIRS}
    WHERE p.user_id IS NOT NULL OR b.user_id IS NOT NULL
""")  # noqa: S608  (constants)

# their screen would show the blocked one as who calls, whoever rings
BLOCK_CALLER = text("""
    SELECT b.user_id FROM calls c
    JOIN blocks b ON b.tenant_id = c.tenant_id AND b.user_id = ANY(CAST(:callees AS text[]))
        AND b.blocked_id = c.caller_id
    WHERE c.id = :session
""")


async def suppressed(
    session: Connection, pairs: Collection[Pair], now: datetime
) -> dict[Pair, Why]:
    """Those of these that are not to be rung at `now`, and why."""
    ordered = sorted(set(pairs))
    values = {
        "tenants": [one[0] for one in ordered],
        "callees": [one[1] for one in ordered],
        "callers": [one[2] for one in ordered],
        "types": [one[3] for one in ordered],
        "since": least_uuid7(now - timedelta(seconds=REPEAT_WITHIN)),
    }
    found = {}
    for row in await many(session, RULES, values):
        why = why_suppressed(
            preferences_of(row["settings"]),
            caller=row["caller"],
            call_type=row["type"],
            now=now,
            blocked=row["blocked"],
            repeated=bool(row["repeated"]),
        )
        if why is not None:
            found[row["tenant_id"], row["callee"], row["caller"], row["type"]] = why
    return found


async def suppressed_in(
    session: Connection, session_id: UUID, pairs: Collection[Pair], now: datetime
) -> dict[Pair, Why]:
    """The same for who is rung into a live call, by one of its members: a block of the call's own
    caller counts as one of that member."""
    found = await suppressed(session, pairs, now)
    values = {"session": session_id, "callees": [one[1] for one in pairs]}
    blocking = {row["user_id"] for row in await many(session, BLOCK_CALLER, values)}
    return found | {one: Why.BLOCKED for one in pairs if one[1] in blocking}


async def record_suppressed(session: Connection, changes: Sequence[Change]) -> None:
    """A line in the audit log for each callee of these rings that is not rung, set-wise."""
    lines = [
        About(
            change.stored.tenant_id,
            "ring.suppress",
            f"call:{change.decision.call.id}",
            {"reason": member.suppressed},
            ring.user_id,
        )
        for change in changes
        for ring in change.decision.rings
        if (member := change.decision.call.members[ring.user_id]).is_hidden
        and member.suppressed != Why.NOTIFY  # by whoever rings, not by the user
    ]
    await record_all(session, SERVER, lines)
    for line in lines:
        SUPPRESSED.labels(line.detail["reason"]).inc()
