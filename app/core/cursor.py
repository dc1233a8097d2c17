"""Cursors of pages: a time and what tells rows of one time apart, as the page before gave them.

Each ends with a mark of the list that it is of, so that one of another list, user or tenant is
refused instead of being read as a place in this one.
"""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final
from uuid import UUID

from app.core.numerals import id_of

YEARS: Final = range(1970, 2970)
"""Beyond them a time may lie outside what a database or another time zone can hold."""
MARK: Final = 4
"""Bytes of a mark: it tells a mistake, and guards nothing."""


def cursor_of(at: datetime, rest: str, *of: object) -> str:
    """The cursor of a row; `of`: the name of its list, and whose it is."""
    return f"{at.isoformat()}~{rest}~{_mark(of)}"


def place_of(cursor: str, *of: object) -> tuple[datetime, str] | None:
    """The time (UTC) and the rest that a cursor names; None when it is none of this list's."""
    text, _, more = cursor.partition("~")
    rest, tilde, mark = more.rpartition("~")
    try:
        # a `+` that was not escaped in a query reads as a space
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return None
    if not tilde or not rest or at.tzinfo is None or at.year not in YEARS or mark != _mark(of):
        return None
    return at.astimezone(UTC), rest


def row_place_of(cursor: str, *of: object) -> tuple[datetime, UUID] | None:
    """The same of a list whose rows have UUIDs."""
    place = place_of(cursor, *of)
    row = None if place is None else id_of(place[1])
    return None if place is None or row is None else (place[0], row)


def _mark(of: tuple[object, ...]) -> str:
    return blake2b("\0".join(map(str, of)).encode(), digest_size=MARK).hexdigest()
