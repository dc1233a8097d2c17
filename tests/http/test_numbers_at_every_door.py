"""No door reads a number, an id, or a yes or no as Python does, which takes `1_0`, ` 5` and `on`.

A new field of a body, parameter of a route or option of a command that does is found here.
"""

import json
from typing import Annotated, Any
from uuid import UUID

import pytest
import typer
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from app.api.events import NEVER, number_of
from app.cli.commands import app as commands
from app.infra.fields import Request
from app.infra.settings import Settings
from tests.http.test_text_at_every_door import bodies, routes

__all__ = ["routes"]

ONE = UUID(int=2**127 + 7)
NUMBERS = ("{}", " {}", "{} ", "+{}", "{}_0", "{}e0", "0{}", "0x{}", "{}.0", "{}\n")
MAGNITUDES = (0, 1, 5, 45, 60, 400, 3_600, 86_400)
IDS = (f"{{{ONE}}}", f"urn:uuid:{ONE}", ONE.hex, f" {ONE}", str(ONE).replace("-", "", 1))
WORDS = ("yes", "on", "1", "0", "t", "True", "TRUE", "off", " true", "NaN", "inf", "1e400")
FULL_WIDTH = str.maketrans({str(n): chr(0xFF10 + n) for n in range(10)})
PLAIN = [str(number) for number in MAGNITUDES]
TEXTS = [
    *(form.format(number) for form in NUMBERS for number in MAGNITUDES),
    *(plain.translate(FULL_WIDTH) for plain in PLAIN),
    *IDS,
    *WORDS,
]
OF_JSON: list[Any] = [*TEXTS, "true", "false", True, False, 0, 1]
"""Of a text JSON makes no number, nor of a number a yes or no."""


def is_well_written(text: str, found: Any) -> bool:
    """Whether a text is one that anybody writes for this: no more than JSON has, or RFC 9562."""
    if isinstance(found, UUID):
        return text.lower() == str(found)
    if not isinstance(found, float):
        return text == json.dumps(found)
    try:
        read = json.loads(text, parse_constant=str)
    except ValueError:
        return False
    return text == text.strip() and not isinstance(read, (str, bool)) and float(read) == found


def is_odd(given: Any, found: Any, *, of_json: bool) -> bool:
    """Whether `found` is a number, an id, or a yes or no, that was made of what is none."""
    if not isinstance(found, (bool, int, float, UUID)):
        return False
    if isinstance(given, str):
        said_as_text = of_json and not isinstance(found, UUID)
        return said_as_text or not is_well_written(given, found)
    return isinstance(given, bool) is not isinstance(found, bool)


def taken(annotation: Any, metadata: list[Any], *, of_json: bool) -> list[Any]:
    adapter = TypeAdapter(Annotated[(annotation, *metadata)] if metadata else annotation)
    found = []
    for odd in OF_JSON if of_json else TEXTS:
        for given, inside in ((odd, False), ([odd], True)):
            try:
                value = adapter.validate_python(given)
            except ValidationError:
                continue
            if inside and isinstance(value, (list, tuple)) and value:
                value = value[0]
            if is_odd(odd, value, of_json=of_json):
                found.append(given)
    return found


def test_the_check_can_fail() -> None:
    def odd(kind: Any, *, of_json: bool = False) -> set[str]:
        return {repr(one) for one in taken(kind, [], of_json=of_json)}

    assert {"'5_0'", "' 5'", "'+5'", "'05'"} <= odd(int) <= odd(int, of_json=True)
    assert {"'5'", "True", "[True]"} <= odd(int | list[int], of_json=True)
    assert "'5'" not in odd(int)
    assert {"'yes'", "'1'"} <= odd(bool | None)
    assert {"'yes'", "1"} <= odd(bool, of_json=True)
    assert {repr(one) for one in IDS[:3]} <= odd(UUID)
    assert {"'NaN'", "'inf'", "'5_0'", "' 5'"} <= odd(float)


def test_no_field_of_a_body() -> None:
    open_doors = {
        f"{model.__name__}.{name}": odd
        for model in set(bodies())
        for name, field in model.model_fields.items()
        if (odd := taken(field.annotation, field.metadata, of_json=True))
    }
    assert open_doors == {}


def test_no_parameter_of_a_route(routes: list[APIRoute]) -> None:
    open_doors = dict[str, list[Any]]()
    for route in routes:
        dependants = [route.dependant]
        while dependants:
            one = dependants.pop()
            dependants += one.dependencies
            for param in (*one.path_params, *one.query_params, *one.header_params):
                info = param.field_info
                if odd := taken(info.annotation, info.metadata, of_json=False):
                    open_doors[f"{route.path}: {param.name}"] = odd
    assert open_doors == {}


def options() -> list[tuple[str, Any]]:
    waiting, found = [("ringline", typer.main.get_command(commands))], []
    while waiting:
        name, command = waiting.pop()
        found += [(name, param) for param in command.params]
        if hasattr(command, "commands"):
            waiting += [(f"{name} {word}", one) for word, one in command.commands.items()]
    return found


def test_no_option_of_a_command() -> None:
    found, open_doors = options(), set[tuple[str, str | None, str]]()
    assert len(found) > 100
    for name, param in found:
        for text in () if getattr(param, "is_flag", False) else TEXTS:
            try:
                value = param.type.convert(text, param, None)
            except typer.BadParameter:
                continue
            if is_odd(text, value, of_json=False):
                open_doors.add((name, param.name, text))
    assert open_doors == set()


def test_no_setting_of_the_environment() -> None:
    open_doors = {
        name: odd
        for name, field in Settings.model_fields.items()
        if (odd := taken(field.annotation, field.metadata, of_json=False))
    }
    assert open_doors == {}
    for port in ("９４６４", "09464", "9_464", "-1", "65536"):
        with pytest.raises(ValidationError, match="must look like"):
            Settings(worker_metrics=f"127.0.0.1:{port}")


def test_not_the_number_to_resume_after() -> None:
    for text in TEXTS:
        found = number_of(text)
        assert found == NEVER or text == str(found), text
    assert (number_of(None), number_of(""), number_of("7")) == (None, None, 7)
    assert (number_of(str(2**63 - 1)), number_of(str(2**63))) == (2**63 - 1, NEVER)


def test_a_request_says_each_field_itself() -> None:
    """The base has none of its own, which this would pass over."""
    assert Request.model_fields == {}
