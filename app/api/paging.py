"""Pages of lists: the cursor that a client gives back, read in one way for all of them."""

from datetime import datetime
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Query

from app.core.cursor import place_of, row_place_of
from app.infra.errors import Invalid
from app.infra.fields import Text

Found = TypeVar("Found")
Cursor = Annotated[
    Text | None, Query(max_length=200, description="`next_cursor` of the page before")
]


def place(cursor: str | None, *of: object) -> tuple[datetime, str] | None:
    """Where a page begins; None at the newest. `of` as in `cursor_of`. Raises Invalid (422)."""
    return None if cursor is None else _valid(place_of(cursor, *of))


def row_place(cursor: str | None, *of: object) -> tuple[datetime, UUID] | None:
    """The same of rows that have a UUID."""
    return None if cursor is None else _valid(row_place_of(cursor, *of))


def _valid(found: Found | None) -> Found:
    if found is None:
        raise Invalid(
            "invalid_cursor",
            "cursor: give `next_cursor` of the page before, of this list and as it was answered",
        )
    return found
