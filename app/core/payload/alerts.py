"""Notifications that the phone's system shows by itself: what they say is the tenant's.

Texts with holes, or the names of texts that the app brings in the phone's own language, with what
goes into them. Sources: "Generating a remote notification" (Apple's `loc-key`), "Method:
projects.messages.send" (Google's `body_loc_key`).
"""

import re
from functools import lru_cache
from typing import Any, Final, Literal

from app.core.frozen import replace
from app.core.payload.custom import LARGEST, TemplateError
from app.core.payload.facts import OTHER_LIMIT, TOKEN_ROOM, PayloadError, Prepared, RingFacts
from app.core.payload.fields import FIELDS
from app.core.payload.fit import prepared
from app.core.payload.template import Template, compile_template
from app.core.payload.texts import ENGLISH, AlertTexts
from app.core.payload.web import web_activation, web_payload

AlertService = Literal["apns", "fcm"]
_ALL: Final = ("apns", "fcm", "webpush")
_TOLD: Final = {
    "notify": _ALL,
    "missed": _ALL,
    "ring": ("apns", "webpush"),
    "answered_elsewhere": ("apns", "webpush"),
    "declined_elsewhere": ("apns", "webpush"),
    "ended": ("webpush",),
    "failed": ("webpush",),
    "activation": ("webpush",),
}
"""Who is told of an event by a notification of its words."""
_TEXTS: Final = [
    name for name, field in FIELDS.items() if field.type == "string" and not field.absent
]
_HOLE: Final = re.compile(r"\{\{\s*([a-z_]+\??)\s*\}\}")
RINGING: Final = {
    "ring": replace(ENGLISH["ring"], sound="default"),
    "answered_elsewhere": ENGLISH["answered_elsewhere"],
    "declined_elsewhere": ENGLISH["declined_elsewhere"],
    "missed": ENGLISH["missed"],
}
"""What an iPhone says that notifications ring, if the tenant has no words of its own."""


def alert_payload(
    service: AlertService, event: str, texts: AlertTexts | None, facts: RingFacts
) -> Prepared:
    """The payload for an `alert` token, or Google's `data` and `notification` in one object.

    Raises PayloadError, also for what the tenant says nothing of any more.
    """
    if texts is None:
        raise PayloadError("the tenant has taken back what it is to say")
    return prepared(_compiled(service, event, texts), facts, OTHER_LIMIT, TOKEN_ROOM)


def alert_bodies(event: str, texts: AlertTexts, facts: RingFacts, token: str) -> dict[str, bytes]:
    """What each service is given of an event, by its name: `apns`, `fcm`, `webpush`.

    Raises PayloadError.
    """
    return {one: _body(one, event, texts, facts, token) for one in _TOLD[event]}


def _body(service: str, event: str, texts: AlertTexts, facts: RingFacts, token: str) -> bytes:
    if event == "activation":
        server = facts.state_url.partition("/v1/")[0]
        return web_activation(token, f"{server}/v1/devices/activate", texts)
    if service == "webpush":
        return web_payload(event, texts, facts).for_token(token)
    known: AlertService = "apns" if service == "apns" else "fcm"
    return alert_payload(known, event, texts, facts).for_token(token)


def check_alert(event: str, texts: AlertTexts) -> None:
    """Check what a notification says, as it is saved. Raises TemplateError.

    Something must be shown; holes are those of payload templates whose values are text and always
    there; and with the largest ids it fits 4,096 bytes.
    """
    if reasons := _faults(event, texts):
        raise TemplateError(reasons)
    try:
        alert_bodies(event, texts, LARGEST, "t" * TOKEN_ROOM)
    except PayloadError as error:
        raise TemplateError([str(error)]) from error


def _faults(event: str, texts: AlertTexts) -> list[str]:
    found = []
    if _TOLD[event] == ("webpush",) and not (texts.title or texts.body):
        found.append("a browser may bring no texts of its own: give a title or a body")
    if not (texts.title or texts.body or texts.title_key or texts.body_key):
        found.append("it shows nothing: give a title, a body, or a key of one")
    for what, key, args in (
        ("title", texts.title_key, texts.title_args),
        ("body", texts.body_key, texts.body_args),
    ):
        if args and not key:
            found.append(f"{what}_args: without {what}_key they go nowhere")
    said = (texts.title, texts.body, *texts.title_args, *texts.body_args)
    holes = [name for text in said for name in _HOLE.findall(text or "")]
    if event == "activation" and holes:
        found.append("no call has begun yet: there is nothing to fill a placeholder with")
    return found + [
        f"{{{{{name}}}}} is no text that is always there: {', '.join(_TEXTS)}"
        for name in holes
        if name not in _TEXTS
    ]


@lru_cache(maxsize=1_024)
def _compiled(service: AlertService, event: str, texts: AlertTexts) -> Template:
    return compile_template(_apple(event, texts) if service == "apns" else _google(event, texts))


def _said(**members: Any) -> dict[str, Any]:
    return {name.replace("__", "-"): value for name, value in members.items() if value}


def _apple(event: str, texts: AlertTexts) -> dict[str, Any]:
    alert = _said(
        title=texts.title,
        body=texts.body,
        title__loc__key=texts.title_key,
        title__loc__args=list(texts.title_args),
        loc__key=texts.body_key,
        loc__args=list(texts.body_args),
    )
    aps = {"alert": alert} | _said(sound=texts.sound, category=texts.category)
    if texts.badge:
        aps["badge"] = "{{badge?}}"
    ring = {
        "v": 2,
        "type": event,
        "uuid": "{{uuid}}",
        "cid": "{{cid}}",
        "session_id": "{{session_id}}",
        "title": "{{display_name?}}",
        "caller": {"id": "{{caller_id}}", "name": "{{caller_name?}}"},
        "video": "{{video}}",
        "sent_at": "{{sent_at}}",
        "expires_at": "{{expires_at}}",
        "state_url": "{{state_url}}",
    }
    if event == "ring":
        aps["interruption-level"] = "time-sensitive"
        ring["token"] = "{{token}}"  # noqa: S105 - a placeholder
        ring["traceparent"] = "{{traceparent?}}"
    return {"aps": aps, "ring": ring}


def _google(event: str, texts: AlertTexts) -> dict[str, Any]:
    data = {
        "ring_v": "2",
        "ring_type": event,
        "ring_uuid": "{{uuid}}",
        "ring_cid": "{{cid}}",
        "ring_session_id": "{{session_id}}",
        "ring_title": "{{display_name?}}",
        "ring_caller_id": "{{caller_id}}",
        "ring_caller_name": "{{caller_name?}}",
        "ring_video": "{{video_string}}",
        "ring_sent_at": "{{sent_at_string}}",
        "ring_expires_at": "{{expires_at_string}}",
        "ring_state_url": "{{state_url}}",
    }
    shown = {"tag": "{{uuid}}"} | _said(
        title=texts.title,
        body=texts.body,
        title_loc_key=texts.title_key,
        title_loc_args=list(texts.title_args),
        body_loc_key=texts.body_key,
        body_loc_args=list(texts.body_args),
        sound=texts.sound,
        channel_id=texts.channel,
    )
    if texts.badge:
        shown["notification_count"] = "{{badge?}}"
    return {"data": data, "notification": shown}
