"""What the page sends."""

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from app.infra.fields import Flag, Number, Request, Text, Whole, refuse
from devkit.lab.traps import TRAPS
from devkit.lab.verdicts import LIBRARIES

SHORTEST_RING, LONGEST_RING = 5, 60
MOST_PAYLOAD = 16 * 1024


def _library(value: str) -> str:
    if value not in LIBRARIES:
        raise refuse("unknown_profile", "must be one of " + ", ".join(LIBRARIES))
    return value


def _trap(value: str) -> str:
    if value not in TRAPS:
        raise refuse("unknown_trap", "must be one of those that GET /lab/traps lists")
    return value


def _ios(value: str) -> str:
    major, dot, minor = value.partition(".")
    if not (dot and major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit()):
        raise refuse("invalid_ios", "must look like 26.4: two numbers with a dot")
    if len(major) > 2 or len(minor) > 2:
        raise refuse("invalid_ios", "must be two numbers of at most two digits")
    return value


Library = Annotated[str, AfterValidator(_library)]


class RingIn(Request):
    """Whom Alice rings; `ring_time` in seconds. A call of type `short` ends after 10 s."""

    callees: Annotated[list[Literal["bob", "carol"]], Field(min_length=1, max_length=2)]
    video: Flag = True
    ring_time: Annotated[Number, Field(ge=SHORTEST_RING, le=LONGEST_RING)] = 45
    type: Literal["default", "short"] = "default"

    @model_validator(mode="after")
    def _each_once(self) -> "RingIn":
        if len(set(self.callees)) < len(self.callees):
            raise refuse("duplicate_callee", "callees: a user is named twice")
        return self


class NothingIn(Request):
    """A body without fields."""


class SubscriptionIn(Request):
    """A page's origin, and the keys that it has made for its subscription, in base64url."""

    origin: Annotated[Text, Field(max_length=160)]
    private: Annotated[str, Field(min_length=40, max_length=50)]
    auth: Annotated[str, Field(min_length=20, max_length=30)]


class ConditionsIn(Request):
    """The switches to be set; what is absent stays. An iPhone has no `full_screen` and `doze`, the
    Android phone no `late_delivery`, `do_not_disturb` and `ios`."""

    app: Literal["locked", "foreground", "killed"] | None = None
    flight_mode: Flag | None = None
    late_delivery: Flag | None = None
    do_not_disturb: Flag | None = None
    ios: Annotated[str, AfterValidator(_ios)] | None = None
    full_screen: Flag | None = None
    doze: Flag | None = None

    @model_validator(mode="after")
    def _something(self) -> "ConditionsIn":
        if not self.model_fields_set:
            names = ", ".join(type(self).model_fields)
            raise refuse("nothing_to_set", f"set one of {names}")
        return self


class NextPushIn(Request):
    """What happens to the next push on its way: copies more, overtaken, or seconds late."""

    duplicate: Annotated[Whole, Field(ge=0, le=5)] | None = None
    reorder: Flag | None = None
    held_seconds: Annotated[Number, Field(ge=0, le=120)] | None = None

    @model_validator(mode="after")
    def _something(self) -> "NextPushIn":
        if not self.model_fields_set:
            raise refuse("nothing_to_set", "set one of duplicate, reorder, held_seconds")
        return self


class LibraryIn(Request):
    """What the app is built with."""

    profile: Library


class SendsIn(Request):
    """What Ringline sends to the app: another profile, or a trap; nothing: what it wants."""

    profile: Library | None = None
    trap: Annotated[str, AfterValidator(_trap)] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "SendsIn":
        if self.profile is not None and self.trap is not None:
            raise refuse("profile_and_trap", "trap: send either a profile or a trap")
        return self


def _json_object(value: str) -> str:
    if len(value) > MOST_PAYLOAD:
        raise refuse("payload_too_long", f"must have at most {MOST_PAYLOAD:,} characters")
    try:
        found: Any = json.loads(value)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise refuse("payload_not_json", f"is not JSON: {error.msg} at {where}") from None
    except (ValueError, RecursionError):
        raise refuse("payload_not_json", "is not JSON that a phone could read") from None
    if not isinstance(found, dict):
        raise refuse("payload_no_object", "must be a JSON object, {...}: Apple refuses any other")
    return value


class PayloadIn(Request):
    """A payload as text, to be judged."""

    payload: Annotated[str, AfterValidator(_json_object)]
