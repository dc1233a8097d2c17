"""How devices and user tokens read."""

from typing import Literal

from pydantic import Field

from app.api.models import Out, maybe_time, time
from app.api.models.calls import Warning_


class TokenOut(Out):
    """A push token, of which the last four digits are shown."""

    kind: Literal["voip", "alert"] = Field(description="which push it takes")
    app_id: str = Field(description="the app", examples=["com.example.app"])
    environment: Literal["production", "sandbox"] = Field(description="Apple's environment")
    ends_with: str = Field(description="its last four digits", examples=["eeff"])
    registered_at: str = time("when it was last registered")
    expires_at: str = time("until when it is rung")
    retired_at: str | None = maybe_time("when it was found dead")
    retired_reason: str | None = Field(description="why", examples=["Unregistered"])


class DeviceOut(Out):
    """One app installation of a user."""

    device_id: str = Field(description="as the app names it", examples=["bobs-phone"])
    user_id: str = Field(description="whose", examples=["bob"])
    name: str | None = Field(description="as people know it", examples=["Bob's phone"])
    platform: str | None = Field(description="as the app says", examples=["ios"])
    created_at: str = time("when it was first seen")
    registered_at: str = time("when it last registered")
    tokens: list[TokenOut] = Field(description="its push tokens")


class RegisteredOut(DeviceOut):
    """A device as it is registered now."""

    warnings: list[Warning_] | None = Field(
        default=None, description="what keeps it from being rung, such as no credential"
    )


class DevicesOut(Out):
    """A user's devices, the newest first."""

    devices: list[DeviceOut] = Field(description="at most as many as the limit `devices` allows")


class UserTokenOut(Out):
    """A user token, signed by Ringline with the tenant's secret."""

    token: str = Field(description="a JWT for this user's app", examples=["eyJ…"])
    expires_at: str = time("until when it is good")


class RevokedOut(Out):
    """A user whose tokens were revoked."""

    user_id: str = Field(description="whose", examples=["bob"])
    revoked_at: str = time("tokens issued by then, to the second, are dead")
