"""Which addresses may be reached by those whose names tenants choose, and what names lead to."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Hashable

from app.infra.tasks import start_thread

Resolver = Callable[[str, int], Awaitable[list[str]]]
LookUp = Callable[[str, int], list[str] | OSError]
Judge = Callable[[str], bool]
"""Whether an address may be reached."""

RESOLVERS = 64
RESOLVERS_EACH = 4
"""Names that are looked up at a time, for one owner: a name server that hangs holds up no other."""

NAT64 = ipaddress.ip_network("64:ff9b::/96")
GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is assigned to be reached by everyone (RFC 4291, 2.4)."""


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


def is_private(host: str) -> bool:
    """Whether a host as it is written can be nothing but private; a name may still lead there."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not is_public(host)


class Names:
    """Resolves names on threads that nobody waits for: not the loop, and not the process's end.

    `look_up` blocks, and gives addresses or why there are none.
    """

    def __init__(self, look_up: LookUp | None = None) -> None:
        self._look_up = look_up or _addresses
        self._free = asyncio.Semaphore(RESOLVERS)
        self._shares: dict[Hashable, _Share] = {}

    async def resolve(self, host: str, port: int, owner: Hashable) -> list[str]:
        """The addresses of a host as the system sees them. Raises socket.gaierror."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[str]] = loop.create_future()
        share = self._shares.setdefault(owner, _Share())
        share.asking += 1

        def leave() -> None:
            share.asking -= 1
            if not share.asking:
                del self._shares[owner]

        def tell(found: list[str] | OSError) -> None:
            self._free.release()
            share.places.release()
            leave()
            if future.done():  # nobody waits any more
                return
            if isinstance(found, OSError):
                future.set_exception(found)
            else:
                future.set_result(found)

        def ask() -> None:
            found = self._look_up(host, port)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(tell, found)

        try:
            await share.places.acquire()
            try:
                await self._free.acquire()
            except asyncio.CancelledError:
                share.places.release()
                raise
        except asyncio.CancelledError:
            leave()
            raise
        start_thread("names", ask)
        return await future


class _Share:
    """One owner's part of the look-ups, for as long as anything is looked up for it."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(RESOLVERS_EACH)
        self.asking = 0


def _addresses(host: str, port: int) -> list[str] | OSError:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    except UnicodeError as error:
        return socket.gaierror(socket.EAI_NONAME, str(error))
    return list(dict.fromkeys(str(one[4][0]) for one in found))
