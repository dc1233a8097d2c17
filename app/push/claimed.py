"""What a claim reads: a push with all that must be known to send it, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, Self
from uuid import UUID

from app.core.frozen import frozen
from app.core.model import CallKit
from app.core.payload import ENDS
from app.core.person import Person, handle_from
from app.core.push import ENVIRONMENTS, PURPOSES, TOKEN_KINDS, Environment, Purpose, TokenKind
from app.infra.row_values import RowValue

OVER = frozenset({CallKit.ANSWERED_ELSEWHERE, CallKit.DECLINED_ELSEWHERE})
"""Why a ring is over that nobody has missed."""
TOLD = {
    Purpose.RING: "ring", Purpose.AGAIN: "ring", Purpose.NOTIFY: "notify",
    Purpose.MISSED: "missed",
}  # fmt: skip
"""Of what notifications tell, by their purpose; those of `ENDING` by CallKit's reason."""
ENDING = frozenset({Purpose.OVER, Purpose.STOP})

Claim = tuple[UUID, int]
"""A push's id and the fencing number under which a worker has it."""


@frozen
class CallFacts:
    """What payloads tell of a call; `joined` are those who are in it with what is shown of them,
    the longest first.

    Read by `claims.CALL`, which has them in this order.
    """

    id: str
    type: str
    name: str
    caller_id: str
    caller_name: str | None
    caller_avatar_url: str | None
    caller_handle: Mapping[str, str] | None
    title: str | None
    video: bool
    custom: Mapping[str, Any] | None
    joined: Sequence[tuple[str, Mapping[str, Any] | None]] | None
    traceparent: str | None

    @property
    def caller(self) -> Person:
        """What is shown of the caller."""
        return Person(self.caller_name, self.caller_avatar_url, handle_from(self.caller_handle))


class Rung(Protocol):
    """Whose ring it is, and its times."""

    @property
    def ring(self) -> UUID:
        """The ring's uuid."""

    @property
    def user_id(self) -> str:
        """Whom it rings."""

    @property
    def ring_created_at(self) -> datetime:
        """When it began."""

    @property
    def ring_deadline(self) -> datetime:
        """When it is missed."""


class Standing(Protocol):
    """What is looked at again before a push goes out."""

    @property
    def ring_gone(self) -> bool:
        """Whether there is no such ring any more."""

    @property
    def settled(self) -> bool:
        """Whether the ring has an outcome."""

    @property
    def owned(self) -> bool:
        """Whether the token is still this user's."""


@frozen
class RingRow(RowValue):
    """A ring, and what payloads tell of its call."""

    ring: UUID
    user_id: str
    ring_created_at: datetime
    ring_deadline: datetime
    call: CallFacts

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """With the call's facts as a value."""
        ring, user_id, created_at, deadline, call = row
        return cls(ring, user_id, created_at, deadline, CallFacts(*call))


@frozen
class ClaimedPush(RowValue):
    """A push in this worker's hands.

    `call` comes with the first push of each call. With the first of a claim come `credentials`, a
    stamp of those that serve the apps of all that it got (`credentials.store.STAMP`), and
    `settings`, those of all their tenants, by id. `tried` is the (status, reason) of each
    earlier attempt. `now` is the database's clock. Where the ring is gone its times are the push's
    own.
    """

    purpose: Purpose
    kind: TokenKind
    environment: Environment
    call: CallFacts | None
    credentials: str | None
    settings: Mapping[str, dict[str, Any]] | None
    tried: Sequence[tuple[int | None, str | None]]
    id: UUID
    ring: UUID
    session_id: UUID
    tenant_id: UUID
    user_id: str
    device_row: UUID
    token_id: UUID
    app_id: str
    token: str
    token_registered_at: datetime
    token_version: int
    healed: bool
    callkit_reason: int | None
    created_at: datetime
    deadline: datetime
    claimed_by: UUID
    fence: int
    attempts: int
    inherited: bool
    repeated: bool
    reason: str | None
    now: datetime
    ring_gone: bool
    settled: bool
    owned: bool
    ring_created_at: datetime
    ring_deadline: datetime

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """With enums for words; it is made for each push, so the columns come in their order."""
        purpose, kind, environment, call, credentials, settings, tried, *rest = row
        return cls(
            PURPOSES.get(purpose, Purpose.AGAIN),  # numbered
            TOKEN_KINDS[kind],
            ENVIRONMENTS[environment],
            None if call is None else CallFacts(*call),
            credentials,
            settings,
            () if tried is None else [(status, reason) for status, reason in tried],
            *rest,
        )

    @property
    def event(self) -> str:
        """Of what its notification tells."""
        if self.purpose in ENDING:
            assert self.callkit_reason is not None  # what ends a ring has one
            return ENDS[self.callkit_reason]
        return TOLD[self.purpose]

    @property
    def claim(self) -> Claim:
        """Under what the worker has it."""
        return self.id, self.fence


@dataclass(slots=True, eq=False)
class Batch:
    """A batch that this worker has claimed: the whole of what it knows of its places.

    `taken`: bits of those accepted at this try; when they were sent and answered, in milliseconds
    from `created_at`, by place. `rev` rises with each time that it is written.
    """

    id: UUID
    worker: UUID
    fence: int
    created_at: datetime
    sent: list[int | None]
    answered: list[int | None]
    taken: int = 0
    rev: int = 0
    begun: float = field(init=False)

    def __post_init__(self) -> None:
        self.begun = self.created_at.timestamp()

    def take(self, place: int, sent_at: float, answered_at: float) -> None:
        """A place, counted from 1, was accepted; times are Unix seconds."""
        self.taken |= 1 << place - 1
        # in whole microseconds, as rows have them: a millisecond's edge is no place to be rounding
        self.sent[place - 1] = round((sent_at - self.begun) * 1e6) // 1_000
        self.answered[place - 1] = round((answered_at - self.begun) * 1e6) // 1_000


@frozen
class ClaimedPlace(ClaimedPush):
    """A claimed push that is a place of a batch, counted from 1, or was when it was claimed."""

    batch: Batch
    place: int


@frozen
class Look(RowValue):
    """What a second look says of a claim that still holds; `marked`: its repeat is noted."""

    id: UUID
    marked: bool
    ring_gone: bool
    settled: bool
    owned: bool
