"""What begins rings: a call's start, whom it owes, and more members; and who cannot be reached."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.core.draft import Draft, settle
from app.core.event import Event, EventType, rfc3339
from app.core.frozen import frozen, replace
from app.core.model import (
    LIVE,
    SERVER,
    Call,
    Callee,
    CallKit,
    CallState,
    Member,
    MemberState,
    Outcome,
    Refused,
    Ring,
    RingMore,
    Role,
    Start,
)
from app.core.person import NOBODY, stored_person
from app.core.suppression import TOLD
from app.core.timeouts import follow_rules


@frozen
class RingOwed(Start):
    """Ring callees whom `Start` owes, as of when the call began; `owed`: who is owed then."""


def start(draft: Draft, command: Start) -> Refused | None:
    call = draft.call
    if len(command.callees) + len(command.owed) + 1 > call.limits.members:
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
    callees = [callee.user_id for callee in (*command.callees, *command.owed)]
    draft.tell(
        EventType.CALL_STARTED,
        draft.now,
        (call.caller_id,),
        caller_id=call.caller_id,
        callees=callees,
        video=call.video,
        **shown(call),
    )
    _ring(draft, command)
    if not command.owed and (command.busy or (command.give_up and command.unreachable)):
        follow_rules(draft, draft.now)  # it may be over before anybody is rung
    return None


def ring_owed(draft: Draft, command: RingOwed) -> Refused | None:
    if draft.call.state is CallState.ENDED:
        return Refused.CALL_ENDED
    _ring(draft, command)
    if not command.owed:
        follow_rules(draft, draft.now)
    return None


def ring_more(draft: Draft, command: RingMore) -> Refused | None:
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
    expires_at, said = rfc3339(deadline), shown(draft.call)
    same = {"expires_at": expires_at, "caller_id": draft.call.caller_id, "video": draft.call.video}
    plain = not (command.busy or command.suppressed or command.unreachable)
    for callee in command.callees:
        member = draft.members.get(callee.user_id)
        if plain and member is None:
            ring, new, event = begun(callee, draft.now, deadline, same | said)
            draft.rings[ring.uuid] = ring
            draft.put(new)
            draft.events.append(event)
            continue
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
            **same,
            **said,
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
            lose(draft, draft.members[callee.user_id], give_up=command.give_up)


def begun(
    callee: Callee, now: datetime, deadline: datetime, same: Mapping[str, Any]
) -> tuple[Ring, Member, Event]:
    """The ring of somebody new of whom nothing is known, who is told of it; `same`: as all are."""
    user = callee.user_id
    ring = Ring(callee.ring_uuid, user, now, deadline)
    member = Member(
        user, Role.CALLEE, MemberState.RINGING, ring, None, False, None, None, None, callee.person
    )
    data = {"user_id": user, "ring": str(ring.uuid), **same}
    return ring, member, Event(EventType.RING_STARTED, now, data, (user,))


def shown(call: Call) -> dict[str, Any]:
    """What a screen shows of a call, in the data of an event; nothing where nothing was said."""
    found: dict[str, Any] = {}
    who, title = stored_person(call.caller), call.details.title
    if who is not None:
        found["caller"] = who
    if title is not None:
        found["title"] = title
    return found


def lose(draft: Draft, member: Member, *, give_up: bool) -> None:
    """Nobody can be reached by this member's ring, which goes on unless it is given up."""
    if member.state is MemberState.UNREACHABLE:
        return
    if give_up:
        member = settle(draft, member, Outcome.UNREACHABLE, draft.now, CallKit.FAILED, None)
    draft.put(replace(member, state=MemberState.UNREACHABLE))
    draft.tell(EventType.MEMBER_UNREACHABLE, draft.now, draft.present(), user_id=member.user_id)
