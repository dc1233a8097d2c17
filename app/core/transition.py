"""What each command does to a call: the rules behind `core.call.decide`."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from app.core.draft import Draft, end_call, holds, means_another, settle, take_out
from app.core.event import EventType, rfc3339
from app.core.frozen import replace
from app.core.model import (
    LIVE,
    SERVER,
    Accept,
    Call,
    CallKit,
    CallState,
    Cancel,
    Command,
    Decline,
    End,
    Heartbeat,
    Join,
    Leave,
    Member,
    MemberState,
    Outcome,
    Present,
    Reachable,
    Reason,
    Refused,
    Report,
    Ring,
    RingMore,
    Role,
    Start,
    Tick,
    Unreachable,
)
from app.core.person import NOBODY, stored_person
from app.core.suppression import TOLD
from app.core.timeouts import apply_timeouts, follow_rules


def apply_command(draft: Draft, command: Command) -> Refused | None:
    """Let time pass, then obey; the answer is why not, if not."""
    if isinstance(command, Start):
        return _start(draft, command)
    apply_timeouts(draft)
    if isinstance(command, Tick):
        return None
    refusal = COMMANDS[type(command)](draft, command)
    if refusal is None:
        follow_rules(draft, draft.now)
    return refusal


def _start(draft: Draft, command: Start) -> Refused | None:
    call = draft.call
    if len(command.callees) + 1 > call.limits.members:
        return Refused.TOO_MANY_MEMBERS
    caller = Member(
        user_id=call.caller_id,
        role=Role.CALLER,
        state=MemberState.JOINED,
        device_id=command.device,
        monitored=command.device != SERVER and call.limits.presence,
        joined_at=draft.now,
        seen_at=draft.now,
        person=call.caller,
    )
    draft.put(caller)
    callees = [callee.user_id for callee in command.callees]
    draft.tell(
        EventType.CALL_STARTED,
        draft.now,
        (call.caller_id,),
        caller_id=call.caller_id,
        callees=callees,
        video=call.video,
        **_shown(call),
    )
    _ring(draft, command)
    if command.busy or (command.give_up and command.unreachable):
        follow_rules(draft, draft.now)  # it may be over before anybody is rung
    return None


def _ring_more(draft: Draft, command: RingMore) -> Refused | None:
    if draft.call.state is CallState.ENDED:
        return Refused.CALL_ENDED
    if draft.members.get(command.user_id, None) is None:
        return Refused.NOT_A_MEMBER
    if draft.members[command.user_id].state not in LIVE:
        return Refused.NOT_JOINED
    new = [callee for callee in command.callees if callee.user_id not in draft.members]
    if len(draft.members) + len(new) > draft.call.limits.members:
        return Refused.TOO_MANY_MEMBERS
    if new:
        draft.tell(
            EventType.MEMBER_ADDED,
            draft.now,
            draft.present(),
            user_ids=[callee.user_id for callee in new],
            by=command.user_id,
        )
    _ring(draft, command)
    return None


def _ring(draft: Draft, command: Start | RingMore) -> None:
    deadline = draft.now + timedelta(seconds=command.ring_for)
    expires_at, shown = rfc3339(deadline), _shown(draft.call)
    for callee in command.callees:
        member = draft.members.get(callee.user_id)
        if member is not None and (member.state in LIVE or member.is_rung):
            continue
        role = member.role if member is not None else Role.CALLEE
        known = callee.person if member is None or callee.person != NOBODY else member.person
        if callee.user_id in command.busy:
            last = member.ring if member is not None else None
            draft.put(Member(callee.user_id, role, MemberState.BUSY, last, person=known))
            draft.tell(EventType.MEMBER_BUSY, draft.now, draft.present(), user_id=callee.user_id)
            continue
        ring = Ring(callee.ring_uuid, callee.user_id, draft.now, deadline)
        draft.rings[ring.uuid] = ring
        why = command.suppressed.get(callee.user_id)
        draft.put(
            Member(callee.user_id, role, MemberState.RINGING, ring, person=known, suppressed=why)
        )
        draft.tell(
            EventType.RING_STARTED,
            draft.now,
            (callee.user_id,),
            user_id=callee.user_id,
            ring=str(ring.uuid),
            expires_at=expires_at,
            caller_id=draft.call.caller_id,
            video=draft.call.video,
            **shown,
        )
        if draft.call.limits.tell_suppressed and why in TOLD:
            draft.tell(
                EventType.MEMBER_SUPPRESSED,
                draft.now,
                draft.present(),
                user_id=callee.user_id,
                reason=why,
            )
        if callee.user_id in command.unreachable:
            _lose(draft, draft.members[callee.user_id], give_up=command.give_up)


def _shown(call: Call) -> dict[str, Any]:
    """What a screen shows of a call, in the data of an event; nothing where nothing was said."""
    shown = {"caller": stored_person(call.caller), "title": call.details.title}
    return {name: value for name, value in shown.items() if value is not None}


def _accept(draft: Draft, command: Accept | Join) -> Refused | None:
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    if draft.call.state is CallState.ENDED:
        return Refused.CALL_ENDED
    other = means_another(command.ring, member)
    if other and (member.state not in LIVE or member.device_id != command.device):
        return Refused.RING_SETTLED  # that ring is over, whatever came of later ones
    if member.state in LIVE:
        # who comes by Join takes over from the backend, as by a heartbeat
        takes_over = isinstance(command, Join) and member.device_id == SERVER
        if member.device_id != command.device and not takes_over:
            return Refused.ANSWERED_ELSEWHERE
        _hear(draft, member, command.device, monitored=member.monitored or command.monitored)
        return None
    if not member.is_rung:
        may_join = isinstance(command, Join) and draft.call.state is CallState.ACTIVE
        if not may_join:
            return Refused.RING_SETTLED
    _join(draft, member, command)
    return None


def _join(draft: Draft, member: Member, command: Accept | Join) -> None:
    now = draft.now
    if member.is_rung:
        member = settle(
            draft, member, Outcome.ACCEPTED, now, CallKit.ANSWERED_ELSEWHERE, command.device
        )
    others = draft.present()
    draft.members.pop(member.user_id)  # who joins goes to the end: members are in order of joining
    draft.put(
        replace(
            member,
            state=MemberState.JOINED,
            device_id=command.device,
            monitored=command.monitored and draft.call.limits.presence,
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
    if not member.is_rung or means_another(command.ring, member):
        return None  # late or repeated: CallKit's end action fires for many causes
    state = MemberState.BUSY if command.busy else MemberState.DECLINED
    member = settle(
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
        end_call(draft, Reason.CANCELLED, draft.now)
    return None


def _leave(draft: Draft, command: Leave) -> Refused | None:
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    if member.is_rung:
        return _decline(draft, Decline(command.user_id, command.device))
    if member.state not in LIVE or not holds(member, command.device):
        return None  # a device that does not hold the call cannot take its member out
    if draft.call.state is CallState.RINGING:
        end_call(draft, Reason.CANCELLED, draft.now)  # only the caller is in it
    else:
        take_out(draft, member, draft.now)
    return None


def _end(draft: Draft, command: End) -> Refused | None:
    if command.user_id is None:
        if draft.call.state is not CallState.ENDED:
            end_call(draft, Reason.ENDED_BY_SERVER, draft.now)
        return None
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    if member.is_rung:
        return _decline(draft, Decline(command.user_id, command.device))
    if member.state in LIVE and holds(member, command.device):
        ringing = draft.call.state is CallState.RINGING
        end_call(draft, Reason.CANCELLED if ringing else Reason.COMPLETED, draft.now)
    return None


def _heartbeat(draft: Draft, command: Heartbeat) -> Refused | None:
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    if draft.call.state is CallState.ENDED:
        return Refused.CALL_ENDED
    if member.state not in LIVE:
        return Refused.NOT_JOINED
    if member.device_id not in {command.device, SERVER}:
        return Refused.ANSWERED_ELSEWHERE
    _hear(draft, member, command.device, monitored=command.device != SERVER)
    return None


def _hear(draft: Draft, member: Member, device: str, *, monitored: bool) -> None:
    """A sign of life of the device that holds the member, from now on if not before."""
    monitored = monitored and draft.call.limits.presence
    if member.state is MemberState.AWAY:
        user = member.user_id
        draft.tell(EventType.MEMBER_BACK, draft.now, (user,), user_id=user)
    draft.put(
        replace(
            member,
            state=MemberState.JOINED,
            seen_at=draft.now if monitored else member.seen_at,
            device_id=device,
            monitored=monitored,
        )
    )


def _present(draft: Draft, command: Present) -> Refused | None:
    for user, device in sorted(command.devices):
        member = draft.members.get(user)
        if member is not None and member.state in LIVE and member.device_id == device:
            _heartbeat(draft, Heartbeat(user, device))
    return None


def _report(draft: Draft, command: Report) -> Refused | None:
    """Told to the tenant; the member's other devices ring on. Also when the call has ended.

    That an open ring is on a screen is told to who is in the call, once of each device.
    """
    member = draft.members.get(command.user_id)
    if member is None:
        return Refused.NOT_A_MEMBER
    ring = member.ring
    latest = ring is not None and ring.uuid == command.ring
    if latest and member.is_hidden:
        return None
    shows = ring if latest and member.is_rung and command.delivered else None
    if shows is not None and command.device in shows.shown_on:
        return None
    kind = EventType.DEVICE_DELIVERED if command.delivered else EventType.DEVICE_UNAVAILABLE
    if command.declined:
        kind = EventType.DEVICE_DECLINED
    draft.tell(
        kind,
        draft.now,
        (command.user_id,) if command.declined else (),
        user_id=command.user_id,
        device_id=command.device,
        ring=str(command.ring),
    )
    if shows is not None:
        _confirm(draft, member, shows, command.device)
    return None


def _confirm(draft: Draft, member: Member, ring: Ring, device: str) -> None:
    ring = replace(ring, shown_on=(*ring.shown_on, device))
    draft.shown[ring.uuid] = ring
    draft.put(replace(member, ring=ring))
    draft.tell(
        EventType.MEMBER_RINGING,
        draft.now,
        draft.present(),
        user_id=member.user_id,
        ring=str(ring.uuid),
        devices=len(ring.shown_on),
    )


def _unreachable(draft: Draft, command: Unreachable) -> Refused | None:
    for member in draft.ringing():
        if member.ring is not None and member.ring.uuid in command.rings:
            _lose(draft, member, give_up=command.give_up)
    return None


def _lose(draft: Draft, member: Member, *, give_up: bool) -> None:
    """Nobody can be reached by this member's ring, which goes on unless it is given up."""
    if member.state is MemberState.UNREACHABLE:
        return
    if give_up:
        member = settle(draft, member, Outcome.UNREACHABLE, draft.now, CallKit.FAILED, None)
    draft.put(replace(member, state=MemberState.UNREACHABLE))
    draft.tell(EventType.MEMBER_UNREACHABLE, draft.now, draft.present(), user_id=member.user_id)


def _reachable(draft: Draft, command: Reachable) -> Refused | None:
    for member in draft.ringing():
        known = member.ring is not None and member.ring.uuid in command.rings
        if known and member.state is MemberState.UNREACHABLE:
            draft.put(replace(member, state=MemberState.RINGING))
            user = member.user_id
            draft.tell(EventType.MEMBER_REACHABLE, draft.now, draft.present(), user_id=user)
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
    Unreachable: _unreachable,
    Reachable: _reachable,
}
