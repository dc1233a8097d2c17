"""Whether a user is to be rung at all: blocks, do not disturb, quiet hours, levels, exceptions.

Pure: the time is an argument, and time zones are the system's (IANA). Quiet hours go by the clock
on the user's wall: on the night when clocks go forward the hour that is skipped is not there to be
quiet in, and on the night when they go back both are what the clock says.
"""

from datetime import datetime, time
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from app.core.frozen import frozen

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
REPEAT_WITHIN: Final = 180.0
"""Seconds between two calls of the same caller for the second to be a repeat."""


class Why(StrEnum):
    """Why a ring was not pushed."""

    BLOCKED = "blocked"
    DO_NOT_DISTURB = "do_not_disturb"
    QUIET_HOURS = "quiet_hours"
    CALL_TYPE = "call_type"
    CALL_TYPE_NOTIFY = "call_type_notify"
    NOTIFY = "notify"  # whoever rings asks for no more
    IN_A_CALL = "in_a_call"  # and the tenant has it quiet
    DEVICES_OFF = "devices_off"  # all that could ring


TOLD: Final = frozenset({Why.DO_NOT_DISTURB, Why.QUIET_HOURS, Why.CALL_TYPE, Why.DEVICES_OFF})
"""What a caller may be told of, where the tenant lets them know: a user's wishes, but no block."""
NOTIFIED: Final = frozenset({Why.CALL_TYPE_NOTIFY, Why.NOTIFY, Why.IN_A_CALL})
"""Why a ring was not pushed that a notification tells of instead, where there are words for it."""


@frozen
class Period:
    """Quiet from `start` on these weekdays (0 is Monday) to `end`, of the next day if not later.

    Equal times are a whole day.
    """

    days: frozenset[int]
    start: time
    end: time

    def holds(self, weekday: int, at: time) -> bool:
        """Whether it is quiet at this time of this weekday."""
        if self.start < self.end:
            return weekday in self.days and self.start <= at < self.end
        begun = weekday in self.days and at >= self.start
        return begun or ((weekday - 1) % 7 in self.days and at < self.end)


@frozen
class Preferences:
    """What a user wants of rings. `silent_types`: call types that are not to ring, `notified_types`
    those of which a notification is enough.

    `allowed`: callers for whom all this does not count; `repeat`: nor for who calls again within
    three minutes.
    """

    do_not_disturb_until: datetime | None = None
    time_zone: str = "UTC"
    periods: tuple[Period, ...] = ()
    silent_types: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()
    repeat: bool = False
    notified_types: frozenset[str] = frozenset()

    def is_quiet(self, now: datetime) -> bool:
        """Whether it is among the quiet hours; `now` knows its zone."""
        if not self.periods:
            return False
        local = now.astimezone(ZoneInfo(self.time_zone))
        return any(one.holds(local.weekday(), local.time()) for one in self.periods)


NONE: Final = Preferences()


def why_suppressed(
    preferences: Preferences,
    *,
    caller: str,
    call_type: str,
    now: datetime,
    blocked: bool = False,
    repeated: bool = False,
) -> Why | None:
    """Why this caller's ring is not pushed now; None when it is. A block knows no exception."""
    if blocked:
        return Why.BLOCKED
    if caller in preferences.allowed or (preferences.repeat and repeated):
        return None
    until = preferences.do_not_disturb_until
    if until is not None and now < until:
        return Why.DO_NOT_DISTURB
    if preferences.is_quiet(now):
        return Why.QUIET_HOURS
    if call_type in preferences.notified_types:
        return Why.CALL_TYPE_NOTIFY
    return Why.CALL_TYPE if call_type in preferences.silent_types else None
