"""How a call, its members and its timeline read."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.models import (
    EXAMPLE_ID,
    MANY,
    AppName,
    Count,
    Facts,
    Id,
    Moment,
    Name,
    Out,
    Seconds,
    Secret,
    Sentence,
    Url,
    Uuid,
    Word,
    maybe_time,
    time,
)

State = Literal["ringing", "active", "ended"]
MemberState = Literal[
    "ringing", "joined", "away", "left", "declined", "busy", "missed", "unreachable", "suppressed"
]
Reason = Literal[
    "completed", "cancelled", "declined", "busy", "missed", "unreachable", "alone", "max_duration",
    "ended_by_server", "failed",
]  # fmt: skip


class HandleOut(Out):
    """What contacts and redial know a person by."""

    kind: Literal["phone", "email", "generic"] = Field(description="what it is")
    value: Name = Field(description="the number, address or name", examples=["+49 30 1234567"])


class PersonOut(Out):
    """How screens show a user in this call."""

    name: Name | None = Field(description="as screens show it", examples=["Alice"])
    avatar_url: Url | None = Field(
        description="an https address of a picture", examples=["https://example.com/alice.png"]
    )
    handle: HandleOut | None = Field(description="what contacts and redial know them by")


class CallerOut(PersonOut):
    """Who is calling."""

    id: Id = Field(description="the caller's user id", examples=["alice"])


class RingOut(Out):
    """One attempt to reach one member."""

    uuid: Uuid = Field(description="CallKit's UUID, never used again", examples=[EXAMPLE_ID])
    state: Word = Field(
        description="`ringing`, or how it settled: accepted, declined, cancelled, missed, …",
        examples=["ringing"],
    )
    receipt: Literal["waiting", "confirmed", "unconfirmed"] = Field(
        default="waiting",
        description="whether a device has said that it is on its screen: `waiting`, `confirmed`, "
        "or none within the limit `unconfirmed`",
        examples=["confirmed"],
    )
    devices: Count = Field(
        default=0, description="how many devices have said that it is on their screen"
    )
    expires_at: Moment = time("until when it rings")
    settled_at: Moment | None = maybe_time("when it settled")
    callkit_reason: int | None = Field(
        description="CXCallEndedReason for devices that are to stop", ge=1, le=5, examples=[4]
    )


class MemberOut(PersonOut):
    """A user in a call, with the latest ring that was made to reach them."""

    user_id: Id = Field(description="who", examples=["bob"])
    role: Literal["caller", "callee"] = Field(description="what they are in this call")
    state: MemberState = Field(description="how they stand")
    device_id: Id | None = Field(
        description="the device that holds the call, or `server`", examples=["bobs-phone"]
    )
    joined_at: Moment | None = maybe_time("when they joined")
    left_at: Moment | None = maybe_time("when they left")
    ring: RingOut | None = Field(description="their latest ring; null for the caller")
    suppressed: Literal["do_not_disturb", "quiet_hours", "call_type", "devices_off"] | None = Field(
        default=None,
        description="which of their wishes keeps the ring away, where the tenant lets callers know",
    )


class CallCore(Out):
    """What every reading of a call says."""

    id: Id = Field(description="the client's own id of the call", examples=["abc"])
    session_id: Uuid = Field(description="UUID of this session", examples=[EXAMPLE_ID])
    cid: Name = Field(description="`type:id`", examples=["default:abc"])
    type: Word = Field(description="the call type", examples=["default"])
    state: State = Field(description="how the call stands")
    reason: Reason | None = Field(description="why it ended; null while it lives")
    title: Name | None = Field(description="as screens show it", examples=["Standup"])
    caller: CallerOut = Field(description="who is calling")
    video: bool = Field(description="whether it is a video call")
    custom: Facts = Field(description="the backend's own data", examples=[{"room": 7}])
    created_at: Moment = time("when it began")
    active_at: Moment | None = maybe_time("when the first callee joined")
    ended_at: Moment | None = maybe_time("when it ended")
    members: Annotated[list[MemberOut], MANY] = Field(
        description="everybody in it, the caller first"
    )


class CallOut(CallCore):
    """A call as a backend or a member reads it."""

    warnings: Annotated[list["Warning_"], MANY] | None = Field(
        default=None, description="what did not keep it from being rung, and should be looked at"
    )


class Warning_(Out):  # noqa: N801  (Warning is Python's own)
    """Something that does not refuse the request, and that a person should know."""

    code: Word = Field(description="stable, for programs", examples=["no_credential"])
    detail: Sentence = Field(description="what it is, and the way out")
    user_id: Id | None = Field(default=None, description="whom it is about, if a user")
    app_id: AppName | None = Field(default=None, description="which app it is about, if one")


class CountsOut(Out):
    """How many members a call has."""

    members: Count = Field(description="in all, the caller included")
    joined: Count = Field(description="who have joined, away or not")
    ringing: Count = Field(description="who still ring")


class OwnCallOut(CallCore):
    """A call as one member's phone reads it: that member alone, and how many others there are."""

    count: CountsOut = Field(description="how many members there are")
    ring: RingOut | None = Field(default=None, description="the ring that the call token is for")


class AcceptedOut(CallCore):
    """A call that was answered; with a call token only the member's own part of it."""

    count: CountsOut | None = Field(default=None, description="with a call token: how many")
    ring: RingOut | None = Field(default=None, description="with a call token: its own ring")
    heartbeat_every: Seconds | None = Field(
        default=None, description="seconds at most between two signs of life; null: none needed"
    )
    member_token: Secret = Field(
        description="keeps, leaves and ends the call without login", examples=["rl_mt_…"]
    )


class TimelineCallOut(Out):
    """The call that a timeline is of."""

    id: Id = Field(description="the client's own id", examples=["abc"])
    session_id: Uuid = Field(description="UUID of the session", examples=[EXAMPLE_ID])
    cid: Name = Field(description="`type:id`", examples=["default:abc"])
    state: State = Field(description="how the call stands")
    reason: Reason | None = Field(description="why it ended")
    title: Name | None = Field(description="as screens show it", examples=["Standup"])
    caller_id: Id = Field(description="who called", examples=["alice"])
    caller: CallerOut = Field(description="who called, as screens show them")
    created_at: Moment = time("when it began")
    ended_at: Moment | None = maybe_time("when it ended")
    trace_id: Word | None = Field(
        description="by which a backend of OpenTelemetry traces finds it; null: it was not traced",
        examples=["4bf92f3577b34da6a3ce929d0e0e4736"],
    )


class LineOut(Out):
    """One thing that happened."""

    at: Moment = time("when")
    ms: Count = Field(description="milliseconds since the call began", examples=[12])
    kind: Word = Field(
        description="an event's type, or what a push did", examples=["ring_push.sent"]
    )
    text: Sentence = Field(description="the same as a sentence", examples=["alice rings bob"])
    user_id: Id | None = Field(description="whom it is about", examples=["bob"])
    device_id: Id | None = Field(description="on which device", examples=["bobs-phone"])
    data: Facts = Field(description="the particulars")


class TimelineOut(Out):
    """Everything that happened in a call, in order."""

    call: TimelineCallOut = Field(description="which call")
    timeline: Annotated[list[LineOut], MANY] = Field(
        description="what happened, the earliest first"
    )
    whole: bool = Field(
        description="whether that is all; false: it is of the first 5,000 events, rings or pushes",
        examples=[True],
    )
