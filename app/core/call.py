"""Calls: their states, and `decide(call, command, now)` which alone says what a command does.

    call     ringing -> active -> ended(reason)
    callee   ringing -> joined | declined | busy | missed       (the caller starts joined)
             ringing <-> unreachable, which may all the same join, decline or end as it is
             joined -> away -> joined | left;  left -> joined while the call lives

Pure: the clock and new ids are arguments. Time passing is itself a command (`Tick`), and each
other command is decided on the call as time has left it, so that a time-out needs no sweep to be
true: `view(call, now)` reads a ring as missed from its deadline on.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.core.draft import Draft
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
    Others,
    Outcome,
    Present,
    Reachable,
    Reason,
    Receipt,
    Refused,
    Report,
    Ring,
    RingMore,
    Role,
    Start,
    Stop,
    Tick,
    Unreachable,
)
from app.core.plain_start import is_plain, plain_start
from app.core.ringing import RingOwed
from app.core.transition import apply_command

__all__ = [
    "LIVE",
    "SERVER",
    "Accept",
    "Call",
    "CallKit",
    "CallState",
    "Callee",
    "Cancel",
    "Command",
    "Decision",
    "Decline",
    "End",
    "Heartbeat",
    "Join",
    "Leave",
    "Member",
    "MemberState",
    "Others",
    "Outcome",
    "Present",
    "Reachable",
    "Reason",
    "Receipt",
    "Refused",
    "Report",
    "Ring",
    "RingMore",
    "RingOwed",
    "Role",
    "Start",
    "Stop",
    "Tick",
    "Unreachable",
    "combine",
    "decide",
    "due_at",
    "view",
]


def decide(call: Call, command: Command, now: datetime) -> Decision:
    """What `command` does to `call` at `now`. Never raises for a late or repeated command."""
    if type(command) is Start and is_plain(call, command):
        return plain_start(call, command, now)
    draft = Draft(call, now)
    refusal = apply_command(draft, command)
    return draft.decision(refusal)


def combine(decisions: Sequence[Decision]) -> Decision:
    """Decisions that were taken one after the other, as one to be written; at least one."""
    members = {member.user_id: member for one in decisions for member in one.members}
    return Decision(
        call=decisions[-1].call,
        members=tuple(members[user] for user in sorted(members)),
        rings=tuple(ring for one in decisions for ring in one.rings),
        settled=tuple(ring for one in decisions for ring in one.settled),
        shown=tuple({ring.uuid: ring for one in decisions for ring in one.shown}.values()),
        stops=tuple(stop for one in decisions for stop in one.stops),
        events=tuple(event for one in decisions for event in one.events),
        changed=any(one.changed for one in decisions),
        visible=any(one.visible for one in decisions),
    )


def view(call: Call, now: datetime) -> Call:
    """The call as time has left it, whether or not the sweep has been."""
    due = due_at(call)
    if due is None or due > now:
        return call
    return decide(call, Tick(), now).call


def due_at(call: Call) -> datetime | None:
    """When time next changes this call; None once it has ended."""
    if call.state is CallState.ENDED:
        return None
    limits = call.limits
    times = [call.created_at + timedelta(seconds=limits.length)]
    if call.alone_since is not None:
        times.append(call.alone_since + timedelta(seconds=limits.alone))
    if call.others is not None:
        times.append(call.others.due_at)
    for member in call.members.values():
        if member.is_rung and member.ring is not None:
            times.append(member.ring.deadline)
        elif call.state is CallState.ACTIVE and member.monitored and member.state in LIVE:
            assert member.seen_at is not None
            silence = limits.silence(away=member.state is MemberState.AWAY)
            times.append(member.seen_at + timedelta(seconds=silence))
    return min(times)
