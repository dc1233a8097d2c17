"""Conditional reads (RFC 9110, section 13): an ETag of the answer, and 304 when it is known."""

import hashlib
from typing import Any

import orjson
from fastapi import Request, Response

HEADERS = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}


def answer(request: Request, body: dict[str, Any]) -> Response:
    """`body` as JSON with its ETag; 304 and nothing when the client has it already."""
    encoded = orjson.dumps(body)
    etag = f'"{hashlib.blake2b(encoded, digest_size=12).hexdigest()}"'
    headers = HEADERS | {"ETag": etag}
    known = request.headers.get("if-none-match", "")
    if any(one.strip().removeprefix("W/") in {etag, "*"} for one in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(encoded, media_type="application/json", headers=headers)
