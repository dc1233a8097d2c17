"""The head of an answer: its status, and whether its fields are well-formed."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from app.core.retry_after import seconds_asked

_ZERO = ord("0")
_FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_KNOWN = frozenset((b"apns-id", b"apns-unique-id", b"content-type", b"date", b"retry-after"))
_CONNECTION_HEADERS = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)

Block = list[tuple[bytes, bytes, bool]]
"""A decoded header block: names, values, and whether they may be indexed."""


class Head(NamedTuple):
    """An answer's status and its other fields, none of a malformed one: what is known stands."""

    code: int
    fields: Block
    malformed: bool = False

    @classmethod
    def read(cls, block: Block) -> "Head | None":
        """None without one valid `:status` before all else (RFC 9113 section 8.3.2)."""
        if not block or block[0][0] != b":status":
            return None
        status = block[0][1]
        if len(status) != 3 or not status.isdigit() or status[0] == _ZERO:
            return None
        fields = block[1:]
        if not well_formed(fields):
            again = any(name == b":status" for name, _, _ in fields)
            return None if again else cls(int(status), [], malformed=True)
        return cls(int(status), fields)


def is_plain_ok(block: Block) -> bool:
    """Whether this is the head of a 200 with one field of those that are known, and well-formed.

    So are most: they need not be read by `Head.read`.
    """
    if len(block) != 2 or block[0][1] != b"200" or block[0][0] != b":status":
        return False
    name, value, _ = block[1]
    return name in _KNOWN and not (b"\0" in value or b"\n" in value or b"\r" in value)


def well_formed(fields: Block) -> bool:
    """Whether these are fields of a message: no pseudo-header, no upper case, nothing of HTTP/1.1,
    no NUL, CR or LF (RFC 9113 sections 8.1, 8.2.1, 8.2.2).
    """
    # an answer of a push that was taken has one
    values = b"".join([value for _, value, _ in fields]) if len(fields) != 1 else fields[0][1]
    if b"\0" in values or b"\n" in values or b"\r" in values:
        return False
    for name, _, _ in fields:
        if name not in _KNOWN and (
            _FIELD_NAME.fullmatch(name) is None or name in _CONNECTION_HEADERS
        ):
            return False
    return True


def retry_after(fields: Block, wall_clock: Callable[[], float]) -> float | None:
    """What an answer's Retry-After says, as `seconds_until` reads it; None without one."""
    said = [value for name, value, _ in fields if name == b"retry-after"]
    return seconds_until(said[-1], wall_clock) if said else None


def seconds_until(value: bytes, wall_clock: Callable[[], float]) -> float | None:
    """What a Retry-After asks, as seconds from now."""
    now = datetime.fromtimestamp(wall_clock(), UTC)
    return seconds_asked(value.decode("ascii", "replace"), now)
