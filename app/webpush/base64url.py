"""Base64url without padding, as Web Push has it (RFC 7515, 2)."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

_URL_SAFE: Final = re.compile(r"[A-Za-z0-9_\-]*={0,2}")


def encoded(data: bytes) -> str:
    """Bytes as text."""
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """Text as bytes, with padding or without. Raises ValueError."""
    if _URL_SAFE.fullmatch(text) is None:
        raise ValueError("this is not base64url")
    bare = text.rstrip("=")
    data = urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    if encoded(data) != bare:
        raise ValueError("this is not base64url as it is written")
    return data
