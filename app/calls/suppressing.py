"""Which callees of a ring are not to be rung: their preferences and blocks, looked up set-wise."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.audit.log import SERVER, About, record_all
from app.calls.apply import Change
from app.core.suppression import NONE, REPEAT_WITHIN, Preferences, Why, why_suppressed
from app.infra.db import Connection, many, one
from app.infra.ids import least_uuid7
from app.infra.observe import SUPPRESSED
from app.infra.unreadable import FAULTS, unreadable
from app.users.schemas import preferences_at_rest
from app.users.store import OF_PAIRS

Pair = tuple[UUID, str, str, str]
"""(tenant, callee, caller, call type)."""

# Arrays by a SELECT of their own, as where tokens are found: one plan for any number.
RULES = f"""(
    SELECT json_agg(json_build_array(
        w.n, CAST(p.settings AS text), b.user_id IS NOT NULL,
        p.settings #>> '{{exceptions,repeat}}' = 'true' AND EXISTS (
            SELECT FROM members m JOIN calls c ON c.id = m.session_id
            WHERE m.tenant_id = w.tenant_id AND m.user_id = w.callee
                AND m.session_id > :since AND c.caller_id = w.caller)))
    FROM unnest((SELECT CAST(:pair_tenants AS uuid[])), (SELECT CAST(:callees AS text[])),
                (SELECT CAST(:callers AS text[])))
        WITH ORDINALITY AS w(tenant_id, callee, caller, n)
    {OF_PAIRS}
    WHERE p.user_id IS NOT NULL OR b.user_id IS NOT NULL)
"""  # noqa: S608  (constants)
"""SQL: of each of `pair_values` that has any: its place from 1, the callee's preferences as text,
whether the caller is blocked, and whether this one calls again."""
FIND_RULES = text(f"SELECT {RULES} AS rules")

# their screen would show the blocked one as who calls, whoever rings
BLOCK_CALLER = text("""
    SELECT b.user_id FROM calls c
    JOIN blocks b ON b.tenant_id = c.tenant_id AND b.user_id = ANY(CAST(:callees AS text[]))
        AND b.blocked_id = c.caller_id
    WHERE c.id = :session
""")


def pair_values(pairs: Sequence[Pair], now: datetime) -> dict[str, Any]:
    """What RULES asks of these at about `now`."""
    return {
        "pair_tenants": [pair[0] for pair in pairs],
        "callees": [pair[1] for pair in pairs],
        "callers": [pair[2] for pair in pairs],
        "since": least_uuid7(now - timedelta(seconds=REPEAT_WITHIN)),
    }


def reasons(pairs: Sequence[Pair], rules: Sequence[Any], now: datetime) -> dict[Pair, Why]:
    """Those of these pairs that are not to be rung at `now`, by their RULES, and why."""
    found = {}
    for place, settings, blocked, repeated in rules:
        pair = pairs[place - 1]
        why = why_suppressed(
            _wishes(settings, pair),
            caller=pair[2],
            call_type=pair[3],
            now=now,
            blocked=blocked,
            repeated=bool(repeated),
        )
        if why is not None:
            found[pair] = why
    return found


def _wishes(stored: str | None, pair: Pair) -> Preferences:
    """What a callee wants; nothing, where that cannot be read: one row fails no group's call."""
    try:
        return preferences_at_rest(stored)
    except FAULTS as error:
        unreadable("preferences", f"{pair[0]}:{pair[1]}", error)
        return NONE


async def suppressed(
    session: Connection, pairs: Collection[Pair], now: datetime
) -> dict[Pair, Why]:
    """Those of these that are not to be rung at `now`, and why."""
    ordered = sorted(set(pairs))
    return reasons(ordered, await rules_of(session, ordered, now), now)


async def rules_of(session: Connection, pairs: Sequence[Pair], now: datetime) -> list[Any]:
    """The RULES of these pairs."""
    row = await one(session, FIND_RULES, pair_values(pairs, now))
    assert row is not None
    return row["rules"] or []


async def suppressed_in(
    session: Connection, session_id: UUID, pairs: Collection[Pair], now: datetime
) -> dict[Pair, Why]:
    """The same for who is rung into a live call, by one of its members: a block of the call's own
    caller counts as one of that member."""
    found = await suppressed(session, pairs, now)
    values = {"session": session_id, "callees": [pair[1] for pair in pairs]}
    blocking = {row["user_id"] for row in await many(session, BLOCK_CALLER, values)}
    return found | {pair: Why.BLOCKED for pair in pairs if pair[1] in blocking}


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
