"""A payload as the phone would get it, for a ring that is made up: its text, size and faults."""

import json
from dataclasses import dataclass, replace
from typing import Any

from app.core.payload import (
    OTHER_LIMIT,
    SAMPLE_TOKEN,
    VOIP_LIMIT,
    WEB_LIMIT,
    PayloadError,
    Problem,
    RingFacts,
    TemplateError,
    alert_bodies,
    android_problems,
    android_ring,
    check_alert,
    check_template,
    problems,
    ring_payload,
    template_advice,
)
from app.core.person import Handle, HandleKind
from app.infra.errors import Invalid
from app.tenants.notifications import NotificationIn

ANDROID = "android:"
"""What stands before a profile's name when it is an Android app's."""
SERVICES = {"apns": "Apple", "fcm": "Google", "webpush": "Browsers"}
CALL = "01938a4e-7c1f-7d3a-9c52-6b1f0e8d2a44"
RING = "01938a4e-7c20-7f11-8a3e-2d4c6f8091b2"


@dataclass(frozen=True, slots=True)
class Preview:
    """`text` is indented for people; `size` is of what would be sent. Or `faults` of a template.

    `advice`: what the template may leave out, but the app will miss.
    """

    text: str = ""
    size: int = 0
    limit: int = VOIP_LIMIT
    problems: tuple[Problem, ...] = ()
    faults: tuple[str, ...] = ()
    advice: tuple[str, ...] = ()


def preview(profile: str, template: str, public_url: str) -> Preview:
    """What a profile makes of a ring; `template` is used by `custom` only."""
    facts = _facts(public_url)
    if profile.startswith(ANDROID):
        return _android(profile.removeprefix(ANDROID), facts)
    try:
        chosen = check_template(template) if profile == "custom" else None
        body = ring_payload(profile, facts, chosen).for_token(SAMPLE_TOKEN)
    except TemplateError as error:
        return Preview(faults=error.reasons)
    except PayloadError as error:
        return Preview(faults=(str(error),))
    parsed: Any = json.loads(body)
    shown = json.dumps(parsed, indent=2, ensure_ascii=False)
    advice = template_advice(chosen) if chosen is not None else ()
    found = tuple(problems(profile, body))
    return Preview(shown, len(body), problems=found, advice=tuple(advice))


def _facts(public_url: str) -> RingFacts:
    return RingFacts(
        uuid=RING,
        cid="default:morning-round",
        session_id=CALL,
        caller_id="alice",
        caller_name="Alice Adams",
        caller_avatar="https://example.com/alice.png",
        caller_handle=Handle(HandleKind.PHONE, "+49 30 1234567"),
        display_name="Morning round",
        receiver_id="bob",
        user_ids=("alice", "carol"),
        video=True,
        sent_at_ms=1_790_000_000_000,
        expires_at_ms=1_790_000_045_000,
        state_url=f"{public_url}/v1/calls/{CALL}",
    )


def _android(profile: str, facts: RingFacts) -> Preview:
    try:
        body = android_ring(profile, facts).for_token(SAMPLE_TOKEN)
    except PayloadError as error:
        return Preview(faults=(str(error),))
    text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return Preview(text, len(body), OTHER_LIMIT, tuple(android_problems(profile, body)))


@dataclass(frozen=True, slots=True)
class NotificationPreview:
    """A notification as `title`'s phones are given it: indented for people, its size as sent."""

    title: str
    text: str
    size: int
    limit: int


def preview_notification(event: str, texts: str, public_url: str) -> list[NotificationPreview]:
    """What is made of the JSON that was typed. Raises ValidationError, or Invalid."""
    said = NotificationIn.model_validate_json(texts)
    facts = replace(_facts(public_url), badge=2 if event == "missed" else None)
    bodies = {}
    try:
        for language, words in {"": said.texts, **said.translated}.items():
            check_alert(event, words)
            for one, body in alert_bodies(event, words, facts, SAMPLE_TOKEN).items():
                bodies[one, language] = body
    except PayloadError as error:
        raise Invalid("invalid_template", str(error)) from error
    return [
        NotificationPreview(
            f"{SERVICES[one]}, {language}" if language else SERVICES[one],
            json.dumps(json.loads(body), indent=2, ensure_ascii=False),
            len(body),
            WEB_LIMIT if one == "webpush" else OTHER_LIMIT,
        )
        for (one, language), body in bodies.items()
    ]
