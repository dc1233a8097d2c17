"""What a push says to a browser: a notification as it is to be shown, and our facts in its `data`.

In the declarative form ("Declarative Web Push", the Push API's draft; WebKit): a browser that knows
it shows a call although no service worker runs; in all others the app's worker reads the same JSON.
It holds for UnifiedPush as well, where the app reads `data` alone. `mutable`: a worker that is
there may show something better.
"""

import json
from typing import Any, Final

from app.core.frozen import replace
from app.core.payload.facts import CALLKIT_REASONS, TOKEN_ROOM, PayloadError, Prepared, RingFacts
from app.core.payload.fit import fitted
from app.core.payload.profiles import RING, STOP
from app.core.payload.template import Template, compile_template

WEB_LIMIT: Final = 3_993
"""Bytes of what is sealed: 4,096 of a body without what RFC 8188 puts around it."""

# A relative address: it is read against the service worker's scope, so it is the app's own.
_NAVIGATE: Final = "/?ring_session_id={{session_id}}"


def _shown(title: str, body: str, data: dict[str, Any], **more: Any) -> Template:
    notification = {
        "title": title,
        "body": body,
        "navigate": _NAVIGATE,
        "tag": "{{uuid}}",
        "data": data,
        **more,
    }
    return compile_template({"web_push": 8030, "notification": notification, "mutable": True})


def _ring(body: str) -> Template:
    data = {"call_cid": "{{cid}}", "user_ids": "{{user_ids}}", "ring": RING}
    return _shown("{{call_label}}", body, data, require_interaction=True, renotify=True)


_RINGS: Final = {False: _ring("Incoming call"), True: _ring("Incoming video call")}
_ENDS: Final = dict(
    zip(
        CALLKIT_REASONS,
        (
            "Call failed",
            "Call ended",
            "Missed call",
            "Answered on another device",
            "Declined on another device",
        ),
        strict=True,
    )
)
_STOPS: Final = {
    reason: _shown(words, "{{call_label}}", {"call_cid": "{{cid}}", "ring": STOP}, silent=True)
    for reason, words in _ENDS.items()
}


def web_activation(token: str, url: str) -> bytes:
    """What brings an activation token to the app's worker, which posts it to `url`."""
    notification = {
        "title": "Calls ring here",
        "body": "This browser is ready for calls",
        "navigate": "/",
        "tag": "ringline-activation",
        "silent": True,
        "data": {"activation": {"token": token, "url": url}},
    }
    whole = {"web_push": 8030, "notification": notification, "mutable": True}
    return json.dumps(whole, separators=(",", ":")).encode()


def web_ring(facts: RingFacts, *, token_room: int = TOKEN_ROOM) -> Prepared:
    """A ring, serialised once. Raises PayloadError."""
    parts, trimmed = fitted(_RINGS[facts.video], facts, WEB_LIMIT, token_room)
    return Prepared(parts, token_room, trimmed)


def web_stop(facts: RingFacts, callkit_reason: int) -> bytes:
    """What takes the place of a ring's notification: a browser must show something for each push.

    The same `tag`, and silent.
    """
    if callkit_reason not in CALLKIT_REASONS:
        raise PayloadError(f"CXCallEndedReason is 1 to 5, not {callkit_reason}")
    said = replace(facts, callkit_reason=callkit_reason)
    parts, _ = fitted(_STOPS[callkit_reason], said, WEB_LIMIT, 0)
    return parts[0]
