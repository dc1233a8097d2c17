"""What each type of event says: the shape of its `data`, with a description of each field."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.core.push_policy import Alert

Time = Field(description="RFC 3339, UTC, with milliseconds")
UserId = Field(description="who it is about")
DeviceId = Field(description="the device, as its app named it; null when no device is known")
RingId = Field(description="the ring's UUID, which is CallKit's")


class Data(BaseModel):
    """What an event says. New members may come; a client passes over those it does not know."""

    model_config = ConfigDict(extra="allow")


class Handle(BaseModel):
    """What contacts and redial know a person by."""

    kind: Literal["phone", "email", "generic"] = Field(description="what it is")
    value: str = Field(description="the number, address or name")


class Person(BaseModel):
    """How screens show a user."""

    name: str | None = Field(description="their name")
    avatar_url: str | None = Field(description="an https address of a picture")
    handle: Handle | None = Field(description="what contacts and redial know them by")


Caller = Field(default=None, description="how screens show the caller; absent when not said")
Title = Field(default=None, description="the call's title; absent when it has none")


class CallStarted(Data):
    """Somebody rings: the call has begun."""

    caller_id: str = Field(description="who is calling")
    caller: Person | None = Caller
    title: str | None = Title
    callees: list[str] = Field(description="who is rung")
    video: bool = Field(description="whether it is a video call")


class CallActive(Data):
    """The first callee has joined."""


class MemberState(Data):
    """A member that has changed."""

    user_id: str = UserId
    state: str = Field(description="the member's state now")
    device_id: str | None = DeviceId


class CallUpdated(Data):
    """Members of a large call have changed; told once a second instead of one by one."""

    members: list[MemberState] = Field(description="those that have changed, the first hundred")
    more: bool = Field(description="whether others have changed too: read the call")
    counts: dict[str, int] = Field(description="how many members are in each state")


class CallEnded(Data):
    """The call is over for everyone."""

    reason: str = Field(description="completed, cancelled, declined, missed, unreachable, …")


class RingStarted(Data):
    """A member is rung: show the call."""

    user_id: str = UserId
    ring: str = RingId
    expires_at: str = Field(description="until when it rings: RFC 3339, UTC")
    caller_id: str = Field(description="who is calling")
    caller: Person | None = Caller
    title: str | None = Title
    video: bool = Field(description="whether it is a video call")


class RingSettled(Data):
    """A ring is over: every device of the member but `device_id` stops."""

    user_id: str = UserId
    ring: str = RingId
    outcome: str = Field(description="accepted, declined, cancelled, missed or unreachable")
    device_id: str | None = Field(description="the device that settled it, if one did")
    callkit_reason: int = Field(description="CXCallEndedReason, 1 to 5, for the other devices")


class MemberAdded(Data):
    """More users are rung into a live call."""

    user_ids: list[str] = Field(description="who is rung")
    by: str | None = Field(description="who rings them")


class MemberRinging(Data):
    """A device has a member's ring on its screen."""

    user_id: str = UserId
    ring: str = RingId
    devices: int = Field(description="how many of the member's devices have it by now", ge=1)


class MemberSuppressed(Data):
    """A member's own wishes keep a ring from them."""

    user_id: str = UserId
    reason: Literal["do_not_disturb", "quiet_hours", "call_type", "devices_off"] = Field(
        description="which of their wishes"
    )


class MemberJoined(Data):
    """A member has answered, or has come back."""

    user_id: str = UserId
    device_id: str | None = DeviceId


class AboutMember(Data):
    """A member, by id."""

    user_id: str = UserId


class MemberLeft(Data):
    """A member has left, or was taken out after a long silence."""

    user_id: str = UserId
    device_id: str | None = DeviceId
    reason: Literal["silent"] | None = Field(
        default=None, description="`silent`: it did not leave, but showed no sign of life"
    )
    silent_for: float | None = Field(default=None, description="for so many seconds")


class DeviceReport(Data):
    """What a device says of a ring that was pushed to it."""

    user_id: str = UserId
    device_id: str | None = DeviceId
    ring: str = RingId


class AboutCredential(Data):
    """A credential of an app."""

    credential_id: str = Field(description="its id")
    app_id: str = Field(description="the app that it serves")
    reason: str | None = Field(default=None, description="the provider's own word, if there is one")


class CredentialExpiry(AboutCredential):
    """A credential that runs out, or has."""

    days: int = Field(description="days ahead that this alarm is for; 0: it has run out")
    not_after: str = Time


class PushAlarm(Data):
    """Pushes go wrong in a way that a person must mend."""

    alarm: Alert = Field(description="which alarm; of one credential each is told once an hour")
    credential_id: str | None = Field(description="the credential, if one is to blame")
    app_id: str = Field(description="the app")
    environment: Literal["production", "sandbox"] | None = Field(description="Apple's environment")
    reason: str | None = Field(description="the provider's own word")
    at: str = Time


class RateLimitReached(Data):
    """Requests have been refused (429) by one rate limit for ten minutes without a pause."""

    limit: str = Field(description="which rate limit, by its name in the settings")
    most: int = Field(description="how many a minute it allows", ge=1)
    refused: int = Field(description="how many requests one API process has refused since", ge=1)
    since: str = Field(description="when they began to be refused: RFC 3339, UTC")


class WebhookDisabled(Data):
    """An endpoint has failed for so long that nothing is sent to it any more."""

    webhook_id: str = Field(description="its id")
    url: str = Field(description="where it was sent")
    reason: str = Field(description="why")
    failing_since: str | None = Field(description="since when: RFC 3339, UTC")


class WebhookBehind(Data):
    """Deliveries to an endpoint wait for too long."""

    webhook_id: str = Field(description="its id")
    url: str = Field(description="where it is sent")
    oldest_due_at: str = Field(description="since when the oldest delivery waits: RFC 3339, UTC")
    failing_since: str | None = Field(description="since when it fails, if it does")


class HistorySeen(Data):
    """The user has seen what was missed, on one of their devices: a badge goes on all of them."""

    seen_at: str = Field(description="what was missed until then is seen: RFC 3339, UTC")
    missed: int = Field(description="how many of the newest 1,000 calls were missed", ge=0)
    unseen: int = Field(description="how many of those are not seen: the badge", ge=0)
