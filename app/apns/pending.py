"""A push that is owed its outcome."""

import asyncio
import math
from collections.abc import Callable
from typing import Any

from app.apns.outcome import PushOutcome, read_body
from app.apns.request import PushRequest
from app.core.outcome import readable
from app.http2.head import seconds_until
from app.http2.sender import Pending


class PendingPush(Pending):
    """A push in the engine; `future` gets its outcome.

    `issued_at` is the `iat` of the provider token that it carries, `reason` Apple's once it is
    here. `wall_clock` gives unix seconds.
    """

    __slots__ = ("issued_at", "reason", "request", "wall_clock")

    def __init__(
        self,
        request: PushRequest,
        deadline: float,
        loop: asyncio.AbstractEventLoop,
        wall_clock: Callable[[], float],
        start_by: float = math.inf,
    ) -> None:
        super().__init__(request.payload, deadline, loop, start_by)
        self.request = request
        self.wall_clock = wall_clock
        self.issued_at: int | None = None
        self.reason: str | None = None

    def answered(self, now: float) -> None:
        self.reason, timestamp = read_body(self.body) if self.body else (None, None)
        unique_id = retry_after = None
        for name, value, _ in self.fields:
            if name == b"apns-unique-id":
                unique_id = readable(value[:128].decode("ascii", "replace"))
            elif name == b"retry-after":
                retry_after = seconds_until(value, self.wall_clock)
        connection = self.connection
        self.end(
            PushOutcome(  # not by `outcome`: a dictionary of what is said costs as much again
                self.request.notification_id,
                started=self.started,
                ended=now,
                connection=connection.number if connection is not None else 0,
                code=self.code,
                reason=self.reason,
                timestamp=timestamp,
                apns_unique_id=unique_id,
                retry_after=retry_after,
                provider_token_age=(
                    None if self.issued_at is None else self.wall_clock() - self.issued_at
                ),
            )
        )

    def outcome(self, now: float, **said: Any) -> PushOutcome:
        """The same in aioapns's terms, with what carried it."""
        return PushOutcome(
            self.request.notification_id,
            started=self.started,
            ended=now,
            connection=self.connection.number if self.connection is not None else 0,
            **said,
        )
