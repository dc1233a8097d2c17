"""Rows as values: a frozen class that a statement's columns make."""

from collections.abc import Sequence
from typing import Any, ClassVar, Self, TypeVar

from sqlalchemy import Executable

from app.infra.db import Connection, Row
from app.infra.statements import answer
from app.infra.unreadable import FAULTS, readable


class RowValue:
    """A frozen class that a row makes: its fields are the statement's columns, in their order.

    `KIND`: what people call such a row, where one may be of words that this version does not know.
    """

    __slots__ = ()
    __match_args__: ClassVar[tuple[str, ...]]
    KIND: ClassVar[str] = "row"

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """A value of this row; words become enums where a class says so."""
        return cls(*row)


Typed = TypeVar("Typed", bound=RowValue)


async def read(
    session: Connection,
    statement: Executable,
    kind: type[Typed],
    values: Row | None = None,
    *,
    leave_out: bool = False,
) -> list[Typed]:
    """Every row of an answer as a value: no dearer than the dictionaries of `many`.

    `leave_out`: those that cannot be read, for whom one of many is; else Unreadable is raised.
    """
    names, rows = await answer(session, statement, values)
    if names != kind.__match_args__:
        raise TypeError(f"{kind.__name__} is not what these columns are: {list(names)}")
    if kind.from_row.__func__ is RowValue.from_row.__func__:  # type: ignore[attr-defined]
        return [kind(*row) for row in rows]
    try:
        return [kind.from_row(row) for row in rows]
    except FAULTS:
        place = names.index("id") if "id" in names else 0
        return readable(rows, kind.from_row, kind.KIND, lambda row: row[place], leave_out=leave_out)
