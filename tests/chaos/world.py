"""What the house is used by: a tenant with users, phones, streams and a webhook, and its neighbours."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from app.credentials import service as credentials
from app.credentials.parse import Upload
from app.infra.runtime import open_runtime
from app.tenants import service as tenants
from tests.chaos.apple import Apple
from tests.chaos.balancer import Balancer
from tests.chaos.house import House
from tests.chaos.rows import Truth
from tests.chaos.streams import Follower, SseFollower, WsFollower
from tests.webhooks.receiver import Receiver, receiving

BUNDLE = "com.example.chaos"
APPLE_TAKES = 0.08
"""Seconds in which the simulated Apple answers, so that faults meet pushes that are under way."""


@dataclass(frozen=True, slots=True)
class User:
    """A user and the tokens of their phones."""

    id: str
    voip: tuple[str, ...]


@dataclass
class Tenant:
    """A tenant with phones."""

    id: UUID
    key: str
    users: list[User] = field(default_factory=list)


@dataclass
class World:
    """A house with whoever uses it."""

    house: House
    balancer: Balancer
    apple: Apple
    truth: Truth
    receiver: Receiver
    tenant: Tenant
    webhook: UUID
    hooked: Sequence[str]
    """The types of events that the webhook is told of; `*`: all."""
    followers: list[Follower] = field(default_factory=list)

    async def new_tenant(self, users: list[str], *, devices: int = 2) -> Tenant:
        """Another tenant with a credential, and users whose phones are registered."""
        return await _tenant(self.house, self.balancer, self.apple, users, devices)

    async def hook(self, tenant: Tenant, url: str) -> UUID:
        """A webhook of this tenant for all events."""
        return await _hook(self.balancer, tenant, url, ["*"])


@contextlib.asynccontextmanager
async def living_in(
    house: House,
    *,
    users: int,
    followers: int,
    devices: int = 2,
    hooked: Sequence[str] = ("*",),
    ports: Sequence[int] | None = None,
    strict: bool = False,
) -> AsyncIterator[World]:
    """Move in: everything is registered, every stream is open, when this yields.

    `ports` are where requests go, in place of the API processes'; `strict`: none is tried twice.
    """
    async with contextlib.AsyncExitStack() as parts:
        apple = Apple(house.apple_port)
        parts.push_async_callback(apple.close)
        balancer = await parts.enter_async_context(Balancer(ports or house.ports, strict=strict))
        receiver = await parts.enter_async_context(receiving())
        names = [f"user-{n}" for n in range(users)]
        tenant = await _tenant(house, balancer, apple, names, devices)
        webhook = await _hook(balancer, tenant, receiver.url, hooked)
        truth = Truth(house.connect)
        parts.push_async_callback(truth.close)
        world = World(house, balancer, apple, truth, receiver, tenant, webhook, hooked)
        for n, name in enumerate(names[:followers]):
            token = await _user_token(balancer, tenant, name)
            world.followers.append((SseFollower, WsFollower)[n % 2](name, token, balancer))
        tasks = [asyncio.create_task(one.follow()) for one in world.followers]
        parts.push_async_callback(_cancelled, tasks)
        async with asyncio.timeout(20):
            while any(one.began is None for one in world.followers):
                await asyncio.sleep(0.05)
        await apple.ask("POST", "/faults/requests", {"delay": APPLE_TAKES, "delivered": True})
        yield world


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _tenant(
    house: House, balancer: Balancer, apple: Apple, users: list[str], devices: int
) -> Tenant:
    runtime = open_runtime(house.settings)  # a new one: faults may have spoiled its connections
    try:
        made = await tenants.create(runtime, f"chaos {secrets.token_hex(4)}")
        await credentials.add(runtime, made.id, Upload(data=await apple.certificate(BUNDLE)))
    finally:
        await runtime.close()
    tenant = Tenant(made.id, made.api_key)
    await asyncio.gather(*(_register(balancer, apple, tenant, user, devices) for user in users))
    tenant.users.sort(key=lambda user: user.id)
    return tenant


async def _register(
    balancer: Balancer, apple: Apple, tenant: Tenant, user: str, devices: int
) -> None:
    voip = tuple(secrets.token_hex(32) for _ in range(devices))
    alert = [secrets.token_hex(32) for _ in range(devices)]
    await apple.live(list(voip), f"{BUNDLE}.voip")
    await apple.live(alert, BUNDLE)
    for n in range(devices):
        tokens = [
            {"kind": "voip", "token": voip[n], "app_id": BUNDLE},
            {"kind": "alert", "token": alert[n], "app_id": BUNDLE},
        ]
        body = {"user_id": user, "device_id": f"phone-{n}", "tokens": tokens}
        reply = await balancer.ask("POST", "/v1/devices", bearer=tenant.key, body=body)
        assert reply.status == 200, reply
    tenant.users.append(User(user, voip))


async def _user_token(balancer: Balancer, tenant: Tenant, user: str) -> str:
    path = f"/v1/users/{user}/tokens"
    reply = await balancer.ask("POST", path, bearer=tenant.key, body={"expires_in": 7200})
    assert reply.status in {200, 201}, reply
    token: str = reply.json["token"]
    return token


async def _hook(balancer: Balancer, tenant: Tenant, url: str, events: Sequence[str]) -> UUID:
    body = {"url": url, "events": list(events)}
    reply = await balancer.ask("POST", "/v1/webhooks", bearer=tenant.key, body=body)
    assert reply.status == 201, reply
    return UUID(reply.json["id"])
