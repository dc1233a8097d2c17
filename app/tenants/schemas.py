"""What a tenant may set for itself."""

from collections.abc import Mapping
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import orjson
from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from app.core import rate_limits
from app.core.app_id import app_id_of
from app.core.claims import LONGEST_LIFE, TokenRules
from app.core.frozen import replace
from app.core.limits import BOUNDS, NAMES, CallLimits, outside_bounds, resolve
from app.core.payload import (
    ANDROID_PROFILES,
    DEFAULT_PROFILE,
    PROFILES,
    AlertTexts,
    PayloadError,
    check_template,
)
from app.core.push import TokenKind
from app.core.rate_limits import RateLimits
from app.infra.fields import (
    AT_REST,
    AppId,
    AtMost,
    CallType,
    Flag,
    Number,
    Request,
    Said,
    Text,
    Whole,
    Within,
    check_json,
    refuse,
)
from app.infra.unreadable import FAULTS, unreadable
from app.tenants.jwks import BadKeySet, KeySet, key_set
from app.tenants.notifications import EVERY_TYPE, NotificationsIn

COUNTS = {"members", "devices"}
MOST_APPS = 1_000
MOST_TYPES = 200
MOST_EVENTS_DAYS = 90
STORED_JWKS = 32_768
STORED_TEMPLATE = 8_192
"""Bytes of a template as it rests; what it may have at all is said by `check_template`."""
_APPS = AtMost(MOST_APPS, "too_many_apps", f"at most {MOST_APPS:,} apps")
_TYPES = AtMost(MOST_TYPES, "too_many_call_types", f"at most {MOST_TYPES} call types")
_LIMITS = AtMost(20, "unknown_limit", f"known are {', '.join(NAMES)}")
_BOUNDED = Said(
    additionalProperties=False,
    properties={
        name: {"type": "number", "minimum": low, "maximum": high, "description": f"limit `{name}`"}
        for name, (low, high) in BOUNDS.items()
    },
)
Every = Annotated[Number, Within(4, 9, "alert_rings_out_of_bounds", " seconds")]
LimitsIn = Annotated[dict[str, Number], _LIMITS, _BOUNDED]
_RATES = AtMost(20, "unknown_rate_limit", f"known are {', '.join(rate_limits.NAMES)}")
_BOUNDED_RATES = Said(
    additionalProperties=False,
    properties={
        name: {
            "type": "integer",
            "minimum": rate_limits.LEAST,
            "maximum": rate_limits.MOST,
            "description": f"rate limit `{name}`, a minute",
        }
        for name in rate_limits.NAMES
    },
)
RatesIn = Annotated[dict[str, Whole], _RATES, _BOUNDED_RATES]


def _readable(value: dict[str, Any]) -> dict[str, Any]:
    check_json(value, "jwks", STORED_JWKS)
    try:
        key_set(value)
    except BadKeySet as error:
        raise refuse("invalid_jwks", str(error)) from error
    return value


Jwks = Annotated[dict[str, Any], AfterValidator(_readable), Said(maxProperties=100)]


class UserTokenRules(Request):
    """What a tenant asks of its users' tokens; without any rule, what RFC 7519 asks."""

    longest_life: Annotated[Number, Field(ge=60, le=LONGEST_LIFE)] | None = Field(
        None,
        description="seconds from `iat` (without it, from now) to `exp` that a token may have",
        examples=[86_400],
    )
    issuer: Annotated[Text, Field(min_length=1, max_length=500)] | None = Field(
        None, description="the `iss` that a token must have", examples=["https://id.example.com/"]
    )
    audience: Annotated[Text, Field(min_length=1, max_length=500)] | None = Field(
        None, description="the `aud` that a token must name", examples=["ringline"]
    )

    jwks: Jwks | None = Field(
        None,
        description="public keys of the issuer (RFC 7517: RS256, ES256)",
    )
    jwks_url: Annotated[Text, Field(min_length=1, max_length=2_048)] | None = Field(
        None,
        description="where the issuer's public keys are fetched instead: https, public, cached for "
        "10 minutes",
        examples=["https://id.example.com/.well-known/jwks.json"],
    )

    @model_validator(mode="after")
    def _whose(self) -> Self:
        if self.jwks is not None and self.jwks_url is not None:
            raise refuse("two_key_sets", "give `jwks` or this, not both", at="jwks_url")
        if self.has_keys and self.issuer is None:
            said = "a JWKS needs one, by which its tenant is found"
            raise refuse("missing_issuer", said, at="issuer")
        return self

    @property
    def has_keys(self) -> bool:
        """Whether tokens by the issuer's own keys are taken."""
        return self.jwks is not None or self.jwks_url is not None

    @cached_property
    def keys(self) -> KeySet:
        """The keys of `jwks`."""
        return {} if self.jwks is None else key_set(self.jwks)

    def as_rules(self) -> TokenRules:
        """As `core.claims` judges by them."""
        return TokenRules(self.longest_life, self.issuer, self.audience)


WhenBusy = Literal["ring", "busy", "quiet"]


def _check_limits(values: Mapping[str, float], before: str = "") -> None:
    """Raises for a limit that there is none of or that is outside its bounds; `before` its name."""
    for name, sentence in outside_bounds(values):
        code = "limit_out_of_bounds" if name in BOUNDS else "unknown_limit"
        raise refuse(code, sentence, at=before + name)
    for name in COUNTS & values.keys():
        if values[name] != int(values[name]):
            raise refuse("limit_out_of_bounds", "is a count: a whole number", at=before + name)


class TenantSettings(Request):
    """The settings of one tenant; what is absent has its default."""

    limits: LimitsIn = Field({}, description="seconds and counts, by name (docs/guides/limits.md)")
    call_types: Annotated[dict[CallType, LimitsIn], _TYPES] = Field(
        {}, description="limits per call type"
    )
    rate_limits: RatesIn = Field(
        {}, description="how often a minute, by name (docs/guides/limits.md)"
    )
    when_busy: WhenBusy = Field(
        "ring",
        description="what becomes of a ring to who is in another call: `ring`; `busy`, at once and "
        "without a push; or `quiet`: told by a notification at most",
    )
    busy_call_types: Annotated[dict[CallType, WhenBusy], _TYPES] = Field(
        {}, description="the same per call type"
    )
    users_may_ring: Flag = Field(False, description="a user token may ring, as its own subject")
    urgent_allowed: Flag = Field(
        False,
        description="a ring may say that it is `urgent`: of what a user wishes only a block keeps "
        "it away then",
    )
    tell_suppressed: Flag = Field(
        False,
        description="a caller is told at once, with the reason, that the callee's wishes keep a "
        "ring away (`member.suppressed`); of a block never",
    )
    users_may_set_handles: Flag = Field(
        False,
        description="a user token may set its subject's handles; who has one is rung by it, and "
        "nobody checks that a number is theirs",
    )
    store_and_forward: Flag = Field(
        False, description="Apple may keep a ring for a phone that is off, until its deadline"
    )
    voip_stops: Flag = Field(False, description="a stop may travel as a VoIP push, as last resort")
    end_unreachable: Flag = Field(
        False,
        description="the ring of a user whom nothing can ring ends at once, and the call if nobody "
        "else is rung; without it that is told, and it rings on for a device that may come",
    )
    decline_reach: Literal["user", "device"] = Field(
        "user",
        description="whom a decline that does not say so is for: all the user's devices, or only "
        "the one that declines while others ring on",
    )
    presence: Flag = Field(
        True,
        description="devices in a call must show life (`heartbeat_every`); without it nobody is "
        "away, or removed for silence",
    )
    profiles: Annotated[dict[AppId, str], _APPS] = Field(
        {}, description="payload profile per bundle id"
    )
    android_profiles: Annotated[dict[AppId, str], _APPS] = Field(
        {}, description="payload profile per Android package"
    )
    android_v2: Annotated[list[AppId], _APPS] = Field(
        [],
        description="Android packages that are sent FCM's `android_v2` in place of `android`: a "
        "preview of Google's (docs/guides/android.md)",
        examples=[["com.example.app"]],
    )
    templates: Annotated[dict[AppId, dict[str, Any]], _APPS] = Field(
        {}, description="custom payload per bundle id"
    )
    notifications: Annotated[dict[CallType, NotificationsIn], _TYPES] = Field(
        {}, description="notifications per call type (docs/guides/payloads.md)"
    )
    alert_rings: Annotated[dict[AppId, Every], _APPS] = Field(
        {},
        description="bundle ids whose devices without a VoIP token are rung by notifications: "
        "seconds from one to the next (docs/guides/payloads.md)",
        examples=[{"com.example.app.cn": 5}],
    )
    user_tokens: UserTokenRules = Field(
        UserTokenRules(), description="what user tokens must say, beyond `sub` and `exp`"
    )
    keep_events_days: Number = Field(
        7, ge=1, le=MOST_EVENTS_DAYS, description="days for which events are kept"
    )
    keep_calls_days: Number = Field(90, ge=1, le=3650, description="days for which calls are kept")

    @field_validator("profiles", "android_profiles", "templates", "alert_rings", mode="before")
    @classmethod
    def _each_app_once(cls, value: Any, info: ValidationInfo) -> Any:
        """Two spellings of one app would leave one of what is said of it, in silence."""
        names: dict[str | None, str] = {}
        for name in value if isinstance(value, dict) and info.context is not AT_REST else ():
            app_id = app_id_of(name) if isinstance(name, str) else None
            if app_id is not None and app_id in names:
                raise refuse("invalid_app_id", f"{names[app_id]} and {name} are one app")
            names[app_id] = name
        return value

    @field_validator("limits")
    @classmethod
    def _limits(cls, value: dict[str, float]) -> dict[str, float]:
        _check_limits(value)
        return value

    @field_validator("rate_limits")
    @classmethod
    def _rate_limits(cls, value: dict[str, int]) -> dict[str, int]:
        for name, sentence in rate_limits.outside_bounds(value):
            known = name in rate_limits.NAMES
            code = "rate_limit_out_of_bounds" if known else "unknown_rate_limit"
            raise refuse(code, sentence, at=name)
        return value

    @field_validator("call_types")
    @classmethod
    def _call_types(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for call_type, values in value.items():
            _check_limits(values, f"{call_type}.")
        return value

    @field_validator("profiles")
    @classmethod
    def _profiles(cls, value: dict[str, str]) -> dict[str, str]:
        for app_id, profile in value.items():
            if profile not in PROFILES:
                raise refuse(
                    "unknown_profile",
                    "there is no profile of this name; known are " + ", ".join(PROFILES),
                    at=app_id,
                )
        return value

    @field_validator("android_profiles")
    @classmethod
    def _android_profiles(cls, value: dict[str, str]) -> dict[str, str]:
        for app_id, profile in value.items():
            if profile not in ANDROID_PROFILES:
                raise refuse(
                    "unknown_profile",
                    "there is no Android profile of this name; known are "
                    + ", ".join(ANDROID_PROFILES),
                    at=app_id,
                )
        return value

    @field_validator("templates")
    @classmethod
    def _templates(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for app_id, template in value.items():
            check_json(template, "template", STORED_TEMPLATE)
            try:
                check_template(template)
            except PayloadError as error:
                raise refuse("invalid_template", str(error), at=app_id) from error
        return value

    @model_validator(mode="after")
    def _agree(self) -> Self:
        for call_type in ("", *self.call_types):
            limits = self._limits_of(call_type)
            if limits.removed < limits.away:
                where = f"call_types.{call_type}" if call_type else "limits"
                fault = "must not be less than `away`"
                raise refuse("limits_disagree", fault, at=f"{where}.removed")
        for app_id, profile in self.profiles.items():
            if profile == "custom" and app_id not in self.templates:
                raise refuse(
                    "missing_template",
                    "its profile `custom` needs a template",
                    at=f"templates.{app_id}",
                )
        for call_type, said in self.notifications.items():
            if said.activation is not None and call_type != EVERY_TYPE:
                raise refuse(
                    "invalid_template",
                    f"is of no call: say it for `{EVERY_TYPE}`",
                    at=f"notifications.{call_type}.activation",
                )
        return self

    def profile(self, kind: TokenKind, app_id: str) -> str:
        """The payload profile for an app's tokens of this kind."""
        profiles = self.android_profiles if kind is TokenKind.FCM else self.profiles
        return profiles.get(app_id, DEFAULT_PROFILE)

    def alert(self, call_type: str, event: str, locale: str | None = None) -> AlertTexts | None:
        """What a notification of a call of this type says, in a device's language; None: there is
        none.
        """
        found = self.notifications.get(call_type)
        said = None if found is None else found.of(event)
        return None if said is None else said.in_language(locale)

    def mode_for(self, call_type: str) -> str:
        """How a call of this type begins: `ring` or `notify`."""
        found = self.notifications.get(call_type)
        return "ring" if found is None else found.mode

    @cached_property
    def rates(self) -> RateLimits:
        """How often may be done what is counted."""
        return rate_limits.of_tenant(self.rate_limits)

    def busy_for(self, call_type: str) -> WhenBusy:
        """What becomes of a ring of this type to who is in another call."""
        return self.busy_call_types.get(call_type, self.when_busy)

    def limits_for(self, call_type: str) -> CallLimits:
        """The limits that a call of this type begins with."""
        return self.limits_by_type.get(call_type) or self.limits_by_type[""]

    @cached_property
    def limits_by_type(self) -> dict[str, CallLimits]:
        """The limits of each call type that has any of its own, and, by "", of all others."""
        return {one: self._limits_of(one) for one in ("", *self.call_types)}

    def _limits_of(self, call_type: str) -> CallLimits:
        limits = resolve(self.limits, self.call_types, call_type)
        if self.presence and not self.tell_suppressed:
            return limits
        return replace(limits, presence=self.presence, tell_suppressed=self.tell_suppressed)


def tenant_settings(stored: dict[str, Any], tenant_id: UUID | None = None) -> TenantSettings:
    """The settings of a tenant's row. Raises Unreadable; ValueError where no tenant is named."""
    try:
        return _parsed(orjson.dumps(stored, option=orjson.OPT_SORT_KEYS))
    except FAULTS as error:
        if tenant_id is None:
            raise
        raise unreadable("tenant", tenant_id, error) from error


@lru_cache(maxsize=1024)
def _parsed(stored: bytes) -> TenantSettings:
    return TenantSettings.model_validate(orjson.loads(stored), context=AT_REST)
