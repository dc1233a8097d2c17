"""How devices and user tokens read."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.models import MANY, AppName, Id, Moment, Name, Out, Secret, Word, maybe_time, time
from app.api.models.calls import Warning_
from app.core.push import TOKEN_KINDS
from app.infra.fields import Said


class TokenOut(Out):
    """A push token, of which the last four characters are shown."""

    kind: Annotated[str, Said(enum=list(TOKEN_KINDS))] = Field(description="which push it takes")
    app_id: AppName = Field(description="the app", examples=["com.example.app"])
    environment: Literal["production", "sandbox"] | None = Field(
        description="Apple's environment; null for other kinds"
    )
    ends_with: Word = Field(description="its last four characters", examples=["eeff"])
    registered_at: Moment = time("when it was last registered")
    expires_at: Moment = time("until when it is rung")
    retired_at: Moment | None = maybe_time("since when it is not rung")
    retired_reason: Name | None = Field(
        description="why; `not_activated`: its activation token has not been posted back",
        examples=["Unregistered"],
    )


class PhoneReportOut(Out):
    """What keeps an Android phone from showing calls, as its app has said."""

    full_screen: bool | None = Field(
        default=None, description="whether it may show a call over the lock screen"
    )
    notifications: bool | None = Field(
        default=None, description="whether its notifications are allowed"
    )
    battery_optimized: bool | None = Field(
        default=None, description="whether the system may hold messages back to save power"
    )


class DeviceOut(Out):
    """One app installation of a user."""

    device_id: Id = Field(description="as the app names it", examples=["bobs-phone"])
    user_id: Id = Field(description="whose", examples=["bob"])
    name: Name | None = Field(description="as people know it", examples=["Bob's phone"])
    platform: Name | None = Field(description="as the app says", examples=["ios"])
    locale: Word | None = Field(description="its language", examples=["de-CH"])
    report: PhoneReportOut | None = Field(description="what an Android app has said of its phone")
    rings: bool = Field(
        description="whether it is rung and notified; false: its user, or a key, turned it off"
    )
    created_at: Moment = time("when it was first seen")
    registered_at: Moment = time("when it last registered")
    tokens: Annotated[list[TokenOut], MANY] = Field(description="its push tokens")


class RegisteredOut(DeviceOut):
    """A device as it is registered now."""

    warnings: Annotated[list[Warning_], MANY] | None = Field(
        default=None, description="what keeps it from being rung, such as no credential"
    )


class VapidKeyOut(Out):
    """With what an app's browsers subscribe."""

    app_id: AppName = Field(description="the app", examples=["https://app.example.com"])
    public_key: Name = Field(
        description="`applicationServerKey` for `PushManager.subscribe`, in base64url",
        examples=[
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8"
        ],
    )


class DevicesOut(Out):
    """A user's devices, the newest first."""

    devices: Annotated[list[DeviceOut], MANY] = Field(
        description="at most as many as the limit `devices` allows"
    )


class UserTokenOut(Out):
    """A user token, signed by Ringline with the tenant's secret."""

    token: Secret = Field(description="a JWT for this user's app", examples=["eyJ…"])
    expires_at: Moment = time("until when it is good")


class RevokedOut(Out):
    """A user whose tokens were revoked."""

    user_id: Id = Field(description="whose", examples=["bob"])
    revoked_at: Moment = time("tokens issued by then, to the second, are dead")
