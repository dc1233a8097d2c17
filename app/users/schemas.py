"""What clients send and see of a user's preferences and handles."""

import re
from collections.abc import Mapping
from datetime import datetime, time
from functools import cache, lru_cache
from importlib.resources import files
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from app.core.person import Handle, HandleKind, handle_key
from app.core.repeats import first_repeated
from app.core.suppression import DAYS, NONE, Period, Preferences
from app.infra.fields import AT_REST, AtMost, CallType, Flag, Name, Request, Time, UserId, refuse

WEEKDAYS = {day: n for n, day in enumerate(DAYS)}
MOST_PERIODS = 28
MOST_ALLOWED = 200
MOST_TYPES = 200
LONGEST_KEPT = 2_000
"""Characters of preferences that are kept as they were read: some MB for all."""
MOST_HANDLES = 20
MOST_HANDLE = 128
PHONE = re.compile(r"\+?[0-9*#(][0-9 ().\-/*#]*")
EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Clock = Annotated[str, Field(max_length=5, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]


@cache
def _zones() -> frozenset[str]:
    """The names that every machine of ours knows: a system may have others (`right/Europe/Berlin`,
    `localtime`), and a ring that is decided on the next machine would fail by one."""
    return frozenset(files("tzdata").joinpath("zones").read_text().split())


def _zone(name: str, info: ValidationInfo) -> str:
    if info.context is not AT_REST and name not in _zones():
        raise refuse("unknown_time_zone", "there is no IANA zone of this name: Europe/Berlin, say")
    return name


class HandleIn(Request):
    """What contacts and redial know a person by; a phone shows it where there is no name."""

    kind: HandleKind = Field(description="what it is")
    value: Annotated[Name, Field(min_length=1, max_length=MOST_HANDLE)] = Field(
        description="the number, the address, or any name", examples=["+49 30 1234567"]
    )

    @field_validator("value")
    @classmethod
    def _fits(cls, value: str, known: ValidationInfo) -> str:
        kind = known.data.get("kind")
        if kind is HandleKind.PHONE and not PHONE.fullmatch(value):
            raise refuse("invalid_handle", "a phone number, such as +49 30 1234567")
        if kind is HandleKind.EMAIL and not EMAIL.fullmatch(value):
            raise refuse("invalid_handle", "a mail address, such as alice@example.com")
        return value

    @property
    def handle(self) -> Handle:
        """As rules know it."""
        return Handle(self.kind, self.value)


class HandlesIn(Request):
    """All handles of a user: what is not named goes."""

    handles: Annotated[
        list[HandleIn], AtMost(MOST_HANDLES, "too_many_handles", f"at most {MOST_HANDLES} handles")
    ] = Field(description="by which the user may be rung")

    @model_validator(mode="after")
    def _sense(self) -> Self:
        again = first_repeated((one.kind, handle_key(one.handle)) for one in self.handles)
        if again is not None:
            raise refuse("duplicate_handle", f"handles.{again}: is named twice")
        return self


class PeriodIn(Request):
    """Quiet from `start` on these days to `end`, of the next day where `end` is not later."""

    days: Annotated[list[Day], Field(min_length=1, max_length=7)] = Field(
        description="the days on which it begins", examples=[["mon", "tue"]]
    )
    start: Clock = Field(description="from when it is quiet", examples=["22:00"])
    end: Clock = Field(description="until when, not included", examples=["07:00"])


class QuietHours(Request):
    """Weekly quiet hours by the clock on the wall in a time zone."""

    time_zone: Annotated[str, Field(max_length=64), AfterValidator(_zone)] = Field(
        description="an IANA name", examples=["Europe/Berlin"]
    )
    periods: Annotated[
        list[PeriodIn], AtMost(MOST_PERIODS, "too_many_periods", f"at most {MOST_PERIODS} periods")
    ] = Field(description="when it is quiet")


class Exceptions(Request):
    """Who rings all the same."""

    users: Annotated[
        list[UserId], AtMost(MOST_ALLOWED, "too_many_exceptions", f"at most {MOST_ALLOWED} users")
    ] = Field([], description="callers who always ring, unless they are blocked")
    repeat: Flag = Field(False, description="who calls again within three minutes rings")


class PreferencesIn(Request):
    """What a user wants of rings; what is absent wants nothing."""

    do_not_disturb_until: Time | None = Field(
        None, description="nothing rings until then", examples=["2026-11-21T08:00:00Z"]
    )
    quiet_hours: QuietHours | None = Field(None, description="nothing rings in these hours")
    call_types: Annotated[
        dict[CallType, Literal["ring", "notify", "nothing"]],
        AtMost(MOST_TYPES, "too_many_call_types", f"at most {MOST_TYPES} call types"),
    ] = Field(
        {}, description="call types that are not to ring, or only to be told by a notification"
    )
    exceptions: Exceptions = Field(Exceptions(), description="who rings all the same")

    def stored(self) -> dict[str, Any]:
        """As it rests."""
        return self.model_dump(mode="json", exclude_defaults=True)


def preferences_of(stored: Mapping[str, Any] | None) -> Preferences:
    """As `core.suppression` decides by them; what rests was checked when it came.

    Read by hand: each ring of who has any pays for it, and pydantic takes four times as long.
    """
    if not stored:
        return NONE
    until, quiet = stored.get("do_not_disturb_until"), stored.get("quiet_hours")
    exceptions = stored.get("exceptions", {})
    levels = stored.get("call_types", {}).items()
    return Preferences(
        None if until is None else datetime.fromisoformat(until),
        quiet["time_zone"] if quiet else "UTC",
        tuple([_period(one) for one in quiet["periods"]]) if quiet else (),
        frozenset([name for name, level in levels if level == "nothing"]),
        frozenset(exceptions.get("users", ())),
        exceptions.get("repeat", False),
        frozenset([name for name, level in levels if level == "notify"]),
    )


def preferences_at_rest(stored: str | None) -> Preferences:
    """The same of their JSON; what was read of the latest is kept, by the very text."""
    if stored is None:
        return NONE
    return (_read if len(stored) > LONGEST_KEPT else _kept)(stored)


def _read(stored: str) -> Preferences:
    return preferences_of(orjson.loads(stored))


_kept = lru_cache(maxsize=4_096)(_read)


def _period(one: Mapping[str, Any]) -> Period:
    days = frozenset([WEEKDAYS[day] for day in one["days"]])
    return Period(days, time.fromisoformat(one["start"]), time.fromisoformat(one["end"]))
