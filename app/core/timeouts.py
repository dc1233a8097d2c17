"""What time does to a call, and the rules by which it ends."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from app.core.draft import Draft, end_call, settle, take_out
from app.core.event import EventType
from app.core.frozen import replace
from app.core.model import (
    LIVE,
    CallKit,
    CallState,
    Member,
    MemberState,
    Outcome,
    Reason,
    Role,
)


def apply_timeouts(draft: Draft) -> None:
    """Everything whose time has come by now, in order of time."""
    while draft.call.state is not CallState.ENDED:
        due = [(at, user) for at, user in _due_members(draft) if at <= draft.now]
        at = min(due)[0] if due else draft.now
        if follow_rules(draft, at) or not due:
            return
        for when, user in due:
            if when == at:
                _time_out(draft, draft.members[user], at)
        follow_rules(draft, at)


def _due_members(draft: Draft) -> Iterable[tuple[datetime, str]]:
    limits, active = draft.call.limits, draft.call.state is CallState.ACTIVE
    for user, member in draft.members.items():
        if member.is_rung and member.ring is not None:
            yield member.ring.deadline, user
        elif active and member.monitored and member.state in LIVE and member.seen_at is not None:
            away = member.state is MemberState.AWAY
            yield member.seen_at + timedelta(seconds=limits.silence(away=away)), user


def _time_out(draft: Draft, member: Member, at: datetime) -> None:
    if member.state is MemberState.RINGING:
        member = settle(draft, member, Outcome.MISSED, at, CallKit.UNANSWERED, None)
        draft.put(replace(member, state=MemberState.MISSED))
        draft.tell(EventType.MEMBER_MISSED, at, draft.present(), user_id=member.user_id)
    elif member.state is MemberState.UNREACHABLE:
        settle(draft, member, Outcome.UNREACHABLE, at, CallKit.UNANSWERED, None)
    elif member.state is MemberState.JOINED:
        draft.put(replace(member, state=MemberState.AWAY))
        # to itself alone: back in time it is a non-event for the others
        draft.tell(EventType.MEMBER_AWAY, at, (member.user_id,), user_id=member.user_id)
    else:
        take_out(draft, member, at, draft.call.limits.silence(away=True))


def follow_rules(draft: Draft, at: datetime) -> bool:
    """End the call where its rules say so, at the time from which they did (`at` at the latest).

    Whether it has ended.
    """
    call = draft.call
    if call.state is CallState.ENDED:
        return True
    too_long = call.created_at + timedelta(seconds=call.limits.length)
    present, ringing = draft.how_many_present(), draft.ringing()
    if call.state is CallState.RINGING and not ringing:
        end_call(draft, _reason_unanswered(draft), at)
    elif call.state is CallState.ACTIVE and not present:
        end_call(draft, Reason.COMPLETED, at)
    else:
        alone = call.state is CallState.ACTIVE and present == 1 and not ringing
        since = (call.alone_since or at) if alone else None
        if since != call.alone_since:
            draft.call = replace(call, alone_since=since)
        too_alone = since + timedelta(seconds=call.limits.alone) if since is not None else too_long
        if min(too_alone, too_long) <= at:
            reason = Reason.ALONE if too_alone < too_long else Reason.MAX_DURATION
            end_call(draft, reason, min(too_alone, too_long))
    return draft.call.state is CallState.ENDED


def _reason_unanswered(draft: Draft) -> Reason:
    states = {m.state for m in draft.members.values() if m.role is Role.CALLEE}
    if MemberState.MISSED in states:
        return Reason.MISSED
    if MemberState.DECLINED in states:
        return Reason.DECLINED
    return Reason.BUSY if MemberState.BUSY in states else Reason.UNREACHABLE
