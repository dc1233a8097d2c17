"""Rows that this code cannot read: one by hand, half restored, or by a newer version's words.

Such a row is a fault that its operator mends, and must be found: it is told by its kind and key,
and refused with a code of its own. It fails alone: a page leaves it out, a sweep passes it over.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

import structlog

from app.infra.errors import AppError

log = structlog.get_logger(__name__)

FAULTS: Final = (ValueError, TypeError, LookupError, AttributeError)
"""What reading a value raises that is of another shape than any that was written; pydantic's is a
ValueError."""

TOLD_EVERY: Final = 60.0
"""Seconds between two log lines of one row: a list that is asked for again leaves it out again."""

MOST_TOLD: Final = 1_000

_told: Final[dict[tuple[str, str], float]] = {}

Found = TypeVar("Found")
Made = TypeVar("Made")


class Unreadable(AppError):
    """A row whose columns make no value; the log says which one."""

    status = 500


def unreadable(kind: str, key: object, error: Exception) -> Unreadable:
    """Tell of a row that `error` came of, once a minute; returns what to raise.

    No value of it is repeated.
    """
    if _is_news((kind, str(key))):
        log.error("row_unreadable", kind=kind, row=str(key), error=type(error).__name__)
    return Unreadable(
        "unreadable_row",
        f"what is stored of this {kind} cannot be read, by this version at least; the log of the "
        "server says which row",
    )


def _is_news(row: tuple[str, str]) -> bool:
    now = time.monotonic()
    if now < _told.get(row, 0.0):
        return False
    _told.pop(row, None)
    _told[row] = now + TOLD_EVERY
    if len(_told) > MOST_TOLD:
        del _told[next(iter(_told))]
    return True


def readable(
    rows: Iterable[Found],
    make: Callable[[Found], Made],
    kind: str,
    key: Callable[[Found], object],
    *,
    leave_out: bool = True,
) -> list[Made]:
    """What `make` makes of these rows, without those of which it makes nothing: each is told.

    Raises Unreadable of the first such row, where they are not to be left out.
    """
    made = []
    for row in rows:
        try:
            made.append(make(row))
        except Unreadable:
            if not leave_out:
                raise
        except FAULTS as error:
            fault = unreadable(kind, key(row), error)
            if not leave_out:
                raise fault from error
    return made


def texts(value: Any) -> list[str]:
    """A list of texts, as JSON held it. Raises TypeError where it is none."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError("no list of texts")
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """An object, as JSON held it. Raises TypeError where it is none."""
    if not isinstance(value, dict):
        raise TypeError("no object")
    return value
