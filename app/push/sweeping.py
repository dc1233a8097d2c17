"""What the sweep does about pushes, each row apart: those due, of the condemned, or over."""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

import structlog

from app.infra.bisection import Aside, sweep
from app.infra.db import Connection
from app.infra.runtime import Runtime
from app.push import batch_claims, batches, claims, expiry, worker_store
from app.push.claimed import ClaimedPlace, ClaimedPush
from app.push.life import LEASE, Life

log = structlog.get_logger(__name__)

BATCH = 500
BATCHES = BATCH // batches.PLACES

Claiming = Callable[[Connection, Life], Awaitable[Sequence[ClaimedPush]]]
Finding = Callable[[Connection, int, Sequence[UUID]], Awaitable[expiry.Found]]
Working = Callable[[Sequence[UUID], Sequence[UUID]], Awaitable[None]]
"""On these ids, of which the second are those of batches."""


class Sweeping:
    """The sweep's steps of one worker, of which `life` is the present one.

    `claim_all` claims and sends. A row that makes a step fail is left aside.
    """

    def __init__(
        self,
        runtime: Runtime,
        life: Callable[[], Life],
        claim_all: Callable[..., Awaitable[object]],
    ) -> None:
        self._database = runtime.database
        self._life = life
        self._claim_all = claim_all
        self._due = Aside[UUID]("due pushes")
        self._orphans = Aside[UUID]("orphaned pushes")
        self._over = Aside[UUID]("expired pushes")

    async def claim(self, pushes: Sequence[UUID]) -> None:
        """Claim and send those of these that are due."""
        most = len(pushes)
        await self._claim_all(
            lambda session, life: claims.claim_pushes(session, life.id, pushes, most, life.since)
        )

    async def send_due(self) -> None:
        """Claim and send whatever is due: hints that were lost, retries that were inherited."""

        async def claim(some: Sequence[UUID], whole: Sequence[UUID]) -> None:
            await self.claim(some)
            if whole:
                await self._claim_batches(whole)

        await self._sweep(
            lambda session, limit, aside: expiry.due(session, limit, aside, self._life().since),
            claim,
            self._due,
        )

    async def _sweep(self, find: Finding, work: Working, aside: Aside[UUID]) -> None:
        whole: set[UUID] = set()

        async def look(limit: int, passed_over: Sequence[UUID]) -> list[UUID]:
            nonlocal whole
            async with self._database.autocommit() as session:
                found = await find(session, limit, passed_over)
            whole = found.batches
            return found

        async def do(some: Sequence[UUID]) -> None:
            await work(some, sorted(whole.intersection(some)))

        await sweep(look, do, aside, BATCH)

    async def _claim_batches(self, some: Sequence[UUID]) -> None:
        async def claim(session: Connection, life: Life) -> list[ClaimedPlace]:
            return await batch_claims.claim_batches(session, life.id, some, BATCHES, life.since)

        await self._claim_all(claim, 1)

    async def condemn(self) -> None:
        """Condemn who has not shown life in time: then what they had claimed may be taken over."""
        async with self._database.autocommit() as session:
            for dead in await worker_store.condemn_workers(session, self._life().id, LEASE):
                log.error(
                    "worker_condemned", worker=str(dead["id"]), host=dead["host"], pid=dead["pid"]
                )

    async def send_orphans(self) -> None:
        """Condemn who has not shown life in time; take over and send what they had claimed."""
        await self.condemn()

        async def inherit(some: Sequence[UUID], whole: Sequence[UUID]) -> None:
            await self._inherit(await self._taken_apart(some, whole))

        await self._sweep(
            lambda session, limit, aside: expiry.orphans(session, self._life().id, limit, aside),
            inherit,
            self._orphans,
        )

    async def _taken_apart(self, some: Sequence[UUID], whole: Sequence[UUID]) -> list[UUID]:
        """These, and what is open in the batches among them: pushes of their own now."""
        pushes = list(some)
        for begin in range(0, len(whole), BATCHES):
            async with self._database.autocommit() as session:
                pushes += await batches.leave_wholly(session, whole[begin : begin + BATCHES])
        return pushes

    async def _inherit(self, pushes: Sequence[UUID]) -> None:
        await self._claim_all(lambda session, life: claims.claim_orphans(session, life.id, pushes))
        async with self._database.autocommit() as session:
            await expiry.expire_orphans(session, self._life().id, pushes)

    async def expire(self) -> None:
        """End pushes whose deadline has passed."""

        async def end(some: Sequence[UUID], whole: Sequence[UUID]) -> None:
            pushes = await self._taken_apart(some, whole)
            async with self._database.autocommit() as session:
                await expiry.expire(session, pushes)

        await self._sweep(expiry.over, end, self._over)

    async def forget_dead_workers(self) -> None:
        """Forget the rows of workers long dead."""
        async with self._database.autocommit() as session:
            await worker_store.forget_dead_workers(session)
