"""Rows that live streams read: feeds, and what their users were told. Always for many users."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.infra import clock
from app.infra.db import Connection, many

Key = tuple[UUID, str]
"""(tenant, user)."""

Wanted = tuple[UUID, str, int]
"""(tenant, user, the number after which)."""

PAGE = 100
RECENT: Final = timedelta(hours=1)
EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
LATEST: Final = datetime(2970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Told:
    """One event as the user is told it; `body` is JSON text, just as the database holds it."""

    seq: int
    kind: str
    body: str


@dataclass(frozen=True, slots=True)
class Page:
    """What a feed holds above a number. `feed`: the number it has come to; None without a feed."""

    after: int
    feed: int | None
    events: tuple[Told, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is missing between `after` and what follows it."""
        if self.feed is None or self.feed < self.after:
            return False
        return self.feed == self.after or (
            bool(self.events) and self.events[0].seq == self.after + 1
        )

    @property
    def lacks(self) -> bool:
        """Whether there should be more events than these, or others."""
        there = 0 if self.feed is None else min(PAGE, max(0, self.feed - self.after))
        return [one.seq for one in self.events] != list(
            range(self.after + 1, self.after + 1 + there)
        )


OPEN = text("""
    INSERT INTO feeds (tenant_id, user_id, seq, opened_at)
    SELECT t, u, floor(extract(epoch FROM clock_timestamp()) * 1000), clock_timestamp()
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(t, u)
    WHERE NOT EXISTS (SELECT FROM feeds f WHERE f.tenant_id = t AND f.user_id = u)
    ORDER BY t, u
    ON CONFLICT (tenant_id, user_id) DO NOTHING
    RETURNING tenant_id, user_id
""")
STILL_OPEN = text("""
    UPDATE feeds f SET opened_at = clock_timestamp()
    WHERE (f.tenant_id, f.user_id) IN (
        SELECT f.tenant_id, f.user_id FROM feeds f
        JOIN unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
            USING (tenant_id, user_id)
        WHERE f.opened_at < clock_timestamp() - interval '1 hour'
        ORDER BY f.tenant_id, f.user_id FOR NO KEY UPDATE OF f SKIP LOCKED)
""")
SEQS = text("""
    SELECT f.tenant_id, f.user_id, f.seq FROM feeds f
    JOIN unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
        USING (tenant_id, user_id)
""")
MOVED = text("""
    SELECT w.tenant_id, w.user_id, f.seq
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[]), CAST(:seqs AS bigint[]))
        AS w(tenant_id, user_id, seq)
    LEFT JOIN feeds f ON f.tenant_id = w.tenant_id AND f.user_id = w.user_id
    WHERE f.seq IS DISTINCT FROM w.seq
""")
PAGES = text("""
    SELECT w.n, f.seq AS feed, e.seq, e.kind, e.body
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[]), CAST(:afters AS bigint[]))
        WITH ORDINALITY AS w(tenant_id, user_id, after, n)
    LEFT JOIN feeds f ON f.tenant_id = w.tenant_id AND f.user_id = w.user_id
    LEFT JOIN LATERAL (
        SELECT u.seq, u.body ->> 'type' AS kind, CAST(u.body AS text) AS body
        FROM user_events u
        WHERE u.tenant_id = w.tenant_id AND u.user_id = w.user_id AND u.seq > w.after
            AND u.seq <= f.seq AND u.at BETWEEN :since AND :until
        ORDER BY u.seq LIMIT :page
    ) e ON true
    ORDER BY w.n, e.seq
""")


def _columns(keys: Collection[Key]) -> dict[str, list[Any]]:
    return {"tenants": [key[0] for key in keys], "users": [key[1] for key in keys]}


async def open_feeds(session: Connection, keys: Collection[Key]) -> set[Key]:
    """From now on these users' events are kept; returns those of whom none were before."""
    rows = await many(session, OPEN, _columns(sorted(set(keys))))
    return {(row["tenant_id"], row["user_id"]) for row in rows}


async def still_open(session: Connection, keys: Collection[Key]) -> None:
    """Note, once an hour, that these feeds are in use: others are forgotten in time."""
    await session.execute(STILL_OPEN, _columns(keys))


async def seqs_of(session: Connection, keys: Collection[Key]) -> dict[Key, int]:
    """The numbers that these feeds have come to."""
    rows = await many(session, SEQS, _columns(keys))
    return {(row["tenant_id"], row["user_id"]): int(row["seq"]) for row in rows}


async def moved(session: Connection, seqs: dict[Key, int]) -> dict[Key, int | None]:
    """Those feeds that are at another number than given here; None: there is no feed any more."""
    values = _columns(seqs) | {"seqs": list(seqs.values())}
    rows = await many(session, MOVED, values)
    return {(row["tenant_id"], row["user_id"]): row["seq"] for row in rows}


async def pages(session: Connection, wanted: Sequence[Wanted]) -> list[Page]:
    """For each (tenant, user, after): the feed's number and its next events.

    One query looks into the week of the last hour; only for what is older, as when a client comes
    back, another one looks into all.
    """
    now = clock.now()
    found = await _pages(session, wanted, now - RECENT, now + RECENT)
    older = [n for n, page in enumerate(found) if page.lacks]
    if older:
        again = await _pages(session, [wanted[n] for n in older], EARLIEST, LATEST)
        for n, page in zip(older, again, strict=True):
            found[n] = page
    return found


async def _pages(
    session: Connection, wanted: Sequence[Wanted], since: datetime, until: datetime
) -> list[Page]:
    values: dict[str, Any] = {
        "since": since,
        "until": until,
        "tenants": [one[0] for one in wanted],
        "users": [one[1] for one in wanted],
        "afters": [one[2] for one in wanted],
        "page": PAGE,
    }
    feeds: list[int | None] = [None] * len(wanted)
    events: list[list[Told]] = [[] for _ in wanted]
    for n, feed, seq, kind, body in await session.execute(PAGES, values):
        feeds[n - 1] = feed
        if seq is not None:
            events[n - 1].append(Told(seq, kind, body))
    return [
        Page(one[2], feed, tuple(told))
        for one, feed, told in zip(wanted, feeds, events, strict=True)
    ]
