"""Rows of events, and of what each user with a feed is told."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.core.event import UserEventType, rfc3339
from app.events.models import TenantEvent, UserEvent
from app.events.tombstones import buried, named
from app.infra.db import Connection, Row, insert_rows, many, one
from app.infra.statements import answer

MOVE_FEEDS = text("""
    UPDATE feeds f SET seq = n.seq
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[]), CAST(:seqs AS bigint[]))
         AS n(tenant_id, user_id, seq)
    WHERE f.tenant_id = n.tenant_id AND f.user_id = n.user_id
""")


ADD_EVENTS = """
    e AS (
        INSERT INTO events (session_id, seq, tenant_id, type, at, data)
        SELECT r.session_id, r.seq, coalesce(r.tenant_id, CAST(:of_tenant AS uuid)), r.type,
            coalesce(r.at, CAST(:happened AS timestamptz)), r.data
        FROM jsonb_to_recordset(CAST(:rows AS jsonb))
            AS r(session_id uuid, seq integer, tenant_id uuid, type text, at timestamptz,
                 data jsonb)
        RETURNING session_id, seq, tenant_id, type
    ), f AS (
        SELECT f.tenant_id, f.user_id, f.seq
        FROM feeds f
        JOIN unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
            USING (tenant_id, user_id)
        ORDER BY f.tenant_id, f.user_id
        FOR NO KEY UPDATE OF f
    )
"""
"""SQL, two parts of a WITH: `e` writes events of calls, `f` locks the feeds of who is to hear.

`:rows` is JSON, `:tenants` and `:users` name the listeners. The feeds are locked in order of users.
A row that does not say is of `:of_tenant`, and of the moment `:happened`.
"""
User = tuple[UUID, str]
"""A tenant and one of its users."""

NO_CALL: Final = UUID(int=0)


async def tell_users(
    session: Connection, feeds: Mapping[User, int], news: Sequence[tuple[User, datetime, Row]]
) -> list[tuple[UUID, str, int]]:
    """Number and store (user, at, body) in feeds that ADD_EVENTS has locked.

    Returns the users that have news, with their last number.
    """
    if not news:
        return []
    last = dict(feeds)
    rows = []
    for user, at, body in news:
        last[user] += 1
        tenant_id, user_id = user
        rows.append(
            {"tenant_id": tenant_id, "user_id": user_id, "seq": last[user], "at": at, "body": body}
        )
    await insert_rows(session, UserEvent.__table__, rows)
    await answer(
        session,
        MOVE_FEEDS,
        {
            "tenants": [tenant for tenant, _ in last],
            "users": [user for _, user in last],
            "seqs": list(last.values()),
        },
    )
    return [(tenant, user, seq) for (tenant, user), seq in last.items()]


HOLD_FEED = text("""
    SELECT seq FROM feeds WHERE tenant_id = :tenant AND user_id = :user FOR NO KEY UPDATE
""")


async def tell_user(
    session: Connection, user: User, kind: UserEventType, at: datetime, data: Row
) -> list[tuple[UUID, str, int]]:
    """Tell a user on their own streams what belongs to no call; returns as `tell_users`.

    The feed is held until the transaction commits: this is its last statement.
    """
    held = await one(session, HOLD_FEED, {"tenant": user[0], "user": user[1]})
    if held is None:
        return []
    body = {"type": kind.value, "at": rfc3339(at), "data": data}
    return await tell_users(session, {user: held["seq"]}, [(user, at, body)])


WITH_FEED = text("""
    SELECT f.tenant_id, f.user_id FROM feeds f
    JOIN unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
        USING (tenant_id, user_id)
""")


async def with_feed(session: Connection, users: Collection[User]) -> set[User]:
    """Those of these users who have opened a live stream of late."""
    values = {"tenants": [one[0] for one in users], "users": [one[1] for one in users]}
    rows = await many(session, WITH_FEED, values)
    return {(row["tenant_id"], row["user_id"]) for row in rows}


CHANGED_MEMBERS = text("""
    SELECT e.session_id, e.data FROM events e
    JOIN unnest(CAST(:calls AS uuid[]), CAST(:seqs AS integer[])) AS w(session_id, seq)
        ON e.session_id = w.session_id AND e.seq > w.seq
    WHERE e.session_id BETWEEN :first AND :last AND e.type LIKE 'member.%'
    ORDER BY e.session_id, e.seq
""")


def bounds(calls: Collection[UUID]) -> dict[str, UUID]:
    """The `first` and `last` of these calls: by them a statement opens the weeks they began in."""
    return {"first": min(calls, default=NO_CALL), "last": max(calls, default=NO_CALL)}


async def changed_members(session: Connection, told: dict[UUID, int]) -> dict[UUID, list[str]]:
    """For each call, the users whom events after this number are about."""
    values = {"calls": list(told), "seqs": list(told.values()), **bounds(told)}
    found: dict[UUID, list[str]] = {session_id: [] for session_id in told}
    for row in await many(session, CHANGED_MEMBERS, values):
        data = row["data"]
        found[row["session_id"]] += data["user_ids"] if "user_ids" in data else [data["user_id"]]
    return {session_id: list(dict.fromkeys(users)) for session_id, users in found.items()}


FORGET_FEED = (
    text("DELETE FROM user_events WHERE tenant_id = :tenant AND user_id = :user"),
    text("DELETE FROM feeds WHERE tenant_id = :tenant AND user_id = :user"),
)
OF_BODY = "(e.body -> 'data')"
BURY = (
    text(f"""
        UPDATE events e SET data = {buried("e.data")}
        WHERE e.session_id = ANY(CAST(:calls AS uuid[])) AND ({named("e.data")})
    """),  # noqa: S608  (names of ours)
    text(f"""
        UPDATE user_events e SET body = jsonb_set(e.body, '{{data}}', {buried(OF_BODY)})
        WHERE e.tenant_id = :tenant AND e.user_id IN (
                SELECT m.user_id FROM members m WHERE m.session_id = ANY(CAST(:calls AS uuid[])))
            AND e.body ->> 'session_id' = ANY(CAST(:names AS text[]))
            AND ({named(OF_BODY)})
    """),  # noqa: S608
)


async def forget_feed(session: Connection, tenant_id: UUID, user_id: str) -> None:
    """Delete what a user was told; the user's streams end."""
    for statement in FORGET_FEED:
        await session.execute(statement, {"tenant": tenant_id, "user": user_id})


async def bury(session: Connection, erasure: Row, calls: Sequence[UUID]) -> None:
    """Put the tombstone in an erased user's place in the events of these calls, which are held.

    Comes before the members' rows have it: by them the feeds are found that tell of these calls.
    """
    values = {"user": erasure["user_id"], "tombstone": erasure["tombstone"], "calls": list(calls)}
    await session.execute(BURY[0], values)
    of_feeds = {"tenant": erasure["tenant_id"], "names": [str(one) for one in calls]}
    await session.execute(BURY[1], values | of_feeds)


# --- a tenant's own events ----------------------------------------------------------------------


async def add_tenant_events(session: Connection, rows: Sequence[Row]) -> None:
    """Facts about tenants that belong to no call: (id, tenant_id, type, at, data)."""
    await insert_rows(session, TenantEvent.__table__, rows)


ALARMED = text("""
    SELECT id FROM tenant_events
    WHERE tenant_id = :tenant AND type = :type AND at > CAST(:at AS timestamptz) - interval '1 hour'
        AND data ->> 'alarm' = :alarm
        AND data ->> 'credential_id' IS NOT DISTINCT FROM CAST(:credential AS text)
    LIMIT 1
""")


async def was_alarmed(session: Connection, row: Row) -> bool:
    """Whether any worker has raised the same alarm about the same credential within the hour."""
    data = row["data"]
    values = {"tenant": row["tenant_id"], "type": row["type"], "at": row["at"]}
    values |= {"alarm": data["alarm"], "credential": data["credential_id"]}
    return bool(await many(session, ALARMED, values))
