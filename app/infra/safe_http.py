"""HTTP to addresses that tenants name: never to a private network, bounded in time and size.

What a name resolves to is judged when the connection is made, and the connection goes to the very
address that was judged: a name that resolves to something else a moment later (DNS rebinding) gains
nothing. Redirects are not followed, no proxy of the environment is used.
"""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Mapping
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import httpcore

from app.core.delivery import DeliveryError
from app.core.text import storable
from app.core.webhook_retry import Answer, seconds_asked
from app.infra.errors import Invalid
from app.infra.tasks import start_thread
from app.infra.urls import BadUrl, http_url

Resolver = Callable[[str, int], Awaitable[list[str]]]
Judge = Callable[[str], bool]
"""Whether an address may be reached."""

ANSWER_WITHIN = 10.0
CONNECT_WITHIN = 5.0
MOST_READ = 64 * 1024
MOST_ON_WIRE = 256 * 1024
"""Bytes that one answer may cost, with its headers and all that comes before it (1xx)."""

MOST_KEPT = 1_000
MOST_CONNECTIONS = 512
RESOLVERS = 64
RESOLVERS_EACH = 4
"""Names that are looked up at a time, for one owner: a name server that hangs holds up no other."""

NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is assigned to be reached by everyone (RFC 4291, 2.4)."""


class PrivateAddress(Exception):
    """A name resolves to nothing but addresses that must not be reached."""


def is_public(address: str) -> bool:
    """Whether an address is one of the public Internet, also when IPv6 wraps an IPv4 one."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip not in GLOBAL_UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


_owner: ContextVar[Hashable] = ContextVar("owner", default=None)
"""Whose request it is: what connecting costs is counted by it."""


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
    if not allow_private and _is_private(url.host):
        raise Invalid("private_address", f"{field}: leads to a private network")
    return str(url)


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not is_public(host)


class Names:
    """Resolves names on threads that nobody waits for: not the loop, and not the process's end."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(RESOLVERS)
        self._of_owner: defaultdict[Hashable, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(RESOLVERS_EACH)
        )

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host as the system sees them. Raises socket.gaierror."""
        loop, own = asyncio.get_running_loop(), self._of_owner[_owner.get()]
        future: asyncio.Future[list[str]] = loop.create_future()

        def tell(found: list[str] | OSError) -> None:
            self._free.release()
            own.release()
            if future.done():  # nobody waits any more
                return
            if isinstance(found, OSError):
                future.set_exception(found)
            else:
                future.set_result(found)

        def ask() -> None:
            found = _addresses(host, port)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, found)

        await own.acquire()
        try:
            await self._free.acquire()
        except asyncio.CancelledError:
            own.release()
            raise
        start_thread("names", ask)
        return await future


def _addresses(host: str, port: int) -> list[str] | OSError:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    except UnicodeError as error:
        return socket.gaierror(socket.EAI_NONAME, str(error))
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class _Metered(httpcore.AsyncNetworkStream):
    """A connection that ends when one answer has cost too many bytes."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self._read = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """As the connection reads; raises ReadError when it was too much."""
        data = await self._inner.read(max_bytes, timeout)
        self._read += len(data)
        if self._read > MOST_ON_WIRE:
            raise httpcore.ReadError("the answer is too long")
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """As the connection writes: another request begins."""
        self._read = 0
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """Close the connection."""
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The same over TLS."""
        return _Metered(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """What the connection knows of itself."""
        return self._inner.get_extra_info(info)


def _anyone(_address: str) -> bool:
    return True


class _Guarded(httpcore.AsyncNetworkBackend):
    """Connects to addresses that it has judged itself."""

    def __init__(self, resolver: Resolver, judge: Judge) -> None:
        self._inner = httpcore.AnyIOBackend()
        self._resolver = resolver
        self._judge = judge

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first address that may be reached and answers."""
        addresses = await self._resolver(host, port)
        allowed = [one for one in addresses if self._judge(one)]
        if not allowed:
            raise PrivateAddress(host)
        last: Exception | None = None
        for address in allowed[:3]:
            try:
                return _Metered(
                    await self._inner.connect_tcp(
                        address, port, timeout, local_address, socket_options
                    )
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                last = error
        assert last is not None
        raise last

    async def connect_unix_socket(self, path: str, *_: Any, **__: Any) -> Any:
        """Never."""
        raise PrivateAddress(path)

    async def sleep(self, seconds: float) -> None:
        """As the loop sleeps."""
        await asyncio.sleep(seconds)


class SafeHttp:
    """Connections to tenants' endpoints. Belongs to one event loop."""

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
        guarded = _Guarded(resolver or Names().resolve, _anyone if allow_private else judge)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust or ssl.create_default_context(),
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_CONNECTIONS // 4,
            keepalive_expiry=30,
            network_backend=guarded,
        )

    async def post(
        self,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        now: datetime,
        owner: Hashable = None,
        kept: int = MOST_KEPT,
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
        _owner.set(owner)
        try:
            async with asyncio.timeout(self._within):
                return await self._send(method, url, headers, body, now, keep)
        except BadUrl:
            return Answer(None, DeliveryError.INVALID_URL)
        except PrivateAddress:
            return Answer(None, DeliveryError.PRIVATE_ADDRESS)
        except socket.gaierror:
            return Answer(None, DeliveryError.NAME_NOT_RESOLVED)
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(None, DeliveryError.TIMEOUT)
        except httpcore.ConnectError as error:
            return Answer(
                None, DeliveryError.TLS_FAILED if _is_of_tls(error) else DeliveryError.NOT_CONNECTED
            )
        except (httpcore.NetworkError, OSError):
            return Answer(None, DeliveryError.CONNECTION_LOST)
        except httpcore.RemoteProtocolError as error:
            closed = "disconnected" in str(error)
            return Answer(None, DeliveryError.CONNECTION_LOST if closed else DeliveryError.NOT_HTTP)
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError):
            return Answer(None, DeliveryError.NOT_HTTP)

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        now: datetime,
        keep: int,
    ) -> Answer:
        address = http_url(url)
        # httpcore's own Host header leaves out the brackets of an IPv6 address
        headers = {"Host": address.netloc, **headers}
        wire = [(name.encode(), value.encode()) for name, value in headers.items()]
        timeout = {"connect": CONNECT_WITHIN, "pool": self._within, "read": self._within}
        async with self._pool.stream(
            method,
            httpcore.URL(
                scheme=address.scheme, host=address.host, port=address.port, target=address.target
            ),
            headers=wire,
            content=body,
            extensions={"timeout": timeout},
        ) as response:
            read = b""
            async for chunk in response.aiter_stream():
                read += chunk
                if len(read) > MOST_READ:  # leaving closes the connection
                    break
        text = read[:keep].decode("utf-8", "replace")
        error = DeliveryError.REDIRECT if 300 <= response.status < 400 else DeliveryError.REFUSED
        return Answer(
            response.status,
            None if 200 <= response.status < 300 else error,
            storable(text) or None,
            _retry_after(response.headers, now),
        )

    async def close(self) -> None:
        """Close every connection."""
        with contextlib.suppress(Exception):
            await self._pool.aclose()


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _retry_after(headers: Iterable[tuple[bytes, bytes]], now: datetime) -> float | None:
    value = next((v for name, v in headers if name.lower() == b"retry-after"), None)
    return None if value is None else seconds_asked(value.decode("ascii", "replace"), now)
