"""How a push ended: Apple's answer, or why there is none."""

from typing import Final

import orjson
from aioapns.common import NotificationResult

from app.core.outcome import readable
from app.core.push_policy import Attempt, NoAnswer

_MAX_REASON: Final = 128
_MAX_TIMESTAMP: Final = 2**53


class PushOutcome(NotificationResult):
    """The one result of a push. Exactly one of `code` and `no_answer` is set.

    `status` is aioapns's: the HTTP status as text, empty without an answer. `description` is
    Apple's reason (also one given in a GOAWAY, then without a status), `timestamp` its
    milliseconds since 1970 of a 410. `cause` says in words why there is no answer.
    `may_have_reached` is False only when Apple cannot have acted on the push.
    `started` and `ended` are `loop.time()` seconds: given to the engine, and concluded.
    `connection` is the number of the connection that carried it, 0 for none;
    `provider_token_age` the age in seconds, by the caller's wall clock, of the JWT it carried.
    """

    __slots__ = (
        "apns_unique_id",
        "cause",
        "code",
        "connection",
        "ended",
        "may_have_reached",
        "no_answer",
        "provider_token_age",
        "retry_after",
        "started",
    )

    def __init__(
        self,
        notification_id: str,
        *,
        started: float,
        ended: float,
        code: int = 0,
        reason: str | None = None,
        timestamp: int | None = None,
        no_answer: NoAnswer | None = None,
        cause: str | None = None,
        may_have_reached: bool = True,
        apns_unique_id: str | None = None,
        retry_after: float | None = None,
        connection: int = 0,
        provider_token_age: float | None = None,
    ) -> None:
        self.notification_id = notification_id
        self.status = str(code) if code else ""
        self.description = reason
        self.timestamp = timestamp
        self.code = code
        self.no_answer = no_answer
        self.cause = cause
        self.may_have_reached = may_have_reached
        self.apns_unique_id = apns_unique_id
        self.retry_after = retry_after
        self.started = started
        self.ended = ended
        self.connection = connection
        self.provider_token_age = provider_token_age

    @property
    def reason(self) -> str | None:
        """Apple's reason; the same as aioapns's `description`."""
        return self.description

    @property
    def unique_id(self) -> str | None:
        """Apple's own name of the push."""
        return self.apns_unique_id

    def attempt(self, number: int, now: float) -> Attempt:
        """This outcome as the `number`th attempt at a push, told to a policy at `now`."""
        return Attempt(
            number,
            now,
            status=self.code,
            reason=self.reason,
            no_answer=self.no_answer,
            may_have_reached=self.may_have_reached,
            retry_after=self.retry_after,
            gone_at=self.timestamp,
            provider_token_age=self.provider_token_age,
        )

    def __repr__(self) -> str:
        end = self.code or self.no_answer
        return f"<PushOutcome {self.notification_id} {end} {self.description or self.cause or ''}>"


def read_body(body: bytes) -> tuple[str | None, int | None]:
    """Apple's (reason, timestamp in ms) from an answer's body or a GOAWAY's debug data.

    Anything that is not Apple's JSON (empty, HTML, cut short) reads as (None, None).
    """
    try:
        found = orjson.loads(body) if body else None
    except ValueError:
        return None, None
    if not isinstance(found, dict):
        return None, None
    reason = found.get("reason")
    stamp = found.get("timestamp")
    return (
        readable(reason[:_MAX_REASON]) if isinstance(reason, str) and reason else None,
        stamp if type(stamp) is int and 0 < stamp < _MAX_TIMESTAMP else None,
    )
