"""How the server stands: the line on top of each page, with the runbook's page for what is wrong.

Looked at when somebody asks for a page, at most once in `TRUE_FOR` seconds however many ask, and
each server within a bound: whoever opens a page waits `PATIENCE` at most, and is then told what
was known before. What a page tells of a database that is away is told without the database.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from app.core.credential import CredentialHealth, CredentialState
from app.core.frozen import frozen
from app.credentials import health, store
from app.credentials.rows import CredentialRow
from app.dashboard.words import duration
from app.infra import clock
from app.infra.db import Connection
from app.infra.outage import NOT_MIGRATED, is_away, is_transient, lacks_schema
from app.infra.redis_client import REDIS_AWAY, look
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks
from app.push import worker_store
from app.webhooks import backlog

TRUE_FOR: Final = 1.0
"""Seconds for which what was found is shown again."""

PATIENCE: Final = 0.5
"""Seconds that a page waits for a look."""

WITHIN: Final = 2.0
"""Seconds for a server to answer a look."""

STALE: Final = 30.0
"""Seconds after which nothing is claimed of what was found."""

LATE: Final = 5.0
"""Seconds that a due push may wait, as the alarm RinglinePushesWait has it."""

SOON: Final = timedelta(days=14)
"""How near a certificate's end is told, as the alarm RinglineCredentialExpires has it."""

FAILS: Final = {CredentialHealth.FAILING, CredentialHealth.EXPIRED}
NEWEST: Final = 3
"""Names in one sentence."""


@frozen
class Trouble:
    """One thing that is wrong: a sentence, and the alarm whose page in the runbook tells of it.

    `serious` wakes somebody; else it waits for the morning. `public` is what `/readyz` tells
    anybody, so that it may stand on a page for which nobody has signed in.
    """

    sentence: str
    page: str
    serious: bool = True
    public: bool = False


@frozen
class Standing:
    """What was found. `workers` is None while that is not known."""

    troubles: tuple[Trouble, ...] = ()
    workers: int | None = None

    @property
    def public(self) -> tuple[Trouble, ...]:
        """What may stand on a page for which nobody has signed in."""
        return tuple(one for one in self.troubles if one.public)


UNKNOWN: Final = Standing()
DATABASE: Final = Trouble(
    "PostgreSQL does not answer. What was taken before is kept, and rings when it is back.",
    "RinglineDatabaseAway",
    public=True,
)
UNMIGRATED: Final = Trouble(NOT_MIGRATED[0].upper() + NOT_MIGRATED[1:] + ".", "RinglineSweepFails")
REDIS: Final = Trouble(
    "Redis does not serve: rings are about a second late, and none is lost.",
    "RinglineRedisAway",
    serious=False,
)
NO_WORKER: Final = Trouble(
    "No worker is alive: nobody is rung, and no ring times out, until one is started with "
    "`ringline worker`.",
    "RinglineNoWorker",
    public=True,
)
UNSERVED: Final = Trouble(
    "No worker sends webhooks: start one without `--only pushes`.",
    "RinglineWebhooksWait",
    serious=False,
)


class Standings:
    """Of one API process: what was found last, and the one look that is under way."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._tasks = Tasks("dashboard")
        self._known = UNKNOWN
        self._at: float | None = None
        self._looking: asyncio.Task[None] | None = None

    async def soon(self) -> Standing:
        """What is known after a short wait. Never raises."""
        now = time.monotonic()
        if self._looking is None and (self._at is None or now > self._at + TRUE_FOR):
            self._looking = self._tasks.spawn("look", self._look(), of_all=True)
        if self._looking is not None:
            await asyncio.wait([self._looking], timeout=PATIENCE)
        if self._at is None or time.monotonic() > self._at + STALE:
            return UNKNOWN
        return self._known

    async def close(self) -> None:
        """End a look that is under way."""
        await self._tasks.stop()

    async def _look(self) -> None:
        try:
            redis, (workers, found) = await asyncio.gather(self._redis(), self._database())
            skew = _skew(clock.skew())
            self._known = Standing((*found, *redis, *skew), workers)
            self._at = time.monotonic()
        finally:
            self._looking = None

    async def _redis(self) -> Sequence[Trouble]:
        try:
            async with asyncio.timeout(WITHIN):
                await look(self._runtime.redis)
        except (*REDIS_AWAY, TimeoutError):
            return [REDIS]
        return []

    async def _database(self) -> tuple[int | None, Sequence[Trouble]]:
        try:
            async with asyncio.timeout(WITHIN), self._runtime.database.autocommit() as session:
                return await _of_rows(session)
        except TimeoutError:
            return None, [DATABASE]
        except Exception as error:
            if lacks_schema(error):
                return None, [UNMIGRATED]
            if not is_transient(error):
                raise
            return None, [DATABASE] if is_away(error) else []


async def _of_rows(session: Connection) -> tuple[int, Sequence[Trouble]]:
    workers, waited = await worker_store.standing(session)
    found = of_pushes(waited) if workers else [NO_WORKER]
    found += _of_credentials(await store.in_use(session))
    if workers and await backlog.is_unserved(session):
        found.append(UNSERVED)
    else:
        found += of_webhooks(await backlog.behind(session))
    return workers, found


def _of_credentials(rows: Sequence[tuple[str, CredentialRow]]) -> list[Trouble]:
    now = clock.now()
    active = [(tenant, row) for tenant, row in rows if row.state is CredentialState.ACTIVE]
    fail = [one for one in active if health.health_of(one[1], now) in FAILS]
    ending = [
        (tenant, row)
        for tenant, row in active
        if row.not_after is not None and timedelta(0) < row.not_after - now < SOON
    ]
    found = []
    if fail:
        told = f"Refused or expired: {_names(fail)}. Apps without another credential are not rung."
        found.append(Trouble(told, "RinglineCredentialFailing"))
    if ending:
        first = min(row.days_left(now) or 0 for _, row in ending)
        days = "within a day" if first < 1 else f"in {first} day{'' if first == 1 else 's'}"
        told = f"Ends {days}: {_names(ending)}."
        found.append(Trouble(told, "RinglineCredentialExpires", serious=False))
    return found


def _names(rows: Sequence[tuple[str, CredentialRow]]) -> str:
    """`the certificate for com.example.app (Acme)`, of the first few."""
    return _few(
        [f"the {row.kind.replace('_', ' ')} for {row.app_id} ({tenant})" for tenant, row in rows]
    )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - NEWEST} more" if len(names) > NEWEST else ""
    return ", ".join(names[:NEWEST]) + more


def of_pushes(waited: float) -> list[Trouble]:
    """Of the oldest push that is due, by the seconds that it has waited."""
    if waited <= LATE:
        return []
    late = f"A push that is due has waited for {duration(waited)}: phones ring late."
    return [Trouble(late, "RinglinePushesWait")]


def of_webhooks(waiting: Sequence[tuple[str, timedelta]]) -> list[Trouble]:
    """Of those that are behind, by their tenants' names and how long."""
    if not waiting:
        return []
    oldest = duration(max(age for _, age in waiting).total_seconds())
    whose = sorted({tenant for tenant, _ in waiting})
    which = "A webhook is" if len(waiting) == 1 else f"{len(waiting)} webhooks are"
    told = f"{which} behind, by {oldest}: {_few(whose)}."
    return [Trouble(told, "RinglineWebhooksWait", serious=False)]


def _skew(seconds: float) -> list[Trouble]:
    if abs(seconds) <= clock.NOTEWORTHY:
        return []
    way = "ahead of" if seconds > 0 else "behind"
    told = f"This machine's clock is {duration(abs(seconds))} {way} the database's."
    return [Trouble(told, "RinglineClockSkew", serious=False)]
