"""Claiming: which pushes this worker takes on, and how it lives and ends.

One Dispatcher lives in each worker process, on its loop. What it has claimed is in `_held` from
the claim to the record; no transaction is open in between. A push that shall be tried again goes
back to `pending` and is claimed anew by this process's own timer, or by whoever inherits it.
"""

import asyncio
import math
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from app.credentials import store as credentials
from app.infra.db import Session
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks
from app.push import store, worker_store
from app.push.recording import Recorder
from app.push.results import DatabaseClock, Result, row_of
from app.push.sending import Claim, Sending

log = structlog.get_logger(__name__)

BATCH = 500
RINGS_AT_ONCE = 100
LEASE = 2.0
"""Seconds for which a claim outlives its worker's last sign of life (renewed every 0.5 s)."""


class Dispatcher:
    """Claims the pushes of one worker process and sees to it that each ends in a record."""

    def __init__(self, runtime: Runtime) -> None:
        self.worker_id = uuid7()
        self._loop = asyncio.get_running_loop()
        self.clock = DatabaseClock(self._loop)
        self._runtime = runtime
        self._tasks = Tasks("push")
        self._recorder = Recorder(
            runtime, self._tasks, self.clock, self._recorded, lambda: len(self._held)
        )
        self._sending = Sending(runtime, self.clock, self._recorder.add)
        self._retries: set[UUID] = set()
        self._held: set[Claim] = set()
        self._lost: set[Claim] = set()
        self._alive_at = -math.inf
        self._stopping = False

    # --- claiming ------------------------------------------------------------------------------

    async def send(self, rings: Sequence[UUID]) -> None:
        """Claim and send the due pushes of these rings, one or a thousand.

        By the hundred, two hundreds at a time: the first phones of a group ring while the pushes of
        the next are claimed.
        """
        starts = iter(range(0, len(rings), RINGS_AT_ONCE))

        async def go_on() -> None:
            for start in starts:
                some = rings[start : start + RINGS_AT_ONCE]
                await self._claim_all(partial(self._claim_rings, some))

        await asyncio.gather(
            *(go_on() for _ in range(min(2, math.ceil(len(rings) / RINGS_AT_ONCE))))
        )

    async def _claim_rings(self, rings: Sequence[UUID], session: Session) -> list[dict[str, Any]]:
        return await store.claim_rings(session, self.worker_id, rings, BATCH)

    async def send_due(self) -> None:
        """Claim and send whatever is due: kicks that were lost, retries that were inherited."""
        await self._claim_all(lambda session: store.claim_due(session, self.worker_id, BATCH))

    async def send_orphans(self) -> None:
        """Take over and send what dead workers had claimed."""
        await self._claim_all(lambda session: store.claim_orphans(session, self.worker_id, BATCH))

    async def send_lost(self) -> None:
        """Claim anew what the database says that this worker has, and it does not know of.

        A claim whose commit went unanswered. It must be missing twice, a second apart: a claim
        that is being made at this moment is not known yet either.
        """
        async with self._runtime.database.reading() as session:
            known = await store.claims_of(session, self.worker_id)
        missing = set(known) - self._held
        pushes = sorted(push for push, _ in missing & self._lost)
        self._lost = missing
        if pushes:
            await self._claim_all(
                lambda session: store.claim_again(session, self.worker_id, pushes, BATCH)
            )

    async def withdraw_settled(self) -> None:
        """Take back what still waits for a connection though its ring has settled meanwhile."""
        await self._sending.withdraw_settled()

    async def _retry(self) -> None:
        pushes, self._retries = sorted(self._retries), set()
        await self._claim_all(
            lambda session: store.claim_pushes(session, self.worker_id, pushes, BATCH)
        )

    async def _claim_all(self, claim: Callable[[Session], Awaitable[list[dict[str, Any]]]]) -> None:
        while not self._stopping:
            if self._lapsed():  # others would take at once what a worker claims that is not alive
                await self.show_life()
            async with self._runtime.database.each() as session:
                claimed = await claim(session)
            self._held.update((push["id"], push["fence"]) for push in claimed)
            if claimed:
                self.clock.learn(claimed[0]["now"])
                await self._send_or_give_back(claimed)
            if len(claimed) < BATCH:
                return

    async def _send_or_give_back(self, claimed: list[dict[str, Any]]) -> None:
        try:
            sent = await self._sending.send(claimed, self._lapsed)
        except Exception:
            log.exception("claims_given_back", count=len(claimed))
            for push in claimed:
                self._recorder.add(Result(push, "pending", push["reason"]))
            return
        if not sent:
            self._held.difference_update((push["id"], push["fence"]) for push in claimed)

    def _lapsed(self) -> bool:
        return self._loop.time() - self._alive_at > LEASE

    def _recorded(self, result: Result) -> None:
        self._held.discard((result.push["id"], result.push["fence"]))
        if result.retry_at is not None:  # also if it was written before: its answer was lost
            self._loop.call_at(result.retry_at, self._retry_soon, result.push["id"])

    def _retry_soon(self, push_id: UUID) -> None:
        if not self._retries:
            self._tasks.spawn("retry", self._retry())
        self._retries.add(push_id)

    # --- living --------------------------------------------------------------------------------

    async def rehearse(self) -> None:
        """Go once through the statements of a push, before a ring needs them; nothing stays."""
        ring = uuid7()
        nothing = {
            "id": uuid7(),
            "claimed_by": self.worker_id,
            "fence": 0,
            "environment": "sandbox",
            "healed": False,
        }
        async with self._runtime.database.rehearsal() as session:
            await store.claim_rings(session, self.worker_id, [ring], BATCH)
            await store.record(session, [row_of(Result(nothing, "refused", None), self.clock)], [])
        async with self._runtime.database.reading() as session:
            await credentials.for_bundles(session, {(ring, "rehearsal")})

    async def show_life(self) -> None:
        """Renew this worker's lease, and learn the database's time."""
        begun = self._loop.time()
        async with self._runtime.database.transaction() as session:
            now = await worker_store.renew_worker(
                session, self.worker_id, host=socket.gethostname(), pid=os.getpid(), lease=LEASE
            )
        self._alive_at = begun
        self.clock.learn(now)

    async def keep_warm(self) -> None:
        """Have a connection open for each credential and environment that phones may need."""
        async with self._runtime.database.reading() as session:
            wanted = await credentials.wanted_environments(session)
        await self._sending.senders.keep_warm(wanted)

    async def expire(self) -> None:
        """End pushes whose deadline has passed."""
        async with self._runtime.database.transaction() as session:
            await store.expire(session, BATCH)

    async def forget_dead_workers(self) -> None:
        """Forget the rows of workers long dead."""
        async with self._runtime.database.each() as session:
            await worker_store.forget_dead_workers(session)

    async def stop(self, within: float) -> None:
        """Claim nothing more, let what flies end within `within` seconds, record it, go."""
        self._stopping = True
        deadline = self._loop.time() + within
        senders = self._sending.senders
        await senders.drain(deadline)
        while self._held and self._loop.time() < deadline + 1:  # noqa: ASYNC110  (a set has no event)
            await asyncio.sleep(0.01)
        await senders.close()
        await self._recorder.finish(deadline + 2)
        await self._tasks.stop()
        async with self._runtime.database.transaction() as session:
            await worker_store.remove_worker(session, self.worker_id)
