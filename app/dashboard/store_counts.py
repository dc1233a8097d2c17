"""Counts by the minute: written once a minute is settled, read by the overview.

A minute is settled when no ring of it can be open any more (180 s at most) and its pushes have
been answered. What is younger is counted from the rows themselves, which are few.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Connection, Row, many, one
from app.infra.locks import Only, only_one

SETTLED_AFTER = timedelta(minutes=5)
STEP = timedelta(minutes=30)
KEPT = timedelta(days=92)
BOUNDS = (5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2000, 5000, 10000, 60000)
"""Upper bounds, in ms, of the time from request to Apple's acceptance."""
_BOUNDS = ",".join(str(bound) for bound in BOUNDS)

# Ids of rings and pushes are UUIDv7, made a moment before `created_at`: the primary key finds a
# stretch of time without an index of its own. Clocks of API processes may differ by a minute.
RINGS = """
    SELECT tenant_id, date_trunc('minute', created_at) AS minute, 'ring' AS what,
           coalesce(outcome, 'ringing') AS name, count(*) AS count
    FROM rings
    WHERE uuid >= :low AND uuid < :high AND created_at >= :since AND created_at < :until {tenant}
    GROUP BY 1, 2, 4
"""
_OF_PUSH = "tenant_id, created_at, answered_at, purpose, state, reason"
_PUSHED = f"""FROM (
        SELECT {_OF_PUSH} FROM pushes
        WHERE id >= :low AND id < :high AND created_at >= :since AND created_at < :until {{tenant}}
        UNION ALL
        SELECT o.* FROM tenants t CROSS JOIN LATERAL (
            SELECT {_OF_PUSH} FROM places
            WHERE tenant_id = t.id AND created_at >= :since AND created_at < :until OFFSET 0
        ) o WHERE true {{owner}}
    ) p WHERE p.purpose = 'ring'"""  # noqa: S608  (constants)
PUSHES = f"""
    SELECT p.tenant_id, date_trunc('minute', p.created_at), 'push',
           CASE WHEN p.state = 'refused' THEN 'refused: ' || coalesce(p.reason, 'no reason')
                ELSE p.state END, count(*)
    {_PUSHED}
    GROUP BY 1, 2, 4
"""
TOOK = f"""
    SELECT p.tenant_id, date_trunc('minute', p.created_at), 'took',
           CAST((ARRAY[{_BOUNDS}])[least(1 + width_bucket(
               extract(epoch FROM p.answered_at - p.created_at) * 1000,
               CAST(ARRAY[{_BOUNDS}] AS numeric[])), {len(BOUNDS)})] AS text), count(*)
    {_PUSHED} AND p.state = 'accepted' AND p.answered_at IS NOT NULL
    GROUP BY 1, 2, 4
"""  # noqa: S608 - of our own bounds
ALL = f"{RINGS} UNION ALL {PUSHES} UNION ALL {TOOK}"
ADD = text(
    "INSERT INTO minute_counts (tenant_id, minute, what, name, count) "
    + ALL.format(tenant="", owner="")
    + " ON CONFLICT (tenant_id, minute, what, name) DO UPDATE SET count = excluded.count"
)
FRESH = text(
    "SELECT minute, what, name, count FROM ("  # noqa: S608
    + ALL.format(tenant="AND tenant_id = :tenant", owner="AND t.id = :tenant")
    + ") AS fresh"
)
UNTIL = text("SELECT until FROM counted_until WHERE id = 1")
OLDEST = text("SELECT date_trunc('minute', min(created_at)) AS at FROM calls")
MARK = text("""
    INSERT INTO counted_until (id, until) VALUES (1, :until)
    ON CONFLICT (id) DO UPDATE SET until = excluded.until
""")
FORGET = text("DELETE FROM minute_counts WHERE minute < :before")


def _stretch(since: datetime, until: datetime) -> dict[str, Any]:
    slack = timedelta(minutes=1)
    return {
        "since": since,
        "until": until,
        "low": _floor(since - slack),
        "high": _floor(until + slack),
    }


def _floor(at: datetime) -> UUID:
    """The least UUIDv7 of a millisecond."""
    return UUID(int=round(at.timestamp() * 1000) << 80)


async def count_on(session: Connection, now: datetime) -> bool:
    """Count the next half hour of settled minutes; True when there is more to do.

    One process at a time: for the others there is nothing to do.
    """
    if not await only_one(session, Only.COUNTS):
        return False
    mark = await one(session, UNTIL)
    limit = (now - SETTLED_AFTER).replace(second=0, microsecond=0)
    if mark is None:
        oldest = await one(session, OLDEST)
        since = (oldest and oldest["at"]) or limit
        since = max(since, now - KEPT)
    else:
        since = mark["until"]
    until = min(limit, since + STEP)
    if until <= since and mark is not None:
        return False
    await session.execute(ADD, _stretch(since, until))
    await session.execute(MARK, {"until": until})
    await session.execute(FORGET, {"before": now - KEPT})
    return until < limit


async def counted_until(session: Connection) -> datetime | None:
    """Up to when minutes are counted; None before the first time."""
    row = await one(session, UNTIL)
    return None if row is None else row["until"]


async def fresh(
    session: Connection, tenant_id: UUID, since: datetime, until: datetime
) -> list[dict[str, Any]]:
    """The counts of minutes that are not settled yet, from the rows themselves."""
    return await many(session, FRESH, _stretch(since, until) | {"tenant": tenant_id})


BY_STEP = text("""
    SELECT CASE WHEN what = 'ring' THEN
               date_bin(make_interval(secs => :step), minute, CAST(:since AS timestamptz)) END
               AS minute, what, name, sum(count) AS count
    FROM minute_counts WHERE tenant_id = :tenant AND minute >= :since AND minute < :until
    GROUP BY 1, 2, 3
""")


async def counts(
    session: Connection, tenant_id: UUID, since: datetime, until: datetime, step: float
) -> Sequence[Row]:
    """Settled counts: rings by steps of `step` seconds, all else summed (`minute` is None)."""
    values = {"tenant": tenant_id, "since": since, "until": until, "step": step}
    return await many(session, BY_STEP, values)
