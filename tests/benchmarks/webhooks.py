"""CPU of a worker for a delivery to a webhook, beside a bare POST by the same client."""

import asyncio
import time
from collections import Counter
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text
from standardwebhooks import Webhook

from app.audit.log import Actor
from app.core.event import rfc3339
from app.infra import clock
from app.infra.ids import uuid7
from app.infra.queue import DELIVER
from app.infra.runtime import Runtime
from app.tenants import service as tenants
from app.webhooks import publish, service
from tests.benchmarks.endpoint import Endpoint, Posted, running_endpoint
from tests.benchmarks.house import Ready
from tests.benchmarks.rows import clear

TENANTS, WEBHOOKS_EACH = 4, 2
EVENTS = ("call.started", "ring.started", "call.ended")
"""Of each call: an endpoint is sent them one after another."""

AT_ONCE = 64
CALLS = """
    INSERT INTO calls (id, tenant_id, type, name, state, reason, caller_id, video, custom, limits,
                       created_at, ended_at, event_seq, version)
    SELECT id, CAST(:tenant AS uuid), 'hooks', CAST(id AS text), 'ended', 'missed', 'alice', true,
           '{}', '{}', now(), now(), 3, 3
    FROM unnest(CAST(:ids AS uuid[])) AS c(id)
"""
COUNTS = """
    SELECT (SELECT count(*) FROM deliveries WHERE tenant_id = ANY(:tenants)),
        (SELECT count(*) FROM deliveries WHERE tenant_id = ANY(:tenants)
            AND state = 'delivered' AND status = 200 AND attempts = 1 AND claimed_by IS NULL),
        (SELECT count(DISTINCT (webhook_id, event_id)) FROM delivery_attempts
            WHERE tenant_id = ANY(:tenants) AND status = 200)
"""
LEFT = """
    SELECT count(*) FROM deliveries
    WHERE webhook_id = ANY(:webhooks) AND state IN ('pending', 'sending')
"""
CLEAR = "TRUNCATE deliveries, delivery_attempts"


class Door(Protocol):
    """A runtime, and its database for the benchmark's own statements."""

    @property
    def runtime(self) -> Runtime:
        """What tenants and webhooks are made by."""

    async def sql(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """One statement in a transaction of its own."""


class Backends:
    """Tenants with webhooks that all lead to one fast endpoint, each by a path of its own."""

    def __init__(self, ready: Door, endpoint: Endpoint) -> None:
        self._ready = ready
        self.endpoint = endpoint
        self.tenants: list[UUID] = []
        self.secrets: dict[str, str] = {}
        """By the webhook's path."""
        self.webhooks: list[UUID] = []

    async def move_in(self) -> None:
        """Make them."""
        runtime, actor = self._ready.runtime, Actor("command")
        for n in range(TENANTS):
            made = await tenants.create(runtime, f"hooks-{n}-{uuid7().hex[-8:]}")
            self.tenants.append(made.id)
            for m in range(WEBHOOKS_EACH):
                path = f"/{n}/{m}"
                row, secret = await service.create(
                    runtime, made.id, self.endpoint.url + path, ["*"], "", actor
                )
                self.secrets[path] = secret
                self.webhooks.append(row.id)

    async def tell(self, calls: int) -> None:
        """Have so many calls of each tenant tell of their events, in one transaction."""
        async with self._ready.runtime.database.transaction() as session:
            for tenant in self.tenants:
                ids = [uuid7() for _ in range(calls)]
                await session.execute(text(CALLS), {"tenant": tenant, "ids": ids})
                rows = [
                    {
                        "session_id": one, "seq": seq, "tenant_id": tenant, "type": kind,
                        "at": rfc3339(clock.now()), "data": EXAMPLE,
                    }
                    for seq, kind in enumerate(EVENTS, 1)
                    for one in ids
                ]  # fmt: skip
                await publish.call_events(session, rows, [])

    async def delivered(self, within: float = 120.0) -> None:
        """Wait until nothing is under way."""
        until = time.monotonic() + within
        while (await self._ready.sql(LEFT, webhooks=self.webhooks))[0][0]:
            if time.monotonic() > until:
                raise TimeoutError(f"deliveries were under way after {within:.0f} s")
            await asyncio.sleep(0.05)

    async def agree(self, calls: int) -> list[Posted]:
        """Fail unless what was told, the rows and what arrived agree: each once, in order, signed."""
        posts, _ = self.endpoint.arrivals()
        asked = calls * len(EVENTS) * len(self.webhooks)
        found = (await self._ready.sql(COUNTS, tenants=self.tenants))[0]
        assert tuple(found) == (asked,) * 3, f"{asked} were asked, {tuple(found)} were found"
        arrived = Counter((one.path, one.headers["webhook-id"]) for one in posts)
        assert len(posts) == len(arrived) == asked, f"{len(posts)} arrived, {asked} were asked"
        order: dict[tuple[str, str], list[int]] = {}
        for one in posts:
            event = Webhook(self.secrets[one.path]).verify(one.body, one.headers)
            order.setdefault((one.path, event["session_id"]), []).append(event["seq"])
        assert all(seqs == [1, 2, 3] for seqs in order.values()), "out of order"
        return posts


EXAMPLE: dict[str, Any] = {
    "ring_uuid": "01900000-0000-7000-8000-000000000001",
    "user_id": "bob",
    "caller": {"id": "alice", "name": "Alice"},
    "devices": [{"device_id": "d1", "kind": "voip", "app_id": "com.example.app"}],
}


async def webhook_costs(ready: Ready, rounds: int, deliveries: int) -> dict[str, Any]:
    """CPU a delivery, and of a bare POST of the same body, in alternation."""
    calls = deliveries // (len(EVENTS) * TENANTS * WEBHOOKS_EACH)
    ours, bare, postgres, seconds = [], [], [], []
    with running_endpoint() as endpoint:
        backends = Backends(ready, endpoint)
        await backends.move_in()
        for n in range(rounds + 1):  # the first is to get warm
            before = ready.house.worker.cpu()
            await backends.tell(calls)
            begun, told = time.monotonic(), ready.house.postgres.cpu()
            ready.runtime.queue.enqueue(DELIVER, backends.webhooks)
            await backends.delivered()
            took = time.monotonic() - begun
            used = ready.house.worker.cpu() - before
            told = ready.house.postgres.cpu() - told
            posts = await backends.agree(calls)
            await ready.sql(CLEAR)
            await clear(ready)
            if n:
                ours.append(used / len(posts) * 1e6)
                bare.append(endpoint.bare_post_us(posts[0].body, len(posts), AT_ONCE))
                seconds.append(took / len(posts))
                postgres.append(told / len(posts) * 1e6)
        _, connections = endpoint.arrivals()
        await ready.sql("DELETE FROM webhooks WHERE id = ANY(:ids)", ids=backends.webhooks)
    return {
        "ours_us": ours,
        "bare_us": bare,
        "postgres_us": postgres,
        "seconds_each": seconds,
        "connections": connections,
    }
