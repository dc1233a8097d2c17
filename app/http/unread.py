"""What of a request nobody here would read is refused, and never passed over.

A misspelt filter that is ignored returns everything; a compressed body that is taken as it is ends
as "no JSON"; a condition that is not heeded overwrites. So whatever would change what a request of
the API means, and is not read, is named in a refusal: headers before anything else, parameters and
bodies once it is known who is calling. Pages (the dashboard, the lab, `/docs`) are left alone, and
so is what monitors ask for, each in its own way. What only asks for another form of the answer
(`Accept`, `Range`, `Prefer`) may be passed over (RFC 9110), and is.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from email.message import Message
from typing import Any, Final

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from app.core.nearest import nearest
from app.http.auth import any_caller
from app.http.problems import problem_of
from app.infra.errors import (
    AppError,
    BadRequest,
    Invalid,
    UnsupportedEncoding,
    UnsupportedMediaType,
)

API: Final = "/v1/"
ONCE: Final = frozenset(
    {b"authorization", b"content-type", b"host", b"idempotency-key", b"last-event-id"}
)
"""Headers of which one is read: of two that differ nobody knows which is meant."""
UNHEEDED: Final[Mapping[bytes, str]] = {
    b"content-range": "parts of a body are not put together here: send the whole",
    b"if-match": "nothing here is changed on a condition: send the request without it",
    b"x-http-method-override": "a request is done by its own method: send it with that one",
}
"""What each would have changed is not done (RFC 9110, 13.1.1 and 14.5)."""
OF_READS: Final = b"if-none-match"
ENCODING: Final = b"content-encoding"
CHUNKED: Final = b"chunked"
ODD: Final = frozenset({*UNHEEDED, OF_READS, ENCODING})
"""With none of these, none twice and `application/json` a request's headers are in order."""
WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
UTF_8: Final = frozenset({None, "utf-8", "utf8", "us-ascii", "ascii"})
HARMLESS: Final = frozenset({"calls", "devices"})
"""Tags whose POSTs may be repeated without a key (docs/guides/calls.md: it does no harm)."""
KEY: Final = "idempotency-key"
NOTHING: Final = frozenset({b"", b"{}", b"null"})
"""Bodies that say nothing."""
LONGEST_NAME: Final = 40
"""Characters of a name that are compared with those that there are."""


class UnreadHeaders:
    """ASGI middleware: refuses a request of the API whose headers say what is not heeded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it without having read its body."""
        if scope["type"] == "http" and scope["path"].startswith(API):
            fault = header_fault(scope)
            if fault is not None:
                await problem_of(fault)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def header_fault(scope: Scope) -> AppError | None:
    """Why the headers of a request will not do; None when they will."""
    headers = dict[bytes, bytes]()
    for name, value in scope["headers"]:
        if name in ONCE and headers.get(name, value) != value:
            return BadRequest("repeated_header", f"{_said(name)}: is given twice, and differs")
        headers[name] = value
    for name, why in UNHEEDED.items():
        if name in headers:
            return BadRequest("unsupported_header", f"{_said(name)}: {why}")
    if OF_READS in headers and scope["method"] in {*WITH_BODY, "DELETE"}:
        return BadRequest("unsupported_header", f"{_said(OF_READS)}: {UNHEEDED[b'if-match']}")
    return _body_fault(scope["method"], headers)


def _body_fault(method: str, headers: Mapping[bytes, bytes]) -> AppError | None:
    """Why a body as these headers tell of it would be misread."""
    for name, plain in ((ENCODING, b"identity"), (b"transfer-encoding", CHUNKED)):
        if headers.get(name, plain).strip().lower() not in {plain, b""}:
            return UnsupportedEncoding(
                "unsupported_encoding",
                f"{_said(name)}: nothing is unpacked here: send the body as it is, without it",
            )
    if method not in WITH_BODY or not _has_body(headers):
        return None
    given = headers.get(b"content-type", b"")
    if given == b"application/json" or _is_json(given.decode("latin-1")):
        return None
    return UnsupportedMediaType(
        "unsupported_media_type",
        "Content-Type: a body here is JSON in UTF-8: send it so, with `application/json`",
    )


def _has_body(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def _is_json(content_type: str) -> bool:
    message = Message()
    message["content-type"] = content_type
    kind, charset = message.get_content_type(), message.get_content_charset()
    json_kind = kind.startswith("application/") and kind.endswith(("/json", "+json"))
    return json_kind and charset in UTF_8


def _said(name: bytes) -> str:
    return name.decode().title()


async def refuse_unread(connection: HTTPConnection) -> None:
    """A dependency of every route: refuses parameters and bodies that its operation does not read.

    Whoever is not known is told that first. Raises RequestValidationError with a fault for each
    parameter (422), Invalid (422) or BadRequest (400).
    """
    if not isinstance(connection, Request) or not connection.scope["path"].startswith(API):
        return
    route: APIRoute = connection.scope["route"]
    faults = list(_parameter_faults(connection, route))
    body = await connection.body() if _has_body(dict(connection.scope["headers"])) else b""
    if body and route.body_field is not None:
        faults += _member_faults(body)
    unasked = body if route.body_field is None and body.strip() not in NOTHING else b""
    keyed = KEY in connection.headers and not _takes_key(route)
    if not (faults or unasked or keyed):
        return
    if route.dependant.dependencies:
        await any_caller(connection)
    if faults:
        raise RequestValidationError(faults)
    if unasked:
        raise Invalid(
            "unexpected_body",
            "this operation reads no body, and nothing was done; what it takes are parameters: "
            f"{_listed(_known(route.dependant))}",
        )
    raise BadRequest(
        "unsupported_header",
        "Idempotency-Key: this operation knows none, and what is done twice is done twice: look "
        "first whether it was done, and send it without",
    )


def _member_faults(body: bytes) -> Iterator[dict[str, Any]]:
    if json.detect_encoding(body) not in {"utf-8", "utf-8-sig"}:
        yield _fault("body", "", "invalid_json", "")  # Python reads it all the same
    elif (name := repeated_member(body)) is not None:
        said = "is given twice in one object: give it once"
        yield _fault("body", name, "duplicate_field", said)


def _parameter_faults(request: Request, route: APIRoute) -> Iterator[dict[str, Any]]:
    if not request.scope["query_string"]:
        return
    known = _known(route.dependant)
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            near = nearest(name[:LONGEST_NAME], known)
            meant = f"; did you mean `{near}`?" if near else "."
            said = f"there is no such parameter{meant} There are: {_listed(known)}"
            yield _fault("query", name, "unknown_parameter", said)
        elif times > 1:
            yield _fault("query", name, "repeated_parameter", "is given twice: give it once")


def _fault(where: str, name: str, code: str, said: str) -> dict[str, Any]:
    return {"type": f"ringline_{code}", "loc": (where, name), "msg": said, "input": None}


def _known(dependant: Dependant) -> list[str]:
    """The query parameters of an operation, those of its dependencies included."""
    inner = [name for one in dependant.dependencies for name in _known(one)]
    return [field.alias for field in dependant.query_params] + inner


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names) or "none"


def _takes_key(route: APIRoute) -> bool:
    """Whether a key to repeat this request by is heeded, or without need."""
    named = any(field.alias.lower() == KEY for field in route.dependant.header_params)
    return named or "POST" not in (route.methods or ()) or bool(HARMLESS & set(route.tags))


class _TwiceError(Exception):
    """A member's name that stands twice in one object."""


def _once(members: list[tuple[str, Any]]) -> None:
    if len(dict(members)) < len(members):
        names = [name for name, _ in members]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))


DECODER: Final = json.JSONDecoder(object_pairs_hook=_once)


def repeated_member(body: bytes) -> str | None:
    """A name that stands twice in one object of a JSON text; None also for what is no JSON.

    Of two the last would count, and the first be passed over (RFC 8259, 4).
    """
    try:
        DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except _TwiceError as twice:
        return str(twice)
    except (ValueError, RecursionError):
        pass  # said where it is read
    return None
