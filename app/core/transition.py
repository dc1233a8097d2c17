"""What each command does to a call: the rules behind `core.call.decide`."""

from collections.abc import Callable
from typing import Any

from app.core.draft import Draft, end_call, holds, means_another, settle, take_out
from app.core.event import EventType
from app.core.frozen import replace
from app.core.model import (
    LIVE,
    SERVER,
    Accept,
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
    Start,
    Tick,
    Unreachable,
)
from app.core.ringing import RingOwed, lose, ring_more, ring_owed, start
from app.core.timeouts import apply_timeouts, follow_rules


def apply_command(draft: Draft, command: Command) -> Refused | None:
    """Let time pass, then obey; the answer is why not, if not."""
    if isinstance(command, RingOwed):
        return ring_owed(draft, command)
    if isinstance(command, Start):
        return start(draft, command)
    apply_timeouts(draft)
    if isinstance(command, Tick):
        return None
    refusal = COMMANDS[type(command)](draft, command)
    if refusal is None:
        follow_rules(draft, draft.now)
    return refusal


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
            lose(draft, member, give_up=command.give_up)
    return None


def _reachable(draft: Draft, command: Reachable) -> Refused | None:
    for member in draft.ringing():
        known = member.ring is not None and member.ring.uuid in command.rings
        if known and member.state is MemberState.UNREACHABLE:
            draft.put(replace(member, state=MemberState.RINGING))
            user = member.user_id
            draft.tell(EventType.MEMBER_REACHABLE, draft.now, draft.present(), user_id=user)
    return None


COMMANDS: dict[type[Any], Callable[[Draft, Any], Refused | None]] = {
    RingMore: ring_more,
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
