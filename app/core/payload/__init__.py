"""Ring and stop payloads for every client library, and the APNs headers they travel with.

Pure: no clock, no I/O. A profile names the client library an app is built with; each has one
template (`profiles.py`), and `custom` is a template of the tenant's own (`custom.py`).

    facts = RingFacts(uuid=..., cid="default:abc", session_id=..., caller_id="alice",
                      receiver_id="bob", video=True, sent_at_ms=..., expires_at_ms=...,
                      state_url="https://.../v1/calls/...", caller_name="Alice",
                      user_ids=("alice", "carol"), custom={"room": 7})
    prepared = ring_payload("ringline", facts)          # once per ring
    another = for_members(prepared, facts)               # of a group: once, then for each member
    body = prepared.for_token(call_token)               # per device: bytes joined, no JSON made
    head = headers("voip", "com.example.app", apns_id=push_id)

    stop_payload(facts, 4)                              # background push to the `alert` token
    voip_stop_payload("rn_callkeep", facts, 4)          # only where the tenant turned it on

    template = check_template('{"id": "{{uuid}}", "token": "{{token}}"}')   # when it is saved
    ring_payload("custom", facts, template)
    problems("connectycube", body)                      # what the library would do with it

Sizes are bytes of UTF-8: 5,120 for a VoIP push, 4,096 for others; what is cut first is in
`fit.py`. Everything that cannot be done raises PayloadError.
"""

from app.core.frozen import replace
from app.core.payload.alerts import RINGING, alert_bodies, alert_payload, check_alert
from app.core.payload.android import (
    ANDROID_PROFILES,
    AndroidProfile,
    android_problems,
    android_ring,
    android_stop,
)
from app.core.payload.checks import Outcome, Problem, problems
from app.core.payload.custom import TemplateError, check_template, template_advice
from app.core.payload.facts import (
    CALLKIT_REASONS,
    DEFAULT_PROFILE,
    OTHER_LIMIT,
    PROFILES,
    TOKEN_ROOM,
    VOIP_LIMIT,
    PayloadError,
    Prepared,
    Profile,
    RingFacts,
)
from app.core.payload.fields import FIELDS, number_of
from app.core.payload.fit import ForMember, fitted, for_members, prepared
from app.core.payload.headers import Kind, headers, topic
from app.core.payload.profiles import (
    BACKGROUND_STOP,
    RING_TEMPLATES,
    VOIP_STOP_TEMPLATES,
    template_for,
)
from app.core.payload.sample import SAMPLE_TOKEN, sample_facts
from app.core.payload.template import Template
from app.core.payload.texts import AlertTexts
from app.core.payload.web import ENDS, WEB_LIMIT, web_activation, web_payload

__all__ = [
    "ANDROID_PROFILES",
    "CALLKIT_REASONS",
    "DEFAULT_PROFILE",
    "ENDS",
    "FIELDS",
    "OTHER_LIMIT",
    "PROFILES",
    "RINGING",
    "SAMPLE_TOKEN",
    "TOKEN_ROOM",
    "VOIP_LIMIT",
    "WEB_LIMIT",
    "AlertTexts",
    "AndroidProfile",
    "ForMember",
    "Kind",
    "Outcome",
    "PayloadError",
    "Prepared",
    "Problem",
    "Profile",
    "RingFacts",
    "Template",
    "TemplateError",
    "alert_bodies",
    "alert_payload",
    "android_problems",
    "android_ring",
    "android_stop",
    "check_alert",
    "check_template",
    "for_members",
    "headers",
    "number_of",
    "problems",
    "ring_payload",
    "sample_facts",
    "stop_payload",
    "template_advice",
    "topic",
    "voip_stop_payload",
    "web_activation",
    "web_payload",
]


def ring_payload(
    profile: str,
    facts: RingFacts,
    template: Template | None = None,
    *,
    token_room: int = TOKEN_ROOM,
) -> Prepared:
    """Serialise a ring once; `template` is the tenant's, for profile `custom` only.

    `token_room` is the greatest length that a call token of this ring may have. Raises
    PayloadError for an unknown profile or a payload that cannot be made to fit.
    """
    chosen = template_for(profile, template, templates=RING_TEMPLATES)
    return prepared(chosen, facts, VOIP_LIMIT, token_room)


def stop_payload(facts: RingFacts, callkit_reason: int) -> bytes:
    """The background push that stops a ringing screen: the second rung of the stop ladder.

    One shape for all profiles, since the app's own code reads it and no client library does.
    `facts.sent_at_ms` is the time of the stop.
    """
    parts, _ = fitted(BACKGROUND_STOP, _settled(facts, callkit_reason), OTHER_LIMIT, 0)
    return parts[0]


def voip_stop_payload(
    profile: str, facts: RingFacts, callkit_reason: int, template: Template | None = None
) -> bytes:
    """A VoIP push that says that its ring is over; the last rung, off unless a tenant wants it.

    It has the ring's own shape and uuid, so that the library still reports it and iOS has nothing
    to kill for: CallKit knows the uuid and shows no second call. What it says is in
    `ring.type == "stop"` and `ring.callkit_reason`. A custom template is used as it is; it must
    hold `{{callkit_reason?}}`, or the push would be a second ring: PayloadError.
    """
    chosen = template_for(profile, template, templates=VOIP_STOP_TEMPLATES)
    if not chosen.names & {"callkit_reason", "callkit_reason_string"}:
        raise PayloadError("the template has no {{callkit_reason?}}, so it cannot say stop")
    parts, _ = fitted(chosen, _settled(facts, callkit_reason), VOIP_LIMIT, 0)
    return b"".join(parts)


def _settled(facts: RingFacts, callkit_reason: int) -> RingFacts:
    if callkit_reason not in CALLKIT_REASONS:
        raise PayloadError(f"CXCallEndedReason is 1 to 5, not {callkit_reason}")
    return replace(facts, callkit_reason=callkit_reason)
