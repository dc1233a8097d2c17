"""One request on its way, and the one end that it is owed."""

import math
from typing import Protocol

from app.core.push_policy import NoAnswer
from app.http2.head import Block


class Carrier(Protocol):
    """The connection that carries an exchange."""

    number: int

    def carries(self, exchange: "Exchange") -> bool:
        """Whether it is still owed its end."""

    def expire(self, exchange: "Exchange") -> None:
        """What it waits for has not come in time."""

    def withdraw(self, exchange: "Exchange") -> None:
        """Nobody wants its end any more."""


class Exchange:
    """A request with its payload, its deadline (`loop.time()`), and its stream's state.

    `due` is when it is next to be looked at: its deadline, or sooner while something is awaited
    that must not take as long. `stream` is 0 while it waits for a connection, `opened` when it got
    that. `unsent` is the part of the payload that flow control holds back, None when all has gone;
    `window` what the server's stream window leaves. No stream is opened for it once `boottime()`
    has reached `start_by`. `code`, `fields` and `body` are the answer's, as far as it has come.

    A sender's own kind says what follows: `answered` or `unanswered` is called once, or neither if
    the exchange is withdrawn.
    """

    __slots__ = (
        "body",
        "code",
        "connection",
        "deadline",
        "due",
        "fields",
        "opened",
        "payload",
        "start_by",
        "started",
        "stream",
        "unsent",
        "window",
    )

    def __init__(
        self, payload: bytes, deadline: float, started: float, start_by: float = math.inf
    ) -> None:
        self.payload = payload
        self.deadline = deadline
        self.due = deadline
        self.started = started
        self.start_by = start_by
        self.opened = 0.0
        self.connection: Carrier | None = None
        self.stream = 0
        self.unsent: bytes | None = None
        self.window = 0
        self.code = 0
        self.fields: Block = []
        self.body = b""

    def answered(self, now: float) -> None:
        """Its status, and perhaps a body, are here."""
        raise NotImplementedError

    def unanswered(
        self,
        kind: NoAnswer,
        cause: str,
        *,
        now: float,
        may_have_reached: bool = False,
        reason: str | None = None,
    ) -> None:
        """Nobody has answered it, for this cause in words; `reason` is one from a GOAWAY."""
        raise NotImplementedError
