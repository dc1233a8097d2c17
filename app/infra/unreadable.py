"""Rows that this code cannot read: one by hand, half restored, or by a newer version's words.

Such a row is a fault that its operator mends, and must be found: it is told by its kind and key,
and refused with a code of its own. It fails alone: a page leaves it out, a sweep passes it over.
"""

from typing import Final

import structlog

from app.infra.errors import AppError

log = structlog.get_logger(__name__)

FAULTS: Final = (ValueError, TypeError, LookupError, AttributeError)
"""What reading a value raises that is of another shape than any that was written; pydantic's is a
ValueError."""


class Unreadable(AppError):
    """A row whose columns make no value; the log says which one."""

    status = 500


def unreadable(kind: str, key: object, error: Exception) -> Unreadable:
    """Tell of a row that `error` came of; returns what to raise. No value of it is repeated."""
    log.error("row_unreadable", kind=kind, row=str(key), error=type(error).__name__)
    return Unreadable(
        "unreadable_row",
        f"what is stored of this {kind} cannot be read, by this version at least; the log of the "
        "server says which row",
    )
