"""HTTP to addresses that tenants name: never to a private network, bounded in time and size.

What a name resolves to is judged when the connection is made, and the connection goes to the very
address that was judged: a name that resolves to something else a moment later (DNS rebinding) gains
nothing. Redirects are not followed, no proxy of the environment is used.
"""

import asyncio
import contextlib
import email.utils
import ipaddress
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpcore

from app.core.webhook_retry import Answer
from app.infra.urls import BadUrl, http_url

Resolver = Callable[[str, int], Awaitable[list[str]]]
Judge = Callable[[str], bool]
"""Whether an address may be reached."""

ANSWER_WITHIN = 10.0
CONNECT_WITHIN = 5.0
MOST_READ = 64 * 1024
MOST_KEPT = 1_000
MOST_CONNECTIONS = 256
RESOLVERS = 16

NAT64 = ipaddress.ip_network("64:ff9b::/96")


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
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class Names:
    """Resolves names on threads of its own: a name server that hangs holds up nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="names")

    async def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host as the system sees them."""
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return list(dict.fromkeys(str(one[4][0]) for one in found))

    def close(self) -> None:
        """Resolve nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


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
                return await self._inner.connect_tcp(
                    address, port, timeout, local_address, socket_options
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


class Outbound:
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
        self._names = Names()
        guarded = _Guarded(resolver or self._names.resolve, _anyone if allow_private else judge)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=trust or ssl.create_default_context(),
            max_connections=MOST_CONNECTIONS,
            max_keepalive_connections=MOST_CONNECTIONS // 4,
            keepalive_expiry=30,
            network_backend=guarded,
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """POST once; never raises for what the other side does."""
        try:
            async with asyncio.timeout(self._within):
                return await self._post(url, headers, body)
        except BadUrl:
            return Answer(None, "invalid_url")
        except PrivateAddress:
            return Answer(None, "private_address")
        except socket.gaierror:
            return Answer(None, "name_not_resolved")
        except (TimeoutError, httpcore.TimeoutException):
            return Answer(None, "timeout")
        except httpcore.ConnectError as error:
            return Answer(None, "tls_failed" if _is_of_tls(error) else "not_connected")
        except (httpcore.NetworkError, OSError):
            return Answer(None, "connection_lost")
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol, ValueError):
            return Answer(None, "not_http")

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        address = http_url(url)
        # httpcore's own Host header leaves out the brackets of an IPv6 address
        headers = {"Host": address.netloc, **headers}
        wire = [(name.encode(), value.encode()) for name, value in headers.items()]
        timeout = {"connect": CONNECT_WITHIN, "pool": self._within, "read": self._within}
        async with self._pool.stream(
            "POST",
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
        text = read[:MOST_KEPT].decode("utf-8", "replace").replace("\0", "")
        redirect = 300 <= response.status < 400
        return Answer(
            response.status,
            "redirect" if redirect else None if 200 <= response.status < 300 else "refused",
            text or None,
            _retry_after(response.headers),
        )

    async def close(self) -> None:
        """Close every connection."""
        self._names.close()
        with contextlib.suppress(Exception):
            await self._pool.aclose()


def _is_of_tls(error: BaseException | None) -> bool:
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """Seconds to wait by `Retry-After`: a number or an HTTP date (RFC 9110, 10.2.3)."""
    value = next((v for name, v in headers if name.lower() == b"retry-after"), None)
    if value is None:
        return None
    text = value.decode("ascii", "replace").strip()
    if text.isdigit():
        return float(text[:9])
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    return None
