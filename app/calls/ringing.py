"""Ringing: many requests become calls, members, rings, pushes and events with one commit."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.calls import busy, slices, store
from app.calls import idempotency as kept_rows
from app.calls.apply import Applied, Change, as_inserted, start
from app.calls.commands import Asked, Done
from app.calls.idempotency import KeptKey
from app.calls.lookup import Found, see_and_find
from app.calls.lost import Lost, User, lost_of, warnings_of
from app.calls.ring_request import LONGEST_KEY, CidKey, RingRequest, resolve, ring_request
from app.calls.rows import Stored
from app.calls.schemas import call_out
from app.calls.suppressing import Pair, record_suppressed
from app.core.call import (
    SERVER,
    Accept,
    Call,
    CallState,
    Decision,
    Refused,
    RingMore,
    Start,
    decide,
)
from app.core.suppression import Why
from app.infra.db import Connection
from app.infra.errors import Conflict, Invalid

__all__ = [
    "LONGEST_KEY",
    "Answer",
    "Meets",
    "Owes",
    "RingRequest",
    "answer_more",
    "answer_of",
    "join_instead",
    "kept_row",
    "named",
    "resolve",
    "ring_more",
    "ring_new",
    "ring_request",
    "start_of",
    "stopped",
]

Answer = dict[str, Any] | Exception
Rung = tuple[dict[int, Answer], Applied]
"""Answers by the place of their order, and what to tell. A place without an answer is an order
whose cid has a live call."""


def named(orders: Sequence[RingRequest]) -> tuple[set[User], set[User], Iterator[Pair]]:
    """Who is named by these, who is rung, and by whom."""
    seen = {(one.tenant_id, user) for one in orders for user in one.users}
    return seen, _rung(orders), (pair for one in orders for pair in one.pairs)


def _rung(orders: Sequence[RingRequest]) -> set[User]:
    return {(one.tenant_id, user) for one in orders for user in one.request.callee_ids}


async def ring_new(session: Connection, orders: Sequence[RingRequest]) -> Rung:
    """Start a call for each order whose cid is free, in a transaction.

    Where a user was erased since it looked, none is started (`saving.add_calls`): as if each cid
    had a live call, which whoever looks for it does not find, and begins again.
    """
    orders, found = await _found(session, orders)
    if found.stopped:
        return dict.fromkeys(range(len(orders)), stopped()), Applied()
    stands = await busy.standing(session, orders, found.now)
    now, tokens = stands.now, found.tokens
    quiet = found.quiet(now)
    lost_users = await lost_of(session, _rung(orders), tokens)
    started = [
        start_of(one, now, lost_users, quiet, stands.busy, ruled=found.ruled) for one in orders
    ]
    taken_names = await _taken(session, orders, started, stands.meets)
    meets = {n: one for n, one in stands.meets.items() if n not in taken_names}
    aside = stands.later | meets.keys() | taken_names
    answers, twins = await _keep(session, orders, started, now, aside)
    first: dict[CidKey, int] = {}
    for n, one in enumerate(orders):
        if n not in answers and n not in twins and n not in aside:
            first.setdefault(one.cid, n)
    some = [started[n] for n in first.values()]
    added, applied = await start(session, some, now, tokens, batched=found.batched)
    taken = [n for n in first.values() if orders[n].session_id in added]
    if quiet or stands.busy or lost_users.silenced:
        await record_suppressed(session, [started[n] for n in taken])
    lost = set(range(len(orders))) - answers.keys() - twins.keys() - set(taken) - aside
    keys = [key for n in sorted(lost) if (key := orders[n].kept_key)]
    if keys:
        await kept_rows.forget_answers(session, keys)
    answers |= {n: answer_of(orders[n], started[n]) for n in taken}
    answers |= {n: Meets(session_id) for n, session_id in meets.items()}
    for n, twin in twins.items():
        if twin in answers:
            answers[n] = _repeat(orders[n], orders[twin].body_digest, answers[twin])
    return answers, applied


async def _found(
    session: Connection, orders: Sequence[RingRequest]
) -> tuple[Sequence[RingRequest], Found]:
    """What is found of these orders, and these as they are to be begun: the large ones with their
    first slice, if all processes know of slices, which they do where pushes go in batches."""
    begun = [slices.first_slice(one) if slices.is_large(one) else one for one in orders]
    found = await see_and_find(session, *named(begun), numbered=True)
    if found.batched or not any(one.owed for one in begun):
        return begun, found
    return orders, await see_and_find(session, *named(orders), numbered=True)


def stopped() -> Conflict:
    """What who asks is told while their tenant has stopped all new ringing."""
    return Conflict(
        "ringing_stopped",
        "this tenant has stopped all new ringing (`/v1/settings/ringing`); calls that live go on",
    )


async def _taken(
    session: Connection,
    orders: Sequence[RingRequest],
    started: Sequence[Change],
    meets: Mapping[int, UUID],
) -> set[int]:
    """Places whose cid has a live call, of those whose own would be over as it begins, or meets
    another: to insert it does not find that out."""
    odd = {n for n, one in enumerate(started) if one.decision.call.state is CallState.ENDED}
    odd |= meets.keys()
    live = await store.live_names(session, [orders[n].cid for n in sorted(odd)]) if odd else set()
    return {n for n in odd if orders[n].cid in live}


def start_of(
    one: RingRequest,
    now: datetime,
    lost: Lost,
    quiet: Mapping[Pair, Why],
    in_calls: frozenset[User],
    *,
    ruled: bool = True,
) -> Change:
    """The call of an order as it begins."""
    request = one.request
    call = Call(
        id=one.session_id,
        type=request.type,
        name=one.name,
        caller_id=request.caller.id,
        video=request.video,
        limits=one.limits,
        created_at=now,
        details=request.details,
        caller=request.caller.person,
    )
    command = Start(
        one.callees,
        one.ring_time,
        one.device,
        one.among(lost.unreachable),
        one.give_up,
        one.kept_from(quiet, in_calls, lost.silenced),
        one.told_busy(in_calls),
        one.owed,
    )
    decision = decide(call, command, now)
    debt = slices.debt_of(one, ruled=ruled)
    return Change(Stored(decision.call, one.tenant_id, 0, 1, one.traceparent, debt), decision)


class Meets(Exception):
    """The callee of a request is calling its caller: that call, which it is to join."""

    def __init__(self, session_id: UUID) -> None:
        super().__init__(str(session_id))
        self.session_id = session_id


class Owes(Exception):
    """The call of a request rings, but for those whom it owes: they come before the answer.

    `stored`: as the request itself has begun it; None when it repeats another.
    """

    def __init__(self, session_id: UUID, stored: Stored | None = None) -> None:
        super().__init__(str(session_id))
        self.session_id = session_id
        self.stored = stored


def answer_of(one: RingRequest, change: Change) -> Answer:
    """What an order is told whose call has begun."""
    call = change.decision.call
    return Owes(call.id, as_inserted(change)) if one.owed else _told(one, call)


def _told(one: RingRequest, call: Call) -> dict[str, Any]:
    return call_out(call) | {"warnings": warnings_of(call, one.request.callee_ids)}


def kept_row(one: RingRequest, change: Change, now: datetime) -> dict[str, Any]:
    """What is kept of an order's answer for its key."""
    return {
        "tenant_id": one.tenant_id,
        "owner": one.owner,
        "key": one.key,
        "body_digest": one.body_digest,
        "session_id": change.decision.call.id,
        "answer": None if one.owed else _told(one, change.decision.call),
        "created_at": now,
    }


async def _keep(
    session: Connection,
    orders: Sequence[RingRequest],
    changes: Sequence[Change],
    now: datetime,
    aside: Collection[int] = (),
) -> tuple[dict[int, Answer], dict[int, int]]:
    """Keep the answers of orders that have an idempotency key, but for those `aside`.

    Gives the answers of those that were answered before, and for each order that repeats another
    of this batch the place of that one, whose fate it shares.
    """
    rows: dict[KeptKey, dict[str, Any]] = {}
    owner: dict[KeptKey, int] = {}
    for n, (one, change) in enumerate(zip(orders, changes, strict=True)):
        key = one.kept_key
        if key is None or key in rows or n in aside:
            continue
        owner[key] = n
        rows[key] = kept_row(one, change, now)
    if not rows:
        return {}, {}
    kept = await kept_rows.keep_answers(session, list(rows.values()))
    asked = [
        (n, one, key) for n, one in enumerate(orders) if n not in aside and (key := one.kept_key)
    ]
    twins = {n: owner[key] for n, _, key in asked if key in kept and owner[key] != n}
    repeated = [(n, one, key) for n, one, key in asked if key not in kept]
    if not repeated:
        return {}, twins
    known = await kept_rows.kept_answers(session, [key for _, _, key in repeated])
    before = {
        n: _repeat(
            one,
            known[key]["body_digest"],
            kept_rows.told(known[key]) or Owes(known[key]["session_id"]),
        )
        for n, one, key in repeated
    }
    return before, twins


def _repeat(one: RingRequest, digest: bytes, answer: Answer) -> Answer:
    if digest != one.body_digest:
        return Conflict(
            "idempotency_key_reused",
            "Idempotency-Key: this key came with another body in the last 24 hours; use a new key",
        )
    return answer


def ring_more(
    one: RingRequest,
    lost: Lost,
    quiet: Mapping[Pair, Why],
    in_calls: frozenset[User],
) -> Asked:
    """The command to ring more members of a live call: as `one` asks, and once for its key."""

    async def admit(
        session: Connection, stored: Stored, decision: Decision, now: datetime
    ) -> Answer | None:
        if decision.refusal is not None:
            return None
        change = Change(stored, decision)
        repeated, _ = await _keep(session, [one], [change], now)
        if (quiet or in_calls or lost.silenced) and not repeated:
            await record_suppressed(session, [change])
        return repeated.get(0)

    command = RingMore(
        one.request.caller.id,
        one.callees,
        one.ring_time,
        one.among(lost.unreachable),
        one.give_up,
        one.kept_from(quiet, in_calls, lost.silenced),
        one.told_busy(in_calls),
    )
    return Asked(command, admit)


def join_instead(one: RingRequest) -> Asked:
    """The command to answer the call in which the one callee is calling the caller already."""

    async def admit(
        session: Connection, stored: Stored, decision: Decision, now: datetime
    ) -> Answer | None:
        if decision.refusal is not None:
            return None
        repeated, _ = await _keep(session, [one], [Change(stored, decision)], now)
        return repeated.get(0)

    return Asked(Accept(one.request.caller.id, one.device, one.device != SERVER), admit)


def answer_more(one: RingRequest, done: Done) -> dict[str, Any]:
    """What ringing more members, or joining instead, is answered. Raises Conflict or Invalid."""
    if isinstance(done.instead, Exception):
        raise done.instead
    if done.instead is not None:
        answer: dict[str, Any] = done.instead
        return answer
    if done.decision.refusal is None:
        return _told(one, done.decision.call)
    if done.decision.refusal is Refused.TOO_MANY_MEMBERS:
        raise Invalid("too_many_members", "callees: the call would hold more members than it may")
    raise Conflict(
        "call_in_progress",
        "a call with this cid is live and the caller has not joined it; use another id, or join",
    )
