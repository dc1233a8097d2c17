"""Who is told of an event live. In a large call comings and goings are told once a second.

350 members who join one after the other would be 350 x 350 messages. So in a call of more than
`LARGE` members an event about one member goes to that member only, and all who are in the call get
a `call.updated` that says what has changed, at most once a second.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from app.core.event import Event, EventType
from app.core.large_calls import LARGE
from app.core.model import LIVE, Call

MOST_NAMED = 100
"""Members that one update names; whoever needs the others reads the call."""

ABOUT_A_MEMBER = frozenset(
    {
        EventType.MEMBER_ADDED,
        EventType.MEMBER_RINGING,
        EventType.MEMBER_JOINED,
        EventType.MEMBER_DECLINED,
        EventType.MEMBER_BUSY,
        EventType.MEMBER_MISSED,
        EventType.MEMBER_UNREACHABLE,
        EventType.MEMBER_SUPPRESSED,
        EventType.MEMBER_REACHABLE,
        EventType.MEMBER_AWAY,
        EventType.MEMBER_BACK,
        EventType.MEMBER_LEFT,
    }
)

TO_ALL_PRESENT = frozenset(
    {
        EventType.MEMBER_RINGING,
        EventType.MEMBER_JOINED,
        EventType.MEMBER_DECLINED,
        EventType.MEMBER_BUSY,
    }
)
"""Of what may be decided on a part of a call: for whoever has joined."""


def audience(call: Call, event: Event) -> tuple[str, ...]:
    """Those of the event's listeners who are told of it as it happens."""
    if event.type not in ABOUT_A_MEMBER or call.size <= LARGE:
        return event.to
    return tuple(user for user in event.to if user == event.data.get("user_id"))


def is_put_off(call: Call, event: Event) -> bool:
    """Whether somebody is told of it by the next `call.updated` only."""
    others = call.others is not None and call.others.joined > 0 and event.type in TO_ALL_PRESENT
    return others or len(audience(call, event)) < len(event.to)


def update(call: Call, changed: Sequence[str], now: datetime) -> Event:
    """What all who are in the call are told of members that have changed."""
    members = call.members
    named = [user for user in changed if user in members]
    counts = Counter(member.state.value for member in members.values())
    data = {
        "members": [
            {
                "user_id": user,
                "state": members[user].state.value,
                "device_id": members[user].device_id,
            }
            for user in named[:MOST_NAMED]
        ],
        "more": len(named) > MOST_NAMED,
        "counts": dict(sorted(counts.items())),
    }
    present = tuple(user for user, member in members.items() if member.state in LIVE)
    return Event(EventType.CALL_UPDATED, now, data, present)
