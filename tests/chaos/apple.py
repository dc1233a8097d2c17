"""The simulated Apple in a process of its own, and its control API: the truth about pushes."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.chaos.counts import Sent, all_kept
from tests.chaos.wire import BROKEN, Server, request

Heard = Callable[[dict[str, Any]], None]
AT_A_TIME = 20_000
"""Requests in one answer: some 40 MB, for which the simulator stands still."""
HEARD_AT_A_TIME = 100
"""Requests in one answer while it is followed: it stands still for a millisecond or two."""
HEARD_EVERY = 0.02
"""Seconds between two such questions, each of which costs the simulator as much as ten pushes: it
shares the cores of the house. A phone acts the later, of which nothing is measured."""


class Apple:
    """Its control API."""

    def __init__(self, port: int) -> None:
        self._server = Server("127.0.0.1", port)
        self._follower = Server("127.0.0.1", port)
        self._task: asyncio.Task[None] | None = None
        self.newest = 0
        """The number of the newest request that has been heard of."""

    async def ask(self, method: str, path: str, body: Any = None, timeout: float = 15) -> Any:
        reply = await self._server.ask(request(method, path, body=body), timeout)
        assert reply.status == 200, reply
        return reply.json

    async def live(self, tokens: list[str], topic: str) -> None:
        """Make these tokens good."""
        await self.ask("POST", "/devices", {"tokens": tokens, "topics": [topic]})

    async def certificate(self, bundle: str) -> bytes:
        """A VoIP certificate with its key, in PEM."""
        made = await self.ask("POST", "/certificates/voip", {"app_id": bundle})
        return (made["certificate"] + made["key"]).encode()

    def follow(self, heard: Heard) -> None:
        """From now on say of each request what it was, as soon as it has come."""
        self._task = asyncio.create_task(self._follow(heard))

    async def _follow(self, heard: Heard) -> None:
        while True:
            path = f"/arrivals?after={self.newest}&wait=5&limit={HEARD_AT_A_TIME}"
            try:
                reply = await self._follower.ask(request("GET", path), 15)
            except (*BROKEN, TimeoutError):
                await asyncio.sleep(0.1)
                continue
            found = reply.json
            self.newest = found["after"]
            for arrival in found["arrivals"]:
                heard(arrival)
            if len(found["arrivals"]) < HEARD_AT_A_TIME:
                await asyncio.sleep(HEARD_EVERY)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        await self.stop()
        self._server.forget()
        self._follower.forget()

    async def sent(self, after: int = 0) -> list[Sent]:
        """Every request since that number, with what became of it. Raises CannotJudge."""
        found, _ = await self.since(after)
        return found

    async def since(self, after: int) -> tuple[list[Sent], int]:
        """Every request since that number, and the number of the newest. Raises CannotJudge."""
        sent: list[Sent] = []
        while True:
            path = f"/arrivals?after={after}&limit={AT_A_TIME}"
            found = await self.ask("GET", path, timeout=60)
            all_kept(after, found["forgotten"])
            sent += [one for one in map(as_sent, found["arrivals"]) if one is not None]
            if not found["arrivals"]:
                return sent, after
            after = found["after"]


def as_sent(arrival: dict[str, Any]) -> Sent | None:
    """What a request was of ours; None for a probe."""
    payload = arrival["payload"]
    ring = payload.get("ring") if isinstance(payload, dict) else None
    if not isinstance(ring, dict) or "uuid" not in ring:
        return None
    return Sent(
        arrival["apns_id"].lower(),
        arrival["token"],
        ring["uuid"],
        arrival["received_ns"] / 1e9,
        # what its phone has been given counts, whether the answer got through or not
        accepted=arrival["status"] == 200 or (arrival["delivered"] and arrival["verdict"] == "200"),
        rings=arrival["topic"].endswith(".voip"),
    )
