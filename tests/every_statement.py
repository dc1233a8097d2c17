"""Every statement that the code keeps, found by looking: a new one is looked at as it is made."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

import app
import workers

ASIDE = re.compile(r"__main__|^app\.cli")


def statements() -> dict[str, TextClause]:
    """The texts that modules of `app` and `workers` keep, by a name; each once."""
    found = dict[str, TextClause]()
    known = set[str]()
    for package in (app, workers):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if ASIDE.search(module.name):
                continue
            for name, value in vars(importlib.import_module(module.name)).items():
                for n, one in enumerate(texts(value)):
                    if one.text not in known:
                        known.add(one.text)
                        found[f"{module.name}.{name}" + (f"[{n}]" if n else "")] = one
    return found


def texts(value: Any) -> Iterator[TextClause]:
    """The statements in a value: itself, or what it holds."""
    if isinstance(value, TextClause):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from texts(one)


def numbered(statement: TextClause) -> tuple[str, int]:
    """Its SQL with `$1` and so on, and how many there are."""
    sql = str(statement.compile(dialect=PGDialect_asyncpg()))
    return sql, max((int(one) for one in re.findall(r"\$(\d+)", sql)), default=0)
