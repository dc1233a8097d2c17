"""Reading JSON as Swift and Dart do: what casts give nil, and what traps."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from devkit.phone.verdict import Outcome

Body = Mapping[str, Any]
UUID_TEXT: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class Failure(Exception):
    """The library did not get as far as CallKit; the text says why."""

    def __init__(self, outcome: Outcome, sentence: str) -> None:
        self.outcome = outcome
        super().__init__(sentence)


def needs_uuid(value: str | None, path: str, otherwise: Outcome) -> str:
    if value is not None and UUID_TEXT.fullmatch(value):
        return value
    shown = "missing" if value is None else f"{value[:40]!r}, which is no UUID"
    raise Failure(otherwise, f"`{path}` is {shown}: CallKit cannot show a call without one.")


def forced(body: Body, key: str, kind: type, wanted: str) -> Any:
    """Swift's `as!`: traps on a missing key and on another type."""
    value = body.get(key)
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    what = {str: "a string", int: "a number", float: "a number", bool: "a boolean"}.get(
        type(value), "nil" if value is None else "something else"
    )
    raise Failure(Outcome.CRASH, f"`{key}` is {what}, and Swift forces it to be {wanted}.")


def strict_object(value: Any) -> dict[str, Any]:
    found = _in_text(value)
    if found is None:
        raise Failure(Outcome.CRASH, "`user_info` is not JSON of an object: jsonDecode throws.")
    return found


def json_object(value: Any) -> dict[str, Any]:
    return _in_text(value) or {}


def _in_text(value: Any) -> dict[str, Any] | None:
    return parsed(value) if isinstance(value, str) else None


def parsed(payload: bytes | str) -> dict[str, Any] | None:
    """The object that a payload is; None for what is none."""
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def string(body: Body, key: str) -> str | None:
    """Swift's `as? String`."""
    value = body.get(key)
    return value if isinstance(value, str) else None


def mapping(body: Body, key: str) -> Body:
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def number_in_text(value: Any) -> int | None:
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() else None
