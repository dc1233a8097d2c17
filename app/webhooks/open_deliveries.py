"""Deliveries that one worker has claimed and not recorded yet, and how quick each webhook is."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from app.core.frozen import frozen
from app.core.webhook_share import (
    FIRST_WINDOW,
    SLOW_AFTER,
    SLOW_WINDOW,
    WIDEST_WINDOW,
    Waiting,
    window_after,
)
from app.infra.observe import DELIVERIES_UNDER_WAY
from app.infra.watch import Watch
from app.webhooks.claimed import Delivery, DueWebhook, Key

MOST_KNOWN = 20_000
"""Webhooks whose pace is remembered; one that is forgotten begins anew."""


@dataclass(slots=True, eq=False)
class Pace:
    """How a webhook answers: whether slowly, how many it is sent at a time, and how many now."""

    webhook: UUID
    window: int = FIRST_WINDOW
    slow: bool = False
    open: int = 0


@dataclass(slots=True, eq=False)
class OpenDelivery:
    """One claimed delivery. `started`, of the loop: when it was claimed, then when it is sent.

    `ahead`: seconds by which the database's clock, as it was told with the claim and has gone on
    since, is ahead of the loop's. `expected`: it has no answer yet, and one may be expected soon.
    `waits`: it is sent and has none.
    """

    claim: Delivery
    pace: Pace
    slow: bool
    ahead: float
    started: float
    expected: bool
    waits: bool = False


@frozen
class Moment:
    """When some are sent: the loop's time, the database's, and its second in digits."""

    loop: float
    at: datetime
    second: bytes


class OpenDeliveries:
    """All of one worker's. `slowed` is called when one that was quick gives its place back."""

    def __init__(self, slowed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._slowed = slowed
        self._open: dict[OpenDelivery, None] = {}
        self._quick: Watch[OpenDelivery] = Watch(SLOW_AFTER, self._slow_now)
        self._busy: dict[Pace, None] = {}
        self._paces: dict[UUID, Pace] = {}
        self.expected = 0
        """How many have no answer yet, and may be expected to have one soon."""

    def __len__(self) -> int:
        return len(self._open)

    def keys(self) -> list[Key]:
        """Which deliveries this worker holds."""
        return [one.claim.key for one in self._open]

    def begin(self, claims: Sequence[Delivery]) -> list[OpenDelivery]:
        """These have just been claimed, all at once."""
        if not claims:
            return []
        now = self._loop.time()
        ahead = claims[0].now - now
        paces = {webhook: self._pace(webhook) for webhook in {one.webhook_id for one in claims}}
        begun = []
        for claim in claims:
            pace = paces[claim.webhook_id]
            pace.open += 1
            begun.append(OpenDelivery(claim, pace, pace.slow, ahead, now, not pace.slow))
        self._busy.update(dict.fromkeys(paces.values()))
        self.expected += sum(one.expected for one in begun)
        self._open.update(dict.fromkeys(begun))
        return begun

    def moment(self, one: OpenDelivery) -> Moment:
        """Now: the same for all that were claimed with it."""
        loop = self._loop.time()
        at = loop + one.ahead
        return Moment(loop, datetime.fromtimestamp(at, UTC), b"%d" % int(at))

    def start(self, some: Sequence[OpenDelivery], moment: Moment) -> None:
        """They are sent now."""
        for one in some:
            one.started, one.waits = moment.loop, True
        self._quick.begin_all(one for one in some if not one.slow)

    def answered(self, one: OpenDelivery) -> tuple[float, float]:
        """It has an answer, and keeps its place until that is recorded.

        Returns when it was sent and when it was answered: Unix seconds of the database's clock.
        """
        now, one.waits = self._loop.time(), False
        if one.expected:
            self.expected -= 1
            one.expected = False
            self._quick.end(one)
        pace, seconds = one.pace, now - one.started
        pace.slow = seconds >= SLOW_AFTER
        if pace.slow or pace.window < WIDEST_WINDOW:
            pace.window = window_after(pace.window, seconds=seconds)
        return one.started + one.ahead, now + one.ahead

    def unanswered(self) -> bool:
        """Whether anything that was sent may still get its answer."""
        return any(one.waits for one in self._open)

    def end(self, one: OpenDelivery) -> None:
        """It is recorded, or given up: its place is free."""
        if one not in self._open:
            return
        del self._open[one]
        if one.expected:
            self._no_more_expected(one)
        pace = one.pace
        pace.open -= 1
        if not pace.open:
            del self._busy[pace]

    def full(self) -> list[UUID]:
        """Webhooks that are to be sent no more for now."""
        return [pace.webhook for pace in self._busy if pace.open >= pace.window]

    def taken(self) -> Counter[tuple[UUID, bool]]:
        """Places in use by (tenant, slow)."""
        return Counter((one.claim.tenant_id, one.slow) for one in self._open)

    def measure(self) -> None:
        """Set the metric: they have no tasks, and are counted in no other."""
        slow = sum(one.slow for one in self._open)
        DELIVERIES_UNDER_WAY.labels("quick").set(len(self._open) - slow)
        DELIVERIES_UNDER_WAY.labels("slow").set(slow)

    def waiting(self, found: Sequence[DueWebhook]) -> list[Waiting]:
        """How webhooks with due deliveries stand.

        One that fails may be down: it gets one at a time, from all workers together.
        """
        return [self._waiting(row) for row in found]

    def _waiting(self, due: DueWebhook) -> Waiting:
        pace = self._pace(due.webhook)
        room = pace.window - pace.open
        if due.failures:
            room = 0 if due.under_way or pace.open else 1
        return Waiting(due.webhook, due.tenant_id, pace.slow, room)

    def _no_more_expected(self, one: OpenDelivery) -> None:
        self.expected -= 1
        one.expected = False
        self._quick.end(one)

    def _slow_now(self, one: OpenDelivery) -> None:
        if one.expected:
            self._no_more_expected(one)
        one.slow, pace = True, one.pace
        pace.slow, pace.window = True, min(pace.window, SLOW_WINDOW)
        self._slowed()

    def _pace(self, webhook: UUID) -> Pace:
        pace = self._paces.pop(webhook, None) or Pace(webhook)
        self._paces[webhook] = pace  # the last used stays longest
        if len(self._paces) > MOST_KNOWN:
            self._forget_one()
        return pace

    def _forget_one(self) -> None:
        """The pace that was used longest ago, but for those whose deliveries are open."""
        oldest = next((one for one in self._paces.values() if not one.open), None)
        if oldest is not None:
            del self._paces[oldest.webhook]
