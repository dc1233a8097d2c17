"""No door lets U+0000 in: a new field of a body or of a route without our types is found here."""

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic import TypeAdapter, ValidationError

import app
from app.infra.fields import Request
from app.infra.settings import Settings
from app.main import create_app

ROOT = Path(__file__).resolve().parents[2]
ODD: tuple[Any, ...] = ("a\x00b", ["a\x00b"], {"a\x00b": "a\x00b"}, {"a": {"b": "\x00"}})
READ_BY_OUR_OWN = {
    "reference": "call_reference: a type and an id, or a UUID",
    "idempotency_key": "ringing: plain characters only",
    "last_event_id": "a number, else `reset`",
    "act": "one of four words, else 404",
    "name": "a file of ours, else 404",
    "version": "not looked at",
    "path": "not looked at",
    "span": "one of three words, else the first",
    "next": "a path of ours, else the first page",
}
"""Names of parameters that are never kept, and what they are compared with."""


def bodies() -> Iterator[type[Request]]:
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if ".cli" not in module.name:
            import_module(module.name)
    import_module("devkit.lab.schemas")
    waiting = [Request]
    while waiting:
        for one in waiting.pop().__subclasses__():
            waiting.append(one)
            yield one


def lets_through(annotation: Any, metadata: list[Any]) -> bool:
    adapter = TypeAdapter(Annotated[(annotation, *metadata)] if metadata else annotation)
    for odd in ODD:
        try:
            found = adapter.validate_python(odd)
        except ValidationError:
            continue
        if not hasattr(found, "get_secret_value") and "\\x00" in repr(found):
            return True
    return False


def test_the_check_can_fail() -> None:
    assert lets_through(str, [])
    assert lets_through(dict[str, Any] | None, [])


def test_no_field_of_a_body() -> None:
    open_doors = [
        f"{model.__name__}.{name}"
        for model in set(bodies())
        for name, field in model.model_fields.items()
        # checks of the whole model close these: see TenantSettings._templates
        if f"{model.__name__}.{name}" != "TenantSettings.templates"
        and lets_through(field.annotation, field.metadata)
    ]
    assert open_doors == []


@pytest.fixture
def routes() -> list[APIRoute]:
    made = create_app(Settings(secret_key="x" * 40, environment="development"))  # type: ignore[arg-type]
    found = [context.original_route for context in iter_route_contexts(made.routes)]
    return [route for route in found if isinstance(route, APIRoute)]


def test_no_parameter_of_a_route(routes: list[APIRoute]) -> None:
    assert len(routes) > 80
    open_doors = set()
    for route in routes:
        dependants = [route.dependant]
        while dependants:
            one = dependants.pop()
            dependants += one.dependencies
            for param in (
                *one.path_params,
                *one.query_params,
                *one.header_params,
                *one.cookie_params,
            ):
                info = param.field_info
                if param.name not in READ_BY_OUR_OWN and lets_through(
                    info.annotation, info.metadata
                ):
                    open_doors.add(f"{route.path}: {param.name}")
    assert open_doors == set()


def test_names_ask_no_table_of_the_interpreter() -> None:
    """A name is the same on every Python; ASCII is, too."""
    asking, tables = [], []
    for path in ROOT.glob("app/**/*.py"):
        lines = path.read_text().splitlines()
        asking += [
            f"{path.name}: {line}"
            for line in lines
            if ".isprintable(" in line and ".isascii()" not in line
        ]
        tables += [path.name for line in lines if "unicodedata" in line and "import" in line]
    assert asking == []
    # where a long name is cut, and the spellings of passwords, a person's and a file's
    assert sorted(tables) == ["graphemes.py", "passwords.py", "pbe.py"]
    rule = inspect.getsource(import_module("app.core.text"))
    assert "unicodedata" not in rule
    assert not {".isspace(", ".isalnum(", "\\s", "\\w"} & {
        word for word in (".isspace(", ".isalnum(", "\\s", "\\w") if word in rule
    }
