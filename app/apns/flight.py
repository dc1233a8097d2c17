"""One push on its way through the engine."""

import asyncio
import math
from typing import TYPE_CHECKING

from app.apns.outcome import PushOutcome, read_body
from app.apns.request import PushRequest
from app.core.push_policy import NoAnswer

if TYPE_CHECKING:
    from app.apns.protocol import ApnsConnection


class Flight:
    """A push, its deadline (`loop.time()`), the future of its outcome, and its stream's state.

    `due` is when it is next to be looked at: its deadline, or sooner while something is awaited
    that must not take as long. `stream` is 0 while it waits for a connection, `opened` when it got
    that. `unsent` is the part of the payload that flow control holds back, None when all has gone;
    `window` what the server's stream window leaves.
    No stream is opened for it once `boottime()` has reached `start_by`.
    """

    __slots__ = (
        "body",
        "code",
        "connection",
        "deadline",
        "due",
        "future",
        "issued_at",
        "opened",
        "request",
        "retry_after",
        "start_by",
        "started",
        "stream",
        "unique_id",
        "unsent",
        "window",
    )

    def __init__(
        self,
        request: PushRequest,
        deadline: float,
        started: float,
        future: asyncio.Future[PushOutcome],
        start_by: float = math.inf,
    ) -> None:
        self.request = request
        self.deadline = deadline
        self.due = deadline
        self.opened = 0.0
        self.started = started
        self.start_by = start_by
        self.future = future
        self.connection: ApnsConnection | None = None
        self.stream = 0
        self.unsent: bytes | None = None
        self.window = 0
        self.issued_at: int | None = None
        self.code = 0
        self.body = b""
        self.unique_id: str | None = None
        self.retry_after: float | None = None

    def answered(self, now: float, provider_token_age: float | None) -> PushOutcome:
        """The outcome of a push whose status, and perhaps body, are here."""
        reason, timestamp = read_body(self.body) if self.body else (None, None)
        return PushOutcome(
            self.request.notification_id,
            started=self.started,
            ended=now,
            code=self.code,
            reason=reason,
            timestamp=timestamp,
            apns_unique_id=self.unique_id,
            retry_after=self.retry_after,
            connection=self.connection.number if self.connection is not None else 0,
            provider_token_age=provider_token_age,
        )

    def unanswered(
        self,
        kind: NoAnswer,
        cause: str,
        *,
        now: float,
        may_have_reached: bool = False,
        reason: str | None = None,
    ) -> PushOutcome:
        """The outcome of a push to which nobody answered."""
        return PushOutcome(
            self.request.notification_id,
            started=self.started,
            ended=now,
            no_answer=kind,
            cause=cause,
            reason=reason,
            may_have_reached=may_have_reached,
            connection=self.connection.number if self.connection is not None else 0,
        )
