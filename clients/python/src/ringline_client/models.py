"""What the server sends and takes.

Made from the OpenAPI document by `make reference`: change the server, not this file.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict


class Accepted(TypedDict):
    """A call that was answered; with a call token only the member's own part of it."""

    id: str
    """the client's own id of the call"""
    session_id: str
    """UUID of this session"""
    cid: str
    """`type:id`"""
    type: str
    """the call type"""
    state: Literal["ringing", "active", "ended"]
    """how the call stands"""
    reason: (
        Literal[
            "completed",
            "cancelled",
            "declined",
            "busy",
            "missed",
            "unreachable",
            "alone",
            "max_duration",
            "ended_by_server",
            "failed",
        ]
        | None
    )
    """why it ended; null while it lives"""
    title: str | None
    """as screens show it"""
    caller: Caller
    """who is calling"""
    video: bool
    """whether it is a video call"""
    custom: dict[str, Any]
    """the backend's own data"""
    created_at: str
    """when it began; RFC 3339, UTC, with milliseconds"""
    active_at: str | None
    """when the first callee joined; RFC 3339, UTC, with milliseconds"""
    ended_at: str | None
    """when it ended; RFC 3339, UTC, with milliseconds"""
    members: list[Member]
    """everybody in it, the caller first"""
    member_token: str
    """keeps, leaves and ends the call without login"""
    count: NotRequired[Counts | None]
    """with a call token: how many"""
    ring: NotRequired[Ring | None]
    """with a call token: its own ring"""
    heartbeat_every: NotRequired[float | None]
    """seconds at most between two signs of life; null: none needed"""


class ActIn(TypedDict):
    """Who acts on a call: with a user token the token's subject, with a key `user_id`."""

    user_id: NotRequired[str | None]
    """the member who acts; with a key only"""
    device_id: NotRequired[str | None]
    """the device that acts"""


class ActivateIn(TypedDict):
    """The proof that a push has arrived."""

    token: str
    """what the activation push brought"""


class Actor(TypedDict):
    """Who acted."""

    kind: str
    """api_key, user, command, dashboard or server"""
    id: str | None
    """an API key's or a person's id"""
    name: str | None
    """a key's, a person's or a command's name"""


class Alive(TypedDict):
    """This process runs."""

    status: Literal["ok"]
    """always `ok`"""


class ApiKey(TypedDict):
    """What may be shown of an API key."""

    id: str
    """by which it is revoked"""
    name: str
    """what it is for"""
    hint: str
    """its last four characters"""
    scopes: list[str]
    """what it may do; `*` is everything"""
    created_at: str
    """when it was made"""
    last_used_at: str | None
    """when it was last seen, to the minute"""
    revoked_at: str | None
    """null while it is live"""


class ApiKeys(TypedDict):
    """A tenant's API keys, live ones first, the newest first."""

    api_keys: list[ApiKey]
    """1,000 at most"""


class Attempt(TypedDict):
    """One try, with the beginning of what the endpoint answered."""

    id: str
    """its id"""
    event_id: str
    """the event"""
    started_at: str
    """when it was sent; RFC 3339, UTC, with milliseconds"""
    finished_at: str
    """when it was over; RFC 3339, UTC, with milliseconds"""
    status: int | None
    """the HTTP status, if one came"""
    error: str | None
    """what went wrong, if none came"""
    answer: str | None
    """the beginning of the body"""


class Attempts(TypedDict):
    """A page of attempts, the newest first."""

    attempts: list[Attempt]
    """of this endpoint"""
    next_cursor: str | None
    """give it as `cursor` for the next page; null on the last"""


class AuditLine(TypedDict):
    """Who did what, when and from where."""

    id: str
    """its id"""
    at: str
    """when; RFC 3339, UTC, with milliseconds"""
    actor: Actor
    """who"""
    action: str
    """what"""
    target: str
    """to what"""
    source: str | None
    """from which address"""
    detail: dict[str, Any]
    """the particulars; never a secret"""


class Audit(TypedDict):
    """A page of the audit log, the newest first."""

    audit: list[AuditLine]
    """lines"""
    next_cursor: str | None
    """give it as `cursor` for the next page; null on the last"""


class Block(TypedDict):
    """Somebody who is blocked."""

    user_id: str
    """who"""
    blocked_at: str
    """since when; RFC 3339, UTC, with milliseconds"""


class Blocks(TypedDict):
    """Whom a user has blocked."""

    blocks: list[Block]
    """by id"""


class Call(TypedDict):
    """A call as a backend or a member reads it."""

    id: str
    """the client's own id of the call"""
    session_id: str
    """UUID of this session"""
    cid: str
    """`type:id`"""
    type: str
    """the call type"""
    state: Literal["ringing", "active", "ended"]
    """how the call stands"""
    reason: (
        Literal[
            "completed",
            "cancelled",
            "declined",
            "busy",
            "missed",
            "unreachable",
            "alone",
            "max_duration",
            "ended_by_server",
            "failed",
        ]
        | None
    )
    """why it ended; null while it lives"""
    title: str | None
    """as screens show it"""
    caller: Caller
    """who is calling"""
    video: bool
    """whether it is a video call"""
    custom: dict[str, Any]
    """the backend's own data"""
    created_at: str
    """when it began; RFC 3339, UTC, with milliseconds"""
    active_at: str | None
    """when the first callee joined; RFC 3339, UTC, with milliseconds"""
    ended_at: str | None
    """when it ended; RFC 3339, UTC, with milliseconds"""
    members: list[Member]
    """everybody in it, the caller first"""
    warnings: NotRequired[list[Notice] | None]
    """what did not keep it from being rung, and should be looked at"""


class CallerIn(TypedDict):
    """Who is calling."""

    id: str
    """a user"""
    name: NotRequired[str | None]
    """as screens show it"""
    avatar_url: NotRequired[str | None]
    """https; handed on and never fetched"""
    handle: NotRequired[HandleIn | None]
    """what contacts and redial know them by"""
    device_id: NotRequired[str | None]
    """the device they call from, which then shows life; else the backend vouches"""


class Caller(TypedDict):
    """Who is calling."""

    name: str | None
    """as screens show it"""
    avatar_url: str | None
    """an https address of a picture"""
    handle: Handle | None
    """what contacts and redial know them by"""
    id: str
    """the caller's user id"""


class Calls(TypedDict):
    """A page of calls, the newest first."""

    calls: list[ListedCall]
    """at most `limit`; perhaps fewer"""
    next_cursor: str | None
    """give it as `cursor` for the next page; null on the last"""


class ChangeIn(TypedDict):
    """What to change, and nothing is null; `enabled: true` also takes an endpoint back that
    Ringline has disabled.
    """

    url: NotRequired[str]
    """where events are sent: https, public"""
    events: NotRequired[list[str]]
    """`*`, groups such as `call.*`, or types"""
    description: NotRequired[str]
    """for people"""
    enabled: NotRequired[bool]
    """false turns it off; true takes back what Ringline has disabled"""


class ConfirmIn(TypedDict):
    """`confirm` is needed for the last working credential of an app."""

    confirm: NotRequired[bool]
    """do it although it is the last working one"""


class Counts(TypedDict):
    """How many members a call has."""

    members: int
    """in all, the caller included"""
    joined: int
    """who have joined, away or not"""
    ringing: int
    """who still ring"""


class CredentialIn(TypedDict):
    """A credential to look at or to add. A `.p8` needs `app_id`, `key_id` and `team_id`."""

    file: str
    """the file in base64, or the text of a PEM file"""
    password: NotRequired[str | None]
    """of the file, if it has one"""
    app_id: NotRequired[str | None]
    """the app's bundle id; of a certificate it is read from it"""
    key_id: NotRequired[str | None]
    """of a `.p8` key"""
    team_id: NotRequired[str | None]
    """of a `.p8` key"""
    environments: NotRequired[list[Literal["production", "sandbox"]] | None]
    """where it may push, else what it says itself; `sandbox` is Apple's alone"""


class Credential(TypedDict):
    """A credential as admins read it."""

    kind: str
    """`certificate`, `key`, `google_service_account` or `vapid`"""
    app_id: str | None
    """the app"""
    topics: list[str]
    """what it may push to"""
    environments: list[Literal["production", "sandbox"]]
    """where it may push"""
    team_id: str | None
    """Apple's team"""
    key_id: str | None
    """of a key or an account; of a VAPID key its public half"""
    project_id: str | None
    """Google's project, of a service account"""
    subject: str | None
    """of a certificate; an account's e-mail; whom push services may write to"""
    serial: str | None
    """of a certificate, hexadecimal"""
    fingerprint: str | None
    """SHA-256, hexadecimal"""
    not_before: str | None
    """from when it is good; RFC 3339, UTC, with milliseconds"""
    not_after: str | None
    """until when it is good; RFC 3339, UTC, with milliseconds"""
    days_left: int | None
    """whole days until it runs out"""
    id: str
    """its id"""
    state: str
    """requested, standby, active or retired"""
    health: str
    """working, failing, expiring, expired or unproven"""
    reason: str | None
    """the push service's own word while it refuses"""
    failing_since: str | None
    """since when it is refused; RFC 3339, UTC, with milliseconds"""
    key_fingerprint: str | None
    """of its public key, SHA-256, hexadecimal"""
    probe: dict[str, Any]
    """the service's answer by environment, when last asked"""
    probed_at: str | None
    """when the service was last asked; RFC 3339, UTC, with milliseconds"""
    request: str | None
    """the signing request, while it waits for a certificate"""
    version: int
    """moves when what is sealed does"""
    created_at: str
    """when it was stored; RFC 3339, UTC, with milliseconds"""
    activated_at: str | None
    """when it came into use; RFC 3339, UTC, with milliseconds"""
    replaced_at: str | None
    """when another took its place; RFC 3339, UTC, with milliseconds"""
    retired_at: str | None
    """when it was retired; RFC 3339, UTC, with milliseconds"""


class Credentials(TypedDict):
    """Every credential, the newest first."""

    credentials: list[Credential]
    """of the tenant, or of one app"""


class DeclineIn(TypedDict):
    """`reason`: `declined` or `busy`. `reach`: all the user's devices, or this one while
    others ring on; without it, as the tenant's `decline_reach` says.
    """

    user_id: NotRequired[str | None]
    """the member who acts; with a key only"""
    device_id: NotRequired[str | None]
    """the device that acts"""
    reason: NotRequired[Literal["declined", "busy"]]
    """why"""
    reach: NotRequired[Literal["user", "device"] | None]
    """whether all the user's devices stop, or this one alone"""


class Deliveries(TypedDict):
    """A page of deliveries, the newest first."""

    deliveries: list[Delivery]
    """of this endpoint"""
    next_cursor: str | None
    """give it as `cursor` for the next page; null on the last"""


class Delivery(TypedDict):
    """One event for one endpoint."""

    event_id: str
    """the same for each try"""
    type: str
    """the event's type"""
    session_id: str | None
    """the call's session, if it is of one"""
    seq: int | None
    """its number within the call"""
    state: Literal["pending", "sending", "delivered", "failed"]
    """how far it is"""
    attempts: int
    """how often it was tried"""
    status: int | None
    """the last HTTP status"""
    error: str | None
    """what went wrong, if no status came"""
    created_at: str | None
    """when it was made; RFC 3339, UTC, with milliseconds"""
    due_at: str | None
    """when it is tried next; RFC 3339, UTC, with milliseconds"""
    finished_at: str | None
    """when it was delivered or given up; RFC 3339, UTC, with milliseconds"""


class DeviceChangeIn(TypedDict):
    """What to change of a device; `user_id` only with an API key."""

    rings: bool
    """whether it is rung and notified; false turns it off"""
    user_id: NotRequired[str | None]
    """whose device; with a key only"""


class DeviceIn(TypedDict):
    """A registration. `expires_in` in seconds, 300 to 180 days; `user_id` only with an API
    key.
    """

    user_id: NotRequired[str | None]
    """whose device; with a key only"""
    device_id: NotRequired[str | None]
    """as the app names it; made if absent"""
    name: NotRequired[str | None]
    """as people know it"""
    platform: NotRequired[str | None]
    """as the app says"""
    locale: NotRequired[str | None]
    """its language, as the phone writes it: in which notifications are
    (docs/guides/payloads.md)
    """
    tokens: NotRequired[list[TokenIn]]
    """its push tokens: each takes the place of the one that the device had of that kind for
    that app; those that are not named stay
    """
    report: NotRequired[PhoneReportIn | None]
    """what an Android app knows of its phone"""
    expires_in: NotRequired[int]
    """seconds for which it is rung without registering again"""


class Device(TypedDict):
    """One app installation of a user."""

    device_id: str
    """as the app names it"""
    user_id: str
    """whose"""
    name: str | None
    """as people know it"""
    platform: str | None
    """as the app says"""
    locale: str | None
    """its language"""
    report: PhoneReport | None
    """what an Android app has said of its phone"""
    rings: bool
    """whether it is rung and notified; false: its user, or a key, turned it off"""
    created_at: str
    """when it was first seen; RFC 3339, UTC, with milliseconds"""
    registered_at: str
    """when it last registered; RFC 3339, UTC, with milliseconds"""
    tokens: list[Token]
    """its push tokens"""


class Devices(TypedDict):
    """A user's devices, the newest first."""

    devices: list[Device]
    """at most as many as the limit `devices` allows"""


class EventType(TypedDict):
    """One type of event."""

    type: str
    """its name"""
    about: str
    """what it means"""
    example: dict[str, Any]
    """one, as a webhook is sent it"""
    json_schema: dict[str, Any]
    """JSON Schema 2020-12"""


class EventTypes(TypedDict):
    """Every type of event, and what a webhook may subscribe to."""

    types: list[EventType]
    """in the order of a call"""
    filters: list[str]
    """what a webhook's `events` may hold"""


class Exceptions(TypedDict):
    """Who rings all the same."""

    users: NotRequired[list[str]]
    """callers who always ring, unless they are blocked"""
    repeat: NotRequired[bool]
    """who calls again within three minutes rings"""


class FieldProblem(TypedDict):
    """What is wrong with one field."""

    field: str
    """where, with dots between"""
    code: str
    """stable, for programs"""
    detail: str
    """what is wrong"""


class FileIn(TypedDict):
    """A file as an admin has it."""

    file: str
    """the file in base64, or the text of a PEM file"""
    password: NotRequired[str | None]
    """of the file, if it has one"""


class HandleIn(TypedDict):
    """What contacts and redial know a person by; a phone shows it where there is no name."""

    kind: HandleKind
    """what it is"""
    value: str
    """the number, the address, or any name"""


class HandleKind(TypedDict):
    """CXHandle.HandleType: what a handle is, so that a phone finds its contact and can redial."""


class Handle(TypedDict):
    """What contacts and redial know a person by."""

    kind: Literal["phone", "email", "generic"]
    """what it is"""
    value: str
    """the number, address or name"""


class HandlesIn(TypedDict):
    """All handles of a user: what is not named goes."""

    handles: list[HandleIn]
    """by which the user may be rung"""


class Handles(TypedDict):
    """By which handles a user may be rung."""

    handles: list[Handle]
    """as they were given, by kind"""


class Line(TypedDict):
    """One thing that happened."""

    at: str
    """when; RFC 3339, UTC, with milliseconds"""
    ms: int
    """milliseconds since the call began"""
    kind: str
    """an event's type, or what a push did"""
    text: str
    """the same as a sentence"""
    user_id: str | None
    """whom it is about"""
    device_id: str | None
    """on which device"""
    data: dict[str, Any]
    """the particulars"""


class ListedCall(TypedDict):
    """A call in a list: of one with more than ten members none is listed, only how many."""

    id: str
    """the client's own id of the call"""
    session_id: str
    """UUID of this session"""
    cid: str
    """`type:id`"""
    type: str
    """the call type"""
    state: Literal["ringing", "active", "ended"]
    """how the call stands"""
    reason: (
        Literal[
            "completed",
            "cancelled",
            "declined",
            "busy",
            "missed",
            "unreachable",
            "alone",
            "max_duration",
            "ended_by_server",
            "failed",
        ]
        | None
    )
    """why it ended; null while it lives"""
    title: str | None
    """as screens show it"""
    caller: Caller
    """who is calling"""
    video: bool
    """whether it is a video call"""
    custom: dict[str, Any]
    """the backend's own data"""
    created_at: str
    """when it began; RFC 3339, UTC, with milliseconds"""
    active_at: str | None
    """when the first callee joined; RFC 3339, UTC, with milliseconds"""
    ended_at: str | None
    """when it ended; RFC 3339, UTC, with milliseconds"""
    members: list[Member]
    """everybody in it, the caller first"""
    count: Counts
    """how many members there are"""


class Member(TypedDict):
    """A user in a call, with the latest ring that was made to reach them."""

    name: str | None
    """as screens show it"""
    avatar_url: str | None
    """an https address of a picture"""
    handle: Handle | None
    """what contacts and redial know them by"""
    user_id: str
    """who"""
    role: Literal["caller", "callee"]
    """what they are in this call"""
    state: Literal[
        "ringing",
        "joined",
        "away",
        "left",
        "declined",
        "busy",
        "missed",
        "unreachable",
        "suppressed",
    ]
    """how they stand"""
    device_id: str | None
    """the device that holds the call, or `server`"""
    joined_at: str | None
    """when they joined; RFC 3339, UTC, with milliseconds"""
    left_at: str | None
    """when they left; RFC 3339, UTC, with milliseconds"""
    ring: Ring | None
    """their latest ring; null for the caller"""
    suppressed: NotRequired[
        Literal["do_not_disturb", "quiet_hours", "call_type", "devices_off"] | None
    ]
    """which of their wishes keeps the ring away, where the tenant lets callers know"""


class Missed(TypedDict):
    """Among the user's newest 1,000 calls."""

    missed: int
    """how many were missed"""
    unseen: int
    """how many of those have not been seen: a badge"""


class NewSecret(TypedDict):
    """A new secret of an endpoint."""

    id: str
    """the endpoint's id"""
    secret: str
    """signs deliveries; shown this once"""
    overlap: float
    """seconds for which the old one signs too"""


class NewSigningSecret(TypedDict):
    """A signing secret just made."""

    kid: str
    """its id: the `kid` in the header of a user token"""
    secret: str
    """signs user tokens (JWT, HS256); it is shown this once"""


class NewWebhook(TypedDict):
    """An endpoint just made, with its secret."""

    id: str
    """its id"""
    url: str
    """where events are sent"""
    events: list[str]
    """`*`, groups or types"""
    description: str
    """for people"""
    state: Literal["active", "disabled"]
    """whether anything is sent"""
    disabled_at: str | None
    """when it was turned off; RFC 3339, UTC, with milliseconds"""
    disabled_reason: str | None
    """why"""
    failures: int
    """failed deliveries in a row"""
    failing_since: str | None
    """since when it fails; RFC 3339, UTC, with milliseconds"""
    succeeded_at: str | None
    """when it last took one; RFC 3339, UTC, with milliseconds"""
    created_at: str | None
    """when it was made; RFC 3339, UTC, with milliseconds"""
    secret: str
    """signs deliveries; shown this once"""


class NotificationIn(TypedDict):
    """What a notification says: texts with holes, or keys of texts that the app brings."""

    title: NotRequired[str | None]
    """its title"""
    body: NotRequired[str | None]
    """its text"""
    title_key: NotRequired[str | None]
    """the app's own title, in the phone's language: Apple's `title-loc-key`, Google's
    `title_loc_key`, a browser's `data.texts.title_key`
    """
    title_args: NotRequired[list[str]]
    """what goes into that title"""
    body_key: NotRequired[str | None]
    """the same of its text: Apple's `loc-key`, Google's `body_loc_key`, a browser's
    `data.texts.body_key`
    """
    body_args: NotRequired[list[str]]
    """what goes into that text"""
    languages: NotRequired[dict[str, WordsIn]]
    """title and body for devices whose `locale` is such: `zh-Hant-TW` is told in `zh-Hant-TW`,
    else `zh-Hant`, else `zh`, else as above
    """
    sound: NotRequired[str | None]
    """a sound of the app's"""
    category: NotRequired[str | None]
    """Apple's category, for actions"""
    channel_id: NotRequired[str | None]
    """Android's notification channel"""
    badge: NotRequired[bool]
    """of a missed call: the app's icon shows how many are unseen"""


class NotificationsIn(TypedDict):
    """The notifications of one call type; what is absent is not sent."""

    mode: NotRequired[Literal["ring", "notify"]]
    """how a call of this type begins that does not say so itself: `notify` by a notification,
    without a call screen
    """
    notify: NotRequired[NotificationIn | None]
    """of a call that does not ring"""
    missed: NotRequired[NotificationIn | None]
    """after a ring that nobody answered"""
    ring: NotRequired[NotificationIn | None]
    """where notifications ring: in browsers, and by `alert_rings`; without it, in English, as
    all that follows
    """
    answered_elsewhere: NotRequired[NotificationIn | None]
    """in place of these, once another device has answered"""
    declined_elsewhere: NotRequired[NotificationIn | None]
    """in place of these, once another device has declined"""
    ended: NotRequired[NotificationIn | None]
    """in place of a browser's ring, once its call is over"""
    failed: NotRequired[NotificationIn | None]
    """in place of a browser's ring, once its call has failed"""
    activation: NotRequired[NotificationIn | None]
    """what a browser says once it has subscribed; of call type `default` alone, and without
    placeholders
    """


class OwnCall(TypedDict):
    """A call as one member's phone reads it: that member alone, and how many others there are."""

    id: str
    """the client's own id of the call"""
    session_id: str
    """UUID of this session"""
    cid: str
    """`type:id`"""
    type: str
    """the call type"""
    state: Literal["ringing", "active", "ended"]
    """how the call stands"""
    reason: (
        Literal[
            "completed",
            "cancelled",
            "declined",
            "busy",
            "missed",
            "unreachable",
            "alone",
            "max_duration",
            "ended_by_server",
            "failed",
        ]
        | None
    )
    """why it ended; null while it lives"""
    title: str | None
    """as screens show it"""
    caller: Caller
    """who is calling"""
    video: bool
    """whether it is a video call"""
    custom: dict[str, Any]
    """the backend's own data"""
    created_at: str
    """when it began; RFC 3339, UTC, with milliseconds"""
    active_at: str | None
    """when the first callee joined; RFC 3339, UTC, with milliseconds"""
    ended_at: str | None
    """when it ended; RFC 3339, UTC, with milliseconds"""
    members: list[Member]
    """everybody in it, the caller first"""
    count: Counts
    """how many members there are"""
    ring: NotRequired[Ring | None]
    """the ring that the call token is for"""


class OwnCalls(TypedDict):
    """A page of a user's own calls, the newest first."""

    calls: list[PastCall]
    """at most `limit`; perhaps fewer"""
    next_cursor: str | None
    """give it as `cursor` for the next page; null on the last"""
    counts: Missed | None
    """on the first page; null on others"""


class PastCall(TypedDict):
    """A call as its member reads it in the own history."""

    id: str
    """the client's own id of the call"""
    session_id: str
    """UUID of this session"""
    cid: str
    """`type:id`"""
    type: str
    """the call type"""
    state: Literal["ringing", "active", "ended"]
    """how the call stands"""
    reason: (
        Literal[
            "completed",
            "cancelled",
            "declined",
            "busy",
            "missed",
            "unreachable",
            "alone",
            "max_duration",
            "ended_by_server",
            "failed",
        ]
        | None
    )
    """why it ended; null while it lives"""
    title: str | None
    """as screens show it"""
    caller: Caller
    """who is calling"""
    video: bool
    """whether it is a video call"""
    custom: dict[str, Any]
    """the backend's own data"""
    created_at: str
    """when it began; RFC 3339, UTC, with milliseconds"""
    active_at: str | None
    """when the first callee joined; RFC 3339, UTC, with milliseconds"""
    ended_at: str | None
    """when it ended; RFC 3339, UTC, with milliseconds"""
    members: list[Member]
    """everybody in it, the caller first"""
    count: Counts
    """how many members there are"""
    direction: Literal["incoming", "outgoing"]
    """who called whom"""
    missed: bool
    """whether it rang, or should have, and was not answered"""
    seen: bool
    """false for a missed call that has not been seen"""
    suppressed: (
        Literal[
            "do_not_disturb",
            "quiet_hours",
            "call_type",
            "call_type_notify",
            "in_a_call",
            "devices_off",
        ]
        | None
    )
    """why it was kept from this user, by their own preferences or since they were in another
    call; null: it was not
    """
    others: list[str]
    """ten of the others at most, the caller first"""
    ring: NotRequired[Ring | None]
    """the ring that the call token is for"""


class PeriodIn(TypedDict):
    """Quiet from `start` on these days to `end`, of the next day where `end` is not later."""

    days: list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]]
    """the days on which it begins"""
    start: str
    """from when it is quiet"""
    end: str
    """until when, not included"""


class PersonIn(TypedDict):
    """A user to be rung, by id or by a handle that is theirs, and how screens show them."""

    name: NotRequired[str | None]
    """as screens show it"""
    avatar_url: NotRequired[str | None]
    """https; handed on and never fetched"""
    handle: NotRequired[HandleIn | None]
    """what contacts and redial know them by"""
    id: NotRequired[str | None]
    """a user; without it, the one whose handle it is"""


class PhoneReportIn(TypedDict):
    """What an Android app knows of its phone, as it is now; what is not told stays unknown."""

    full_screen: NotRequired[bool | None]
    """it may show a call over the lock screen (`canUseFullScreenIntent`)"""
    notifications: NotRequired[bool | None]
    """its notifications are allowed"""
    battery_optimized: NotRequired[bool | None]
    """the system may hold its messages back to save power"""


class PhoneReport(TypedDict):
    """What keeps an Android phone from showing calls, as its app has said."""

    full_screen: NotRequired[bool | None]
    """whether it may show a call over the lock screen"""
    notifications: NotRequired[bool | None]
    """whether its notifications are allowed"""
    battery_optimized: NotRequired[bool | None]
    """whether the system may hold messages back to save power"""


class PreferencesIn(TypedDict):
    """What a user wants of rings; what is absent wants nothing."""

    do_not_disturb_until: NotRequired[str | None]
    """nothing rings until then"""
    quiet_hours: NotRequired[QuietHours | None]
    """nothing rings in these hours"""
    call_types: NotRequired[dict[str, Literal["ring", "notify", "nothing"]]]
    """call types that are not to ring, or only to be told by a notification"""
    exceptions: NotRequired[Exceptions]
    """who rings all the same"""


class Preview(TypedDict):
    """What was understood of a file; nothing has been stored."""

    kind: str
    """`certificate`, `key`, `google_service_account` or `vapid`"""
    app_id: str | None
    """the app"""
    topics: list[str]
    """what it may push to"""
    environments: list[Literal["production", "sandbox"]]
    """where it may push"""
    team_id: str | None
    """Apple's team"""
    key_id: str | None
    """of a key or an account; of a VAPID key its public half"""
    project_id: str | None
    """Google's project, of a service account"""
    subject: str | None
    """of a certificate; an account's e-mail; whom push services may write to"""
    serial: str | None
    """of a certificate, hexadecimal"""
    fingerprint: str | None
    """SHA-256, hexadecimal"""
    not_before: str | None
    """from when it is good; RFC 3339, UTC, with milliseconds"""
    not_after: str | None
    """until when it is good; RFC 3339, UTC, with milliseconds"""
    days_left: int | None
    """whole days until it runs out"""
    form: str
    """what the file is"""
    private_key: Literal["in_file", "held_here", "missing"]
    """where its private key is"""
    notes: list[str]
    """what was odd about the file, in sentences"""


class Problem(TypedDict):
    """An error (RFC 9457). Some codes carry more members, such as `remedy`."""

    type: Literal["about:blank"]
    """no page of its own"""
    title: str
    """the code in words"""
    status: int
    """the HTTP status"""
    code: str
    """stable, for programs"""
    detail: str
    """what is wrong and what to do, for people"""
    request_id: NotRequired[str]
    """as in the header `X-Request-ID` and the server's log"""
    errors: NotRequired[list[FieldProblem]]
    """with 422: each fault"""


class QuietHours(TypedDict):
    """Weekly quiet hours by the clock on the wall in a time zone."""

    time_zone: str
    """an IANA name"""
    periods: list[PeriodIn]
    """when it is quiet"""


class Ready(TypedDict):
    """This process can serve."""

    status: Literal["ready"]
    """always `ready`; 503 while it is not"""
    workers: int
    """workers that have shown life lately"""
    clock_skew_seconds: float
    """by how much this host's clock is off"""
    warnings: list[str]
    """what a person should look at, in sentences"""


class Registered(TypedDict):
    """A device as it is registered now."""

    device_id: str
    """as the app names it"""
    user_id: str
    """whose"""
    name: str | None
    """as people know it"""
    platform: str | None
    """as the app says"""
    locale: str | None
    """its language"""
    report: PhoneReport | None
    """what an Android app has said of its phone"""
    rings: bool
    """whether it is rung and notified; false: its user, or a key, turned it off"""
    created_at: str
    """when it was first seen; RFC 3339, UTC, with milliseconds"""
    registered_at: str
    """when it last registered; RFC 3339, UTC, with milliseconds"""
    tokens: list[Token]
    """its push tokens"""
    warnings: NotRequired[list[Notice] | None]
    """what keeps it from being rung, such as no credential"""


class ReportIn(TypedDict):
    """What a device says of a ring. With a call token that says all; else which device, and
    whose.

    `ring`: the only one that is meant; without it the one that is open.
    """

    status: Literal["delivered", "unavailable"]
    """`delivered`: it is on the screen; `unavailable`: it cannot be"""
    user_id: NotRequired[str | None]
    """the member who acts; with a key only"""
    device_id: NotRequired[str | None]
    """the device that acts"""
    ring: NotRequired[str | None]
    """the ring's uuid; with a call token it is that token's"""


class RequestIn(TypedDict):
    """For which app a key and a signing request are to be made."""

    app_id: str
    """the app's bundle id"""


class Resent(TypedDict):
    """An event that will be sent once more."""

    event_id: str
    """the event"""
    state: Literal["pending"]
    """it waits for a worker"""


class Revoked(TypedDict):
    """A user whose tokens were revoked."""

    user_id: str
    """whose"""
    revoked_at: str
    """tokens issued by then, to the second, are dead; RFC 3339, UTC, with milliseconds"""


class RingIn(TypedDict):
    """A request to ring. `ring_time` in seconds; without an `id` one is made.

    `callees`: ids of users, or users, by id or handle, with what screens show of them.
    """

    caller: CallerIn
    """who is calling"""
    callees: list[str | PersonIn]
    """whom to ring: ids, or objects with what screens show of them"""
    type: NotRequired[str]
    """the call type, which may have limits of its own"""
    title: NotRequired[str | None]
    """as screens show it"""
    id: NotRequired[str | None]
    """the client's own id of the call; made if absent"""
    video: NotRequired[bool]
    """whether it is a video call"""
    mode: NotRequired[Literal["ring", "notify"] | None]
    """`notify`: an ordinary notification tells of the call, and no phone shows a call screen;
    else as the tenant's `notifications` say of the call type
    """
    urgent: NotRequired[bool]
    """it rings whatever the callees wish, but for whom they block; only where the setting
    `urgent_allowed` is on
    """
    ring_time: NotRequired[float | None]
    """seconds for which it rings; else the limit `ring`"""
    custom: NotRequired[dict[str, Any]]
    """the backend's own data, 2,048 bytes as JSON at most"""


class Ring(TypedDict):
    """One attempt to reach one member."""

    uuid: str
    """CallKit's UUID, never used again"""
    state: str
    """`ringing`, or how it settled: accepted, declined, cancelled, missed, …"""
    expires_at: str
    """until when it rings; RFC 3339, UTC, with milliseconds"""
    settled_at: str | None
    """when it settled; RFC 3339, UTC, with milliseconds"""
    callkit_reason: int | None
    """CXCallEndedReason for devices that are to stop"""
    receipt: NotRequired[Literal["waiting", "confirmed", "unconfirmed"]]
    """whether a device has said that it is on its screen: `waiting`, `confirmed`, or none
    within the limit `unconfirmed`
    """
    devices: NotRequired[int]
    """how many devices have said that it is on their screen"""


class RingingIn(TypedDict):
    """The emergency switch."""

    stopped: bool
    """true: no new ring begins, until it is false again"""


class Ringing(TypedDict):
    """How the emergency switch stands."""

    stopped_at: str | None
    """since when no new ring begins; null: all ring; RFC 3339, UTC, with milliseconds"""


class RotateIn(TypedDict):
    """`overlap`: seconds for which the old secret signs too."""

    overlap: NotRequired[float]
    """seconds for which the old secret signs too"""


class SeenIn(TypedDict):
    """Until when missed calls have been seen; without it, until now."""

    until: NotRequired[str | None]
    """missed calls until then have been seen"""


class SigningSecret(TypedDict):
    """What may be shown of a signing secret."""

    kid: str
    """its id: the `kid` in the header of a user token"""
    created_at: str
    """when it was made"""
    last_used_at: str | None
    """when a token signed with it was last seen, to the minute"""
    revoked_at: str | None
    """null while it is live"""


class SigningSecrets(TypedDict):
    """A tenant's signing secrets, live ones first, the newest first."""

    signing_secrets: list[SigningSecret]
    """at most two are live"""


class SubscriptionIn(TypedDict):
    """A `PushSubscription` as a browser gives it (`toJSON()`)."""

    endpoint: str
    """where pushes to it go: https, and public"""
    keys: SubscriptionKeysIn
    """what pushes to it are sealed with"""
    expirationTime: NotRequired[float | None]
    """as the browser says (the Push API's name); it is not needed"""


class SubscriptionKeysIn(TypedDict):
    """What pushes to a browser are sealed with."""

    p256dh: str
    """its public key: 65 bytes in base64url"""
    auth: str
    """its secret: 16 bytes in base64url"""


class TenantSettings(TypedDict):
    """The settings of one tenant; what is absent has its default."""

    limits: NotRequired[dict[str, Any]]
    """seconds and counts, by name (docs/guides/limits.md)"""
    call_types: NotRequired[dict[str, dict[str, Any]]]
    """limits per call type"""
    rate_limits: NotRequired[dict[str, Any]]
    """how often a minute, by name (docs/guides/limits.md)"""
    when_busy: NotRequired[Literal["ring", "busy", "quiet"]]
    """what becomes of a ring to who is in another call: `ring`; `busy`, at once and without a
    push; or `quiet`: told by a notification at most
    """
    busy_call_types: NotRequired[dict[str, Literal["ring", "busy", "quiet"]]]
    """the same per call type"""
    users_may_ring: NotRequired[bool]
    """a user token may ring, as its own subject"""
    urgent_allowed: NotRequired[bool]
    """a ring may say that it is `urgent`: of what a user wishes only a block keeps it away
    then
    """
    tell_suppressed: NotRequired[bool]
    """a caller is told at once, with the reason, that the callee's wishes keep a ring away
    (`member.suppressed`); of a block never
    """
    users_may_set_handles: NotRequired[bool]
    """a user token may set its subject's handles; who has one is rung by it, and nobody checks
    that a number is theirs
    """
    store_and_forward: NotRequired[bool]
    """Apple may keep a ring for a phone that is off, until its deadline"""
    voip_stops: NotRequired[bool]
    """a stop may travel as a VoIP push, as last resort"""
    end_unreachable: NotRequired[bool]
    """the ring of a user whom nothing can ring ends at once, and the call if nobody else is
    rung; without it that is told, and it rings on for a device that may come
    """
    decline_reach: NotRequired[Literal["user", "device"]]
    """whom a decline that does not say so is for: all the user's devices, or only the one that
    declines while others ring on
    """
    presence: NotRequired[bool]
    """devices in a call must show life (`heartbeat_every`); without it nobody is away, or
    removed for silence
    """
    profiles: NotRequired[dict[str, str]]
    """payload profile per bundle id"""
    android_profiles: NotRequired[dict[str, str]]
    """payload profile per Android package"""
    android_v2: NotRequired[list[str]]
    """Android packages that are sent FCM's `android_v2` in place of `android`: a preview of
    Google's (docs/guides/android.md)
    """
    templates: NotRequired[dict[str, dict[str, Any]]]
    """custom payload per bundle id"""
    notifications: NotRequired[dict[str, NotificationsIn]]
    """notifications per call type (docs/guides/payloads.md)"""
    alert_rings: NotRequired[dict[str, float]]
    """bundle ids whose devices without a VoIP token are rung by notifications: seconds from
    one to the next (docs/guides/payloads.md)
    """
    user_tokens: NotRequired[UserTokenRules]
    """what user tokens must say, beyond `sub` and `exp`"""
    keep_events_days: NotRequired[float]
    """days for which events are kept"""
    keep_calls_days: NotRequired[float]
    """days for which calls are kept"""


class TestPushIn(TypedDict):
    """Whose phones are to ring as a test; one of them if `device_id` is given."""

    user_id: str
    """whose phones ring"""
    device_id: NotRequired[str | None]
    """this one alone"""


class TestPush(TypedDict):
    """A test push to each phone of a user."""

    devices: list[Tried]
    """what the service said of each"""


class TimelineCall(TypedDict):
    """The call that a timeline is of."""

    id: str
    """the client's own id"""
    session_id: str
    """UUID of the session"""
    cid: str
    """`type:id`"""
    state: Literal["ringing", "active", "ended"]
    """how the call stands"""
    reason: (
        Literal[
            "completed",
            "cancelled",
            "declined",
            "busy",
            "missed",
            "unreachable",
            "alone",
            "max_duration",
            "ended_by_server",
            "failed",
        ]
        | None
    )
    """why it ended"""
    title: str | None
    """as screens show it"""
    caller_id: str
    """who called"""
    caller: Caller
    """who called, as screens show them"""
    created_at: str
    """when it began; RFC 3339, UTC, with milliseconds"""
    ended_at: str | None
    """when it ended; RFC 3339, UTC, with milliseconds"""
    trace_id: str | None
    """by which a backend of OpenTelemetry traces finds it; null: it was not traced"""


class Timeline(TypedDict):
    """Everything that happened in a call, in order."""

    call: TimelineCall
    """which call"""
    timeline: list[Line]
    """what happened, the earliest first"""
    whole: bool
    """whether that is all; false: it is of the first 5,000 events, rings or pushes"""


class TokenIn(TypedDict):
    """A push address as the phone has it."""

    kind: str
    """which push it takes"""
    app_id: str
    """the app's bundle id, Android package, or origin"""
    token: NotRequired[str | None]
    """as PushKit or UserNotifications gave it, in hexadecimal; or as FCM did; of `webpush`
    there is none
    """
    subscription: NotRequired[SubscriptionIn | None]
    """of `webpush`, in place of a token"""
    application_server_key: NotRequired[str | None]
    """of `webpush`: the public VAPID key that it was made with; the app's of the moment unless
    told
    """
    environment: NotRequired[Literal["production", "sandbox"] | None]
    """Apple's, production unless told: sandbox for builds run from Xcode; other kinds have
    none
    """


class Token(TypedDict):
    """A push token, of which the last four characters are shown."""

    kind: Literal["voip", "alert", "fcm", "webpush"]
    """which push it takes"""
    app_id: str
    """the app"""
    environment: Literal["production", "sandbox"] | None
    """Apple's environment; null for other kinds"""
    ends_with: str
    """its last four characters"""
    registered_at: str
    """when it was last registered; RFC 3339, UTC, with milliseconds"""
    expires_at: str
    """until when it is rung; RFC 3339, UTC, with milliseconds"""
    retired_at: str | None
    """since when it is not rung; RFC 3339, UTC, with milliseconds"""
    retired_reason: str | None
    """why; `not_activated`: its activation token has not been posted back"""


class Tried(TypedDict):
    """What the push service said of one phone."""

    device_id: str
    """the phone"""
    name: str | None
    """as people know it"""
    app_id: str
    """the app"""
    environment: Literal["production", "sandbox"]
    """the token's environment"""
    token: str
    """its end"""
    credential_id: str | None
    """which credential was used"""
    says: Literal["accepted", "refused", "unknown"]
    """the service's answer"""
    status: int | None
    """the HTTP status"""
    words: str | None
    """the service's reason, or what failed"""
    hint: str | None
    """what to look at"""
    milliseconds: float | None
    """how long it took"""


class UnregisterIn(TypedDict):
    """Which device to remove, by a push token that it holds; `user_id` only with an API key."""

    token: str
    """a push token that the device holds, or its subscription's endpoint"""
    user_id: NotRequired[str | None]
    """whose device; with a key only"""


class UserTokenIn(TypedDict):
    """How long a user token shall be good, in seconds, and for what.

    The tenant's `user_tokens.longest_life` shortens it. Without `scopes` it is good for all
    that the key that asks for it may do.
    """

    expires_in: NotRequired[int]
    """seconds for which it is good"""
    scopes: NotRequired[list[Literal["devices", "calls", "ring", "history"]] | None]
    """what the token is good for"""


class UserToken(TypedDict):
    """A user token, signed by Ringline with the tenant's secret."""

    token: str
    """a JWT for this user's app"""
    expires_at: str
    """until when it is good; RFC 3339, UTC, with milliseconds"""


class UserTokenRules(TypedDict):
    """What a tenant asks of its users' tokens; without any rule, what RFC 7519 asks."""

    longest_life: NotRequired[float | None]
    """seconds from `iat` (without it, from now) to `exp` that a token may have"""
    issuer: NotRequired[str | None]
    """the `iss` that a token must have"""
    audience: NotRequired[str | None]
    """the `aud` that a token must name"""
    jwks: NotRequired[dict[str, Any] | None]
    """public keys of the issuer (RFC 7517: RS256, ES256)"""
    jwks_url: NotRequired[str | None]
    """where the issuer's public keys are fetched instead: https, public, cached for 10 minutes"""


class VapidIn(TypedDict):
    """For which web app a VAPID key is to be made, and whom push services may write to."""

    app_id: str
    """the web app's origin, or a UnifiedPush app's package"""
    subject: str
    """whom a push service may write to: `mailto:` or `https:` (VAPID's `sub`)"""


class VapidKey(TypedDict):
    """With what an app's browsers subscribe."""

    app_id: str
    """the app"""
    public_key: str
    """`applicationServerKey` for `PushManager.subscribe`, in base64url"""


class Notice(TypedDict):
    """Something that does not refuse the request, and that a person should know."""

    code: str
    """stable, for programs"""
    detail: str
    """what it is, and the way out"""
    user_id: NotRequired[str | None]
    """whom it is about, if a user"""
    app_id: NotRequired[str | None]
    """which app it is about, if one"""


class WebhookIn(TypedDict):
    """A new endpoint. `events`: `*`, `call.*` or whole types."""

    url: str
    """where events are sent: https, public"""
    events: NotRequired[list[str]]
    """`*`, groups such as `call.*`, or types"""
    description: NotRequired[str]
    """for people"""


class Webhook(TypedDict):
    """An endpoint of the backend, and how it does."""

    id: str
    """its id"""
    url: str
    """where events are sent"""
    events: list[str]
    """`*`, groups or types"""
    description: str
    """for people"""
    state: Literal["active", "disabled"]
    """whether anything is sent"""
    disabled_at: str | None
    """when it was turned off; RFC 3339, UTC, with milliseconds"""
    disabled_reason: str | None
    """why"""
    failures: int
    """failed deliveries in a row"""
    failing_since: str | None
    """since when it fails; RFC 3339, UTC, with milliseconds"""
    succeeded_at: str | None
    """when it last took one; RFC 3339, UTC, with milliseconds"""
    created_at: str | None
    """when it was made; RFC 3339, UTC, with milliseconds"""


class Webhooks(TypedDict):
    """Every endpoint."""

    webhooks: list[Webhook]
    """the oldest first"""


class WordsIn(TypedDict):
    """The same in another language; what is absent is as in the notification itself."""

    title: NotRequired[str | None]
    """its title"""
    body: NotRequired[str | None]
    """its text"""
