"""Commands in a large call that need their own members alone, not 350 others.

Who answers or declines where two have joined changes nobody else, ends nothing and leaves nobody
alone; nor does who shows life, or whose device says that it rings. All else, and whatever time has
changed, is decided on the whole call.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from app.core.frozen import replace
from app.core.model import (
    LIVE,
    Accept,
    Call,
    CallState,
    Command,
    Decline,
    Heartbeat,
    Join,
    Member,
    MemberState,
    Others,
    Report,
)

LARGE: Final = 10
"""A call of more members, the caller included, is large."""

TOGETHER: Final = 2
"""So many must have joined: none is alone then, whatever these commands do."""

OWN = (Accept, Join, Decline, Heartbeat, Report)


def whom_they_need(commands: Sequence[Command]) -> list[str] | None:
    """The members that these need in a large call; None if one needs all."""
    users = [one.user_id for one in commands if isinstance(one, OWN)]
    return users if len(users) == len(commands) else None


def may_be_partial(call: Call, all_of_it: Others, now: datetime) -> bool:
    """Whether such commands can be decided on a part of this call; `all_of_it` counts all of it."""
    return (
        all_of_it.members > LARGE
        and call.state is CallState.ACTIVE
        and all_of_it.joined >= TOGETHER
        and all_of_it.due_at > now
    )


def part_of(call: Call, all_of_it: Others, members: Mapping[str, Member]) -> Call:
    """The call with these of its members."""
    states = [member.state for member in members.values()]
    others = Others(
        all_of_it.members - len(states),
        all_of_it.joined - sum(state in LIVE for state in states),
        all_of_it.ringing - states.count(MemberState.RINGING),
        all_of_it.due_at,
    )
    return replace(call, members=members, others=others)
