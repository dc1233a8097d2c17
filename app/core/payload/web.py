"""What a push says to a browser: a notification as it is to be shown, and our facts in its `data`.

In the declarative form ("Declarative Web Push", the Push API's draft; WebKit): a browser that knows
it shows a call although no service worker runs; in all others the app's worker reads the same JSON.
It holds for UnifiedPush as well, where the app reads `data` alone. `mutable`: a worker that is
there may show something better. Words are the tenant's, else English ones of ours.
"""

import json
from functools import lru_cache
from typing import Any, Final

from app.core.frozen import replace
from app.core.payload.facts import TOKEN_ROOM, PayloadError, Prepared, RingFacts
from app.core.payload.fit import prepared
from app.core.payload.profiles import RING, STOP
from app.core.payload.template import Template, compile_template
from app.core.payload.texts import ENGLISH, AlertTexts

WEB_LIMIT: Final = 3_993
"""Bytes of what is sealed: 4,096 of a body without what RFC 8188 puts around it."""

# A relative address: it is read against the service worker's scope, so it is the app's own.
_NAVIGATE: Final = "/?ring_session_id={{session_id}}"

ENDS: Final = {
    1: "failed",
    2: "ended",
    3: "missed",
    4: "answered_elsewhere",
    5: "declined_elsewhere",
}
"""What has happened to a ring that is over, by CallKit's reason."""
_REASONS: Final = {event: reason for reason, event in ENDS.items()}
_WITHOUT_TOKEN: Final = {name: value for name, value in RING.items() if name != "token"}


def web_payload(event: str, texts: AlertTexts | None, facts: RingFacts) -> Prepared:
    """A notification of an event of a ring, serialised once; a ring's carries the call token.

    What has a key and no words says ours; a worker that brings texts of that name, in its
    browser's language, finds it in `data.texts`. Raises PayloadError.
    """
    if event in _REASONS:
        facts = replace(facts, callkit_reason=_REASONS[event])
    template = _compiled(event, texts, facts.video)
    return prepared(template, facts, WEB_LIMIT, TOKEN_ROOM)


def web_activation(token: str, url: str, texts: AlertTexts | None = None) -> bytes:
    """What brings an activation token to the app's worker, which posts it to `url`."""
    shown = {"navigate": "/", "tag": "ringline-activation", "silent": True}
    data = {"activation": {"token": token, "url": url}}
    return json.dumps(
        _notification("activation", texts, shown, data), separators=(",", ":"), ensure_ascii=False
    ).encode()


@lru_cache(maxsize=1_024)
def _compiled(event: str, texts: AlertTexts | None, video: bool) -> Template:
    data: dict[str, Any] = {"call_cid": "{{cid}}"}
    shown: dict[str, Any] = {"navigate": _NAVIGATE, "tag": "{{uuid}}"}
    said = event
    if event == "ring":
        said = "video_ring" if video else event
        data |= {"user_ids": "{{user_ids}}", "ring": RING}
        shown |= {"require_interaction": True, "renotify": True}
    else:
        if event in _REASONS:
            # A browser must show something for each push: this takes the place of its ring.
            data["ring"] = STOP
        else:
            data |= {"user_ids": "{{user_ids}}", "ring": _WITHOUT_TOKEN | {"type": event}}
        shown["silent"] = texts is None or texts.sound is None
    if said not in ENGLISH:
        raise PayloadError(f"a browser is told of no {event}")
    return compile_template(_notification(said, texts, shown, data))


def _notification(
    event: str, texts: AlertTexts | None, shown: dict[str, Any], data: dict[str, Any]
) -> dict[str, Any]:
    ours, said = ENGLISH[event], texts or AlertTexts()
    says = said.title or said.body
    title = said.title or ours.title
    body = said.body or (ours.body if said.body_key or not says else "")
    words = {"title": title, "body": body}
    keys = {
        "title_key": said.title_key,
        "title_args": list(said.title_args),
        "body_key": said.body_key,
        "body_args": list(said.body_args),
    }
    if named := {name: value for name, value in keys.items() if value}:
        data = data | {"texts": named}
    return {"web_push": 8030, "notification": words | shown | {"data": data}, "mutable": True}
