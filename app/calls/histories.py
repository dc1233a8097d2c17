"""Histories: a tenant's calls, a user's own, what was missed, and what has been seen of it.

Each page reads a bounded number of rows, however many calls there are: with filters it looks at
`WINDOW` calls at most, and says where to go on. So a page may be short, or empty, and still have a
next one.
"""

import contextlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.calls import store
from app.calls.rows import COUNTS, SUMMARY, OwnCall, own_call_from
from app.calls.schemas import call_out, call_summary, own_call_out
from app.core.call import view
from app.core.event import UserEventType, rfc3339
from app.core.frozen import frozen
from app.core.large_calls import LARGE
from app.core.suppression import Why
from app.events import store as events
from app.infra.db import Connection, many, one
from app.infra.ids import least_uuid7
from app.infra.runtime import Runtime
from app.infra.unreadable import Unreadable
from app.push.alerts import MISSED

WINDOW: Final = 2_000
MOST_OTHERS: Final = 10
COUNTED: Final = 1_000
"""Newest calls of a user among which missed ones are counted."""
SLACK: Final = timedelta(hours=2)
"""By which the time in a session's id and `created_at` may differ: it is made before the commit."""
NEWEST: Final = UUID(int=2**128 - 1)
LATEST: Final = datetime(2970, 1, 1, tzinfo=UTC)
EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)

Place = tuple[datetime, UUID]
"""Where a page begins: below this call, by when it began and its session's id."""


@frozen
class Wanted:
    """Which calls; None: all. Times are bounds of `created_at`, the later one exclusive."""

    user: str | None = None
    state: str | None = None
    reason: str | None = None
    type: str | None = None
    direction: str | None = None
    missed: bool | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def filtered(self) -> bool:
        """Whether a call in the window may not be wanted."""
        chosen = (self.state, self.reason, self.type, self.direction, self.missed)
        return any(one is not None for one in chosen)


@frozen
class Page:
    """Calls as clients read them, the newest first; `next` None: there are no more."""

    calls: list[dict[str, Any]]
    next: Place | None


EACH_CALL = "CROSS JOIN LATERAL (SELECT * FROM calls WHERE id = m.session_id OFFSET 0) c"
"""Look-ups, whatever the statistics say: what is joined in order may begin at the wrong end."""

PAGE = """
    WITH w AS MATERIALIZED ({window}), numbered AS (
        SELECT id, created_at, row_number() OVER () AS n, count(*) OVER () AS looked,
            (CAST(:state AS text) IS NULL OR state = :state)
            AND (CAST(:reason AS text) IS NULL OR coalesce(reason, '') = :reason)
            AND (CAST(:type AS text) IS NULL OR type = :type)
            AND (CAST(:direction AS text) IS NULL OR direction = :direction)
            AND (CAST(:missed AS boolean) IS NULL OR missed = :missed)
            AND created_at >= :since AND created_at < :until AS wanted
        FROM w
    )
    SELECT id, created_at, wanted, looked FROM numbered WHERE wanted OR n = looked
    ORDER BY n LIMIT :limit
"""
OF_TENANT = text(
    PAGE.format(
        window="""
        SELECT c.id, c.created_at, c.state, c.reason, c.type,
               CAST(NULL AS text) AS direction, CAST(NULL AS boolean) AS missed
        FROM calls c
        WHERE c.tenant_id = :tenant AND c.created_at >= :since AND c.created_at <= :before
            AND (c.created_at, c.id) < (:before, :before_id)
        ORDER BY c.created_at DESC, c.id DESC LIMIT :window"""
    )
)
OF_USER = text(
    PAGE.format(
        window=f"""
        SELECT c.id, c.created_at, c.state, c.reason, c.type,
               CASE m.role WHEN 'caller' THEN 'outgoing' ELSE 'incoming' END AS direction,
               {MISSED} AS missed
        FROM (
            SELECT session_id, role, state FROM members
            WHERE tenant_id = :tenant AND user_id = :user AND session_id < :before_id
                AND session_id >= :since_id AND suppressed IS DISTINCT FROM 'blocked'
            ORDER BY session_id DESC LIMIT :window
        ) m {EACH_CALL}
        ORDER BY m.session_id DESC"""  # noqa: S608  (constants)
    )
)
SIZES = text(f"""
    SELECT c.id, c.due_at <= clock_timestamp() AS overdue, n.members, n.joined, n.ringing
    FROM calls c {COUNTS}
    WHERE c.id = ANY(CAST(:ids AS uuid[]))
""")  # noqa: S608  (constants)
OWN = text(f"""
    SELECT c.due_at <= clock_timestamp() AS overdue,
           coalesce(r.settled_at, c.ended_at) <= s.seen_at AS seen, others.ids AS others, {SUMMARY}
    FROM members m JOIN calls c ON c.id = m.session_id LEFT JOIN rings r ON r.uuid = m.ring
    LEFT JOIN seen_marks s ON s.tenant_id = m.tenant_id AND s.user_id = m.user_id
    CROSS JOIN LATERAL (
        SELECT array(
            SELECT o.user_id FROM members o
            WHERE o.session_id = c.id AND o.user_id <> m.user_id
            ORDER BY o.role DESC, o.user_id LIMIT {MOST_OTHERS}) AS ids
    ) others
    {COUNTS}
    WHERE m.session_id = ANY(CAST(:ids AS uuid[])) AND m.user_id = :user
""")  # noqa: S608  (constants)
COUNT = text(f"""
    SELECT count(*) AS missed,
           count(*) FILTER (WHERE s.seen_at IS NULL OR coalesce(r.settled_at, c.ended_at)
               > s.seen_at) AS unseen
    FROM (
        SELECT * FROM members WHERE tenant_id = :tenant AND user_id = :user
            AND suppressed IS DISTINCT FROM 'blocked'
        ORDER BY session_id DESC LIMIT {COUNTED}
    ) m {EACH_CALL}
    LEFT JOIN LATERAL (SELECT settled_at FROM rings WHERE uuid = m.ring OFFSET 0) r ON true
    LEFT JOIN seen_marks s ON s.tenant_id = :tenant AND s.user_id = :user
    WHERE m.role = 'callee' AND m.state IN ('missed', 'unreachable') AND {MISSED}
""")  # noqa: S608  (constants)
SEE = text("""
    INSERT INTO seen_marks (tenant_id, user_id, seen_at)
    VALUES (:tenant, :user,
            least(coalesce(CAST(:until AS timestamptz), clock_timestamp()), clock_timestamp()))
    ON CONFLICT (tenant_id, user_id) DO UPDATE SET seen_at = excluded.seen_at
        WHERE seen_marks.seen_at < excluded.seen_at
    RETURNING seen_at, clock_timestamp() AS now
""")
FORGET = text("DELETE FROM seen_marks WHERE tenant_id = :tenant AND user_id = :user")


async def of_tenant(
    runtime: Runtime,
    tenant_id: UUID,
    wanted: Wanted,
    before: Place | None,
    limit: int,
    *,
    window: int = WINDOW,
) -> Page:
    """A tenant's calls, or those of one of its users; of a large call no members, but how many."""
    async with runtime.database.snapshot() as session:
        ids, more = await _page(session, tenant_id, wanted, before, limit, window)
        sizes = {row["id"]: row for row in await many(session, SIZES, {"ids": ids})}
        whole = [one for one in ids if sizes[one]["overdue"] or sizes[one]["members"] <= LARGE]
        now, found = await store.load(session, ids, members_of=whole, leave_out=True)
    calls = []
    for session_id in filter(found.__contains__, ids):
        call, size = found[session_id].call, sizes[session_id]
        call = view(call, now) if session_id in whole else call
        out = call_out(call)
        if size["members"] > LARGE:
            out["members"] = []
        count = {name: size[name] for name in ("members", "joined", "ringing")}
        calls.append(out | {"count": count})
    return Page(calls, more)


async def of_user(
    runtime: Runtime, tenant_id: UUID, wanted: Wanted, before: Place | None, limit: int
) -> Page:
    """A user's own calls, each as its member's phone reads it, with what it was to them."""
    assert wanted.user is not None
    user = wanted.user
    async with runtime.database.snapshot() as session:
        ids, more = await _page(session, tenant_id, wanted, before, limit)
        rows = await session.execute(OWN, {"ids": ids, "user": user})
        own = _own_calls(rows)
        late = [session_id for session_id in ids if session_id in own and own[session_id][1]]
        now, found = await store.load(session, late, leave_out=True)
    calls = []
    for session_id in filter(own.__contains__, ids):
        one, _, seen, others = own[session_id]
        stored = found.get(session_id)
        out = own_call_out(one) if stored is None else call_summary(view(stored.call, now), user)
        kept = one.member.suppressed if one.member.is_hidden else None
        kept = None if kept == Why.NOTIFY else kept
        calls.append(_own(out, others, kept, seen=seen))
    return Page(calls, more)


def _own_calls(
    rows: Iterable[Sequence[Any]],
) -> dict[UUID, tuple[OwnCall, bool, bool, list[str]]]:
    """By id: a call, whether time has changed it, whether it was seen, who else is in it."""
    own = dict[UUID, tuple[OwnCall, bool, bool, list[str]]]()
    for overdue, seen, others, *row in rows:
        with contextlib.suppress(Unreadable):
            own[row[0]] = own_call_from(row), overdue, bool(seen), others
    return own


def _own(out: dict[str, Any], others: list[str], kept: str | None, *, seen: bool) -> dict[str, Any]:
    own = out["members"][0]
    ended = out["state"] == "ended"
    missed = own["role"] == "callee" and (
        own["state"] == "missed" or (own["state"] == "unreachable" and ended)
    )
    if kept is not None:
        own["state"] = "suppressed"
    return out | {
        "suppressed": kept,
        "direction": "outgoing" if own["role"] == "caller" else "incoming",
        "missed": missed,
        "seen": seen or not missed,
        "others": others,
    }


async def _page(
    session: Connection,
    tenant_id: UUID,
    wanted: Wanted,
    before: Place | None,
    limit: int,
    most: int = WINDOW,
) -> tuple[list[UUID], Place | None]:
    """Ids of one page in order, and where the next one begins."""
    at, below = before or (LATEST, NEWEST)
    window = most if wanted.filtered or wanted.until is not None else limit + 1
    since, until = wanted.since or EARLIEST, wanted.until or LATEST
    if wanted.until is not None and before is None:
        at, below = until, min(below, least_uuid7(until + SLACK))
    values: dict[str, Any] = {
        "tenant": tenant_id,
        "user": wanted.user,
        "state": wanted.state,
        "reason": wanted.reason,
        "type": wanted.type,
        "direction": wanted.direction,
        "missed": wanted.missed,
        "since": since,
        "until": until,
        "since_id": least_uuid7(since - SLACK),
        "before": at,
        "before_id": below,
        "window": window,
        "limit": limit + 1,
    }
    statement = OF_TENANT if wanted.user is None else OF_USER
    rows = await many(session, statement, values)
    shown = [row for row in rows if row["wanted"]][:limit]
    ids = [row["id"] for row in shown]
    matching = sum(row["wanted"] for row in rows)
    if matching > limit:
        return ids, (shown[-1]["created_at"], shown[-1]["id"])
    if rows and rows[0]["looked"] >= window:  # there may be more beyond what was looked at
        return ids, (rows[-1]["created_at"], rows[-1]["id"])
    return ids, None


async def counts(runtime: Runtime, tenant_id: UUID, user_id: str) -> dict[str, int]:
    """How many of the user's newest calls were missed, and how many of those are unseen."""
    async with runtime.database.autocommit() as session:
        return await _counts(session, tenant_id, user_id)


async def see(
    runtime: Runtime, tenant_id: UUID, user_id: str, until: datetime | None
) -> dict[str, int]:
    """Everything that was missed until then (None: now) has been seen; returns what is left.

    The user's live streams are told, if that is news.
    """
    news: list[tuple[UUID, str, int]] = []
    async with runtime.database.transaction() as session:
        marked = await one(session, SEE, {"tenant": tenant_id, "user": user_id, "until": until})
        left = await _counts(session, tenant_id, user_id)
        if marked is not None:
            told = left | {"seen_at": rfc3339(marked["seen_at"])}
            news = await events.tell_user(
                session, (tenant_id, user_id), UserEventType.HISTORY_SEEN, marked["now"], told
            )
    runtime.news.tell(news)
    return left


async def _counts(session: Connection, tenant_id: UUID, user_id: str) -> dict[str, int]:
    row = await one(session, COUNT, {"tenant": tenant_id, "user": user_id})
    assert row is not None
    return {"missed": row["missed"], "unseen": row["unseen"]}


async def forget_user(session: Connection, tenant_id: UUID, user_id: str) -> None:
    """The user is erased: so is what they have seen."""
    await session.execute(FORGET, {"tenant": tenant_id, "user": user_id})
