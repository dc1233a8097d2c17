"""The one reader of HTTP addresses: what it takes, the HTTP client can send to.

`urlsplit` is no judge: it drops line breaks, takes `port 99999` until the port is asked for, and
lets through what httpcore refuses when it is too late. Everything here is written out by RFC 3986;
a host in another script becomes what DNS knows (IDNA 2008 with UTS 46), a path in another script is
percent-encoded, and all else is refused with the part that is wrong.
"""

import ipaddress
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import quote

import idna

from app.core.frozen import frozen

LONGEST: Final = 2_048
"""Characters of an address, as given and as sent: what servers and proxies take without settings
of their own."""

LONGEST_HOST: Final = 253
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
SPLIT = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?", re.DOTALL)
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_\-]{0,61}[a-z0-9_])?")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
PORT = re.compile(r"[0-9]{1,5}")
UNSEEN = re.compile("[\x00-\x20\x7f-\x9f]")
HALF_ENCODED = re.compile(r"%(?![0-9A-Fa-f]{2})")
PATH_SAFE: Final = "/%:@!$&'()*+,;=-._~[]"
QUERY_SAFE: Final = PATH_SAFE + "?"


class BadUrl(ValueError):
    """No address that anything can be sent to: `part` is wrong (scheme, host, port, ...)."""

    def __init__(self, part: str, sentence: str) -> None:
        super().__init__(f"{part}: {sentence}")
        self.part = part


@frozen
class HttpUrl:
    """An address as it is sent: ASCII, `host` in lower case, IPv6 without brackets.

    `port` None: the scheme's own, said or not. `path` and `query` are as given, encoded; both may
    be empty, a query has its `?`.
    """

    scheme: str
    host: str
    port: int | None
    path: str
    query: str = ""

    @property
    def effective_port(self) -> int:
        """The port that is connected to."""
        return self.port or DEFAULT_PORTS[self.scheme]

    @property
    def netloc(self) -> str:
        """`host` or `host:port`, as it stands in the address and in a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """What two addresses of one server have in common."""
        return self.scheme, self.host, self.effective_port

    @property
    def origin_header(self) -> str:
        """The same as browsers write it."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def target(self) -> str:
        """What a request names: path and query."""
        return (self.path or "/") + self.query

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc}{self.path}{self.query}"


def http_url(text: str, *, schemes: Collection[str] = ("https", "http")) -> HttpUrl:
    """Read an address. Raises BadUrl, which names the part and says what it must be.

    No user, password or fragment: they are not sent, and a password would be logged and shown.
    """
    if len(text) > LONGEST:
        raise BadUrl("length", f"at most {LONGEST} characters")
    found = SPLIT.fullmatch(text)
    if found is None or found[1].lower() not in schemes:
        wanted = " or ".join(f"{one}://" for one in schemes)
        raise BadUrl("scheme", f"must begin with {wanted}, such as https://example.com/hooks")
    scheme, authority, path, query, fragment = found.groups(default="")
    if "@" in authority:
        raise BadUrl("user", "must hold no user or password")
    if fragment:
        raise BadUrl("fragment", "must hold no #: it is never sent")
    scheme = scheme.lower()
    host, port = _host_and_port(authority)
    url = HttpUrl(
        scheme,
        host,
        None if port == DEFAULT_PORTS[scheme] else port,
        _encoded("path", path, PATH_SAFE),
        _encoded("query", query if query != "?" else "", QUERY_SAFE),
    )
    if len(str(url)) > LONGEST:
        raise BadUrl("length", f"at most {LONGEST} characters once it is percent-encoded")
    return url


def _encoded(part: str, text: str, safe: str) -> str:
    if UNSEEN.search(text) or "\\" in text:
        raise BadUrl(part, "must hold no space, backslash, line break or control character")
    if HALF_ENCODED.search(text):
        raise BadUrl(part, "a % must be followed by two hexadecimal digits; write %25 for itself")
    try:
        return quote(text, safe=safe)
    except UnicodeEncodeError as error:
        raise BadUrl(part, "holds half of a surrogate pair, which is no character") from error


def _host_and_port(authority: str) -> tuple[str, int | None]:
    if UNSEEN.search(authority) or "\\" in authority:
        raise BadUrl("host", "must hold no space, backslash, line break or control character")
    if authority.startswith("["):
        inner, closed, rest = authority[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise BadUrl("host", "an IPv6 address ends with ], then at most :port")
        return _ipv6(inner), _port(rest)
    host, colon, port = authority.partition(":")
    if ":" in port:
        raise BadUrl("host", "write an IPv6 address in brackets: https://[2001:db8::1]/")
    return _name(host), _port(colon + port)


def _port(text: str) -> int | None:
    """`:443` as a number. RFC 3986 allows an empty port, which is none."""
    digits = text.removeprefix(":")
    if not digits:
        return None
    if not PORT.fullmatch(digits) or not 0 < int(digits) <= 65_535:
        raise BadUrl("port", "must be a number from 1 to 65535")
    return int(digits)


def _ipv6(text: str) -> str:
    if "%" in text:
        raise BadUrl("host", "must hold no zone (%...): it means something on one machine only")
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError as error:
        raise BadUrl("host", "must be an IPv6 address where it stands in brackets") from error


def _name(text: str) -> str:
    """A host as DNS knows it. One dot at the end says the same as none, but TLS disagrees."""
    host = _ascii(text).removesuffix(".")
    if not host:
        raise BadUrl("host", "is missing")
    if len(host) > LONGEST_HOST:
        raise BadUrl("host", f"at most {LONGEST_HOST} characters")
    labels = host.split(".")
    if NUMBER.fullmatch(labels[-1]):
        return _ipv4(host)
    for label in labels:
        if len(label) > 63:
            raise BadUrl("host", "at most 63 characters between two dots")
        if not LABEL.fullmatch(label):
            raise BadUrl("host", "must be a name such as example.com, or an address")
    return host


def _ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    if len(text) > LONGEST_HOST:
        raise BadUrl("host", f"at most {LONGEST_HOST} characters")
    try:
        return idna.encode(text, uts46=True, std3_rules=False).decode("ascii")
    except UnicodeError as error:
        raise BadUrl("host", f"is no internationalised name ({_why(error)})") from error


def _why(error: UnicodeError) -> str:
    code = getattr(error, "code", None)
    return str(code).replace("_", " ") if code else "half of a surrogate pair"


def _ipv4(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError as error:
        raise BadUrl("host", "write an IPv4 address as four decimal numbers") from error
