"""What each command does to a call: the rules behind `core.call.decide`."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from app.core.event import Event, EventType, rfc3339
from app.core.model import (
    LIVE,
    SERVER,
    Accept,
    Call,
    Callee,
    CallKit,
    CallState,
    Cancel,
    Command,
    Decision,
    Decline,
    End,
    Heartbeat,
    Join,
    Leave,
    Member,
    MemberState,
    Outcome,
    Present,
    Reason,
    Refused,
    Report,
    Ring,
    RingMore,
    Role,
    Start,
    Stop,
    Tick,
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
        self.stops: list[Stop] = []
        self.events: list[Event] = []

    def put(self, member: Member) -> None:
        self.members[member.user_id] = member
        self.touched.add(member.user_id)

    def tell(self, kind: EventType, at: datetime, to: Iterable[str], **data: Any) -> None:
        self.events.append(Event(kind, at, data, tuple(dict.fromkeys(to))))

    def present(self) -> list[str]:
        """Users who have joined, away or not, in order of joining."""
        return [user for user, member in self.members.items() if member.state in LIVE]

    def ringing(self) -> list[Member]:
        return [m for m in self.members.values() if m.state is MemberState.RINGING]

    def decision(self, refusal: Refused | None) -> Decision:
        before = self.before.members
        changed = [
            self.members[user]
            for user in sorted(self.touched)
            if self.members[user] != before.get(user)
        ]
        moved = self.call != self.before
        return Decision(
            call=replace(self.call, members=MappingProxyType(dict(self.members))),
            members=tuple(changed),
            rings=tuple(self.rings.values()),
            settled=tuple(self.settled.values()),
            stops=tuple(self.stops),
            events=tuple(self.events),
            refusal=refusal,
            changed=bool(changed or self.events) or moved,
            visible=moved or any(not _only_heard(before.get(one.user_id), one) for one in changed),
        )


def _only_heard(before: Member | None, after: Member) -> bool:
    return before is not None and replace(before, seen_at=after.seen_at) == after


def apply_command(draft: Draft, command: Command) -> Refused | None:
    """Let time pass, then obey; the answer is why not, if not."""
    if isinstance(command, Start):
        return _start(draft, command)
    _pass_time(draft)
    if isinstance(command, Tick):
        return None
    refusal = COMMANDS[type(command)](draft, command)
    if refusal is None:
        _follow_rules(draft, draft.now)
    return refusal


# --- the commands ------------------------------------------------------------------------------


def _start(draft: Draft, command: Start) -> Refused | None:
    call = draft.call
    if len(command.callees) + 1 > call.figures.members:
        return Refused.TOO_MANY_MEMBERS
    caller = Member(
        user_id=call.caller_id,
        role=Role.CALLER,
        state=MemberState.JOINED,
        holder=command.device,
        watched=command.device != SERVER,
        joined_at=draft.now,
        seen_at=draft.now,
    )
    draft.put(caller)
    callees = [callee.user_id for callee in command.callees]
    draft.tell(
        EventType.CALL_STARTED,
        draft.now,
        (call.caller_id,),
        caller_id=call.caller_id,
        callees=callees,
        has_video=call.has_video,
    )
    _ring(draft, command.callees, command.ring_for)
    return None


def _ring_more(draft: Draft, command: RingMore) -> Refused | None:
    if draft.call.state is CallState.ENDED:
        return Refused.CALL_ENDED
    if draft.members.get(command.user_id, None) is None:
        return Refused.NOT_A_MEMBER
    if draft.members[command.user_id].state not in LIVE:
        return Refused.NOT_JOINED
    new = [callee for callee in command.callees if callee.user_id not in draft.members]
    if len(draft.members) + len(new) > draft.call.figures.members:
        return Refused.TOO_MANY_MEMBERS
    if new:
        draft.tell(
            EventType.MEMBER_ADDED,
            draft.now,
            draft.present(),
            user_ids=[callee.user_id for callee in new],
            by=command.user_id,
        )
    _ring(draft, command.callees, command.ring_for)
    return None


def _ring(draft: Draft, callees: tuple[Callee, ...], seconds: float) -> None:
    deadline = draft.now + timedelta(seconds=seconds)
    for callee in callees:
        member = draft.members.get(callee.user_id)
        if member is not None and (member.state in LIVE or member.state is MemberState.RINGING):
            continue
        ring = Ring(callee.ring_uuid, callee.user_id, draft.now, deadline)
        draft.rings[ring.uuid] = ring
        role = member.role if member is not None else Role.CALLEE
        draft.put(Member(callee.user_id, role, MemberState.RINGING, ring))
        draft.tell(
            EventType.RING_STARTED,
            draft.now,
            (callee.user_id,),
            user_id=callee.user_id,
            ring=str(ring.uuid),
            expires_at=rfc3339(deadline),
            caller_id=draft.call.caller_id,
            has_video=draft.call.has_video,
        )


def _accept(draft: Draft, command: Accept | Join) -> Refused | None:
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    if draft.call.state is CallState.ENDED:
        return Refused.CALL_ENDED
    if member.state in LIVE:
        # who comes by Join takes over from the backend, as by a heartbeat
        takes_over = isinstance(command, Join) and member.holder == SERVER
        if member.holder != command.device and not takes_over:
            return Refused.ANSWERED_ELSEWHERE
        _hear(draft, member, command.device, watched=member.watched or command.watched)
        return None
    if _means_another(command.ring, member):
        return Refused.RING_SETTLED
    if member.state is not MemberState.RINGING:
        may_join = isinstance(command, Join) and draft.call.state is CallState.ACTIVE
        if not may_join:
            return Refused.RING_SETTLED
    _join(draft, member, command)
    return None


def _join(draft: Draft, member: Member, command: Accept | Join) -> None:
    now = draft.now
    if member.state is MemberState.RINGING:
        member = _settle(
            draft, member, Outcome.ACCEPTED, now, CallKit.ANSWERED_ELSEWHERE, command.device
        )
    others = draft.present()
    draft.members.pop(member.user_id)  # who joins goes to the end: members are in order of joining
    draft.put(
        replace(
            member,
            state=MemberState.JOINED,
            holder=command.device,
            watched=command.watched,
            joined_at=now,
            seen_at=now,
            left_at=None,
        )
    )
    draft.tell(
        EventType.MEMBER_JOINED,
        now,
        (*others, member.user_id),
        user_id=member.user_id,
        device_id=command.device,
    )
    if draft.call.state is CallState.RINGING:
        draft.call = replace(draft.call, state=CallState.ACTIVE, active_at=now)
        for user in others:
            # presence counts from here: nobody had to show life while it rang
            draft.put(replace(draft.members[user], seen_at=now))
        draft.tell(EventType.CALL_ACTIVE, now, draft.present())


def _decline(draft: Draft, command: Decline) -> Refused | None:
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    if member.state is not MemberState.RINGING or _means_another(command.ring, member):
        return None  # late or repeated: CallKit's end action fires for many causes
    state = MemberState.BUSY if command.busy else MemberState.DECLINED
    member = _settle(
        draft, member, Outcome.DECLINED, draft.now, CallKit.DECLINED_ELSEWHERE, command.device
    )
    draft.put(replace(member, state=state))
    kind = EventType.MEMBER_BUSY if command.busy else EventType.MEMBER_DECLINED
    draft.tell(kind, draft.now, draft.present(), user_id=member.user_id)
    return None


def _cancel(draft: Draft, command: Cancel) -> Refused | None:
    if command.user_id is not None and command.user_id not in draft.members:
        return Refused.NOT_A_MEMBER
    if command.user_id not in {None, draft.call.caller_id}:
        return Refused.NOT_THE_CALLER
    if draft.call.state is CallState.ACTIVE:
        return Refused.CALL_ACTIVE
    if draft.call.state is CallState.RINGING:
        _end_call(draft, Reason.CANCELLED, draft.now)
    return None


def _leave(draft: Draft, command: Leave) -> Refused | None:
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    if member.state is MemberState.RINGING:
        return _decline(draft, Decline(command.user_id, command.device))
    if member.state not in LIVE or not _holds(member, command.device):
        return None  # a device that does not hold the call cannot take its member out
    if draft.call.state is CallState.RINGING:
        _end_call(draft, Reason.CANCELLED, draft.now)  # only the caller is in it
    else:
        _take_out(draft, member, draft.now)
    return None


def _end(draft: Draft, command: End) -> Refused | None:
    if command.user_id is None:
        if draft.call.state is not CallState.ENDED:
            _end_call(draft, Reason.ENDED_BY_SERVER, draft.now)
        return None
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    if member.state is MemberState.RINGING:
        return _decline(draft, Decline(command.user_id, command.device))
    if member.state in LIVE and _holds(member, command.device):
        ringing = draft.call.state is CallState.RINGING
        _end_call(draft, Reason.CANCELLED if ringing else Reason.COMPLETED, draft.now)
    return None


def _heartbeat(draft: Draft, command: Heartbeat) -> Refused | None:
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    if draft.call.state is CallState.ENDED:
        return Refused.CALL_ENDED
    if member.state not in LIVE:
        return Refused.NOT_JOINED
    if member.holder not in {command.device, SERVER}:
        return Refused.ANSWERED_ELSEWHERE
    _hear(draft, member, command.device, watched=command.device != SERVER)
    return None


def _hear(draft: Draft, member: Member, device: str, *, watched: bool) -> None:
    """A sign of life of the device that holds the member, from now on if not before."""
    if member.state is MemberState.AWAY:
        draft.tell(EventType.MEMBER_BACK, draft.now, (), user_id=member.user_id)
    draft.put(
        replace(
            member,
            state=MemberState.JOINED,
            seen_at=draft.now if watched else member.seen_at,
            holder=device,
            watched=watched,
        )
    )


def _present(draft: Draft, command: Present) -> Refused | None:
    for user, device in sorted(command.devices):
        member = draft.members.get(user)
        if member is not None and member.state in LIVE and member.holder == device:
            _heartbeat(draft, Heartbeat(user, device))
    return None


def _report(draft: Draft, command: Report) -> Refused | None:
    """Told to the tenant; the member's other devices ring on. Also when the call has ended."""
    if command.user_id not in draft.members:
        return Refused.NOT_A_MEMBER
    kind = EventType.DEVICE_DELIVERED if command.delivered else EventType.DEVICE_UNAVAILABLE
    draft.tell(
        kind,
        draft.now,
        (),
        user_id=command.user_id,
        device_id=command.device,
        ring=str(command.ring),
    )
    return None


COMMANDS: dict[type[Any], Callable[[Draft, Any], Refused | None]] = {
    RingMore: _ring_more,
    Accept: _accept,
    Join: _accept,
    Decline: _decline,
    Cancel: _cancel,
    Leave: _leave,
    End: _end,
    Heartbeat: _heartbeat,
    Present: _present,
    Report: _report,
}


# --- time and rules ----------------------------------------------------------------------------


def _pass_time(draft: Draft) -> None:
    """Everything whose time has come by now, in order of time."""
    while draft.call.state is not CallState.ENDED:
        due = [(at, user) for at, user in _due_members(draft) if at <= draft.now]
        at = min(due)[0] if due else draft.now
        if _follow_rules(draft, at) or not due:
            return
        for when, user in due:
            if when == at:
                _time_out(draft, draft.members[user], at)
        _follow_rules(draft, at)


def _due_members(draft: Draft) -> Iterable[tuple[datetime, str]]:
    figures, active = draft.call.figures, draft.call.state is CallState.ACTIVE
    for user, member in draft.members.items():
        if member.state is MemberState.RINGING and member.ring is not None:
            yield member.ring.deadline, user
        elif active and member.watched and member.state in LIVE and member.seen_at is not None:
            away = member.state is MemberState.AWAY
            yield member.seen_at + timedelta(seconds=figures.silence(away=away)), user


def _time_out(draft: Draft, member: Member, at: datetime) -> None:
    if member.state is MemberState.RINGING:
        member = _settle(draft, member, Outcome.MISSED, at, CallKit.UNANSWERED, None)
        draft.put(replace(member, state=MemberState.MISSED))
        draft.tell(EventType.MEMBER_MISSED, at, draft.present(), user_id=member.user_id)
    elif member.state is MemberState.JOINED:
        draft.put(replace(member, state=MemberState.AWAY))
        draft.tell(EventType.MEMBER_AWAY, at, (), user_id=member.user_id)
    else:
        _take_out(draft, member, at)


def _follow_rules(draft: Draft, at: datetime) -> bool:
    """End the call where its rules say so, at the time from which they did (`at` at the latest).

    Whether it has ended.
    """
    call = draft.call
    if call.state is CallState.ENDED:
        return True
    too_long = call.created_at + timedelta(seconds=call.figures.length)
    present, ringing = draft.present(), draft.ringing()
    if call.state is CallState.RINGING and not ringing:
        _end_call(draft, _reason_unanswered(draft), at)
    elif call.state is CallState.ACTIVE and not present:
        _end_call(draft, Reason.COMPLETED, at)
    else:
        alone = call.state is CallState.ACTIVE and len(present) == 1 and not ringing
        since = (call.alone_since or at) if alone else None
        if since != call.alone_since:
            draft.call = replace(call, alone_since=since)
        too_alone = since + timedelta(seconds=call.figures.alone) if since is not None else too_long
        if min(too_alone, too_long) <= at:
            reason = Reason.ALONE if too_alone < too_long else Reason.MAX_DURATION
            _end_call(draft, reason, min(too_alone, too_long))
    return draft.call.state is CallState.ENDED


def _reason_unanswered(draft: Draft) -> Reason:
    states = {m.state for m in draft.members.values() if m.role is Role.CALLEE}
    if MemberState.MISSED in states:
        return Reason.MISSED
    return Reason.DECLINED if MemberState.DECLINED in states else Reason.BUSY


def _end_call(draft: Draft, reason: Reason, at: datetime) -> None:
    told = [*draft.present(), *(member.user_id for member in draft.ringing())]
    for member in draft.ringing():
        settled = _settle(draft, member, Outcome.CANCELLED, at, CallKit.REMOTE_ENDED, None)
        draft.put(replace(settled, state=MemberState.MISSED))
    for user in draft.present():
        draft.put(replace(draft.members[user], state=MemberState.LEFT, left_at=at))
    draft.call = replace(
        draft.call, state=CallState.ENDED, reason=reason, ended_at=at, alone_since=None
    )
    draft.tell(EventType.CALL_ENDED, at, (*told, draft.call.caller_id), reason=reason.value)


def _take_out(draft: Draft, member: Member, at: datetime) -> None:
    others = [user for user in draft.present() if user != member.user_id]
    draft.put(replace(member, state=MemberState.LEFT, left_at=at))
    draft.tell(
        EventType.MEMBER_LEFT,
        at,
        (*others, member.user_id),
        user_id=member.user_id,
        device_id=member.holder,
    )


def _settle(
    draft: Draft,
    member: Member,
    outcome: Outcome,
    at: datetime,
    callkit: CallKit,
    device: str | None,
) -> Member:
    """Settle the member's ring: its devices but `device` stop. The caller sets its state."""
    assert member.ring is not None
    ring = replace(member.ring, outcome=outcome, settled_at=at, callkit=callkit, device=device)
    draft.settled[ring.uuid] = ring
    draft.stops.append(Stop(member.user_id, ring.uuid, callkit, device))
    draft.tell(
        EventType.RING_SETTLED,
        at,
        (member.user_id,),
        user_id=member.user_id,
        ring=str(ring.uuid),
        outcome=outcome.value,
        device_id=device,
        callkit_reason=int(callkit),
    )
    member = replace(member, ring=ring)
    draft.put(member)
    return member


def _means_another(ring: UUID | None, member: Member) -> bool:
    return ring is not None and (member.ring is None or member.ring.uuid != ring)


def _holds(member: Member, device: str | None) -> bool:
    """Whether this device may take its member out; None: the user or the backend speaks.

    For a member that the backend holds any device speaks, unless it has been rung: then one that
    rang in vain may send its end action late.
    """
    unnamed = member.holder == SERVER and member.ring is None
    return device is None or member.holder == device or unnamed
