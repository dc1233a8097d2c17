"""What apps send to register, and how a device reads."""

import re
from collections.abc import Callable
from operator import itemgetter
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
from app.core.repeats import first_repeated
from app.infra.fields import (
    AppId,
    AtMost,
    DeviceId,
    Flag,
    Number,
    OptionalName,
    Request,
    Said,
    Text,
    UserId,
    Whole,
    Within,
    refuse,
)
from app.infra.unreadable import mapping, readable
from app.infra.urls import BadUrl, http_url
from app.webpush.base64url import decoded, encoded
from app.webpush.subscription import LONGEST_ENDPOINT, Subscription, point, secret

SHORTEST, LONGEST = 300, 180 * 24 * 3600
MOST_TOKENS = 8
LONGEST_MINTED = 30 * 24 * 3600
"""Seconds for which a user token that is made here may be good."""
HEX = re.compile(r"[0-9a-fA-F]+")


REGISTRATION = re.compile(r"[A-Za-z0-9_:\-]+")


def push_token(value: str, kind: TokenKind | None) -> str:
    """A token in its one spelling; of a kind that is not told any service's, or an endpoint."""
    if kind is None and value.startswith("https://"):
        return _endpoint(value)
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


def _endpoint(value: str) -> str:
    """A subscription's endpoint as it is pushed to; where its name leads is judged then."""
    try:
        url = http_url(value, schemes=("https",))
    except BadUrl as error:
        raise refuse("invalid_endpoint", str(error)) from error
    if len(str(url)) > LONGEST_ENDPOINT:
        raise refuse("invalid_endpoint", f"at most {LONGEST_ENDPOINT:,} characters")
    return str(url)


def _public_key(value: str) -> str:
    return _key(value, point)


def _secret(value: str) -> str:
    return _key(value, secret)


def _key(value: str, read: Callable[[str], bytes]) -> str:
    try:
        return encoded(read(value))
    except ValueError as error:
        raise refuse("invalid_subscription", f"must {error}") from error


def _kind(value: str) -> str:
    if value not in TOKEN_KINDS:
        raise refuse(
            "unknown_kind",
            "must be `voip` (PushKit), `alert` (UserNotifications), `fcm` (Android) or `webpush` "
            "(browsers)",
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


Key = Annotated[Text, Field(min_length=1, max_length=100), AfterValidator(_public_key)]


class SubscriptionKeysIn(Request):
    """What pushes to a browser are sealed with."""

    p256dh: Key = Field(
        description="its public key: 65 bytes in base64url",
        examples=[
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
        ],
    )
    auth: Annotated[Text, Field(min_length=1, max_length=30), AfterValidator(_secret)] = Field(
        description="its secret: 16 bytes in base64url", examples=["BTBZMqHH6r4Tts7J_aSIgg"]
    )


class SubscriptionIn(Request):
    """A `PushSubscription` as a browser gives it (`toJSON()`)."""

    endpoint: Annotated[Text, Field(max_length=LONGEST_ENDPOINT), AfterValidator(_endpoint)] = (
        Field(
            description="where pushes to it go: https, and public",
            examples=["https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV"],
        )
    )
    keys: SubscriptionKeysIn = Field(description="what pushes to it are sealed with")
    expirationTime: Annotated[Number, Field(ge=0, le=2**53 - 1)] | None = Field(  # noqa: N815
        None, description="as the browser says (the Push API's name); it is not needed"
    )


HeldToken = Annotated[
    Text,
    WithJsonSchema(
        {
            "type": "string",
            "minLength": SHORTEST_TOKEN,
            "maxLength": LONGEST_ENDPOINT,
            "pattern": "^([A-Za-z0-9_:\\-]+|https://.+)$",
        }
    ),
]


class TokenIn(Request):
    """A push address as the phone has it."""

    kind: Annotated[str, AfterValidator(_kind), Said(maxLength=20)] = Field(
        description="which push it takes", examples=["voip"]
    )
    token: AnyToken | None = Field(
        None,
        description="as PushKit or UserNotifications gave it, in hexadecimal; or as FCM did; of "
        "`webpush` there is none",
        examples=["abababababababababababababababababababababababababababababababab"],
    )
    subscription: SubscriptionIn | None = Field(
        None, description="of `webpush`, in place of a token"
    )
    application_server_key: Key | None = Field(
        None,
        description="of `webpush`: the public VAPID key that it was made with; the app's of the "
        "moment unless told",
    )
    app_id: AppId = Field(
        description="the app's bundle id, Android package, or origin", examples=["com.example.app"]
    )
    environment: Literal["production", "sandbox"] | None = Field(
        None,
        description="Apple's, production unless told: sandbox for builds run from Xcode; other "
        "kinds have none",
    )

    @field_validator("token")
    @classmethod
    def _token(cls, value: str | None, known: ValidationInfo) -> str | None:
        kind = TOKEN_KINDS.get(known.data.get("kind", "voip"), TokenKind.VOIP)
        return None if value is None or kind is TokenKind.WEBPUSH else push_token(value, kind)

    @model_validator(mode="after")
    def _address(self) -> Self:
        web = self.kind == TokenKind.WEBPUSH
        if web and (self.subscription is None or self.token is not None):
            raise refuse("missing_field", "subscription: a `webpush` token is one, and no `token`")
        if not web and self.token is None:
            raise refuse("missing_field", f"token: of kind {self.kind} there is one")
        if not web and (self.subscription or self.application_server_key):
            raise refuse("unknown_field", "subscription: of kind `webpush` alone")
        return self

    @model_validator(mode="after")
    def _place(self) -> Self:
        if self.environment and not has_environments(self.kind):
            raise refuse("no_environment", f"environment: an {self.kind} token has none")
        return self

    def stored(self) -> dict[str, str]:
        """As its row has it: where there is one environment only, that is called production."""
        return {
            "kind": self.kind,
            "app_id": self.app_id,
            "token": self.token or self._subscribed(),
            "environment": self.environment or "production",
        }

    def _subscribed(self) -> str:
        assert self.subscription is not None
        assert self.application_server_key is not None  # registering has looked for it
        keys = self.subscription.keys
        return Subscription(
            self.application_server_key,
            decoded(keys.p256dh),
            decoded(keys.auth),
            self.subscription.endpoint,
        ).token


Tokens = Annotated[
    list[TokenIn],
    AtMost(MOST_TOKENS, "too_many_tokens", f"at most {MOST_TOKENS} for one device", 1),
]
ExpiresIn = Annotated[
    Whole, Within(SHORTEST, LONGEST, "expiry_out_of_bounds", " seconds (180 days)")
]


class PhoneReportIn(Request):
    """What an Android app knows of its phone, as it is now; what is not told stays unknown."""

    full_screen: Flag | None = Field(
        None, description="it may show a call over the lock screen (`canUseFullScreenIntent`)"
    )
    notifications: Flag | None = Field(None, description="its notifications are allowed")
    battery_optimized: Flag | None = Field(
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
    locale: OptionalName = Field(
        None,
        description="its language, as the phone writes it: in which notifications are "
        "(docs/guides/payloads.md)",
        examples=["de-CH"],
    )
    tokens: Tokens = Field(
        default_factory=list,
        description="its push tokens: each takes the place of the one that the device had of that "
        "kind for that app; those that are not named stay",
    )
    report: PhoneReportIn | None = Field(None, description="what an Android app knows of its phone")
    expires_in: ExpiresIn = Field(
        LONGEST, description="seconds for which it is rung without registering again"
    )

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if not self.tokens:
            raise refuse("no_tokens", "tokens: a device is registered with at least one token")
        again = first_repeated((token.kind, token.app_id) for token in self.tokens)
        if again is not None:
            said = f"tokens.{again}: a device has one token of each kind for an app"
            raise refuse("duplicate_token", said)
        return self


class DeviceChangeIn(Request):
    """What to change of a device; `user_id` only with an API key."""

    rings: Flag = Field(
        description="whether it is rung and notified; false turns it off", examples=[False]
    )
    user_id: UserId | None = Field(
        None, description="whose device; with a key only", examples=["bob"]
    )


class UnregisterIn(Request):
    """Which device to remove, by a push token that it holds; `user_id` only with an API key."""

    token: HeldToken = Field(
        description="a push token that the device holds, or its subscription's endpoint",
        examples=["abababababababababababababababababababababababababababababababab"],
    )
    user_id: UserId | None = Field(
        None, description="whose device; with a key only", examples=["bob"]
    )

    @field_validator("token")
    @classmethod
    def _token(cls, value: str) -> str:
        return push_token(value, None)


class ActivateIn(Request):
    """The proof that a push has arrived."""

    token: Annotated[Text, Field(min_length=10, max_length=200)] = Field(
        description="what the activation push brought", examples=["rl_at_AZ9bJ2vXfU"]
    )


class UserTokenIn(Request):
    """How long a user token shall be good, in seconds, and for what.

    The tenant's `user_tokens.longest_life` shortens it. Without `scopes` it is good for all that
    the key that asks for it may do.
    """

    expires_in: Annotated[Whole, Within(60, LONGEST_MINTED, "invalid_field")] = Field(
        3600, description="seconds for which it is good"
    )
    scopes: (
        Annotated[
            list[Literal["devices", "calls", "ring", "history"]],
            Field(min_length=1, max_length=4),
        ]
        | None
    ) = Field(None, description="what the token is good for", examples=[["devices", "calls"]])


def has_environments(kind: str) -> bool:
    """Whether tokens of this kind belong to one of several environments, as Apple's do."""
    return len(senders.serving(TOKEN_KINDS[kind]).environments) > 1


def device_out(device: dict[str, Any]) -> dict[str, Any]:
    """A device as clients read it: of a token the last four digits only. Raises Unreadable."""
    (out,) = readable([device], _device_out, "device", itemgetter("id"), leave_out=False)
    return out


def _device_out(device: dict[str, Any]) -> dict[str, Any]:
    if not {True, False, None}.issuperset(mapping(device["report"]).values()):
        raise ValueError("a phone reports that something is so, or is not")
    return {
        "device_id": device["device_id"],
        "user_id": device["user_id"],
        "name": device["name"],
        "platform": device["platform"],
        "locale": device["locale"],
        "report": device["report"] or None,
        "rings": device["rings"],
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
