"""When a webhook is tried again, and when an endpoint is left alone or given up.

A delivery is tried for a day. An endpoint that fails again and again is asked once a minute at
most, by one delivery, however many wait for it.
"""

from datetime import datetime, timedelta

from app.core.delivery import DeliveryError
from app.core.frozen import frozen

TRIED_FOR = timedelta(hours=24)
"""A delivery that fails when it is older than this is given up."""

WAITS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 21_600)
"""Seconds between tries of one delivery; the last repeats."""

LONGEST_RETRY_AFTER = 3_600.0
RESTS_FROM = 3
LONGEST_REST = 60.0


@frozen
class Answer:
    """What came of one try. `status` None: there was no answer, and `error` says why."""

    status: int | None
    error: DeliveryError | None = None
    text: str | None = None
    retry_after: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the endpoint has taken it: any 2xx."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the endpoint wants no more (Standard Webhooks: 410 disables it)."""
        return self.status == 410


def next_try(
    answer: Answer, *, attempts: int, created_at: datetime, now: datetime, random: float
) -> datetime | None:
    """When to try a delivery again after its `attempts`-th try failed; None: give it up.

    `random` in [0, 1) spreads those that failed together.
    """
    if answer.gone or now - created_at >= TRIED_FOR:
        return None
    wait = WAITS[min(attempts, len(WAITS)) - 1] * (0.8 + 0.4 * random)
    if answer.retry_after is not None:
        wait = max(wait, min(answer.retry_after, LONGEST_RETRY_AFTER))
    return now + timedelta(seconds=wait)


def rest(failures: int) -> float:
    """Seconds for which an endpoint is left alone after so many failures in a row."""
    if failures < RESTS_FROM:
        return 0.0
    return min(LONGEST_REST, float(2 ** min(failures - RESTS_FROM, 10)))
