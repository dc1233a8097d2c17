"""Steady ringing: calls that begin at a fixed rate, whatever becomes of them, and live their life."""

import asyncio
import itertools
import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from tests.chaos.counts import Asked
from tests.chaos.wire import Reply
from tests.chaos.world import Tenant, World

THINK = 0.25
"""Seconds from a push to the answer, and from the answer to the end."""


class Load:
    """Calls of one tenant. `asked`: rings that were answered 202; `odd`: answers that are wrong."""

    def __init__(self, world: World, tenant: Tenant, *, ring_time: float, callees: int = 1) -> None:
        self.asked: list[Asked] = []
        self.odd: list[str] = []
        self.begun = 0
        self.given_up = 0
        self.done = 0
        self._world = world
        self._tenant = tenant
        self._ring_time = ring_time
        self._callees = callees
        self._name = secrets.token_hex(4)
        self._pushed: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._lives: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        self._pace: asyncio.Task[None] | None = None

    def heard(self, arrival: dict[str, Any]) -> None:
        """A request has reached Apple: if it is the first push of a ring, its phone acts."""
        payload = arrival["payload"]
        ring = payload.get("ring") if isinstance(payload, dict) else None
        if isinstance(ring, dict) and arrival["topic"].endswith(".voip"):
            # which may be before the request to ring has been answered
            waiting = self._push_of(ring.get("uuid", ""))
            if not waiting.done():
                waiting.set_result(ring)

    def _push_of(self, uuid: str) -> "asyncio.Future[dict[str, Any]]":
        """The first push of a ring, whichever comes first: it, or who waits for it."""
        if uuid not in self._pushed:
            self._pushed[uuid] = asyncio.get_running_loop().create_future()
        return self._pushed[uuid]

    def start(self, rate: float) -> None:
        """Begin so many calls a second."""
        self._pace = asyncio.create_task(self._begin(rate))

    async def pause(self) -> None:
        """Begin no more for now; those that live go on."""
        if self._pace is not None:
            self._pace.cancel()
            await asyncio.gather(self._pace, return_exceptions=True)

    async def stop(self, within: float) -> None:
        """Begin no more; return when those that live have ended, at the latest after `within` s."""
        await self.pause()
        if self._lives:
            await asyncio.wait(set(self._lives), timeout=within)
        for task in (left := list(self._lives)):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def leave_alone(self, count: int, ring_time: float) -> None:
        """Ring so many that nobody answers: their time is the server's to keep."""
        for _ in range(count):
            self._spawn(self._life(ring_time, act=False))

    async def closed(self, connections: int, seconds: float) -> float:
        """Calls a second when so many live their lives one after another: what there is room for."""
        end = time.monotonic() + seconds
        before, begun = self.done, time.monotonic()

        async def one() -> None:
            while time.monotonic() < end:
                await self._life(self._ring_time, act=True, think=0)

        await asyncio.gather(*(one() for _ in range(connections)))
        return (self.done - before) / (time.monotonic() - begun)

    async def _begin(self, rate: float) -> None:
        due = time.monotonic()
        while True:
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._spawn(self._life(self._ring_time, act=True))

    def _spawn(self, life: Any) -> None:
        task = asyncio.create_task(life)
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)

    async def _life(self, ring_time: float, *, act: bool, think: float = THINK) -> None:
        number = next(self._numbers)
        caller, *callees = random.sample(self._tenant.users, 1 + self._callees)
        name = f"{self._name}-{number}"
        body = {
            "id": name, "caller": {"id": caller.id}, "callees": [one.id for one in callees],
            "ring_time": ring_time,
        }  # fmt: skip
        self.begun += 1
        asked = time.time()
        reply = await self._world.balancer.ask(
            "POST", "/v1/calls", bearer=self._tenant.key, body=body,
            headers={"Idempotency-Key": name},
        )  # fmt: skip
        if reply.status != 202:
            self._note("ring", reply, lambda status: status in {0, 429, 503})
            self.given_up += 1
            return
        members = {one["user_id"]: one for one in reply.json["members"]}
        rings = [
            Asked(members[one.id]["ring"]["uuid"], one.id, frozenset(one.voip), asked, time.time())
            for one in callees
        ]
        self.asked += rings
        if act:
            await self._lived(name, [one.uuid for one in rings], number, ring_time, think)
        self.done += 1

    async def _lived(
        self, name: str, uuids: Sequence[str], number: int, ring_time: float, think: float
    ) -> None:
        """From the push to the end: most are answered, some declined, some given up by the caller.

        Of several that ring one does so, when all have been reached: what has settled is not lost.
        """
        over = time.time() + ring_time
        try:
            async with asyncio.timeout(ring_time + 1):
                for uuid in uuids:
                    ring = await asyncio.shield(self._push_of(uuid))
        except TimeoutError:
            return
        await asyncio.sleep(think)
        state = urlsplit(ring["state_url"]).path
        call = f"/v1/calls/default:{name}"
        if number % 10 == 9:
            await self._act(f"{call}/cancel", self._tenant.key, over)
            return
        declined = number % 10 == 8
        await self._act(f"{state}/{'decline' if declined else 'accept'}", ring["token"], over)
        if not declined or len(uuids) > 1:
            await asyncio.sleep(think)
            await self._act(f"{call}/end", self._tenant.key, over)

    async def _act(self, path: str, bearer: str, over: float) -> None:
        reply = await self._world.balancer.ask("POST", path, bearer=bearer, within=45.0)
        after = time.time() > over - 1
        self._note(path, reply, lambda status: status == 200 or (after and status in {409, 410}))

    def _note(self, what: str, reply: Reply, right: Callable[[int], bool]) -> None:
        if not right(reply.status):
            self.odd.append(f"{what} was answered {reply.status} {reply.body[:200]!r}")
