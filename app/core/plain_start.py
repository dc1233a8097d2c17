"""A call that begins as most do: new, all of its callees rung, nothing known of any of them.

What `core.ringing` says of such a one, said at once: of a call of two it is half the work. Tests
hold both ways to the same decision.
"""

from datetime import datetime, timedelta
from types import MappingProxyType

from app.core.event import Event, EventType, rfc3339
from app.core.frozen import replace
from app.core.model import SERVER, Call, Decision, Member, MemberState, Ring, Role, Start
from app.core.ringing import begun, shown


def is_plain(call: Call, command: Start) -> bool:
    """Whether a call may begin so."""
    if (
        command.suppressed or command.unreachable or command.busy or command.owed
        or call.members or call.others is not None
        or len(command.callees) >= call.limits.members
    ):  # fmt: skip
        return False
    users = {callee.user_id for callee in command.callees}
    return len(users) == len(command.callees) and call.caller_id not in users


def plain_start(call: Call, command: Start, now: datetime) -> Decision:
    """What `Start` does to a call that `is_plain`."""
    caller_id, video, said = call.caller_id, call.video, shown(call)
    caller = Member(
        caller_id, Role.CALLER, MemberState.JOINED, None, command.device,
        command.device != SERVER and call.limits.presence, now, now, None, call.caller,
    )  # fmt: skip
    deadline = now + timedelta(seconds=command.ring_for)
    expires_at = rfc3339(deadline)
    members, rings = {caller_id: caller}, list[Ring]()
    callees = [callee.user_id for callee in command.callees]
    of_call = {"caller_id": caller_id, "callees": callees, "video": video, **said}
    events = [Event(EventType.CALL_STARTED, now, of_call, (caller_id,))]
    same = {"expires_at": expires_at, "caller_id": caller_id, "video": video, **said}
    for callee in command.callees:
        ring, member, event = begun(callee, now, deadline, same)
        rings.append(ring)
        members[member.user_id] = member
        events.append(event)
    return Decision(
        call=replace(call, members=MappingProxyType(members)),
        members=tuple(members[user] for user in sorted(members)),
        rings=tuple(rings),
        events=tuple(events),
        changed=True,
        visible=True,
    )
