"""Requests to ring: a tenant's new calls share commits, and nobody waits for another tenant.

Each tenant has a lane of its own, and another for its large groups: a batch may have to wait for a
transaction with the same cid or idempotency key, and takes as long as its largest call. When the
process falls behind, tenants that ring far more than others wait between their batches. A request
for a cid that has a live call rings more of its members, in that call's own line.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import structlog

from app.calls import at_once, busy, idempotency, ringing, slices, store
from app.calls.commands import Asked, carry_out
from app.calls.idempotency import KeptKey
from app.calls.lost import lost_of
from app.calls.notify_after_commit import notify_after_commit
from app.calls.ringing import Answer, RingRequest
from app.calls.suppressing import suppressed_in
from app.core.call import Refused, Tick
from app.core.frozen import replace
from app.infra.batching import Lanes
from app.infra.errors import Conflict, NotFound, Unavailable
from app.infra.observe import RINGS, RINGS_TAKEN
from app.infra.outage import is_transient
from app.infra.pacing import Pacer
from app.infra.runtime import Runtime
from app.infra.unreadable import Unreadable
from app.push import tokens
from app.users import store as users

log = structlog.get_logger(__name__)

AT_ONCE = 200
"""Requests in one commit at most."""

CROWD = 16
"""Requests in one commit from which those that were answered are waited for before the next: so
many gather within one alone where thousands a second come, and there a commit of nearly twice as
many costs PostgreSQL a sixth less for each."""

MOST_WAITING = 5_000
"""Requests of one tenant that may wait in one process."""

GROUP = 50
"""Callees from which a call goes in the lane of large groups."""

TRIES = 5
"""How often a cid may begin and end a call between two looks at it."""

Lane = tuple[UUID, bool, bool]
"""(tenant, whether for large groups, whether it waits for its users' other calls)."""


Known = Callable[[Sequence[str]], None]


def _nobody(_: Sequence[str]) -> None:
    """Who is named by a handle is of no interest."""


class _Live(Exception):
    """The cid of an order has a live call."""


class Ringer:
    """Rings for the requests of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._pacer = Pacer()
        self._lanes: Lanes[Lane, RingRequest, dict[str, Any]] = Lanes(
            self._in_turn, AT_ONCE, MOST_WAITING, CROWD
        )

    async def submit(self, one: RingRequest, known: Known = _nobody) -> dict[str, Any]:
        """Ring; the call as clients read it. Raises Conflict, Invalid or Unavailable.

        `known` hears who those are that are named by a handle alone, and may refuse.
        """
        return await _counted(self._traced(one, known))

    def begin(self, one: RingRequest, heard: Callable[[Answer], object]) -> None:
        """As `submit`, for a request that names nobody by a handle and whose spans nobody sees.

        `heard` is called with the call, or with what `end` makes one of. Raises Unavailable.
        """
        try:
            self._lanes.put(_lane(one), one, partial(_hear, heard))
        except Unavailable:
            RINGS.labels("refused").inc()
            raise

    async def end(self, one: RingRequest, heard: Exception) -> dict[str, Any]:
        """The call of a request of which this was heard in its place. Raises as `submit`."""
        return await _counted(self._go_on(one, heard))

    async def _go_on(self, one: RingRequest, heard: Exception) -> dict[str, Any]:
        answer = await self._instead(one, heard)
        return await self._ring(one) if answer is None else answer

    async def _traced(self, one: RingRequest, known: Known) -> dict[str, Any]:
        traces = self._runtime.traces
        if traces is None:
            return await self._ring(await self._by_handle(one, known))
        with traces.ringing() as span:
            span.set({"ringline.session_id": str(one.session_id)})
            one = replace(one, traceparent=span.traceparent)
            return await self._ring(await self._by_handle(one, known))

    async def _by_handle(self, one: RingRequest, known: Known) -> RingRequest:
        """The same with users in the place of handles. Raises Invalid for one that nobody has."""
        wanted = one.request.wanted
        if not wanted:
            return one
        async with self._runtime.database.autocommit() as session:
            whose = await users.whose(session, one.tenant_id, wanted)
        found = one.to(whose)
        known(sorted(whose.values()))
        return found

    async def all(self, orders: Sequence[RingRequest]) -> list[Answer]:
        """Ring for all of these at once: for each the call, or why not."""
        work = (self.submit(one) for one in orders)
        return await asyncio.gather(*(_outcome(one) for one in work))

    async def _ring(self, one: RingRequest) -> dict[str, Any]:
        for _ in range(TRIES):
            try:
                return await self._lanes.submit(_lane(one), one)
            except (_Live, ringing.Meets, ringing.Owes) as heard:
                answer = await self._instead(one, heard)
            if answer is not None:
                return answer
        raise Conflict("call_in_progress", "calls with this cid begin and end too fast; try again")

    async def _instead(self, one: RingRequest, heard: Exception) -> dict[str, Any] | None:
        """What a request is answered of which this was heard; None: it is to be tried again."""
        if isinstance(heard, ringing.Owes):  # raised, it would keep itself and the whole call
            return await self._ring_owed(one, heard)
        try:
            if isinstance(heard, _Live):
                return await self._ring_more(one)
            if isinstance(heard, ringing.Meets):
                return await self._join(one, heard.session_id)
            raise heard
        except ringing.Owes as call:
            return await self._ring_owed(one, call)

    async def _in_turn(self, lane: Lane, orders: Sequence[RingRequest]) -> list[Answer]:
        async with self._pacer.turn(lane[0], len(orders)):
            return await self._ring_new(orders)

    async def _ring_new(self, orders: Sequence[RingRequest]) -> list[Answer]:
        answers, applied = await at_once.ring(self._runtime.database, orders)
        notify_after_commit(self._runtime, applied)
        return [answers.get(n, _Live()) for n in range(len(orders))]

    async def _ring_more(self, one: RingRequest) -> dict[str, Any] | None:
        """Ring more members of the live call of this cid; None when there is none any more."""
        async with self._runtime.database.autocommit() as session:
            session_id = await store.id_by_name(session, *one.cid)
            if session_id is None:
                return None
            users = [(one.tenant_id, user) for user in one.request.callee_ids]
            now, found = await tokens.ringable(session, users)
            lost = await lost_of(session, users, found)
            quiet = await suppressed_in(session, session_id, one.pairs, now)
            within = await busy.in_calls(session, users, session_id) if one.watched else frozenset()
            asked = ringing.ring_more(one, lost, quiet, within)
        try:
            done = await carry_out(self._runtime, one.tenant_id, session_id, asked)
        except NotFound:
            return None
        if done.instead is None and done.decision.refusal is Refused.CALL_ENDED:
            return None  # if time has ended it, that is written, and the cid is free again
        return ringing.answer_more(one, done)

    async def _ring_owed(self, one: RingRequest, owes: ringing.Owes) -> dict[str, Any] | None:
        """Ring those whom the call of this request owes; its answer, which is whole.

        It is told that all ring where they cannot be written now: that they will is committed.
        """
        try:
            done = await carry_out(
                self._runtime, one.tenant_id, owes.session_id, Asked(Tick(), known=owes.stored)
            )
            if one.kept_key is not None:
                return await self._kept(one.kept_key)
        except Exception as error:
            if owes.stored is None or not (isinstance(error, Unavailable) or is_transient(error)):
                raise
            log.warning(
                "slices_put_off", session_id=str(owes.session_id), error=type(error).__name__
            )
            return slices.expected(one, owes.stored.call)
        return slices.answer(done.decision.call, one.callees)

    async def _kept(self, key: KeptKey) -> dict[str, Any] | None:
        """What is kept of the answer for a key, if anything. Raises Unreadable."""
        async with self._runtime.database.autocommit() as session:
            kept = await idempotency.kept_answers(session, [key])
        answer = idempotency.told(kept[key]) if key in kept else None
        if isinstance(answer, Unreadable):
            raise answer
        return answer

    async def _join(self, one: RingRequest, session_id: UUID) -> dict[str, Any] | None:
        """Answer the call in which the callee is calling the caller; None when it rings no more."""
        done = await carry_out(self._runtime, one.tenant_id, session_id, ringing.join_instead(one))
        if done.instead is None and done.decision.refusal is not None:
            return None
        return ringing.answer_more(one, done)


def _lane(one: RingRequest) -> Lane:
    return one.tenant_id, len(one.callees) > GROUP, one.watched


async def _counted(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    try:
        call = await work
    except Exception:
        RINGS.labels("refused").inc()
        raise
    RINGS_TAKEN.inc()
    return call


def _hear(heard: Callable[[Answer], object], answer: Answer) -> None:
    if not isinstance(answer, Exception):
        RINGS_TAKEN.inc()
    heard(answer)


async def _outcome(work: Coroutine[Any, Any, dict[str, Any]]) -> Answer:
    try:
        return await work
    except Exception as error:  # noqa: BLE001  (whose answer it is)
        return error


def ringer_of(runtime: Runtime) -> Ringer:
    """The ringer of this process."""
    return runtime.keep("calls.ringer", lambda: Ringer(runtime))
