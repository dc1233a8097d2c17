"""HTTP to addresses that tenants name: never to a private network, bounded in time and size.

What a name resolves to is judged when the connection is made, and the connection goes to the very
address that was judged: a name that resolves to something else a moment later (DNS rebinding) gains
nothing. A connection is kept and used again for the same server, so what was judged holds for all
that it carries. Redirects are not followed, no proxy of the environment is used.
"""

import asyncio
import socket
import ssl
from collections.abc import Hashable, Iterable, Mapping
from datetime import datetime
from functools import cache, lru_cache

from app.core.delivery import DeliveryError
from app.core.text import is_plain, storable
from app.core.webhook_retry import Answer, seconds_asked
from app.infra.addresses import Judge, Names, Resolver, is_private, is_public
from app.infra.errors import Invalid
from app.infra.http1 import MOST_READ, Connection, Kept, Lost, NotHttp, Reply
from app.infra.urls import BadUrl, HttpUrl, http_url

ANSWER_WITHIN = 10.0
CONNECT_WITHIN = 5.0
MOST_TOLD = 1_000
"""Characters of an answer's body that are told."""

MOST_CONNECTIONS = 512
MOST_RESTING = 256
"""Connections that are kept for the next request to the same server."""

ADDRESSES_TRIED = 3


class PrivateAddress(Exception):
    """A name resolves to nothing but addresses that must not be reached."""


class NotConnected(ConnectionError):
    """None of the addresses that may be reached has taken a connection."""


def check_url(text: str, *, allow_private: bool, field: str = "url") -> str:
    """A tenant's address as it is sent to; what its name resolves to is judged on connecting.

    Raises Invalid, which names the part that is wrong.
    """
    try:
        url = http_url(text)
    except BadUrl as error:
        raise Invalid("invalid_url", f"{field}: {error}") from error
    if url.scheme == "http" and not allow_private:
        raise Invalid("https_required", f"{field}: must begin with https://")
    if not allow_private and is_private(url.host):
        raise Invalid("private_address", f"{field}: leads to a private network")
    return str(url)


def anyone(_address: str) -> bool:
    """A judge that lets every address pass."""
    return True


@cache
def _trust_of_this_machine() -> ssl.SSLContext:
    """Read once a process: it costs 30 ms of CPU."""
    return ssl.create_default_context()


class SafeHttp:
    """Connections to tenants' endpoints. Belongs to one event loop.

    What is asked may arrive twice: a server may have closed a kept connection at the very moment
    in which it is used, and then the request goes once more, on a new one.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        resolver: Resolver | None = None,
        judge: Judge = is_public,
        trust: ssl.SSLContext | None = None,
        within: float = ANSWER_WITHIN,
    ) -> None:
        self._within = within
        self._resolver = resolver
        self._names = Names()
        self._judge: Judge = anyone if allow_private else judge
        self._tls = trust or _trust_of_this_machine()
        self._places = asyncio.Semaphore(MOST_CONNECTIONS)
        self._in_use = 0
        self._kept = Kept(MOST_RESTING)

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now: datetime,
        owner: Hashable = None,
        kept: int = MOST_TOLD,
    ) -> Answer:
        """POST once; never raises for what the other side does.

        `now`: what a date in `Retry-After` is compared with. `owner`: whose share of what is
        scarce (look-ups of names) it takes. `kept`: bytes of the answer's body that are told.
        """
        return await self._try("POST", url, headers, body, now, owner, kept)

    async def get(self, url: str, *, now: datetime, owner: Hashable = None) -> Answer:
        """GET once, as `post`; the answer's text is whole, or the error is `too_long`."""
        answer = await self._try("GET", url, {}, b"", now, owner, MOST_READ + 1)
        if len(answer.text or "") > MOST_READ:
            return Answer(answer.status, DeliveryError.TOO_LONG)
        return answer

    async def close(self) -> None:
        """Close every connection that is kept."""
        self._kept.close()

    async def _try(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
        owner: Hashable,
        keep: int,
    ) -> Answer:
        try:
            address = _read(url)
            request = _request(method, address, headers, body)
            async with asyncio.timeout(self._within):
                reply = await self._ask(address, request, owner)
        except Exception as error:
            found = _said_by(error)
            if found is None:
                raise
            return Answer(None, found)
        return _answer(reply, now, keep)

    async def _ask(self, address: HttpUrl, request: bytes, owner: Hashable) -> Reply:
        origin = address.origin
        async with self._places:
            self._in_use += 1
            try:
                connection = self._kept.take(origin)
                if connection is not None:
                    try:
                        return await self._on(connection, address, request)
                    except Lost as lost:
                        if not lost.unanswered:
                            raise
                return await self._on(await self._connect(address, owner), address, request)
            finally:
                self._in_use -= 1

    async def _on(self, connection: Connection, address: HttpUrl, request: bytes) -> Reply:
        reply = await connection.ask(request)
        self._kept.give(address.origin, connection)
        return reply

    async def _connect(self, address: HttpUrl, owner: Hashable) -> Connection:
        """Connect to the first address that may be reached and answers."""
        host, port = address.host, address.effective_port
        if self._resolver is None:
            found = await self._names.resolve(host, port, owner)
        else:
            found = await self._resolver(host, port)
        allowed = [one for one in found if self._judge(one)]
        if not allowed:
            raise PrivateAddress(host)
        self._kept.shrink(MOST_CONNECTIONS - self._in_use)
        tls, name = (self._tls, host) if address.scheme == "https" else (None, None)
        loop = asyncio.get_running_loop()
        last: OSError = NotConnected(host)
        for one in allowed[:ADDRESSES_TRIED]:
            try:
                async with asyncio.timeout(CONNECT_WITHIN):
                    _, made = await loop.create_connection(
                        Connection, one, port, ssl=tls, server_hostname=name
                    )
            except ssl.SSLError:
                raise
            except TimeoutError as error:
                last = error
            except OSError as error:
                last = NotConnected(host)
                last.__cause__ = error
            else:
                return made
        raise last


@lru_cache(maxsize=4_096)
def _read(url: str) -> HttpUrl:
    return http_url(url)


def _request(method: str, address: HttpUrl, headers: Mapping[str, str], body: bytes) -> bytes:
    """Raises ValueError for a header that would be more than one."""
    lines = [f"{method} {address.target} HTTP/1.1", f"Host: {headers.get('Host', address.netloc)}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name != "Host"]
    if method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    if not is_plain("".join(lines)):
        raise ValueError("a header holds a control character")
    return "\r\n".join((*lines, "\r\n")).encode("ascii") + body


def _said_by(error: Exception) -> DeliveryError | None:
    """What is told of an error that the other side has caused; None of any other."""
    for kind, said in ERRORS.items():
        if isinstance(error, kind):
            return said
    return None


ERRORS: dict[type[Exception], DeliveryError] = {
    BadUrl: DeliveryError.INVALID_URL,
    PrivateAddress: DeliveryError.PRIVATE_ADDRESS,
    socket.gaierror: DeliveryError.NAME_NOT_RESOLVED,
    TimeoutError: DeliveryError.TIMEOUT,
    ssl.SSLError: DeliveryError.TLS_FAILED,
    NotConnected: DeliveryError.NOT_CONNECTED,
    OSError: DeliveryError.CONNECTION_LOST,
    NotHttp: DeliveryError.NOT_HTTP,
    ValueError: DeliveryError.NOT_HTTP,
}
"""The first that fits."""


def _answer(reply: Reply, now: datetime, keep: int) -> Answer:
    status = reply.status
    error = None
    if not 200 <= status < 300:
        error = DeliveryError.REDIRECT if 300 <= status < 400 else DeliveryError.REFUSED
    text = reply.body[:keep].decode("utf-8", "replace")
    return Answer(status, error, storable(text) or None, _retry_after(reply.headers, now))


def _retry_after(headers: Iterable[tuple[bytes, bytes]], now: datetime) -> float | None:
    value = next((v for name, v in headers if name == b"retry-after"), None)
    return None if value is None else seconds_asked(value.decode("ascii", "replace"), now)
