"""Cursors of pages: a time and what tells rows of one time apart, as the page before gave them."""

from datetime import UTC, datetime
from typing import Final

YEARS: Final = range(1970, 2970)
"""Beyond them a time may lie outside what a database or another time zone can hold."""


def cursor_of(at: datetime, rest: str) -> str:
    """The cursor of a row."""
    return f"{at.isoformat()}~{rest}"


def place_of(cursor: str) -> tuple[datetime, str] | None:
    """The time (UTC) and the rest that a cursor names; None when it is none of ours."""
    text, tilde, rest = cursor.partition("~")
    try:
        # a `+` that was not escaped in a query reads as a space
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return None
    if not tilde or not rest or at.tzinfo is None or at.year not in YEARS:
        return None
    return at.astimezone(UTC), rest
