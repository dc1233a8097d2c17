"""What makes a request malformed (RFC 9113, 8.1 to 8.3): its stream ends with PROTOCOL_ERROR."""

import re
from functools import lru_cache

from devkit.simulator.frames import ErrorCode
from devkit.simulator.streams import Header, Stream, StreamViolation

_CONNECTION_HEADERS = frozenset(
    ("connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade")
)
_PSEUDO_HEADERS = frozenset((":method", ":scheme", ":path", ":authority"))
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_METHOD = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD = ("\0", "\r", "\n ", "\n\t", " \n", "\t\n")


def check_request(stream_id: int, headers: list[Header], largest: int | None) -> int | None:
    """Refuse a malformed request with StreamViolation; give its content-length, if it has one.

    Field names must be lower case, pseudo-header fields known, single and first, and fields that
    belong to HTTP/1.1 connections absent. `largest` is the size of a list that we announced.
    """
    size = _check_values(stream_id, headers)
    if largest is not None and size > largest:
        raise _malformed(stream_id, f"a header list of more than {largest} bytes")
    pseudo: dict[str, str] = {}
    length: int | None = None
    hosts: set[str] = set()
    regular = False
    for name, value in headers:
        if name in _PSEUDO_HEADERS:
            if regular or name in pseudo:
                raise _malformed(stream_id, f"pseudo-header field {name!r}")
            pseudo[name] = value
            continue
        regular = True
        if _is_plain(name):
            continue
        _check_field(stream_id, name, value)
        if name == "content-length":
            length = _content_length(stream_id, value, length)
        elif name == "host":
            hosts.add(value)
    _check_pseudo(stream_id, pseudo, hosts)
    return length


def check_trailers(stream_id: int, headers: list[Header]) -> None:
    """Refuse malformed trailers: no pseudo-header fields there (8.1)."""
    for name, value in headers:
        _check_field(stream_id, name, value)
    _check_values(stream_id, headers)


def check_length(stream: Stream, *, ended: bool) -> None:
    """Refuse a body that is not what content-length says (8.1.1)."""
    wanted = stream.content_length
    if wanted is not None and (stream.body_size > wanted or (ended and stream.body_size != wanted)):
        raise _malformed(stream.number, "content-length does not fit the body")


@lru_cache(maxsize=256)
def _is_plain(name: str) -> bool:
    """Tell whether a field of this name can be wrong in its value's characters only."""
    return (
        _NAME.fullmatch(name) is not None
        and name not in _CONNECTION_HEADERS
        and name not in ("te", "content-length", "host")
    )


def _check_field(stream_id: int, name: str, value: str) -> None:
    if _NAME.fullmatch(name) is None or name in _CONNECTION_HEADERS:
        raise _malformed(stream_id, f"field {name!r}")
    if name == "te" and value != "trailers":
        raise _malformed(stream_id, "te")


def _check_values(stream_id: int, headers: list[Header]) -> int:
    """Refuse values that no field may have (8.2.1), all at one look.

    Give the list's size as SETTINGS_MAX_HEADER_LIST_SIZE counts it (6.5.2).
    """
    values = "\n".join(["", *[value for _, value in headers], ""])
    if values.count("\n") != len(headers) + 1 or any(map(values.__contains__, _BAD)):
        raise _malformed(stream_id, "a value with NUL, CR or LF, or with a blank at its end")
    return len(values) + len("".join([name for name, _ in headers])) + 31 * len(headers) - 1


def _content_length(stream_id: int, value: str, before: int | None) -> int:
    if not (value.isascii() and value.isdigit()) or len(value) > 15:
        raise _malformed(stream_id, "content-length")
    if before not in (None, int(value)):
        raise _malformed(stream_id, "two values of content-length")
    return int(value)


def _check_pseudo(stream_id: int, pseudo: dict[str, str], hosts: set[str]) -> None:
    method = pseudo.get(":method", "")
    if method != "POST" and _METHOD.fullmatch(method) is None:
        raise _malformed(stream_id, ":method")
    if method == "CONNECT":  # 8.5
        if set(pseudo) != {":method", ":authority"}:
            raise _malformed(stream_id, "CONNECT with a scheme or path, or without an authority")
        return
    path = pseudo.get(":path", "")
    if not pseudo.get(":scheme"):
        raise _malformed(stream_id, ":scheme")
    if not path.startswith("/") and not (path == "*" and method == "OPTIONS"):
        raise _malformed(stream_id, ":path")
    authority = pseudo.get(":authority")
    if authority is None:
        if len(hosts) != 1:
            raise _malformed(stream_id, "neither :authority nor one host")
        (authority,) = hosts
    if not authority or "@" in authority or hosts - {authority}:
        raise _malformed(stream_id, ":authority")


def _malformed(stream_id: int, what: str) -> StreamViolation:
    return StreamViolation(stream_id, ErrorCode.PROTOCOL_ERROR, f"malformed request: {what}")
