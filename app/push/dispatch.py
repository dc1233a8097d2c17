"""Claiming: which pushes this worker takes on, and how it lives and ends.

One Dispatcher lives in each worker process, on its loop. What it has claimed is in `_held` from
the claim to the record; no transaction is open in between. A push that shall be tried again goes
back to `pending` and is claimed anew by this process's own timer, or by whoever inherits it.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from uuid import UUID

import structlog

from app.core.push import Environment, Purpose, PushState
from app.credentials import store as credentials
from app.infra import bisection, clock
from app.infra.bisection import Aside
from app.infra.boottime import boottime
from app.infra.db import Connection
from app.infra.ids import uuid7
from app.infra.push_hints import HintOf, PushHint
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks
from app.push import batch_claims, batches, claims, expiry, records, worker_store
from app.push.claimed import Batch, Claim, ClaimedPlace, ClaimedPush
from app.push.life import LEASE, Life
from app.push.recording import Recorder
from app.push.results import DatabaseClock, Result
from app.push.sending import Sending
from app.push.store import STOP_LATER
from app.push.sweeping import Claiming, Sweeping

__all__ = ["LEASE", "Dispatcher"]

log = structlog.get_logger(__name__)

BATCH = 500
BATCHES_AT_ONCE = 2
LONG_AGO = 0.5
"""Seconds after which a push that only waits for a connection is looked at all the same."""

IDLE = 300
"""Pushes in hand from which on a worker is busy, and takes no direct hint."""

AT_REST = 5.0
"""Seconds between two looks for claims that this worker does not know of while it claims nothing.
"""

FORGOTTEN = 5.0
"""Seconds after its deadline at which a claim that nobody works on is let go, and so expires."""


Lost = Callable[[Collection[UUID]], Awaitable[object]]
"""Hears of rings of which a push will not be sent again: they may have nothing left that rings."""

LOST_TOGETHER = 0.02
NOT_SENT_AGAIN = frozenset({PushState.REFUSED, PushState.DROPPED, PushState.EXPIRED})


def _is_lost(result: Result) -> bool:
    return result.push.purpose is Purpose.RING and result.state in NOT_SENT_AGAIN


def _sorted(hints: Sequence[PushHint]) -> tuple[list[UUID], list[UUID], list[UUID], list[UUID]]:
    """Rings with something due, calls with batches, rings with something due soon, and unclear."""
    if len(hints) == 1 and hints[0].of is HintOf.RING:  # as nearly all
        return [hints[0].id], [], [], []
    of: dict[HintOf, list[UUID]] = {one: [] for one in HintOf}
    for hint in hints:
        of[hint.of].append(hint.id)
    rings = list(dict.fromkeys(of[HintOf.RING] + of[HintOf.STOP]))
    return rings, of[HintOf.BATCH], of[HintOf.LATER], of[HintOf.ANY]


class Dispatcher:
    """Claims the pushes of one worker process and sees to it that each ends in a record."""

    def __init__(self, runtime: Runtime, lost: Lost | None = None) -> None:
        self._lost_target = lost
        self.life = Life()
        self._loop = asyncio.get_running_loop()
        self.clock = DatabaseClock(self._loop)
        self._runtime = runtime
        self._tasks = Tasks("push")
        self._recorder = Recorder(
            runtime, self._tasks, self.clock, self._recorded, lambda: len(self._held)
        )
        self._sending = Sending(runtime, self.clock, self._recorder.add, self._forget)
        self._retries: set[UUID] = set()
        self._rings_lost: set[UUID] = set()
        self._held: dict[Claim, float] = {}
        self._batches: dict[Claim, Batch] = {}
        """Of those of them that were claimed in one."""
        self._doubtful = True
        """Whether anything was claimed or let go since the last look for claims it knows not of."""
        self._looked = 0.0
        self._unseen = Aside[Claim]("look")
        self._claiming: set[asyncio.Future[None]] = set()
        self.sweeping = Sweeping(runtime, lambda: self.life, self._claim_all)
        self._renewing = asyncio.Lock()
        self._stopping = False
        self.on_new_life: Callable[[UUID], None] = lambda _: None
        """Hears under which id this worker goes on after it has been condemned."""

    @property
    def worker_id(self) -> UUID:
        """Under which it claims now: another after it has been condemned."""
        return self.life.id

    def is_idle(self) -> bool:
        """Whether another ring would soon have its turn at this worker."""
        return not self._stopping and len(self._held) < IDLE

    # --- claiming ------------------------------------------------------------------------------

    async def send(self, hints: Sequence[PushHint]) -> None:
        """Claim and send what these hints are of, one or a thousand.

        By the hundred or two, two claims at a time: the first phones ring while the pushes of the
        next are claimed. A stop may be due in a moment only, when nothing of its ring can be handed
        over any more. What a hint of any kind is of is tried in turn.
        """
        rings, calls, later, unclear = _sorted(hints)
        rung = await self._send_rings([*rings, *unclear])
        unclear = [one for one in unclear if one not in rung]
        if calls or unclear:
            had = await self._send_batches([*calls, *unclear])
            unclear = [one for one in unclear if one not in had]
        if later or unclear:
            await asyncio.sleep(STOP_LATER)
            await self._send_rings([*later, *unclear])

    async def _send_rings(self, rings: Sequence[UUID]) -> set[UUID]:
        """Which of them rang: of these no stop is about to be sent."""
        together = claims.rings_together(len(rings))
        starts = iter(range(0, len(rings), together))
        rung: set[UUID] = set()

        async def go_on() -> None:
            for start in starts:
                some = rings[start : start + together]
                rung.update(
                    await self._claim_all(
                        lambda session, life, some=some: claims.claim_rings(  # type: ignore[misc]
                            session, life.id, some, BATCH, life.since
                        )
                    )
                )

        if len(rings) <= together:
            await go_on()  # in this turn of the loop
        else:
            await asyncio.gather(go_on(), go_on())
        return rung

    async def _send_batches(self, calls: Sequence[UUID]) -> set[UUID]:
        """Claim and send what is in batches of these calls; those of them that had any."""
        had: set[UUID] = set()

        async def claim(session: Connection, life: Life) -> list[ClaimedPlace]:
            found = await batch_claims.claim_calls(
                session, life.id, calls, BATCHES_AT_ONCE, life.since
            )
            had.update(place.session_id for place in found)
            return found

        await self._claim_all(claim)  # once: of most there are none, and the first are soon away
        if had:
            await asyncio.gather(*(self._claim_all(claim, least=1) for _ in range(2)))
        return had

    async def send_lost(self) -> None:
        """Claim anew what the database says that this worker has, and it does not know of.

        A claim whose answer never came. Those whose answers may still come are waited for, once the
        database has said what it knows, which may be of claims that began meanwhile: one that is
        abandoned has had its connection thrown away. What is past its deadline ends.
        """
        self._let_go()
        now = self._loop.time()
        if not self._doubtful and not self._held and now < self._looked + AT_REST:
            return
        life = self.life
        self._doubtful, self._looked = False, now
        async with self._runtime.database.autocommit() as session:
            known = await claims.claims_of(session, life.id)
        if self._claiming:
            await asyncio.wait(list(self._claiming))
        lost = sorted(known.keys() - self._held.keys())
        if not lost:
            return
        if in_batches := {claim[0]: batch for claim in lost if (batch := known[claim])}:
            async with self._runtime.database.autocommit() as session:
                await batches.leave(session, in_batches)
        await self._claim_all(
            lambda session, life: claims.claim_again(session, life.id, lost, BATCH)
        )
        async with self._runtime.database.autocommit() as session:
            await expiry.expire_lost(session, life.id, lost)

    def _let_go(self) -> None:
        """Forget claims on which nobody works: there should be none."""
        if self._recorder.kept():
            return
        now = boottime()
        for claim, deadline in list(self._held.items()):
            if now > deadline + FORGOTTEN and not self._sending.has(claim):
                log.error("claim_forgotten", push=str(claim[0]))
                self._forget(claim)

    async def _retry(self) -> None:
        pushes, self._retries = sorted(self._retries), set()
        await self.sweeping.claim(pushes)

    async def _claim_all(self, claim: Claiming, least: int = BATCH) -> set[UUID]:
        """Claim and send, as long as `least` are claimed; the rings of which a phone is rung."""
        rung: set[UUID] = set()
        while not self._stopping:
            if not self.life.is_alive():
                await self.show_life()
            life = self.life
            claimed, read = await self._claim(claim, life)
            if claimed:
                await self._sending.send(claimed, life, read)
                if any(push.inherited and not push.repeated for push in claimed):
                    await self.look()
            rung.update(push.ring for push in claimed if push.purpose is Purpose.RING)
            if len(claimed) < least:
                break
        return rung

    async def _claim(self, claim: Claiming, life: Life) -> tuple[Sequence[ClaimedPush], float]:
        """What a claim got, and when (`boottime()`) its statement began to read."""
        concluded: asyncio.Future[None] = self._loop.create_future()
        self._claiming.add(concluded)
        try:
            async with self._runtime.database.autocommit() as session:
                read = boottime()
                claimed = await claim(session, life)
                self._hold(claimed, read)
        finally:
            self._doubtful = True
            self._claiming.discard(concluded)
            concluded.set_result(None)
        return claimed, read

    def _hold(self, claimed: Sequence[ClaimedPush], read: float) -> None:
        until, deadline, now = 0.0, None, None
        for push in claimed:
            if push.deadline is not deadline or push.now is not now:  # those of a batch share it
                deadline, now = push.deadline, push.now
                until = read + (deadline - now).total_seconds()
            claim = push.claim
            self._held[claim] = until
            if isinstance(push, ClaimedPlace):
                self._batches[claim] = push.batch

    async def look(self) -> None:
        """Look again at pushes that wait: at once at those whose turn has come and gone."""
        life, aside = self.life, set(self._unseen.keys())
        found = self._sending.waiting(boottime() - LONG_AGO)
        waiting = {one.claim: one for one in found if one.life is life and one.claim not in aside}

        async def look_at(some: Sequence[Claim]) -> None:
            held = [one for one in map(waiting.__getitem__, some) if one.waits()]
            marks = [one.push.id for one in held if one.unmarked and one.is_held_back()]
            async with self._runtime.database.vital.autocommit() as session:
                read = boottime()
                pushes = [one.push for one in held]
                rows = await batch_claims.look(session, life.id, pushes, marks)
            for one in held:
                self._sending.looked_at(one, rows.get(one.push.id), read)

        some = list(waiting)
        for start in range(0, len(some), BATCH):
            if not life.is_alive():
                return
            await bisection.rows_alone(some[start : start + BATCH], look_at, self._unseen)

    def _forget(self, claim: Claim) -> None:
        self._doubtful = True
        self._held.pop(claim, None)
        if self._batches:
            self._batches.pop(claim, None)

    def _recorded(self, result: Result) -> None:
        if self._lost_target is not None and _is_lost(result):
            self._rings_lost.add(result.push.ring)
            if len(self._rings_lost) == 1:
                self._tasks.spawn("lost", self._say_lost(self._lost_target))
        self._forget(result.push.claim)
        if result.retry_at is not None:  # also if it was written before: its answer was lost
            self._loop.call_at(result.retry_at, self._retry_soon, result.push.id)

    async def _say_lost(self, lost: "Lost") -> None:
        await asyncio.sleep(LOST_TOGETHER)  # what is refused at the same moment goes together
        rings, self._rings_lost = self._rings_lost, set()
        await self._send_rings(sorted(rings))  # by the next address of a phone that refused one
        await lost(rings)

    def _retry_soon(self, push_id: UUID) -> None:
        if not self._retries:
            self._tasks.spawn("retry", self._retry())
        self._retries.add(push_id)

    # --- living --------------------------------------------------------------------------------

    async def rehearse(self) -> None:
        """Go once through the statements of a push, before a ring needs them; nothing stays."""
        ring = uuid7()
        nothing: records.PushEnd = {
            "id": uuid7(), "worker": self.life.id, "fence": 0, "state": PushState.REFUSED,
            "environment": Environment.SANDBOX, "healed": False, "silent": False, "due_at": None,
            "status": None, "reason": None, "sent_at": None, "answered_at": None,
            "next_id": None, "try_id": None,
        }  # fmt: skip
        async with self._runtime.database.rehearsal() as session:
            await claims.claim_rings(session, self.life.id, [ring], BATCH)
            await batch_claims.claim_calls(session, self.life.id, [ring], 1, self.life.since)
        async with self._runtime.database.vital.rehearsal() as session:
            await claims.look(session, self.life.id, [(ring, 0)], [])
            await records.record(session, [nothing], [])
            await records.record_taken(session, self.life.id, [(ring, 0, None, 0.0, 0.0)])
            none = Batch(ring, self.life.id, 0, clock.now(), [], [])
            await batch_claims.record(session, [none])
        async with self._runtime.database.autocommit() as session:
            await credentials.for_apps(session, {(ring, "rehearsal")})

    async def show_life(self) -> None:
        """Renew this worker's lease, and learn the database's time.

        After the database was away: answers in hand are written, and claims are said again. Who has
        been condemned meanwhile begins a new life, without what it had not begun to send.
        """
        async with self._renewing:
            renewal = await self._renew()
            if renewal is None:
                log.error("condemned", worker=str(self.life.id))
                self.life.ended = True
                self._sending.forget_unbegun(self.life)
                self.life = Life()
                self.on_new_life(self.life.id)
                await self._renew()

    async def _renew(self) -> worker_store.Renewal | None:
        life = self.life
        async with self._runtime.database.vital.autocommit() as session:
            begun = boottime()
            renewal = (
                await worker_store.renew_worker(session, life.id, lease=LEASE)
                if life.entered
                else await worker_store.enter_worker(
                    session,
                    life.id,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    only=self._runtime.settings.worker_only,
                    batches=self._runtime.settings.push_batches,
                    lease=LEASE,
                )
            )
        if renewal is not None:
            clock.learn(renewal.now, begun)
            if life.renewed(begun, renewal):
                self._tasks.spawn("reassert", self._reassert(life))
        return renewal

    async def _reassert(self, life: Life) -> None:
        self._recorder.hurry()
        async with self._runtime.database.autocommit() as session:
            await claims.reassert(session, life.id, sorted(self._held))
            held = {(batch.id, batch.fence) for batch in self._batches.values()}
            await batch_claims.reassert(session, life.id, sorted(held))

    async def keep_warm(self) -> None:
        """Have a connection open for each credential and environment that phones may need."""
        senders = self._sending.senders
        async with self._runtime.database.autocommit() as session:
            used = sorted({key[0] for key in senders.used()})
            wanted, usable = await credentials.wanted_keys(session, used)
            new = senders.unopened(wanted)
            found = await credentials.usable_among(session, new) if new else []
        await senders.keep_warm(wanted, usable, found)

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
            await worker_store.remove_worker(session, self.life.id)
