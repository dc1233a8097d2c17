"""Users whose tokens were all taken back, and what each process knows of the latest of them.

A revocation kills every token of its user that was issued at or before it: user tokens, call tokens
and member tokens. Rows are kept, for a token may live long. Each process asks twice a second what
is new, the database alone, so that it holds while Redis is away: with that it ends streams, and a
request whose token is newer than anything its tenant has revoked costs no query.
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.audit.log import Actor, record
from app.core.claims import is_revoked
from app.infra import clock
from app.infra.db import Connection, Database, Row, many, one
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks

LOOK: Final = 0.5
FRESH: Final = 2.5
"""Seconds after a look for which its answer counts; later every token is looked up by itself."""
OVERLAP: Final = 10.0
"""Seconds of before that are read again: a revocation is seen at its commit, not at its time."""

Closed = Callable[[UUID], object]
"""Told of a tenant that was deleted, and again for a while."""

LAST_WORDS: Final = 3.0
"""Seconds after its deletion for which a tenant's streams stay open: they hear its calls end."""

Revoked = Callable[[UUID, str, float], object]
"""Told of (tenant, user, Unix seconds), and again for a while: doing it twice must be harmless."""

REVOKE = text("""
    INSERT INTO revocations (tenant_id, user_id, revoked_at)
    VALUES (:tenant, :user, clock_timestamp())
    ON CONFLICT (tenant_id, user_id) DO UPDATE
        SET revoked_at = greatest(revocations.revoked_at, excluded.revoked_at)
    RETURNING revoked_at
""")
OF_USER = text("""
    SELECT max(revoked_at) AS at FROM revocations WHERE tenant_id = :tenant AND user_id = :user
""")
FORGET = text("DELETE FROM revocations WHERE tenant_id = :tenant AND user_id = :user")
LATEST = text("""
    SELECT t.id, (SELECT max(r.revoked_at) FROM revocations r WHERE r.tenant_id = t.id) AS at
    FROM tenants t
""")
# and who was deleted, since one look must do: these are few, and soon gone
SINCE = text("""
    SELECT tenant_id, user_id, revoked_at FROM revocations
    WHERE revoked_at > CAST(:since AS timestamptz)
        - make_interval(secs => CAST(:overlap AS double precision))
    UNION ALL
    SELECT id, NULL, deleted_at FROM tenants WHERE deleted_at IS NOT NULL
""")


async def of_user(session: Connection, tenant_id: UUID, user_id: str) -> Row | None:
    """When this user's tokens were last taken back (`at`, None: never)."""
    return await one(session, OF_USER, {"tenant": tenant_id, "user": user_id})


async def forget_user(session: Connection, tenant_id: UUID, user_id: str) -> None:
    """The user is erased, and with that every token of before is dead anyway."""
    await session.execute(FORGET, {"tenant": tenant_id, "user": user_id})


async def revoke(runtime: Runtime, tenant_id: UUID, user_id: str, *, actor: Actor) -> datetime:
    """Let every token of this user be dead that was issued by now; the time of it.

    One that is made later is good. In force in every process within two seconds.
    """
    async with runtime.database.transaction() as session:
        row = await one(session, REVOKE, {"tenant": tenant_id, "user": user_id})
        assert row is not None
        at: datetime = row["revoked_at"]
        await record(session, actor, tenant_id, "user.revoke", "user", at=at, user=user_id)
    return at


class Revocations:
    """What one process knows of revocations. Belongs to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._latest: dict[UUID, float] = {}
        self._since: datetime | None = None
        self._looked = -FRESH
        self._listeners: list[Revoked] = []
        self._closed = set[UUID]()
        self._ends: list[Closed] = []
        self._tasks = Tasks("revocations")

    def start(self) -> None:
        """Begin to look."""
        self._tasks.every("look", LOOK, self._look, within=LOOK * 5)

    async def stop(self) -> None:
        """Look no more."""
        await self._tasks.stop()

    def listen(self, listener: Revoked) -> None:
        """Tell `listener` of each revocation."""
        self._listeners.append(listener)

    def listen_for_ends(self, listener: Closed) -> None:
        """Tell `listener` of each tenant that was deleted, once its calls have ended."""
        self._ends.append(listener)

    def is_closed(self, tenant_id: UUID) -> bool:
        """Whether this tenant was deleted, as far as this process knows: half a second late."""
        return tenant_id in self._closed

    def close_tenant(self, tenant_id: UUID) -> None:
        """A tenant was deleted."""
        self._closed.add(tenant_id)

    def may_concern(self, tenant_id: UUID, issued: float | None) -> bool:
        """Whether a token of this tenant, issued then (Unix seconds), may have been taken back."""
        if time.monotonic() > self._looked + FRESH:
            return True
        latest = self._latest.get(tenant_id)
        return latest is not None and is_revoked(issued, latest)

    def learn(self, tenant_id: UUID, user_id: str, at: float) -> None:
        """A user's tokens were taken back."""
        self._latest[tenant_id] = max(at, self._latest.get(tenant_id, at))
        for listener in self._listeners:
            listener(tenant_id, user_id, at)

    async def _look(self) -> None:
        begun, now = time.monotonic(), clock.now()
        async with self._database.autocommit() as session:
            if self._since is None:
                self._since = now
                for row in await many(session, LATEST):
                    if row["at"] is not None:
                        self._latest[row["id"]] = row["at"].timestamp()
            found = await many(session, SINCE, {"since": self._since, "overlap": OVERLAP})
        for row in found:
            if row["user_id"] is None:
                self._learn_end(row["tenant_id"], (now - row["revoked_at"]).total_seconds())
            else:
                self.learn(row["tenant_id"], row["user_id"], row["revoked_at"].timestamp())
        self._since, self._looked = now, begun

    def _learn_end(self, tenant_id: UUID, age: float) -> None:
        self.close_tenant(tenant_id)
        if LAST_WORDS <= age < LAST_WORDS + OVERLAP:
            for listener in self._ends:
                listener(tenant_id)
