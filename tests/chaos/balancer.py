"""A simple load balancer on the client's side: it looks who is ready, and fails over.

As HAProxy with the configuration of the docs would: a server that does not answer its check is
down, its connections are closed, and a request that got no answer is sent to the other one.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from tests.chaos.counts import Refused
from tests.chaos.wire import BROKEN, Reply, Server, request

CHECK_EVERY = 0.5
CHECK_WITHIN = 1.5
TRY_WITHIN = 4.0


class Balancer:
    """Requests to whichever server is well. `refused` keeps what was not served, with its time.

    A `strict` one notes it too when the server had closed a connection that was to be kept.
    """

    def __init__(self, ports: Sequence[int], *, strict: bool = False) -> None:
        self.servers = [Server("127.0.0.1", port, strict=strict) for port in ports]
        self.refused: list[Refused] = []
        self.asked = 0
        self._turn = itertools.count(random.randrange(100))
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> "Balancer":
        self._tasks = [asyncio.create_task(self._check(server)) for server in self.servers]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self.servers:
            server.forget()

    def choose(self, but: Server | None = None) -> Server:
        """The next server in turn that is well, or the next one if none is."""
        well = [one for one in self.servers if one.up and one is not but]
        others = [one for one in self.servers if one is not but]
        among = well or others or self.servers
        return among[next(self._turn) % len(among)]

    async def ask(
        self,
        method: str,
        path: str,
        *,
        bearer: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        within: float = 12.0,
        count: bool = True,
    ) -> Reply:
        """Ask until it is served, as a patient client would; the last reply when it is not.

        Every try that is not served is kept in `refused`, unless `count` is false.
        """
        head = request(method, path, bearer=bearer, body=body, headers=headers)
        end = time.monotonic() + within
        but: Server | None = None
        while True:
            self.asked += 1
            server = self.choose(but)
            reply = await self._try(server, head, TRY_WITHIN)
            if reply.status and reply.status not in {429, 500, 502, 503}:
                return reply
            if count:
                self.refused.append(Refused(time.time(), reply.status, f"{method} {path[:40]}"))
            if time.monotonic() > end:
                return reply
            but = server if reply.status == 0 else None
            await asyncio.sleep(min(max(reply.retry_after, 0.1), 1.0) if reply.status else 0.1)

    async def _try(self, server: Server, head: bytes, timeout: float) -> Reply:
        try:
            return await server.ask(head, timeout)
        except (*BROKEN, TimeoutError):
            return Reply(0)

    async def _check(self, server: Server) -> None:
        check = request("GET", "/readyz", headers={"Connection": "close"})
        while True:
            up = False
            with contextlib.suppress(*BROKEN, TimeoutError):
                async with asyncio.timeout(CHECK_WITHIN):
                    fresh = Server(server.host, server.port)
                    up = (await fresh.ask(check, CHECK_WITHIN)).status == 200
            if server.up and not up:
                server.forget()
            server.up = up
            await asyncio.sleep(CHECK_EVERY)
