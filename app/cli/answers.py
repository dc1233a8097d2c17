"""How commands answer: to people in columns, to machines (`--json`) in one JSON document.

An answer goes to stdout, and nothing else does; what is said meanwhile, and what went wrong, goes
to stderr. Columns are as wide as what stands in them: an id that is cut cannot be used. What others
have sent reaches no terminal raw: what one would obey is shown.
"""

import functools
import inspect
import io
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import orjson
import typer

from app.core.text import escaped, escaped_json

Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for machines.")]


class _Style:
    json = False


_style = _Style()


def wants_json() -> bool:
    """Whether the command that runs was asked for JSON."""
    return _style.json


def for_machines() -> None:
    """From now on answer, and say what is wrong, in JSON."""
    _style.json = True
    fit_terminal("utf-8")  # RFC 8259, 8.1: whatever the terminal reads


def fit_terminal(encoding: str | None = None) -> None:
    """Have any name written on any terminal: what its encoding lacks is escaped, not a failure."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding=encoding, errors="backslashreplace")


def command(group: typer.Typer, name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command of a group, which can also answer in JSON."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        signature = inspect.signature(function)
        asked = inspect.Parameter(
            "as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json
        )

        @functools.wraps(function)
        def run(*args: Any, as_json: bool = False, **kwargs: Any) -> Any:
            if as_json:
                for_machines()
            return function(*args, **kwargs)

        shown = signature.replace(parameters=[*signature.parameters.values(), asked])
        run.__signature__ = shown  # type: ignore[attr-defined]
        run.__annotations__ = {**function.__annotations__, "as_json": Json}
        group.command(name)(run)
        return function

    return add


def answer(data: Any, human: str | Callable[[], None]) -> None:
    """Answer with `data` as JSON, or with a text, or by what a function prints."""
    if wants_json():
        sys.stdout.write(in_json(data) + "\n")
    elif isinstance(human, str):
        sys.stdout.write(escaped(human.rstrip("\n")) + "\n")
    else:
        human()


def in_json(data: Any) -> str:
    """JSON, indented."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    return escaped_json(orjson.dumps(data, default=str, option=options).decode())


def step(sentence: str) -> None:
    """Say, on stderr, what is being done; nothing when a machine asks."""
    if not wants_json():
        sys.stderr.write(escaped(sentence) + "\n")
        sys.stderr.flush()


def columns(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table of which nothing is cut: two spaces between columns."""
    lines = [list(names), *([escaped(str(cell), line=True) for cell in row] for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def fields(values: dict[str, Any]) -> str:
    """Names and values, a line each; what is empty is left out."""
    shown = {name: value for name, value in values.items() if value not in (None, [], {})}
    width = max(map(len, shown), default=0)
    return "\n".join(
        f"{name:<{width}}  {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in shown.items()
    )
