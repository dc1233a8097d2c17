"""The headers of an answer: what Ringline wants to know of them, if they are well-formed."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

_LONGEST_RETRY_AFTER = 86_400.0
_FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_APPLES = frozenset((b"apns-id", b"apns-unique-id", b"date", b"retry-after"))
_CONNECTION_HEADERS = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)

Block = list[tuple[bytes, bytes, bool]]
"""A decoded header block: names, values, and whether they may be indexed."""


class Answer(NamedTuple):
    """Status, sandbox's apns-unique-id, and Retry-After in seconds from now."""

    code: int
    unique_id: str | None
    retry_after: float | None

    @classmethod
    def read(cls, block: Block, wall_clock: Callable[[], float]) -> "Answer | None":
        """None if it is malformed: not one valid `:status` before all else (RFC 9113 section
        8.3.2), or a field that no message may have.
        """
        code = 0
        unique_id = retry_after = None
        if not block or block[0][0] != b":status" or not well_formed(block[1:]):
            return None
        for name, value, _ in block:
            if name == b":status":
                if len(value) != 3 or not value.isdigit():
                    return None
                code = int(value)
            elif name == b"apns-unique-id":
                unique_id = value[:128].decode("ascii", "replace")
            elif name == b"retry-after":
                retry_after = seconds_until(value, wall_clock)
        return cls(code, unique_id, retry_after) if code >= 100 else None


def well_formed(fields: Block) -> bool:
    """Whether these are fields of a message: no pseudo-header, no upper case, nothing of HTTP/1.1,
    no NUL, CR or LF (RFC 9113 sections 8.1, 8.2.1, 8.2.2).
    """
    for name, value, _ in fields:
        if b"\0" in value or b"\n" in value or b"\r" in value:
            return False
        if name not in _APPLES and (
            _FIELD_NAME.fullmatch(name) is None or name in _CONNECTION_HEADERS
        ):
            return False
    return True


def seconds_until(value: bytes, wall_clock: Callable[[], float]) -> float | None:
    """Retry-After as seconds from now: a number or an HTTP date (RFC 9110 section 10.2.3)."""
    text = value.decode("ascii", "replace").strip()
    if text.isdigit() and text.isascii():
        return min(float(text[:9]), _LONGEST_RETRY_AFTER)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):  # it was written for mail
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    now = datetime.fromtimestamp(wall_clock(), UTC)
    return min(max((at - now).total_seconds(), 0.0), _LONGEST_RETRY_AFTER)
