"""Ringing: many requests become calls, members, rings, pushes and events with one commit."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from app.calls import idempotency as kept_rows
from app.calls.apply import Applied, Change, start
from app.calls.commands import Asked, Done
from app.calls.idempotency import KeptKey
from app.calls.reach import User, unreachable_of, warnings_of
from app.calls.rows import Stored
from app.calls.schemas import PersonIn, RingIn, call_out
from app.calls.suppressing import Pair, record_suppressed, suppressed
from app.core.call import SERVER, Call, Callee, Decision, Refused, RingMore, Start, decide
from app.core.frozen import frozen
from app.core.limits import CallLimits
from app.core.person import Handle
from app.core.suppression import Why
from app.core.text import is_plain
from app.devices import store as devices
from app.infra.db import Connection
from app.infra.errors import Conflict, Forbidden, Invalid
from app.infra.ids import uuid7
from app.tenants.caller import Caller, require_scope, require_server_or_user
from app.tenants.schemas import TenantSettings

LONGEST_KEY = 255
Answer = dict[str, Any] | Exception
CidKey = tuple[UUID, str, str]


@frozen
class RingRequest:
    """One request to ring, ready to be decided: ids made, limits resolved.

    `key` is its Idempotency-Key, among those of `owner`: an API key or a user. `give_up`: whether
    the rings of whom nothing can ring end at once. `notify`: a notification tells of it, no more.
    """

    tenant_id: UUID
    request: RingIn
    session_id: UUID
    name: str
    limits: CallLimits
    callees: tuple[Callee, ...]
    device: str
    owner: str
    key: str | None
    give_up: bool
    notify: bool
    body_digest: bytes

    @property
    def cid(self) -> CidKey:
        return self.tenant_id, self.request.type, self.name

    def to(self, users: Mapping[Handle, str]) -> "RingRequest":
        """The same, to these users where it names handles. Raises Invalid for what is nobody's."""
        request = self.request.found(users)
        return replace(self, request=request, callees=tuple(map(_callee, request.callees)))

    @property
    def kept_key(self) -> KeptKey | None:
        """By what its answer is kept."""
        return None if self.key is None else (self.tenant_id, self.owner, self.key)

    def among(self, users: frozenset[User]) -> frozenset[str]:
        """Its callees that are among these; of none is it said who is only notified."""
        if self.notify:
            return frozenset()
        return frozenset(one for one in self.request.callee_ids if (self.tenant_id, one) in users)

    @property
    def pairs(self) -> list[Pair]:
        """Whom it rings, by whom."""
        request = self.request
        return [
            (self.tenant_id, user, request.caller.id, request.type) for user in request.callee_ids
        ]

    def kept_from(self, quiet: Mapping[Pair, Why]) -> dict[str, str]:
        """Its callees that are not to be rung, and why."""
        kept = dict.fromkeys(self.request.callee_ids, Why.NOTIFY.value) if self.notify else {}
        if not quiet:
            return kept
        return kept | {pair[1]: why.value for pair in self.pairs if (why := quiet.get(pair))}

    @property
    def ring_time(self) -> float:
        """Seconds for which it rings."""
        asked = self.request.ring_time
        return self.limits.ring if asked is None else asked


def resolve(
    tenant_id: UUID,
    settings: TenantSettings,
    request: RingIn,
    *,
    device: str,
    key: str | None,
    owner: str = "",
) -> RingRequest:
    """Make its ids, look up its limits. Raises Invalid (422) for more members than it may have."""
    limits = settings.limits_for(request.type)
    if len(request.callees) + 1 > limits.members:
        raise Invalid(
            "too_many_members",
            f"callees: a call holds at most {limits.members:g} members, the caller included",
        )
    notify = (request.mode or settings.mode_for(request.type)) == "notify"
    if notify and settings.alert(request.type, "notify") is None:
        raise Invalid(
            "missing_template",
            f"mode: what a notification of a call of type {request.type} says is not set "
            "(`notifications`, event `notify`)",
        )
    session_id = uuid7()
    return RingRequest(
        tenant_id=tenant_id,
        request=request,
        session_id=session_id,
        name=request.id or str(session_id),
        limits=limits,
        callees=() if request.wanted else tuple(map(_callee, request.callees)),
        device=device,
        owner=owner,
        key=key,
        give_up=settings.end_unreachable,
        notify=notify,
        body_digest=b"" if key is None else _digest(request),
    )


def _callee(one: str | PersonIn) -> Callee:
    if isinstance(one, str):
        return Callee(one, uuid7())
    assert one.id is not None
    return Callee(one.id, uuid7(), one.person)


def _digest(request: RingIn) -> bytes:
    said = request.model_dump(mode="json")
    if request.mode is None:  # as before there were modes: a key is good over an upgrade
        del said["mode"]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


def ring_request(caller: Caller, request: RingIn, key: str | None) -> RingRequest:
    """A request to ring, resolved. Raises Forbidden (403) or Invalid (422)."""
    require_server_or_user(caller)
    require_scope(caller, "ring" if caller.kind == "user" else "calls")
    if caller.kind == "user":
        if request.caller.id != caller.user_id:
            raise Forbidden("wrong_user", "caller.id: a user token rings as its own subject only")
        if not caller.settings.users_may_ring:
            raise Forbidden(
                "ringing_not_allowed",
                "users of this tenant may not ring; ring with an API key, or set users_may_ring",
            )
    if key is not None and (not 1 <= len(key) <= LONGEST_KEY or not is_plain(key)):
        raise Invalid(
            "invalid_idempotency_key",
            f"Idempotency-Key: must have 1 to {LONGEST_KEY} printable characters",
        )
    device = request.caller.device_id or SERVER
    owner = kept_rows.owner_of(key_id=caller.key_id, user_id=caller.user_id)
    return resolve(caller.tenant_id, caller.settings, request, device=device, key=key, owner=owner)


async def ring_new(
    session: Connection, orders: Sequence[RingRequest]
) -> tuple[dict[int, Answer], Applied]:
    """Start a call for each order whose cid is free; returns by place, and what to tell.

    A place without an answer is an order whose cid has a live call.
    """
    users = {(one.tenant_id, user) for one in orders for user in one.request.callee_ids}
    callers = {(one.tenant_id, one.request.caller.id) for one in orders}
    found = await devices.see_and_find(session, users | callers, users)
    if found.stopped:
        return dict.fromkeys(range(len(orders)), _stopped()), Applied()
    now, tokens = found.now, found.tokens
    pairs = [pair for one in orders for pair in one.pairs] if found.ruled else []
    quiet = await suppressed(session, pairs, now) if pairs else {}
    unreachable = await unreachable_of(session, users, tokens)
    started = [_start(one, now, unreachable, quiet) for one in orders]
    answers, twins = await _keep(session, orders, started, now)
    first: dict[CidKey, int] = {}
    for n, one in enumerate(orders):
        if n not in answers and n not in twins:
            first.setdefault(one.cid, n)
    added, applied = await start(session, [started[n] for n in first.values()], now, tokens)
    taken = [n for n in first.values() if orders[n].session_id in added]
    if quiet:
        await record_suppressed(session, [started[n] for n in taken])
    lost = set(range(len(orders))) - answers.keys() - twins.keys() - set(taken)
    keys = [key for n in sorted(lost) if (key := orders[n].kept_key)]
    if keys:
        await kept_rows.forget_answers(session, keys)
    answers |= {n: _answer(orders[n], started[n]) for n in taken}
    for n, twin in twins.items():
        if twin in answers:
            answers[n] = _repeat(
                orders[n], orders[twin].body_digest, _answer(orders[twin], started[twin])
            )
    return answers, applied


def _stopped() -> Conflict:
    return Conflict(
        "ringing_stopped",
        "this tenant has stopped all new ringing (`/v1/settings/ringing`); calls that live go on",
    )


def _start(
    one: RingRequest, now: datetime, unreachable: frozenset[User], quiet: Mapping[Pair, Why]
) -> Change:
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
        one.among(unreachable),
        one.give_up,
        one.kept_from(quiet),
    )
    decision = decide(call, command, now)
    return Change(Stored(decision.call, one.tenant_id, 0, 1), decision)


def _answer(one: RingRequest, change: Change) -> dict[str, Any]:
    return _told(one, change.decision.call)


def _told(one: RingRequest, call: Call) -> dict[str, Any]:
    return call_out(call) | {"warnings": warnings_of(call, one.request.callee_ids)}


async def _keep(
    session: Connection, orders: Sequence[RingRequest], changes: Sequence[Change], now: datetime
) -> tuple[dict[int, Answer], dict[int, int]]:
    """Keep the answers of orders that have an idempotency key.

    Gives the answers of those that were answered before, and for each order that repeats another
    of this batch the place of that one, whose fate it shares.
    """
    rows: dict[KeptKey, dict[str, Any]] = {}
    owner: dict[KeptKey, int] = {}
    for n, (one, change) in enumerate(zip(orders, changes, strict=True)):
        key = one.kept_key
        if key is None or key in rows:
            continue
        owner[key] = n
        rows[key] = {
            "tenant_id": one.tenant_id,
            "owner": one.owner,
            "key": one.key,
            "body_digest": one.body_digest,
            "session_id": change.decision.call.id,
            "answer": _answer(one, change),
            "created_at": now,
        }
    if not rows:
        return {}, {}
    kept = await kept_rows.keep_answers(session, list(rows.values()))
    asked = [(n, one, key) for n, one in enumerate(orders) if (key := one.kept_key)]
    twins = {n: owner[key] for n, _, key in asked if key in kept and owner[key] != n}
    repeated = [(n, one, key) for n, one, key in asked if key not in kept]
    if not repeated:
        return {}, twins
    known = await kept_rows.kept_answers(session, [key for _, _, key in repeated])
    before = {
        n: _repeat(one, known[key]["body_digest"], known[key]["answer"]) for n, one, key in repeated
    }
    return before, twins


def _repeat(one: RingRequest, digest: bytes, answer: dict[str, Any]) -> Answer:
    if digest != one.body_digest:
        return Conflict(
            "idempotency_key_reused",
            "Idempotency-Key: this key came with another body in the last 24 hours; use a new key",
        )
    return answer


def ring_more(one: RingRequest, unreachable: frozenset[User], quiet: Mapping[Pair, Why]) -> Asked:
    """The command to ring more members of a live call: as `one` asks, and once for its key."""

    async def admit(
        session: Connection, stored: Stored, decision: Decision, now: datetime
    ) -> Answer | None:
        if decision.refusal is not None:
            return None
        change = Change(stored, decision)
        repeated, _ = await _keep(session, [one], [change], now)
        if quiet and not repeated:
            await record_suppressed(session, [change])
        return repeated.get(0)

    lost = one.among(unreachable)
    command = RingMore(
        one.request.caller.id,
        one.callees,
        one.ring_time,
        lost,
        one.give_up,
        one.kept_from(quiet),
    )
    return Asked(command, admit)


def answer_more(one: RingRequest, done: Done) -> Answer:
    """What ringing more members is answered."""
    if done.instead is not None:
        answer: Answer = done.instead
        return answer
    if done.decision.refusal is None:
        return _told(one, done.decision.call)
    if done.decision.refusal is Refused.TOO_MANY_MEMBERS:
        return Invalid("too_many_members", "callees: the call would hold more members than it may")
    return Conflict(
        "call_in_progress",
        "a call with this cid is live and the caller has not joined it; use another id, or join",
    )
