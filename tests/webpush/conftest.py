"""A sender per test, checked for what it leaves behind, and a fake push service of the process."""

import asyncio
import secrets
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.core.outcome import Ended
from app.core.push import Purpose, TokenKind
from app.infra.safe_http import anyone
from app.infra.sender import OutgoingPush
from app.webpush.base64url import decoded
from app.webpush.message import WebPushMessage, message_of
from app.webpush.sender import WebPushSender
from app.webpush.subscription import Subscription
from app.webpush.vapid import VapidKey, public_of
from devkit.simulator import Simulator
from tests.apns.rig import PATIENT, until

KEY = VapidKey.made("mailto:push@example.com")
PUBLIC = public_of(KEY.loaded())


def token_of(subscription: dict[str, Any], key: str = PUBLIC) -> str:
    keys = subscription["keys"]
    return Subscription(
        key, decoded(keys["p256dh"]), decoded(keys["auth"]), subscription["endpoint"]
    ).token


def id_of(subscription: dict[str, Any]) -> str:
    """By which the simulator lists what arrives."""
    return subscription["endpoint"].rpartition("/")[2]


def push_to(
    token: str, *, ring: str | None = None, purpose: Purpose = Purpose.RING, lives: float = 30.0
) -> OutgoingPush:
    now = time.time()
    return OutgoingPush(
        secrets.token_hex(8), ring or str(uuid.uuid4()), purpose, TokenKind.WEBPUSH,
        "https://app.example.com", token, b'{"web_push":8030}', now + lives, now,
    )  # fmt: skip


class Rig:
    """One sender, one fake push service, and what tests do with them."""

    def __init__(self, sim: Simulator, sender: WebPushSender) -> None:
        self.sim, self.sender = sim, sender
        self.loop = asyncio.get_running_loop()
        self._violations = sim.statistics()["violations"]

    def subscribe(self, key: str = PUBLIC) -> dict[str, Any]:
        return self.sim.web_subscribe(key)

    async def push(
        self,
        subscription: dict[str, Any] | None = None,
        *,
        within: float = 2.0,
        late: float = 0.25,
        **more: Any,
    ) -> Ended:
        deadline = self.loop.time() + within
        request = message_of(push_to(token_of(subscription or self.subscribe()), **more))
        outcome = await self.sender.send(request, deadline)
        assert isinstance(outcome, Ended)
        assert bool(outcome.code) != (outcome.no_answer is not None)
        assert outcome.started <= outcome.ended <= deadline + late
        assert bool(outcome.cause) == (outcome.no_answer is not None)
        return outcome

    async def renewed(self, browser: dict[str, Any]) -> WebPushMessage:
        """What is not begun in time goes once it is renewed; what was sent."""
        request = message_of(push_to(token_of(browser)))
        pending = self.sender.start(request, self.loop.time() + 5.0, float("-inf"))
        await until(lambda: self.sender.is_held_back(pending))
        assert not self.sim.arrivals(id_of(browser))
        self.sender.renew(pending, float("inf"))
        assert (await pending.future).code == 201
        return request

    def in_flight(self) -> int:
        return sum(pool.in_flight for pool in self.sender._pools.values())

    async def settled(self) -> None:
        """Nothing is left behind, and the next push works."""
        await until(lambda: not self.in_flight())
        self.sim.end_fault()
        assert (await self.push(within=5.0)).code == 201
        await until(lambda: not self.sender.stats().leaving)
        assert self.sim.statistics()["violations"] == self._violations


@asynccontextmanager
async def rigged(simulator: Simulator) -> AsyncIterator[Rig]:
    simulator.clear_arrivals()
    sender = WebPushSender(
        KEY, ca_file=simulator.ca_file, wall_clock=time.time, judge=anyone, timing=PATIENT
    )
    try:
        yield Rig(simulator, sender)
    finally:
        simulator.end_fault()
        pools = list(sender._pools.values())
        await sender.close()
        assert not any(pool.manager.sockets or pool.in_flight for pool in pools)


@pytest.fixture
async def rig(simulator: Simulator) -> AsyncIterator[Rig]:
    async with rigged(simulator) as made:
        yield made
