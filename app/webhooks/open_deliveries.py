"""Deliveries that one worker has claimed and not recorded yet, and how quick each webhook is."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from app.core.webhook_share import FIRST_WINDOW, SLOW_AFTER, SLOW_WINDOW, Waiting, window_after
from app.infra.watch import Watch
from app.webhooks.claimed import Delivery, DueWebhook, Key

MOST_KNOWN = 20_000
"""Webhooks whose pace is remembered; one that is forgotten begins anew."""


@dataclass(slots=True)
class Pace:
    """How a webhook answers: whether slowly, and how many it is sent at a time."""

    window: int = FIRST_WINDOW
    slow: bool = False


@dataclass(slots=True, eq=False)
class OpenDelivery:
    """One claimed delivery. Loop times: `claimed`, and `started` once it is sent.

    `expected`: it has no answer yet, and one may be expected soon. `waits`: it is sent and has
    none.
    """

    claim: Delivery
    slow: bool
    claimed: float
    started: float
    expected: bool
    waits: bool = False
    sent: datetime | None = None
    """When it was sent, by the database's clock."""

    def at(self, loop_time: float) -> datetime:
        """The database's time then: it was told with the claim, and has gone on since."""
        # by whole numbers: of a fraction of seconds it costs three times as much
        return self.claim.now + timedelta(0, 0, int((loop_time - self.claimed) * 1e6))


class OpenDeliveries:
    """All of one worker's. `slowed` is called when one that was quick gives its place back."""

    def __init__(self, slowed: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._slowed = slowed
        self._open: dict[Key, OpenDelivery] = {}
        self._quick: Watch[OpenDelivery] = Watch(SLOW_AFTER, self._slow_now)
        self._by_webhook: Counter[UUID] = Counter()
        self._paces: dict[UUID, Pace] = {}
        self.expected = 0
        """How many have no answer yet, and may be expected to have one soon."""

    def __len__(self) -> int:
        return len(self._open)

    def keys(self) -> list[Key]:
        """Which deliveries this worker holds."""
        return list(self._open)

    def begin(self, claims: Iterable[Delivery]) -> list[OpenDelivery]:
        """These have just been claimed."""
        now, begun = self._loop.time(), []
        for claim in claims:
            slow = self._pace(claim.webhook_id).slow
            one = OpenDelivery(claim, slow, now, now, not slow)
            self._open[claim.key] = one
            self.expected += not slow
            self._by_webhook[claim.webhook_id] += 1
            begun.append(one)
        return begun

    def start(self, one: OpenDelivery) -> datetime:
        """It is sent now: at this time of the database's."""
        now = one.started = self._loop.time()
        one.waits = True
        if not one.slow:
            self._quick.begin(one)
        one.sent = one.at(now)
        return one.sent

    def answered(self, one: OpenDelivery) -> tuple[datetime, datetime]:
        """It has an answer, and keeps its place until that is recorded.

        Returns when it was sent and when it was answered, by the database's clock.
        """
        now, one.waits = self._loop.time(), False
        self._no_more_expected(one)
        seconds = now - one.started
        pace = self._pace(one.claim.webhook_id)
        pace.slow = seconds >= SLOW_AFTER
        pace.window = window_after(pace.window, seconds=seconds)
        return one.sent or one.claim.now, one.at(now)

    def unanswered(self) -> bool:
        """Whether anything that was sent may still get its answer."""
        return any(one.waits for one in self._open.values())

    def end(self, claim: Delivery) -> None:
        """It is recorded, or given up: its place is free."""
        delivery = self._open.pop(claim.key, None)
        if delivery is None:
            return
        self._no_more_expected(delivery)
        webhook = claim.webhook_id
        self._by_webhook[webhook] -= 1
        if not self._by_webhook[webhook]:
            del self._by_webhook[webhook]

    def full(self) -> list[UUID]:
        """Webhooks that are to be sent no more for now."""
        return [one for one, count in self._by_webhook.items() if count >= self._pace(one).window]

    def taken(self) -> Counter[tuple[UUID, bool]]:
        """Places in use by (tenant, slow)."""
        return Counter((one.claim.tenant_id, one.slow) for one in self._open.values())

    def waiting(self, found: Sequence[DueWebhook]) -> list[Waiting]:
        """How webhooks with due deliveries stand.

        One that fails may be down: it gets one at a time, from all workers together.
        """
        return [self._waiting(row) for row in found]

    def _waiting(self, due: DueWebhook) -> Waiting:
        pace, here = self._pace(due.webhook), self._by_webhook.get(due.webhook, 0)
        room = pace.window - here
        if due.failures:
            room = 0 if due.under_way or here else 1
        return Waiting(due.webhook, due.tenant_id, pace.slow, room)

    def _no_more_expected(self, delivery: OpenDelivery) -> None:
        self.expected -= delivery.expected
        delivery.expected = False
        self._quick.end(delivery)

    def _slow_now(self, delivery: OpenDelivery) -> None:
        self._no_more_expected(delivery)
        delivery.slow = True
        pace = self._pace(delivery.claim.webhook_id)
        pace.slow, pace.window = True, min(pace.window, SLOW_WINDOW)
        self._slowed()

    def _pace(self, webhook: UUID) -> Pace:
        pace = self._paces.pop(webhook, None) or Pace()
        self._paces[webhook] = pace  # the last used stays longest
        if len(self._paces) > MOST_KNOWN:
            del self._paces[next(iter(self._paces))]
        return pace
