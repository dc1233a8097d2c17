"""What an answer of Apple's, or the lack of one, means (placeholder until the table is in)."""

from enum import StrEnum


class NoAnswer(StrEnum):
    """Why a push ended without an answer of Apple's."""

    OUT_OF_TIME = "out_of_time"  # its deadline passed first
    NEVER_SENT = "never_sent"  # the server took no notice of it: sending it again is safe
    LOST = "lost"  # sent, then the stream or connection went without an answer


class ConnectionAction(StrEnum):
    """What becomes of the connection that brought an answer."""

    KEEP = "keep"
    SPARE = "spare"
    REPLACE = "replace"


def connection_after(code: int, reason: str | None) -> ConnectionAction:
    """The connection's column of the table."""
    if code >= 500:
        return ConnectionAction.SPARE
    return ConnectionAction.KEEP
