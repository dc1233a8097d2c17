"""Errors as HTTP tells them: one shape (RFC 9457), with a stable `code`."""

import math
import re
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.core.text import storable
from app.http.access_log import request_id
from app.http.head import is_endless
from app.infra.errors import AppError, TooMany
from app.infra.fields import UNTOLD

PROBLEM = "application/problem+json"
MOST_PLACE = 200
"""Characters of a field's name that are repeated."""
MOST_ERRORS = 20
"""Faults of one request that are told: whoever sends 80,000 needs no more to find the first."""


UNPROCESSABLE = 422
PLACED = re.compile(r"([A-Za-z_][\w.-]{0,99}): (.+)", re.ASCII | re.DOTALL)
"""What a service says of one field: its name, a colon and what is wrong with it."""


def _place_and_fault(detail: str) -> tuple[str, str]:
    """The field that a sentence names, empty where it names none, and the rest of it."""
    found = PLACED.fullmatch(detail)
    return (found[1], found[2]) if found else ("", detail)


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    """The one shape of an error's body; with 422 it has each fault, a service's own too."""
    if status == UNPROCESSABLE and "errors" not in more:
        field, said = _place_and_fault(storable(detail))
        more["errors"] = [{"field": field, "code": code, "detail": said}]
    body = {"type": "about:blank", "title": code.replace("_", " ").capitalize(), "status": status}
    body |= {"code": code, "detail": storable(detail), **more}
    if (own := request_id()) is not None:
        body["request_id"] = own
    return Response(orjson.dumps(body), status_code=status, media_type=PROBLEM)


def problem_of(error: AppError) -> Response:
    """An AppError as an HTTP response."""
    response = problem(error.status, error.code, error.detail, **error.more)
    response.headers.update(error.headers)
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    return response


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "A problem (RFC 9457): `code` is stable, `detail` says what to do.",
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""What every route says of errors; which codes each tells is `app.api.problem_codes`."""


def install(app: FastAPI) -> None:
    """Make every error of this app answer in the one shape."""
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_bug)


async def _on_app_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, AppError)
    return problem_of(error)


async def _on_validation(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = field_errors(error.errors())
    code = next(
        (field["code"] for field in fields if field["code"] not in GENERIC), fields[0]["code"]
    )
    first = next(field for field in fields if field["code"] == code)
    where = f"{first['field']}: " if first["field"] else ""
    return problem(422, code, f"{where}{first['detail']}", errors=fields)


GENERIC = frozenset({"invalid_field"})
# pydantic's types of error that deserve a code of their own; every other one is `invalid_field`
CODES = {
    "json_invalid": "invalid_json",
    "extra_forbidden": "unknown_field",
    "missing": "missing_field",
}


OF_A_NAME = "[key]"
"""pydantic's place of what is wrong with a name in an object, after that name."""
NO_OBJECT = frozenset({"missing", "model_attributes_type", "model_type", "dict_type"})
MOST, LEAST = ("most", "max_length"), ("least", "min_length")
OF_TEXT = {"too_long": MOST, "too_short": LEAST, "string_too_long": MOST, "string_too_short": LEAST}
"""pydantic speaks of items where a text was looked at before it was measured, else of a String."""
NAMED = re.compile(r"([a-z_]+(?:\.[a-z0-9_\-]+)*): (.+)", re.DOTALL)
OURS = (
    (re.compile(r"Input should "), "must "),
    (re.compile(r"(?:List|Dictionary) should have "), "must have "),
    (re.compile(r" after validation, not \d+"), ""),
    (re.compile(r"Field required"), "is missing"),
)
"""pydantic's beginnings, and the words that a field's name reads on with."""


def field_errors(errors: Sequence[Any]) -> list[dict[str, str]]:
    """pydantic's errors as (field, code, detail): the input itself is never repeated."""
    found = []
    for error in errors[:MOST_ERRORS]:
        place, code = _place_of(error), _code_of(str(error["type"]))
        field = "" if code == "invalid_json" else ".".join(place)
        detail = _in_our_words(str(error["msg"]).removeprefix("Value error, "))
        if code == "invalid_json":
            detail = "the body is not valid JSON in UTF-8"
        elif error["type"] == "string_unicode":  # a slash of a path, too: app.http.encoded_slashes
            detail = "holds a character that nothing of this kind has"
        elif code == "unknown_field":
            detail = "this field is not known here; remove it or correct its spelling"
        elif error["type"] in OF_TEXT and isinstance(error["input"], str):
            word, bound = OF_TEXT[error["type"]]
            detail = f"must have at {word} {error['ctx'][bound]:,} characters"
            detail = "must not be empty" if (word, error["ctx"][bound]) == ("least", 1) else detail
        elif not field and error["type"] in NO_OBJECT:
            detail = "send a JSON object, with `Content-Type: application/json`"
        elif error["type"] in NO_OBJECT - {"missing"}:
            detail = 'must be a JSON object: {"…": …}'
        elif _is_object(place) and (named := NAMED.match(detail)):
            # a check of several fields at once says itself which one is wrong
            field, detail = ".".join([*place, named[1]]), named[2]
        field = storable(field[:MOST_PLACE])
        found.append({"field": field, "code": code, "detail": storable(detail)})
    return found


def _place_of(error: Any) -> list[str]:
    """The names that lead to what is wrong; `refuse` has said the last of them, or nothing."""
    place = [str(part) for part in error["loc"] if part not in UNTOLD and part != OF_A_NAME]
    if place and place[0] in {"body", "query", "path", "header"}:
        place = place[1:]
    at = error.get("ctx", {}).get("at")
    return place if at is None else [*place, str(at)]


def _in_our_words(detail: str) -> str:
    """pydantic's sentence as one that goes on after a field's name."""
    for theirs, ours in OURS:
        detail = theirs.sub(ours, detail, count=1)
    return detail


def _code_of(kind: str) -> str:
    """The code of pydantic's, or our own, type of error."""
    if "." in kind or kind in CODES.values() or kind.startswith("ringline_"):
        return kind.removeprefix("ringline_")
    return CODES.get(kind, "invalid_field")


def _is_object(place: Sequence[str]) -> bool:
    """Whether what is there is the body, or one of a list: what has fields of its own."""
    return not place or place[-1].isdigit()


def sentence_of(error: ValidationError) -> str:
    """The first thing that is wrong, with its place."""
    first = field_errors(error.errors())[0]
    return f"{first['field']}: {first['detail']}".removeprefix(": ")


STATUS_CODES = {404: "not_found", 405: "method_not_allowed", 415: "unsupported_media_type"}


NOWHERE = "there is nothing at this path; `/docs` has all that there is"
WITHOUT_SLASH = "there is nothing at this path, but without the slash at its end there is"
UNREADABLE = "There was an error parsing the body"
"""FastAPI's words for a body that is not UTF-8, or nested too deeply."""


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400 and error.detail == UNREADABLE:
        return problem(422, "invalid_json", "the body is not valid JSON in UTF-8")
    code = STATUS_CODES.get(error.status_code, f"http_{error.status_code}")
    detail, headers = str(error.detail), dict(error.headers or {})
    if error.status_code == 404:
        path = request.scope["path"]
        there = path.endswith("/") and _methods(request, path.rstrip("/"))
        detail = WITHOUT_SLASH if there else NOWHERE
    elif error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods(request, request.scope["path"])))
        detail = f"this path takes no {request.method}, but {headers['Allow']}"
    response = problem(error.status_code, code, detail)
    response.headers.update(headers)
    return response


METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")


def _methods(request: Request, path: str) -> set[str]:
    """What may be asked of this path (RFC 9110, 10.2.1); the router names one route's alone."""
    scopes = [{**request.scope, "path": path, "method": method} for method in METHODS]
    routes = request.app.routes
    found = {
        scope["method"]
        for scope in scopes
        if any(one.matches(scope)[0] == Match.FULL for one in routes)
    }
    can_head = "GET" in found and not is_endless(path)
    return found | ({"HEAD"} if can_head else set())


async def _on_bug(_request: Request, _error: Exception) -> Response:
    # The server's own middleware logs the traceback; the client learns nothing of our insides.
    return problem(500, "internal_error", "Ringline failed; the log of the server says why.")
