"""What the page may see of a push: all of it but what would let somebody act as the phone."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

_OURS: Final = re.compile(r"rl_(ct|mt|sk)_[A-Za-z0-9_\-]+")
_JWT: Final = re.compile(r"\beyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]*")
_DEVICE: Final = re.compile(r"[0-9A-Fa-f]{64,}")
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie"})
SHOWN_DIGITS: Final = 4


def masked(text: str) -> str:
    """Text in which each token of ours, JWT or device token is a note of its kind and length."""
    text = _OURS.sub(lambda m: f"rl_{m[1]}_… ({len(m[0])} characters, not shown)", text)
    text = _JWT.sub("(a signed token, not shown)", text)
    return _DEVICE.sub(lambda m: "…" + m[0][-SHOWN_DIGITS:], text)


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers of a push to Apple; the device token is in `:path`."""
    return {
        name: "(not shown)" if name in _SECRET_HEADERS else masked(value)
        for name, value in headers.items()
    }


def masked_payload(payload: bytes) -> Any:
    """A payload as JSON; as text when it is not JSON."""
    text = masked(payload.decode("utf-8", "replace"))
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
