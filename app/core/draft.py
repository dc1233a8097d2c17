"""A call being changed: the draft, and the changes that commands and time have in common."""

from collections.abc import Iterable
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from app.core.event import Event, EventType
from app.core.frozen import replace
from app.core.model import (
    LIVE,
    SERVER,
    Call,
    CallKit,
    CallState,
    Decision,
    Member,
    MemberState,
    Outcome,
    Reason,
    Refused,
    Ring,
    Stop,
)


class Draft:
    """A call being changed, and what follows from each change."""

    def __init__(self, call: Call, now: datetime) -> None:
        self.before = call
        self.call = call
        self.now = now
        self.members: dict[str, Member] = dict(call.members)
        self.touched: set[str] = set()
        self.rings: dict[UUID, Ring] = {}
        self.settled: dict[UUID, Ring] = {}
        self.shown: dict[UUID, Ring] = {}
        self.stops: list[Stop] = []
        self.events: list[Event] = []

    def put(self, member: Member) -> None:
        self.members[member.user_id] = member
        self.touched.add(member.user_id)

    def tell(self, kind: EventType, at: datetime, to: Iterable[str], **data: Any) -> None:
        listeners = tuple(dict.fromkeys([user for user in to if not self._hidden_from(user)]))
        self.events.append(Event(kind, at, data, listeners))

    def _hidden_from(self, user: str) -> bool:
        member = self.members.get(user)
        return member is not None and member.is_hidden

    def present(self) -> list[str]:
        """Users who have joined, away or not, in order of joining."""
        return [user for user, member in self.members.items() if member.state in LIVE]

    def how_many_present(self) -> int:
        """How many have joined, those that are not at hand included."""
        others = self.call.others
        return len(self.present()) + (others.joined if others is not None else 0)

    def ringing(self) -> list[Member]:
        """Members to whom a ring is open."""
        return [m for m in self.members.values() if m.is_rung]

    def decision(self, refusal: Refused | None) -> Decision:
        before = self.before.members
        changed = [
            self.members[user]
            for user in sorted(self.touched)
            if self.members[user] != before.get(user)
        ]
        moved = self.call is not self.before and self.call != self.before
        return Decision(
            call=replace(self.call, members=MappingProxyType(dict(self.members))),
            members=tuple(changed),
            rings=tuple(self.rings.values()),
            settled=tuple(self.settled.values()),
            shown=tuple(self.shown.values()),
            stops=tuple(self.stops),
            events=tuple(self.events),
            refusal=refusal,
            changed=bool(changed or self.events) or moved,
            visible=moved or any(not only_heard(before.get(one.user_id), one) for one in changed),
        )


def only_heard(before: Member | None, after: Member) -> bool:
    return before is not None and replace(before, seen_at=after.seen_at) == after


def end_call(draft: Draft, reason: Reason, at: datetime) -> None:
    told = [*draft.present(), *(member.user_id for member in draft.ringing())]
    for member in draft.ringing():
        settled = settle(draft, member, Outcome.CANCELLED, at, CallKit.REMOTE_ENDED, None)
        if member.state is MemberState.RINGING:
            draft.put(replace(settled, state=MemberState.MISSED))
    for user in draft.present():
        draft.put(replace(draft.members[user], state=MemberState.LEFT, left_at=at))
    draft.call = replace(
        draft.call, state=CallState.ENDED, reason=reason, ended_at=at, alone_since=None
    )
    draft.tell(EventType.CALL_ENDED, at, (*told, draft.call.caller_id), reason=reason.value)


def take_out(draft: Draft, member: Member, at: datetime, silent: float | None = None) -> None:
    """Let a member leave; `silent`: it did not, but has shown no life for so many seconds."""
    why = {} if silent is None else {"reason": "silent", "silent_for": silent}
    others = [user for user in draft.present() if user != member.user_id]
    draft.put(replace(member, state=MemberState.LEFT, left_at=at))
    draft.tell(
        EventType.MEMBER_LEFT,
        at,
        (*others, member.user_id),
        user_id=member.user_id,
        device_id=member.device_id,
        **why,
    )


def settle(
    draft: Draft,
    member: Member,
    outcome: Outcome,
    at: datetime,
    callkit_reason: CallKit,
    device: str | None,
) -> Member:
    """Settle the member's ring: its devices but `device` stop. The caller sets its state."""
    assert member.ring is not None
    ring = replace(
        member.ring, outcome=outcome, settled_at=at, callkit_reason=callkit_reason, device=device
    )
    draft.settled[ring.uuid] = ring
    draft.stops.append(Stop(member.user_id, ring.uuid, callkit_reason, device))
    draft.tell(
        EventType.RING_SETTLED,
        at,
        (member.user_id,),
        user_id=member.user_id,
        ring=str(ring.uuid),
        outcome=outcome.value,
        device_id=device,
        callkit_reason=int(callkit_reason),
    )
    member = replace(member, ring=ring)
    draft.put(member)
    return member


def means_another(ring: UUID | None, member: Member) -> bool:
    return ring is not None and (member.ring is None or member.ring.uuid != ring)


def holds(member: Member, device: str | None) -> bool:
    """Whether this device may take its member out; None: the user or the backend speaks.

    For a member that the backend holds any device speaks, unless it has been rung: then one that
    rang in vain may send its end action late.
    """
    unnamed = member.device_id == SERVER and member.ring is None
    return device is None or member.device_id == device or unnamed
