"""A large call by slices: its first callees ring while the others are still being written.

The first transaction writes the call with the first slice, and in its row whom it owes. Each later
one, by whoever holds the call, rings some more as of when the call began: the process that was
asked, at once; any other that wants to do something with the call, before it does; after a crash
the sweep. So what anybody decides on is the whole call, and its rows are those of one that was
written at once.
"""

import math
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import text

from app.calls import busy
from app.calls.apply import Applied, Change, apply
from app.calls.lookup import find_owed
from app.calls.lost import lost_of, warnings_of
from app.calls.ring_request import RingRequest
from app.calls.rows import Stored
from app.calls.saving import after
from app.calls.schemas import CallerIn, RingIn, call_out
from app.calls.suppressing import record_suppressed, suppressed
from app.core.call import Call, Callee, RingOwed, decide
from app.core.frozen import frozen, replace
from app.core.person import person_from, stored_person
from app.infra import statements
from app.infra.db import Connection, Row, as_json
from app.tenants.schemas import WhenBusy

FROM: Final = 100
"""Callees from which a call is written by slices."""

FIRST: Final = 25
NEXT: Final = 175
"""Callees of the first slice, and of each that follows at most: these are of one size."""


def is_large(one: RingRequest) -> bool:
    """Whether this is begun by slices, where it may be."""
    return len(one.callees) >= FROM and not one.notify


def first_slice(one: RingRequest, size: int = FIRST) -> RingRequest:
    """This request with its first callees, and the others owed."""
    first = one.request.model_copy(update={"callees": one.request.callees[:size]})
    return replace(one, request=first, callees=one.callees[:size], owed=one.callees[size:])


@frozen
class Owed:
    """What a call owes, as its row says. `callees`: all of the request, rung or not, in its order.

    `ruled`: some have preferences or blocks; `kept`: an answer is to be kept of it.
    """

    callees: tuple[Callee, ...]
    ring_for: float
    give_up: bool
    urgent: bool
    when_busy: WhenBusy
    ruled: bool
    kept: bool


KEPT: Final = 8
_kept: Final = OrderedDict[str, Owed]()
"""What calls owe, by what their rows say: each slice asks, and to read it of 350 is 0.7 ms."""


def debt_of(one: RingRequest, *, ruled: bool) -> str | None:
    """What the row of its call says of those it owes; None when it owes none."""
    if not one.owed:
        return None
    owed = Owed(
        (*one.callees, *one.owed),
        one.ring_time,
        one.give_up,
        one.urgent,
        one.when_busy,
        ruled,
        one.key is not None,
    )
    said = {name: getattr(owed, name) for name in Owed.__match_args__} | {
        "callees": [
            (callee.user_id, callee.ring_uuid, stored_person(callee.person))
            for callee in owed.callees
        ]
    }
    return _keep(orjson.dumps(said).decode(), owed)


def _keep(debt: str, owed: Owed) -> str:
    _kept[debt] = owed
    if len(_kept) > KEPT:
        _kept.popitem(last=False)
    return debt


def owed_by(stored: Stored) -> Owed:
    """What this call owes; it owes something."""
    debt = stored.owed
    assert debt is not None
    if debt not in _kept:
        said = orjson.loads(debt)
        callees = [
            Callee(user, UUID(ring), person_from(who)) for user, ring, who in said["callees"]
        ]
        _keep(debt, Owed(**said | {"callees": tuple(callees)}))
    return _kept[debt]


PAID = text("""
    UPDATE calls SET owed = NULL WHERE id = ANY(CAST(:calls AS uuid[]))
""")
ANSWERED = text("""
    UPDATE idempotency i SET answer = n.answer
    FROM json_to_recordset(CAST(:rows AS json)) AS n(session_id uuid, answer jsonb)
    WHERE i.session_id = n.session_id AND i.answer IS NULL
""")


async def ring_owed(
    session: Connection,
    calls: Sequence[Stored],
    now: datetime,
    others: Sequence[Change] = (),
) -> Applied:
    """Ring those whom these calls owe; all are held, and every member is loaded.

    `others`: what is decided of other calls that are held, written with it.
    """
    applied, _ = await pay(session, calls, now, others=others)
    return applied


async def pay(
    session: Connection,
    calls: Sequence[Stored],
    now: datetime,
    most: int | None = None,
    others: Sequence[Change] = (),
) -> tuple[Applied, list[Stored]]:
    """As `ring_owed`, `most` of each; with it these calls as they are written then."""
    parts = [await _part(session, stored, most) for stored in calls]
    changes = [part.change for part in parts]
    found = None if others else [token for part in parts for token in part.tokens]
    batched = all(part.batched for part in parts)
    last = [one for one in parts if one.is_last]
    rows = [
        {"session_id": one.call.id, "answer": answer(one.call, one.owed.callees)}
        for one in last
        if one.owed.kept
    ]
    if rows:  # before `apply`, which locks feeds: who repeats a request holds its row, then those
        await statements.answer(session, ANSWERED, {"rows": as_json(rows)})
    applied = await apply(session, [*changes, *others], now, found, batched=batched)
    await record_suppressed(session, changes)
    unsaved = [one.call.id for one in last if not one.change.decision.changed]
    if unsaved:
        await session.execute(PAID, {"calls": unsaved})
    return applied, [one.written for one in parts]


@frozen
class _Part:
    """What rings some more of whom a call owes, by these tokens; `is_last`: nobody is owed then.

    `batched`: whether pushes may go in batches."""

    change: Change
    owed: Owed
    is_last: bool
    tokens: Sequence[Row]
    batched: bool

    @property
    def call(self) -> Call:
        """As it is then."""
        return self.change.decision.call

    @property
    def written(self) -> Stored:
        """As its row says then."""
        return after(self.change.stored, self.change.decision)


async def _part(session: Connection, stored: Stored, most: int | None) -> _Part:
    owed, call = owed_by(stored), stored.call
    rest = [callee for callee in owed.callees if callee.user_id not in call.members]
    some = rest if most is None else rest[: _share(len(rest), most)]
    one = _request(stored, owed, some)
    users = [(stored.tenant_id, callee.user_id) for callee in some]
    now, found, batched = await find_owed(session, users)
    lost = await lost_of(session, users, found)
    quiet = await suppressed(session, one.pairs, now) if owed.ruled else {}
    within = await busy.in_calls(session, users, call.id) if one.watched else frozenset()
    command = RingOwed(
        one.callees,
        owed.ring_for,
        unreachable=one.among(lost.unreachable),
        give_up=one.give_up,
        suppressed=one.kept_from(quiet, within, lost.silenced),
        busy=one.told_busy(within),
        owed=tuple(rest[len(some) :]),
    )
    decision = decide(call, command, call.created_at)
    is_last = not command.owed or decision.refusal is not None
    left = replace(stored, owed=None) if is_last else stored
    return _Part(Change(left, decision), owed, is_last, found, batched)


def _share(rest: int, most: int) -> int:
    """How many of so many go next, so that of slices of `most` all that follow are of one size."""
    return math.ceil(rest / math.ceil(rest / most)) if rest else 0


def _request(stored: Stored, owed: Owed, some: Sequence[Callee]) -> RingRequest:
    """As if these alone were asked for."""
    call = stored.call
    request = RingIn.model_construct(
        type=call.type,
        caller=CallerIn.model_construct(id=call.caller_id),
        callees=[callee.user_id for callee in some],
    )
    return RingRequest(
        tenant_id=stored.tenant_id,
        request=request,
        session_id=call.id,
        name=call.name,
        limits=call.limits,
        callees=tuple(some),
        device="",
        owner="",
        key=None,
        give_up=owed.give_up,
        notify=False,
        urgent=owed.urgent,
        body_digest=b"",
        when_busy=owed.when_busy,
    )


def answer(call: Call, callees: Sequence[Callee]) -> dict[str, Any]:
    """What a request to ring these is answered: its members stand in its own order."""
    ids = [callee.user_id for callee in callees]
    order = dict.fromkeys([call.caller_id, *ids, *call.members])
    members = {user: call.members[user] for user in order if user in call.members}
    whole = replace(call, members=MappingProxyType(members))
    return call_out(whole) | {"warnings": warnings_of(call, ids)}


def expected(one: RingRequest, call: Call) -> dict[str, Any]:
    """The answer while those who are owed cannot be written yet: all of them ring."""
    rest = [callee for callee in one.callees if callee.user_id not in call.members]
    command = RingOwed(tuple(rest), one.ring_time)
    return answer(decide(call, command, call.created_at).call, one.callees)
