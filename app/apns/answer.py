"""The headers of an answer: what Ringline wants to know of them."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

_LONGEST_RETRY_AFTER = 86_400.0


class Answer(NamedTuple):
    """Status, sandbox's apns-unique-id, and Retry-After in seconds from now."""

    code: int
    unique_id: str | None
    retry_after: float | None

    @classmethod
    def read(
        cls, block: list[tuple[bytes, bytes, bool]], wall_clock: Callable[[], float]
    ) -> "Answer | None":
        """None if there is no one valid `:status` (RFC 9113 section 8.3.2)."""
        code = 0
        unique_id = retry_after = None
        for name, value, _ in block:
            if name == b":status":
                if code or len(value) != 3 or not value.isdigit():
                    return None
                code = int(value)
            elif name == b"apns-unique-id":
                unique_id = value[:128].decode("ascii", "replace")
            elif name == b"retry-after":
                retry_after = seconds_until(value, wall_clock)
        return cls(code, unique_id, retry_after) if code >= 100 else None


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
