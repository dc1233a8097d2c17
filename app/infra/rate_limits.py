"""Rate limits of one process, which tell each other over Redis (or Valkey) what they have counted.

A request is judged here, by what is known: it waits for nobody, and a ring costs no round trip.
Each half second what has been counted goes to Redis, and the sum of all processes comes back: for
those alone of whom a sixteenth of their limit has been counted here, so what no app in order meets
costs nothing. So with P processes P - 1 sixteenths more may pass at most, and what comes within
half a second. While Redis is away each process counts alone.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final
from uuid import UUID

from redis.asyncio import Redis

from app.core.rate_limits import PAUSE, SHARED, WINDOW, RateLimits, Reached, wait_for
from app.infra import clock
from app.infra.errors import TooMany
from app.infra.observe import RATE_LIMITED
from app.infra.redis_client import REDIS_AWAY

TELL: Final = 0.5
WITHIN: Final = 5.0
SHARE: Final = 16
"""What is told of begins at this part of a limit."""

MOST_TOLD: Final = 2_000
"""Counts told in one round at most; the others go with the next."""

MOST_COUNTED: Final = 100_000
"""Users of one tenant that are counted in a window at most: the memory of a process has an end.

Beyond it new ones are not counted until the next window, others of that tenant are.
"""

KEPT: Final = 150
"""Seconds for which Redis keeps a count: two windows and some more."""

Asked = tuple[str, str]
"""(name of the rate limit, whose): the id of a user or a key, or empty for the tenant itself."""


class RateLimited(TooMany):
    """`limit` has been reached: `most` a minute. Told as draft-ietf-httpapi-ratelimit-headers."""

    def __init__(self, code: str, limit: str, most: int, retry_after: float) -> None:
        seconds = max(1, math.ceil(retry_after))
        super().__init__(
            code,
            f"rate limit `{limit}`: {most:,} a minute; try again in {seconds} s",
            retry_after=seconds,
            rate_limit=limit,
        )
        self.headers = {  # type: ignore[misc]
            "RateLimit-Policy": f'"{limit}";q={most};w={WINDOW:.0f}',
            "RateLimit": f'"{limit}";r=0;t={seconds}',
        }


class _Counts:
    """What one tenant has done: here in this window, by others as far as known, and before it."""

    __slots__ = ("before", "here", "near", "others", "told")

    def __init__(self) -> None:
        self.here: dict[Asked, int] = {}
        self.others: dict[Asked, int] = {}
        self.told: dict[Asked, int] = {}
        self.near: set[Asked] = set()
        self.before: dict[Asked, int] = {}

    def turn(self, *, next_to: bool) -> None:
        """A new window begins; `next_to`: right after the one that was counted."""
        for one, count in self.others.items():
            self.here[one] = self.here.get(one, 0) + count
        self.before = self.here if next_to else {}
        self.here, self.others, self.told, self.near = {}, {}, {}, set()


class RateLimiter:
    """Belongs to one event loop."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._window = 0
        self._of: dict[UUID, _Counts] = {}
        self._reached: dict[tuple[UUID, str], Reached] = {}

    def take(self, tenant: UUID, limits: RateLimits, code: str, asked: Sequence[Asked]) -> None:
        """Count one of each of these, or raise RateLimited with this code and count none."""
        passed = self._turn()
        counts = self._of.get(tenant)
        if counts is None:
            counts = self._of[tenant] = _Counts()
        before, others = counts.before, counts.others
        for one in asked:
            most = getattr(limits, one[0])
            now = counts.here.get(one, 0) + others.get(one, 0)
            if now * 2 < most and one not in before:
                continue
            wait = wait_for(most, now, before.get(one, 0), passed)
            if wait > 0:
                RATE_LIMITED.labels(one[0]).inc()
                self.refused(tenant, one[0], most, clock.unix())
                raise RateLimited(code, one[0], most, wait)
        here = counts.here
        full = len(here) >= MOST_COUNTED
        for one in asked:
            count = here.get(one, 0) + 1
            if full and count == 1 and one[0] not in SHARED:
                continue
            here[one] = count
            if count * SHARE >= getattr(limits, one[0]):
                counts.near.add(one)

    def refused(self, tenant: UUID, limit: str, most: int, at: float) -> None:
        """This limit of a tenant, of `most` a minute, has refused one at `at` (Unix seconds)."""
        known = self._reached.get((tenant, limit))
        again = Reached(most, at, at) if known is None else known.again(most, at)
        self._reached[tenant, limit] = again

    def reached_for_long(self) -> dict[tuple[UUID, str], Reached]:
        """The limits, each of a tenant, that have refused without a pause for `LONG`."""
        now = clock.unix()
        self._reached = {
            which: one for which, one in self._reached.items() if now <= one.last + PAUSE
        }
        return {which: one for which, one in self._reached.items() if one.for_long(now)}

    def _turn(self) -> float:
        """Begin a new window if it is time; how many seconds of the present one are over.

        By the database's clock, so all processes begin it together.
        """
        window, passed = divmod(clock.unix(), WINDOW)
        if window != self._window:
            next_to = window == self._window + 1
            for counts in self._of.values():
                counts.turn(next_to=next_to)
            self._of = {tenant: one for tenant, one in self._of.items() if one.before}
            self._window = int(window)
        return passed

    async def tell(self) -> None:
        """Tell the other processes what was counted here, and hear what they have told."""
        self._turn()
        window = self._window
        news = [
            (tenant, counts, one, more)
            for tenant, counts in self._of.items()
            for one in counts.near
            if (more := counts.here[one] - counts.told.get(one, 0))
        ][:MOST_TOLD]
        if not news:
            return
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for tenant, _, one, more in news:
                    pipe.incrby(name_of(window, tenant, one), more)
                    pipe.expire(name_of(window, tenant, one), KEPT)
                    pipe.get(name_of(window - 1, tenant, one))
                answers = await pipe.execute()
        except REDIS_AWAY:
            return  # `news` tells of it; what Redis did take is then counted twice
        if window != self._window:
            return
        for (_, counts, one, more), in_all, before in zip(
            news, answers[::3], answers[2::3], strict=True
        ):
            told = counts.told[one] = counts.told.get(one, 0) + more
            counts.others[one] = max(0, in_all - told)
            counts.before[one] = max(int(before or 0), counts.before.get(one, 0))


def name_of(window: int, tenant: UUID, one: Asked) -> str:
    """The key of a count in Redis: a digest, since nobody need read there who rings whom."""
    text = f"{tenant.hex}|{one[0]}|{one[1]}"
    return f"ringline:rate:{window}:{blake2b(text.encode(), digest_size=16).hexdigest()}"
