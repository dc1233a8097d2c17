"""The values of a call: states, members, rings, commands, and what a decision holds.

All are immutable; `core.call` says what happens to them.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from uuid import UUID

from app.core.details import NO_DETAILS, Details
from app.core.event import Event
from app.core.frozen import frozen
from app.core.limits import CallLimits
from app.core.person import NOBODY, Person

SERVER = "server"
"""The holder of a member that the tenant's backend vouches for: it sends no heartbeats."""


class CallState(StrEnum):
    RINGING = "ringing"
    ACTIVE = "active"
    ENDED = "ended"


class Reason(StrEnum):
    """Why a call ended."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    BUSY = "busy"
    MISSED = "missed"
    UNREACHABLE = "unreachable"
    ALONE = "alone"
    MAX_DURATION = "max_duration"
    ENDED_BY_SERVER = "ended_by_server"
    FAILED = "failed"


class MemberState(StrEnum):
    RINGING = "ringing"
    JOINED = "joined"
    AWAY = "away"
    LEFT = "left"
    DECLINED = "declined"
    BUSY = "busy"
    MISSED = "missed"
    UNREACHABLE = "unreachable"


LIVE = frozenset({MemberState.JOINED, MemberState.AWAY})


class Role(StrEnum):
    CALLER = "caller"
    CALLEE = "callee"


class Outcome(StrEnum):
    """How a ring settled."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    MISSED = "missed"
    UNREACHABLE = "unreachable"


class Receipt(StrEnum):
    """Whether a device has said that a ring is on its screen: a reading, not a state."""

    WAITING = "waiting"
    CONFIRMED = "confirmed"
    UNCONFIRMED = "unconfirmed"


class CallKit(IntEnum):
    """CXCallEndedReason: what a ringing device is told when it must stop."""

    FAILED = 1
    REMOTE_ENDED = 2
    UNANSWERED = 3
    ANSWERED_ELSEWHERE = 4
    DECLINED_ELSEWHERE = 5


@frozen
class Ring:
    """One attempt to reach one member. `uuid` is CallKit's and is never used again.

    `shown_on`: the devices that have said that it is on their screen.
    """

    uuid: UUID
    user_id: str
    created_at: datetime
    deadline: datetime
    outcome: Outcome | None = None
    settled_at: datetime | None = None
    callkit_reason: CallKit | None = None
    device: str | None = None
    shown_on: tuple[str, ...] = ()

    def receipt(self, limits: CallLimits, now: datetime) -> Receipt:
        """What is known of it at `now`; once it has settled, what was known then."""
        if self.shown_on:
            return Receipt.CONFIRMED
        rung_for = ((self.settled_at or now) - self.created_at).total_seconds()
        return Receipt.WAITING if rung_for < limits.unconfirmed else Receipt.UNCONFIRMED


@frozen
class Member:
    """A user in a call. `device_id`: who has joined; `monitored`: that device sends heartbeats.

    `suppressed`: why the latest ring was not pushed; to all others it rings like any.
    """

    user_id: str
    role: Role
    state: MemberState
    ring: Ring | None = None
    device_id: str | None = None
    monitored: bool = False
    joined_at: datetime | None = None
    seen_at: datetime | None = None
    left_at: datetime | None = None
    person: Person = NOBODY
    suppressed: str | None = None

    @property
    def is_hidden(self) -> bool:
        """Whether the latest ring is kept from this user: nothing of theirs is told of it."""
        return self.suppressed is not None and self.joined_at is None

    @property
    def is_rung(self) -> bool:
        """Whether a ring to this member is open. Who is unreachable may still answer by a browser,
        the backend, or a device that registers meanwhile."""
        open_ring = self.ring is not None and self.ring.outcome is None
        return open_ring and self.state in {MemberState.RINGING, MemberState.UNREACHABLE}


@frozen
class Others:
    """Members of a large call that are not at hand: how many, and when time changes the call as it
    is stored, which may be too early and is never too late."""

    members: int
    joined: int
    ringing: int
    due_at: datetime


@frozen
class Call:
    """One session of a cid, as the database holds it or as `view` sees it.

    `caller`: what is shown of who calls; of other members it stands with them. `others`: all but
    `members`, where a command needs those alone (`core.large_calls`).
    """

    id: UUID
    type: str
    name: str
    caller_id: str
    video: bool
    limits: CallLimits
    created_at: datetime
    state: CallState = CallState.RINGING
    reason: Reason | None = None
    active_at: datetime | None = None
    ended_at: datetime | None = None
    alone_since: datetime | None = None
    details: Details = NO_DETAILS
    caller: Person = NOBODY
    members: Mapping[str, Member] = field(default_factory=lambda: MappingProxyType({}))
    others: Others | None = None

    @property
    def size(self) -> int:
        """How many members there are."""
        return len(self.members) + (self.others.members if self.others is not None else 0)

    @property
    def cid(self) -> str:
        return f"{self.type}:{self.name}"


@frozen
class Callee:
    """Someone to be rung, with the uuid that their ring shall have if there is one.

    `person`: what is shown of them; NOBODY leaves what is known.
    """

    user_id: str
    ring_uuid: UUID
    person: Person = NOBODY


@frozen
class Start:
    """Begin `call` (no members yet) and ring `callees`. `device`: the caller's, or SERVER.

    `unreachable`: callees who have nothing that could ring; `give_up`: that ends their rings.
    `suppressed`: callees who are not to be rung, and why. `busy`: who is in another call, and told
    of none; that comes first, so that it is the same to a caller who is blocked. `owed`: whom
    `RingOwed` rings: no rule counts before.
    """

    callees: tuple[Callee, ...]
    ring_for: float
    device: str = SERVER
    unreachable: frozenset[str] = frozenset()
    give_up: bool = False
    suppressed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    busy: frozenset[str] = frozenset()
    owed: tuple[Callee, ...] = ()


@frozen
class RingMore:
    """Ring more members of a live call, on behalf of `user_id` who has joined it. As Start."""

    user_id: str
    callees: tuple[Callee, ...]
    ring_for: float
    unreachable: frozenset[str] = frozenset()
    give_up: bool = False
    suppressed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    busy: frozenset[str] = frozenset()


@frozen
class Accept:
    """`device` answers. `monitored`: it will send heartbeats (it is not the backend that speaks).

    `ring`: the only ring that is meant, from a call token; None: whichever there is.
    """

    user_id: str
    device: str
    monitored: bool = True
    ring: UUID | None = None


@frozen
class Join:
    """As Accept, and also for who has left, declined or missed while the call is active."""

    user_id: str
    device: str
    monitored: bool = True
    ring: UUID | None = None


@frozen
class Decline:
    """`ring` as in Accept: the late decline of a former ring must not settle the present one."""

    user_id: str
    device: str | None = None
    busy: bool = False
    ring: UUID | None = None


@frozen
class Cancel:
    """The caller, or the server (None), gives up before anyone has joined."""

    user_id: str | None = None


@frozen
class Leave:
    user_id: str
    device: str | None = None


@frozen
class End:
    """End the call for everyone; `user_id` None: the server does."""

    user_id: str | None = None
    device: str | None = None


@frozen
class Heartbeat:
    user_id: str
    device: str


@frozen
class Report:
    """A device says that the ring has come to its screen, that it cannot ring, or `declined`:
    that it alone has been told to be quiet. A ring that is kept from its user is on no screen."""

    user_id: str
    device: str
    ring: UUID
    delivered: bool = False
    declined: bool = False


@frozen
class Present:
    """Signs of life of many (user, device) at once: their live streams are open."""

    devices: frozenset[tuple[str, str]]


@frozen
class Unreachable:
    """These rings have nothing left that could ring: no device, or none that takes a push."""

    rings: frozenset[UUID]
    give_up: bool = False


@frozen
class Reachable:
    """To these rings a device has come that can ring."""

    rings: frozenset[UUID]


@frozen
class Tick:
    """Nothing but time."""


Command = (
    Start
    | RingMore
    | Accept
    | Join
    | Decline
    | Cancel
    | Leave
    | End
    | Heartbeat
    | Present
    | Report
    | Unreachable
    | Reachable
    | Tick
)


@frozen
class Stop:
    """Ringing devices of a user that must stop, all but `spared`."""

    user_id: str
    ring_uuid: UUID
    callkit_reason: CallKit
    spared: str | None = None


class Refused(StrEnum):
    """Why a command was refused."""

    NOT_A_MEMBER = "not_a_member"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    RING_SETTLED = "ring_settled"
    CALL_ENDED = "call_ended"
    CALL_ACTIVE = "call_active"
    NOT_THE_CALLER = "not_the_caller"
    NOT_JOINED = "not_joined"
    TOO_MANY_MEMBERS = "too_many_members"


@frozen
class Decision:
    """What a command does. Rows follow from it and from nothing else.

    `call` is the call afterwards; `members` those that are new or changed; `rings` those to be
    pushed; `settled` those that have just settled; `shown` those that are on one more screen;
    `refusal` None when the command was taken (time may have passed all the same). `changed`: there
    is something to write; `visible`: and it is more than when a member was last heard of.
    """

    call: Call
    members: tuple[Member, ...] = ()
    rings: tuple[Ring, ...] = ()
    settled: tuple[Ring, ...] = ()
    shown: tuple[Ring, ...] = ()
    stops: tuple[Stop, ...] = ()
    events: tuple[Event, ...] = ()
    refusal: Refused | None = None
    changed: bool = False
    visible: bool = False
