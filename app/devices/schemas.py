"""What apps send to register, and how a device reads."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from app import senders
from app.core.event import rfc3339
from app.core.push import TOKEN_KINDS, TokenKind
from app.infra.fields import (
    AppId,
    AtMost,
    DeviceId,
    OptionalName,
    Request,
    Said,
    Text,
    UserId,
    Within,
    refuse,
)

SHORTEST, LONGEST = 300, 180 * 24 * 3600
MOST_TOKENS = 8
HEX = re.compile(r"[0-9a-fA-F]+")


REGISTRATION = re.compile(r"[A-Za-z0-9_:\-]+")


def push_token(value: str, kind: TokenKind | None) -> str:
    """A token in its one spelling; of a kind that is not told it is either service's."""
    if kind is TokenKind.FCM or (kind is None and HEX.fullmatch(value) is None):
        return _registration_token(value)
    # Apple: the length of a device token is not fixed
    if HEX.fullmatch(value) is None:
        raise refuse("token_not_hex", "must be hexadecimal digits: the bytes of PushKit's token")
    if len(value) % 2:
        raise refuse("token_odd_length", "has an odd number of digits: one was lost on the way")
    if not 64 <= len(value) <= 200:
        raise refuse("token_wrong_length", "must have 64 to 200 hexadecimal digits")
    return value.lower()


def _registration_token(value: str) -> str:
    if REGISTRATION.fullmatch(value) is None:
        raise refuse(
            "token_malformed", "must be an FCM registration token, as `getToken()` gives it"
        )
    if not SHORTEST_TOKEN <= len(value) <= LONGEST_TOKEN:
        raise refuse(
            "token_wrong_length", f"must have {SHORTEST_TOKEN} to {LONGEST_TOKEN:,} characters"
        )
    return value


def _kind(value: str) -> str:
    if value not in TOKEN_KINDS:
        raise refuse(
            "unknown_kind",
            "must be `voip` (PushKit), `alert` (UserNotifications) or `fcm` (Android)",
        )
    return value


SHORTEST_TOKEN, LONGEST_TOKEN = 20, 1_024
AnyToken = Annotated[
    Text,
    WithJsonSchema(
        {
            "type": "string",
            "minLength": SHORTEST_TOKEN,
            "maxLength": LONGEST_TOKEN,
            "pattern": "^[A-Za-z0-9_:\\-]+$",
            "description": "of `voip` and `alert` 64 to 200 hexadecimal digits; of `fcm` FCM's "
            "registration token",
        }
    ),
]


class TokenIn(Request):
    """A push address as the phone has it."""

    kind: Annotated[str, AfterValidator(_kind), Said(maxLength=20)] = Field(
        description="which push it takes", examples=["voip"]
    )
    token: AnyToken = Field(
        description="as PushKit or UserNotifications gave it, in hexadecimal; or as FCM did",
        examples=["abababababababababababababababababababababababababababababababab"],
    )
    app_id: AppId = Field(
        description="the app's bundle id, or Android package", examples=["com.example.app"]
    )
    environment: Literal["production", "sandbox"] | None = Field(
        None,
        description="Apple's, production unless told: sandbox for builds run from Xcode; other "
        "kinds have none",
    )

    @field_validator("token")
    @classmethod
    def _token(cls, value: str, known: ValidationInfo) -> str:
        return push_token(value, TOKEN_KINDS.get(known.data.get("kind", "voip"), TokenKind.VOIP))

    @model_validator(mode="after")
    def _place(self) -> Self:
        if self.environment and not has_environments(self.kind):
            raise refuse("no_environment", f"environment: an {self.kind} token has none")
        return self

    def stored(self) -> dict[str, str]:
        """As its row has it: where there is one environment only, that is called production."""
        values = self.model_dump()
        return values | {"environment": self.environment or "production"}


Tokens = Annotated[
    list[TokenIn],
    AtMost(MOST_TOKENS, "too_many_tokens", f"at most {MOST_TOKENS} for one device", 1),
]
ExpiresIn = Annotated[int, Within(SHORTEST, LONGEST, "expiry_out_of_bounds", " seconds (180 days)")]


class PhoneReportIn(Request):
    """What an Android app knows of its phone, as it is now; what is not told stays unknown."""

    full_screen: bool | None = Field(
        None, description="it may show a call over the lock screen (`canUseFullScreenIntent`)"
    )
    notifications: bool | None = Field(None, description="its notifications are allowed")
    battery_optimized: bool | None = Field(
        None, description="the system may hold its messages back to save power"
    )


class DeviceIn(Request):
    """A registration. `expires_in` in seconds, 300 to 180 days; `user_id` only with an API key."""

    user_id: UserId | None = Field(
        None, description="whose device; with a key only", examples=["bob"]
    )
    device_id: DeviceId | None = Field(
        None, description="as the app names it; made if absent", examples=["bobs-phone"]
    )
    name: OptionalName = Field(None, description="as people know it", examples=["Bob's phone"])
    platform: OptionalName = Field(None, description="as the app says", examples=["ios"])
    tokens: Tokens = Field(
        default_factory=list, description="its push tokens: those that are not named go"
    )
    report: PhoneReportIn | None = Field(None, description="what an Android app knows of its phone")
    expires_in: ExpiresIn = Field(
        LONGEST, description="seconds for which it is rung without registering again"
    )

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if not self.tokens:
            raise refuse("no_tokens", "tokens: a device is registered with at least one token")
        places = {(token.kind, token.app_id) for token in self.tokens}
        if len(places) < len(self.tokens):
            raise refuse(
                "duplicate_token", "tokens: a device has one token of each kind for a bundle id"
            )
        return self


class UnregisterIn(Request):
    """Which device to remove, by a push token that it holds; `user_id` only with an API key."""

    token: AnyToken = Field(
        description="a push token that the device holds",
        examples=["abababababababababababababababababababababababababababababababab"],
    )
    user_id: UserId | None = Field(
        None, description="whose device; with a key only", examples=["bob"]
    )

    @field_validator("token")
    @classmethod
    def _token(cls, value: str) -> str:
        return push_token(value, None)


class UserTokenIn(Request):
    """How long a user token shall be good, in seconds, and for what.

    The tenant's `user_tokens.longest_life` shortens it. Without `scopes` it is good for all that
    the key that asks for it may do.
    """

    expires_in: Annotated[int, Field(ge=60, le=30 * 24 * 3600)] = Field(
        3600, description="seconds for which it is good"
    )
    scopes: (
        Annotated[
            list[Literal["devices", "calls", "ring", "history"]],
            AtMost(4, "unknown_scope", "there are 4 scopes", 1),
        ]
        | None
    ) = Field(None, description="what the token is good for", examples=[["devices", "calls"]])


def has_environments(kind: str) -> bool:
    """Whether tokens of this kind belong to one of several environments, as Apple's do."""
    return len(senders.serving(TOKEN_KINDS[kind]).environments) > 1


def device_out(device: dict[str, Any]) -> dict[str, Any]:
    """A device as clients read it: of a token the last four digits only."""
    return {
        "device_id": device["device_id"],
        "user_id": device["user_id"],
        "name": device["name"],
        "platform": device["platform"],
        "report": device["report"] or None,
        "created_at": rfc3339(device["created_at"]),
        "registered_at": rfc3339(device["registered_at"]),
        "tokens": [
            {
                "kind": token["kind"],
                "app_id": token["app_id"],
                "environment": token["environment"] if has_environments(token["kind"]) else None,
                "ends_with": token["hint"],
                "registered_at": rfc3339(token["registered_at"]),
                "expires_at": rfc3339(token["expires_at"]),
                "retired_at": rfc3339(token["retired_at"]) if token["retired_at"] else None,
                "retired_reason": token["retired_reason"],
            }
            for token in device["tokens"]
        ],
    }
