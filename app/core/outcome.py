"""How a push ended, as every sender says it: the service's answer, or why there is none."""

import re
from typing import Final, Protocol

from app.core.frozen import frozen
from app.core.push_policy import Attempt, NoAnswer

_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Outcome(Protocol):
    """The one result of a push. Exactly one of `code` and `no_answer` is set.

    `code` is the HTTP status, 0 without an answer, and then `cause` says in words why, and
    `may_have_reached` is False only when the service cannot have acted on the push. `reason` is the
    service's own word. `started` and `ended` are `loop.time()` seconds: given to the sender, and
    concluded. `unique_id` is the service's own name of the push, where it gives one.
    """

    @property
    def code(self) -> int: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def no_answer(self) -> NoAnswer | None: ...
    @property
    def cause(self) -> str | None: ...
    @property
    def may_have_reached(self) -> bool: ...
    @property
    def started(self) -> float: ...
    @property
    def ended(self) -> float: ...
    @property
    def unique_id(self) -> str | None: ...

    def attempt(self, number: int, now: float) -> Attempt:
        """This outcome as the `number`th attempt at a push, told to a policy at `now`."""


@frozen
class Ended:
    """An Outcome of a sender that has no more to say than that. `retry_after` in seconds."""

    started: float
    ended: float
    code: int = 0
    reason: str | None = None
    no_answer: NoAnswer | None = None
    cause: str | None = None
    may_have_reached: bool = True
    unique_id: str | None = None
    retry_after: float | None = None

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
        )


def readable(text: str) -> str:
    """Text of the server's without what no database holds and no log should: controls, surrogates.

    Each is shown as U+FFFD.
    """
    return _CONTROLS.sub("\ufffd", text)
