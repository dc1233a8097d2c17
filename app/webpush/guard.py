"""Where a subscription may lead: public addresses alone, judged when a connection is made."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from app.http2.connect import Address, Endpoint
from app.infra.addresses import Names


class GuardedEndpoint(Endpoint):
    """A push service, which whoever subscribed has named. Raises ValueError for no such URL.

    `judge` says whether an address may be reached; the connection goes to the very one that it
    judged, so that a name which resolves to something else a moment later gains nothing.
    """

    def __init__(self, url: str, names: Names, judge: Callable[[str], bool]) -> None:
        super().__init__(url)
        self._names: Final = names
        self._judge: Final = judge

    async def addresses(self, loop: asyncio.AbstractEventLoop) -> list[Address]:  # noqa: ARG002
        """Those of its name that may be reached. Raises OSError when there is none."""
        # A share of its own: whose name server hangs keeps no other push service's name waiting.
        found = await self._names.resolve(self.host, self.port, self.host)
        allowed = [one for one in found if self._judge(one)]
        if found and not allowed:
            raise OSError(f"{self.host} leads to a private network")
        return [_address(one, self.port) for one in allowed]


def _address(address: str, port: int) -> Address:
    if ":" in address:
        return socket.AF_INET6, socket.SOCK_STREAM, 0, "", (address, port, 0, 0)
    return socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, port)
