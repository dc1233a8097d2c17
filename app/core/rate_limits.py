"""Rate limits: how often something may be done in a minute; names, defaults, bounds, the window.

Counted by a sliding window: what was done in this minute of the clock, and of the minute before as
much as the last 60 seconds reach into it. Whoever does it evenly meets exactly the limit.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Final

from app.core.frozen import frozen

WINDOW: Final = 60.0
PAUSE: Final = 2 * WINDOW
"""Seconds without a refusal after which a limit is not reached any more; `Retry-After` is less."""

LONG: Final = 600.0
"""Seconds of refusals without a pause after which a tenant is told."""

LEAST: Final = 1
MOST: Final = 10_000_000


@frozen
class RateLimits:
    """Times in a minute. The defaults stop loops that ran wild; no app in order meets them."""

    rings_per_key: int = 120_000
    rings_per_caller: int = 30_000
    rings_per_callee: int = 3_000
    registrations_per_user: int = 1_200
    streams_per_user: int = 1_200
    streams_per_tenant: int = 600_000


@frozen
class Reached:
    """A limit of `most` that refuses again and again: since when, when last (Unix seconds)."""

    most: int
    since: float
    last: float
    refused: int = 1

    def again(self, most: int, at: float) -> "Reached":
        """It has refused one more; after a pause it begins anew."""
        if at > self.last + PAUSE:
            return Reached(most, at, at)
        return Reached(most, self.since, at, self.refused + 1)

    def for_long(self, now: float) -> bool:
        """Whether somebody is to be told."""
        return self.last - self.since >= LONG and now <= self.last + PAUSE


DEFAULTS: Final = RateLimits()
NAMES: Final = tuple(field.name for field in fields(RateLimits))

SHARED: Final = frozenset({"rings_per_key", "streams_per_tenant"})
"""Those that are not of a user: of each tenant there are few to be counted."""


def of_tenant(values: Mapping[str, int]) -> RateLimits:
    """The defaults, and what a tenant has set."""
    return RateLimits(**{**asdict(DEFAULTS), **values}) if values else DEFAULTS


def outside_bounds(values: Mapping[str, int]) -> list[tuple[str, str]]:
    """(name, sentence) for each value that is unknown or outside its bounds."""
    found = []
    for name, value in values.items():
        if name not in NAMES:
            found.append((name, f"is not a rate limit; known are {', '.join(NAMES)}"))
        elif not LEAST <= value <= MOST:
            found.append((name, f"must be from {LEAST} to {MOST} a minute"))
    return found


def wait_for(most: int, now: float, before: float, passed: float) -> float:
    """Seconds until one more fits; 0: now.

    `now`: how many in this window, of which `passed` seconds are over; `before`: in the one before.
    """
    if before * (1 - passed / WINDOW) + now + 1 <= most:
        return 0.0
    room = most - 1 - now
    if room >= 0:  # enough of the window before must have faded
        return WINDOW * (1 - room / before) - passed
    return WINDOW - passed + WINDOW * (1 - (most - 1) / now)
