"""Pages of lists: the cursor that a client gives back, read in one way for all of them."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import Query

from app.core.cursor import place_of
from app.infra.errors import Invalid
from app.infra.fields import Text

Cursor = Annotated[
    Text | None, Query(max_length=200, description="`next_cursor` of the page before")
]


def place(cursor: str | None, *of: object) -> tuple[datetime, str] | None:
    """Where a page begins; None at the newest. `of` as in `cursor_of`. Raises Invalid (422)."""
    if cursor is None:
        return None
    found = place_of(cursor, *of)
    if found is None:
        raise _invalid()
    return found


def row_place(cursor: str | None, *of: object) -> tuple[datetime, UUID] | None:
    """The same of rows that have a UUID."""
    found = place(cursor, *of)
    try:
        return None if found is None else (found[0], UUID(found[1]))
    except ValueError:
        raise _invalid() from None


def _invalid() -> Invalid:
    return Invalid(
        "invalid_cursor",
        "cursor: give `next_cursor` of the page before, of this list and as it was answered",
    )
