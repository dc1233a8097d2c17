"""Every type of event that clients and webhooks are told: its data, an example and a sentence.

The one place where an event is written down: the reference (`webhooks` of the OpenAPI, the page and
the JSON Schemas in `docs/events/`), `GET /v1/events/types` and the check of a subscription read it.
"""

from typing import Any

from app.core.event import EventType, TenantEventType, UserEventType
from app.core.frozen import frozen
from app.events.data import (
    AboutCredential,
    AboutMember,
    CallActive,
    CallEnded,
    CallStarted,
    CallUpdated,
    CredentialExpiry,
    Data,
    DeviceReport,
    HistorySeen,
    MemberAdded,
    MemberJoined,
    MemberLeft,
    MemberRinging,
    MemberSuppressed,
    PushAlarm,
    RateLimitReached,
    RingSettled,
    RingStarted,
    Time,
    WebhookBehind,
    WebhookDisabled,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SESSION = "0198f7e2-8d0e-7a3b-9b7c-2f8f6f0d9a11"
RING = "0198f7e2-8d10-7c11-8a2e-5a1f0c7d2b33"
CREDENTIAL = "0198f7e2-9000-7a3b-9b7c-2f8f6f0d9a44"
WEBHOOK = "0198f7e2-9000-7a3b-9b7c-2f8f6f0d9a55"
AT = "2026-11-21T08:00:00.123Z"


@frozen
class Entry:
    """One type of event: what it means, what its `data` is, and one as an example."""

    name: str
    about: str
    data: type[Data]
    example: dict[str, Any]

    @property
    def of_call(self) -> bool:
        """Whether it is a fact about a call, with its ids and number."""
        return self.name in CALL_TYPES

    @property
    def of_user(self) -> bool:
        """Whether only a user's own live streams tell it, and no webhook."""
        return self.name in USER_TYPES


CALL_TYPES = frozenset(one.value for one in EventType)
USER_TYPES = frozenset(one.value for one in UserEventType)
_ALICE: dict[str, Any] = {
    "caller_id": "alice",
    "caller": {
        "name": "Alice",
        "avatar_url": "https://example.com/alice.png",
        "handle": {"kind": "phone", "value": "+49 30 1234567"},
    },
    "title": "Standup",
}
_BOB = {"user_id": "bob"}
_PHONE = _BOB | {"device_id": "bobs-phone"}
_EXPIRY = {"credential_id": CREDENTIAL, "app_id": "com.example.app", "reason": None}
_ENTRIES = (
    Entry(
        EventType.CALL_STARTED, "Somebody rings: the call has begun.", CallStarted,
        _ALICE | {"callees": ["bob"], "video": True},
    ),
    Entry(EventType.CALL_ACTIVE, "The first callee has joined.", CallActive, {}),
    Entry(
        EventType.CALL_UPDATED, "Members of a large call have changed, once a second.", CallUpdated,
        {
            "members": [_PHONE | {"state": "joined"}], "more": False,
            "counts": {"joined": 12, "ringing": 338},
        },
    ),
    Entry(
        EventType.CALL_ENDED, "The call is over for everyone.", CallEnded, {"reason": "completed"}
    ),
    Entry(
        EventType.RING_STARTED, "A member is rung: show the call.", RingStarted,
        _BOB | {"ring": RING, "expires_at": "2026-11-21T08:00:45.123Z", "video": True} | _ALICE,
    ),
    Entry(
        EventType.RING_SETTLED, "A ring is over: the member's other devices stop.", RingSettled,
        _PHONE | {"ring": RING, "outcome": "accepted", "callkit_reason": 4},
    ),
    Entry(
        EventType.MEMBER_ADDED, "More users are rung into a live call.", MemberAdded,
        {"user_ids": ["carol"], "by": "alice"},
    ),
    Entry(
        EventType.MEMBER_RINGING,
        "A device says that a member's ring is on its screen; once for each device. A webhook is "
        "sent it only if it names it.",
        MemberRinging, _BOB | {"ring": RING, "devices": 1},
    ),
    Entry(EventType.MEMBER_JOINED, "A member has answered or come back.", MemberJoined, _PHONE),
    Entry(EventType.MEMBER_DECLINED, "A member has declined.", AboutMember, _BOB),
    Entry(EventType.MEMBER_BUSY, "A member has declined, being busy.", AboutMember, _BOB),
    Entry(EventType.MEMBER_MISSED, "A member's ring was not answered in time.", AboutMember, _BOB),
    Entry(
        EventType.MEMBER_UNREACHABLE,
        "Nothing of a member can ring: no device, or none that takes a push. It may still answer.",
        AboutMember, _BOB,
    ),
    Entry(
        EventType.MEMBER_SUPPRESSED,
        "A member's own wishes keep a ring from them; told only where the tenant's setting "
        "`tell_suppressed` is on, and never of a block.",
        MemberSuppressed, _BOB | {"reason": "do_not_disturb"},
    ),
    Entry(
        EventType.MEMBER_REACHABLE,
        "A device has come to a member who could not be reached: it rings.", AboutMember, _BOB,
    ),
    Entry(
        EventType.MEMBER_AWAY,
        "A joined member has been silent for a while. Live it is told to that member alone.",
        AboutMember, _BOB,
    ),
    Entry(
        EventType.MEMBER_BACK,
        "A member who was away shows life again. Live it is told to that member alone.",
        AboutMember, _BOB,
    ),
    Entry(
        EventType.MEMBER_LEFT, "A member has left, or was removed after a long silence.",
        MemberLeft, _PHONE,
    ),
    Entry(
        EventType.DEVICE_DELIVERED, "A device says that the ring is on its screen.", DeviceReport,
        _PHONE | {"ring": RING},
    ),
    Entry(
        EventType.DEVICE_UNAVAILABLE, "A device says that it cannot ring; others go on.",
        DeviceReport, _PHONE | {"ring": RING},
    ),
    Entry(
        EventType.DEVICE_DECLINED, "A device has declined for itself alone; others ring on.",
        DeviceReport, _PHONE | {"ring": RING},
    ),
    Entry(
        TenantEventType.CREDENTIAL_EXPIRING, "A credential runs out soon.", CredentialExpiry,
        _EXPIRY | {"days": 30, "not_after": "2026-12-21T08:00:00.000Z"},
    ),
    Entry(
        TenantEventType.CREDENTIAL_EXPIRED, "A credential has run out.", CredentialExpiry,
        _EXPIRY | {"days": 0, "not_after": "2026-11-21T08:00:00.000Z"},
    ),
    Entry(
        TenantEventType.CREDENTIAL_FAILING, "Apple refuses a credential.", AboutCredential,
        _EXPIRY | {"reason": "InvalidProviderToken"},
    ),
    Entry(
        TenantEventType.CREDENTIAL_RECOVERED, "Apple takes a credential again.", AboutCredential,
        _EXPIRY,
    ),
    Entry(
        TenantEventType.PUSH_ALARM, "Pushes go wrong in a way that a person must mend.", PushAlarm,
        {
            "alarm": "bad_token_burst", "credential_id": CREDENTIAL, "app_id": "com.example.app",
            "environment": "production", "reason": "BadDeviceToken", "at": AT,
        },
    ),
    Entry(
        TenantEventType.RATE_LIMIT_REACHED,
        "A rate limit has refused requests for ten minutes without a pause; told once an hour.",
        RateLimitReached,
        {"limit": "rings_per_key", "most": 120_000, "refused": 48_211, "since": AT},
    ),
    Entry(
        TenantEventType.WEBHOOK_BEHIND, "Deliveries to an endpoint wait for too long.",
        WebhookBehind,
        {
            "webhook_id": WEBHOOK, "url": "https://example.com/hooks", "oldest_due_at": AT,
            "failing_since": None,
        },
    ),
    Entry(
        TenantEventType.WEBHOOK_DISABLED, "An endpoint has failed for so long that it is off.",
        WebhookDisabled,
        {
            "webhook_id": WEBHOOK, "url": "https://example.com/hooks", "reason": "failing",
            "failing_since": AT,
        },
    ),
    Entry(
        UserEventType.HISTORY_SEEN,
        "The user has marked missed calls as seen; on their own live streams alone.",
        HistorySeen, {"seen_at": AT, "missed": 12, "unseen": 0},
    ),
)  # fmt: skip
REGISTRY: dict[str, Entry] = {str(entry.name): entry for entry in _ENTRIES}
"""By type, in the order in which they are told of."""


def example_of(entry: Entry) -> dict[str, Any]:
    """One event as a webhook is sent it; a live stream says the same without `id`."""
    if entry.of_user:
        return {"type": str(entry.name), "at": AT, "data": entry.example}
    if entry.of_call:
        event_id = f"evt_{SESSION.replace('-', '')}_1"
        about = {"session_id": SESSION, "cid": "default:abc", "seq": 1}
    else:
        event_id, about = f"evt_{WEBHOOK.replace('-', '')}", {}
    return {"id": event_id, "type": str(entry.name), **about, "at": AT, "data": entry.example}


def schema_of(entry: Entry) -> dict[str, Any]:
    """JSON Schema (2020-12) of one event as a webhook is sent it."""
    data = entry.data.model_json_schema()
    definitions = data.pop("$defs", {})
    properties: dict[str, Any] = {
        "id": {
            "type": "string",
            "description": "the same for each try and endpoint; on live streams a number instead",
        },
        "type": {"const": str(entry.name)},
        "at": {"type": "string", "format": "date-time", "description": Time.description},
    }
    if entry.of_call:
        properties |= {
            "session_id": {"type": "string", "format": "uuid", "description": "the call's session"},
            "cid": {"type": "string", "description": "type:id of the call"},
            "seq": {"type": "integer", "minimum": 1, "description": "counts within the call"},
        }
    found = {
        "$schema": DIALECT,
        "title": str(entry.name),
        "description": entry.about,
        "type": "object",
        "required": [name for name in properties if name != "id"] + ["data"],
        "properties": properties | {"data": data},
        "examples": [example_of(entry)],
    }
    return found | ({"$defs": definitions} if definitions else {})
