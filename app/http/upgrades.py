"""Requests that offer another protocol than HTTP/1.1, which is not spoken here: read as they are.

To go on in HTTP/1.1 is what a server may always do (RFC 9110, 7.8), and whoever offers h2c expects
it: Java's own client does so with the first request of each connection without TLS. The parser
takes all that follows such a head for the other protocol's, so that the body was lost. It is fed
the same head once more, without the offer.
"""

from collections.abc import Iterable
from typing import Final

import httptools

_OF_THE_OFFER: Final = frozenset({b"upgrade", b"http2-settings"})


def new_parser(protocol: object) -> httptools.HttpRequestParser:
    """As the server makes one for a connection."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


def head_without_offer(
    method: bytes, target: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """The head of a request as bytes again, without what offers another protocol."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    for name, value in headers:
        if name == b"connection":
            tokens = (one.strip() for one in value.split(b","))
            value = b", ".join(one for one in tokens if one.lower() not in _OF_THE_OFFER)  # noqa: PLW2901
        if name not in _OF_THE_OFFER:
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join(lines) + b"\r\n\r\n"
