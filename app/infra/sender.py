"""The seam of a sender: what one gives, and what it is given. `app.senders` says who there is.

A sender is a package: it says which kinds of token and of credential it serves, makes a request of
a push, sends it before a deadline, answers with an outcome (`app.core.outcome`), and says by its
own table what outcomes mean. Values in, an outcome out: no database, and nothing retries inside.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any, Final, Protocol

from app.core.frozen import frozen
from app.core.payload import AlertTexts, Prepared, RingFacts, Template
from app.core.push import Purpose, TokenKind
from app.core.push_policy import Attempt, Known, Reaction
from app.infra.settings import Settings

ALERT_KEPT: Final = 24 * 3_600
"""Seconds for which a service may keep a notification for a phone that is away."""


@frozen
class Secret:
    """A credential with its secret, opened: `material` is what was sealed."""

    kind: str
    material: bytes = field(repr=False)
    key_id: str | None = None
    team_id: str | None = None


@frozen
class OutgoingPush:
    """A push as a sender is to make a request of it.

    `id` stays over retries. `token` is the address, `kind` that of the token, `topics` what its
    credential is for, as that spells it. `deadline`, unix seconds, is when it is worth nothing any
    more, `now` by the same clock; `keep`: the service may keep a ring for a phone that is off.
    `newer`: its app is to be sent its service's newer form, where that has two.
    """

    id: str
    ring: str
    purpose: Purpose
    kind: TokenKind
    app_id: str
    token: str
    payload: bytes = field(repr=False)
    deadline: float
    now: float
    keep: bool = False
    topics: Sequence[str] = ()
    newer: bool = False

    @property
    def shown_until(self) -> int:
        """Of a notification: until when a service may keep it for a phone that is away; 0: not."""
        if self.purpose is Purpose.MISSED:
            return int(self.now + ALERT_KEPT)
        rings = self.purpose in {Purpose.RING, Purpose.AGAIN}
        return 0 if rings and not self.keep else int(self.deadline)


Alike = Callable[[str, str, bytes], Any]
"""Makes a request of a push's id, token and payload."""


class Pending(Protocol):
    """A push that was handed to a sender. `stream` is 0 until it has begun to be sent."""

    future: asyncio.Future[Any]
    stream: int


class Stats(Protocol):
    """A sender at one moment; see `app.http2.sender.SenderStats`."""

    @property
    def connections(self) -> int: ...
    @property
    def streams(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def connect_failures(self) -> int: ...
    @property
    def last_failure(self) -> str | None: ...


class Sender(Protocol):
    """Pushes of one credential to one environment; made and used on one running event loop."""

    def start(self, request: Any, deadline: float, start_by: float = ...) -> Any:
        """Send before `deadline` (loop time): a Pending. Not begun from `start_by` on."""

    def start_all(
        self, requests: Sequence[Any], deadline: float, start_by: float = ...
    ) -> Sequence[Any]:
        """`start` of each, in their order."""

    async def send(self, request: Any, deadline: float) -> Any:
        """The same as `start`, awaited: the Outcome."""

    def renew(self, pending: Any, start_by: float) -> None:
        """One that has not begun may begin until then."""

    def is_held_back(self, pending: Any) -> bool:
        """Whether one had its turn after its `start_by`, and waits to be renewed."""

    def abandon(self, pending: Any) -> None:
        """Nobody wants its outcome any more."""

    async def warm(self, within: float = ...) -> bool:
        """Be ready to send; False if that takes longer than so many seconds."""

    async def drain(self, deadline: float) -> None:
        """Begin nothing more; what has begun may end until then."""

    async def close(self) -> None:
        """End everything now."""

    def stats(self) -> Stats:
        """How it stands."""


class Service(Protocol):
    """What a sender's package says of itself, as one value.

    `name` is its word in metrics; `title` how people call the service, `label` its protocol.
    `token_kinds` and `credential_kinds` are what it serves, `ring_kinds` the tokens that are rung;
    `stop_kinds` says for each of these by which kind of the same device's tokens it is told to
    stop; `alert_kinds` are the tokens by which the phone's system shows a notification by itself,
    `shown_kinds` those of them that are shown nothing else: what `alert_payload` makes rings, too,
    and says that a ring has ended.
    Tokens of `activated_kinds` count once an app has posted back what an activation push brought
    it. A service of one environment calls that `production`.
    `device_refusals` are reasons that speak of one device's token alone: many of them together mean
    a wrong credential. To a probe, `proofs` are reasons that show that the credential is taken, and
    `elsewhere` those that show that it is good in another environment.
    """

    @property
    def name(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def token_kinds(self) -> frozenset[TokenKind]: ...
    @property
    def ring_kinds(self) -> frozenset[TokenKind]: ...
    @property
    def alert_kinds(self) -> frozenset[TokenKind]: ...
    @property
    def stop_kinds(self) -> Mapping[TokenKind, TokenKind]: ...
    @property
    def shown_kinds(self) -> frozenset[TokenKind]: ...
    @property
    def activated_kinds(self) -> frozenset[TokenKind]: ...
    @property
    def environments(self) -> tuple[str, ...]: ...
    @property
    def credential_kinds(self) -> frozenset[str]: ...
    @property
    def device_refusals(self) -> frozenset[str]: ...
    @property
    def proofs(self) -> frozenset[str]: ...
    @property
    def elsewhere(self) -> frozenset[str]: ...

    def topic(self, kind: TokenKind, app_id: str) -> str:
        """What a credential must be for, to push to an app's tokens of this kind."""

    def key_of(self, token: str) -> str | None:
        """The `key_id` of the only credential that may push to a token; None: any of its app."""

    def open(
        self,
        secret: Secret,
        environment: str,
        settings: Settings,
        wall_clock: Callable[[], float],
        *,
        connections: int | None = None,
    ) -> Sender:
        """A sender of this credential. Raises ValueError, in a sentence, when it is unfit."""

    def ring_payload(self, profile: str, facts: RingFacts, template: Template | None) -> Prepared:
        """What a ring says, made once for all of its devices. Raises PayloadError."""

    def stop_payload(
        self,
        kind: TokenKind,
        profile: str,
        facts: RingFacts,
        reason: int,
        template: Template | None,
    ) -> bytes:
        """What a stop says to a token of this kind. Raises PayloadError."""

    def alert_payload(self, event: str, texts: AlertTexts | None, facts: RingFacts) -> Prepared:
        """What a notification says of an event to `alert_kinds`; `texts` are the tenant's, without
        which a service may have words of its own. Raises PayloadError."""

    def request(self, push: OutgoingPush) -> Any:
        """What its senders take. Raises ValueError for what cannot be sent."""

    def alike(self, push: OutgoingPush) -> Alike | None:
        """Makes requests of pushes that are as this one but for id, ring, token and payload.

        None: each is made by `request`. Raises as that does.
        """

    def react(self, attempt: Attempt, known: Known, random: float) -> Reaction:
        """What to do about the end of one attempt."""

    def row_of_stored(self, status: int | None, reason: str | None) -> str:
        """The row of its table that an earlier attempt was of."""

    def probe(self, app_id: str, topics: Sequence[str]) -> Any:
        """A request that reaches nobody, and whose answer shows what the credential is worth.

        None: there is nobody to ask, and a credential that can be opened is good.
        """
