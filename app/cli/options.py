"""Options that are numbers, ids or one of some words, each read strictly."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from uuid import UUID

import typer

from app.core.nearest import nearest
from app.core.numerals import decimal_of, id_of, whole_of

Found = TypeVar("Found", int, float, UUID)


def whole(about: str = "", *, low: int | None = None, high: int | None = None, **more: Any) -> Any:
    """An option that is a whole number within these bounds."""
    return _option(whole_of, "INTEGER", "a whole number", low, high, help=about, **more)


def decimal(about: str = "", *, low: float | None = None, high: float | None = None) -> Any:
    """An option that is a number within these bounds."""
    return _option(decimal_of, "FLOAT", "a number", low, high, help=about)


def word(known: Iterable[str], about: str) -> Any:
    """An option that is one of these words; of another the nearest is named."""
    words = [str(one) for one in known]

    def parse(given: str) -> str:
        if given in words:
            return given
        near = nearest(given[:100], words)
        meant = f" Did you mean {near!r}?" if near else ""
        raise typer.BadParameter(f"{given!r} is none of {', '.join(words)}.{meant}")

    return typer.Option(parser=parse, metavar="|".join(words), help=about)


def row_id(about: str) -> Any:
    """An argument that is the UUID of a row."""
    return typer.Argument(parser=_reader(id_of, "a UUID"), metavar="UUID", help=about)


def _option(
    read: Callable[[str], Found | None],
    kind: str,
    what: str,
    low: float | None,
    high: float | None,
    **more: Any,
) -> Any:
    bounds = _bounds(low, high)
    parser = _reader(read, what + bounds, low, high)
    return typer.Option(parser=parser, metavar=kind + bounds, **more)


def _bounds(low: float | None, high: float | None) -> str:
    if high is None:
        return "" if low is None else f" from {low:,} on"
    return f" from {low:,} to {high:,}"


def _reader(
    read: Callable[[str], Found | None],
    what: str,
    low: float | None = None,
    high: float | None = None,
) -> Callable[[Any], Any]:
    def parse(given: Any) -> Any:
        found: Any = read(given) if isinstance(given, str) else given  # a default is none already
        if found is None:
            raise typer.BadParameter(f"{given!r} is not {what}.")
        if (low is not None and found < low) or (high is not None and found > high):
            raise typer.BadParameter(f"{given} is not {what}.")
        return found

    return parse
