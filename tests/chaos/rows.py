"""What the database says: the truth about rings, pushes, feeds and deliveries. All SQL is here."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from tests.chaos.counts import Fate, Owed, Row

EVIDENCE = (
    "SELECT id, host, pid, alive_until, clock_timestamp() FROM workers",
    "SELECT id, state, failures, failing_since, resting_until FROM webhooks",
    (
        "SELECT webhook_id, state, claimed_by, count(*), min(due_at), max(due_at), max(attempts) "
        "FROM deliveries WHERE state IN ('pending', 'sending') GROUP BY 1, 2, 3"
    ),
    (
        "SELECT state, reason, claimed_by, count(*), min(due_at), max(deadline) FROM targets "
        "GROUP BY 1, 2, 3"
    ),
    (
        "SELECT pid, state, wait_event_type, wait_event, clock_timestamp() - state_change AS since, "
        "left(query, 80) AS query FROM pg_stat_activity WHERE datname = 'ringline'"
    ),
)
"""Statements that tell how things stand: kept when a promise was broken."""
NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS float8)"
FATES = """
    SELECT CAST(uuid AS text), outcome, CAST(extract(epoch FROM deadline) AS float8) AS deadline,
           CASE WHEN outcome IS NOT NULL
                THEN CAST(extract(epoch FROM pg_xact_commit_timestamp(xmin)) AS float8) END
           AS settled
    FROM rings WHERE tenant_id = $1 AND created_at >= to_timestamp($2)
"""
OPEN = """
    SELECT 'ring' AS kind, CAST(uuid AS text) AS id,
           CAST(extract(epoch FROM deadline) AS float8) AS due
    FROM rings WHERE outcome IS NULL AND tenant_id = ANY ($1)
    UNION ALL
    SELECT 'push (' || concat_ws(' ', state, reason) || ')', CAST(id AS text), CAST(extract(epoch FROM deadline) AS float8)
    FROM pushes WHERE state IN ('pending', 'sending') AND tenant_id = ANY ($1)
    UNION ALL
    SELECT 'batch of pushes', CAST(id AS text), CAST(extract(epoch FROM deadline) AS float8)
    FROM push_batches WHERE done_at IS NULL AND tenant_id = ANY ($1)
    UNION ALL
    SELECT 'call', CAST(id AS text), CAST(extract(epoch FROM due_at) AS float8)
    FROM calls WHERE ended_at IS NULL AND due_at IS NOT NULL AND tenant_id = ANY ($1)
"""
OPEN_HOOKS = """
    SELECT 'delivery (' || concat_ws(' ', state, attempts, error) || ')' AS kind, event_id AS id, CAST(extract(epoch FROM due_at) AS float8) AS due
    FROM deliveries WHERE state IN ('pending', 'sending') AND webhook_id = $1
"""
OWED = """
    SELECT event_id, CAST(session_id AS text) AS call, seq,
           CAST(extract(epoch FROM created_at) AS float8) AS at FROM deliveries
    WHERE webhook_id = $1 AND session_id IS NOT NULL AND created_at >= to_timestamp($2)
"""
UNDELIVERED = """
    SELECT CAST(e.session_id AS text) AS call, e.seq FROM events e
    WHERE e.tenant_id = $2 AND e.at >= to_timestamp($3)
    AND ('*' = ANY ($4) OR e.type = ANY ($4)) AND NOT EXISTS (
        SELECT FROM deliveries d
        WHERE d.webhook_id = $1 AND d.session_id = e.session_id AND d.seq = e.seq)
"""
TOLD = """
    SELECT user_id, seq, body ->> 'type' AS type FROM user_events
    WHERE tenant_id = $1 AND at >= to_timestamp($2) - interval '1 minute' AND user_id = ANY ($3)
    ORDER BY user_id, seq
"""


@dataclass(slots=True)
class Truth:
    """A connection to look with; another one when the server has ended it."""

    connect: Callable[[], Awaitable[asyncpg.Connection]]
    _connection: asyncpg.Connection | None = None

    async def fetch(self, sql: str, *values: object, within: float = 30.0) -> list[asyncpg.Record]:
        """Rows of one statement, as soon as the database answers."""
        end = time.monotonic() + within
        while True:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await self.connect()
                return await self._connection.fetch(sql, *values, timeout=20)
            except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError):
                await self.close()
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.1)

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def now(self) -> float:
        found: float = (await self.fetch(NOW))[0][0]
        return found

    async def fates(self, tenant: UUID, since: float) -> dict[str, Fate]:
        rows = await self.fetch(FATES, tenant, since)
        return {row["uuid"]: Fate(*row.values()) for row in rows}

    async def open(self, tenants: Iterable[UUID]) -> list[Row]:
        """What is not final yet of these tenants."""
        return [Row(*row.values()) for row in await self.fetch(OPEN, list(tenants))]

    async def open_hooks(self, webhook: UUID) -> list[Row]:
        return [Row(*row.values()) for row in await self.fetch(OPEN_HOOKS, webhook)]

    async def owed(self, webhook: UUID, since: float) -> dict[str, Owed]:
        """Deliveries of events of calls, by their ids."""
        rows = await self.fetch(OWED, webhook, since)
        return {row["event_id"]: Owed(row["call"], row["seq"], row["at"]) for row in rows}

    async def undelivered(
        self, webhook: UUID, tenant: UUID, since: float, types: Iterable[str] = ("*",)
    ) -> list[str]:
        """Events of these types, or of all (`*`), for which no delivery was ever written."""
        rows = await self.fetch(UNDELIVERED, webhook, tenant, since, list(types))
        return [f"event {row['seq']} of call {row['call']} is owed to no webhook" for row in rows]

    async def evidence(self) -> str:
        """How things stand, to be read by people."""
        parts = []
        for sql in EVIDENCE:
            rows = await self.fetch(sql)
            parts += [sql, *("  " + str(dict(row)) for row in rows[:60])]
        return "\n".join(parts) + "\n"

    async def told(
        self, tenant: UUID, since: float, users: Iterable[str]
    ) -> dict[str, list[tuple[int, str]]]:
        """What users were told, in order."""
        found: dict[str, list[tuple[int, str]]] = {user: [] for user in users}
        for user, seq, kind in await self.fetch(TOLD, tenant, since, list(found)):
            found[user].append((seq, kind))
        return found
