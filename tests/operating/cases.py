"""What is put into a running house, for how long, and which alarms go off: no more and no fewer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.credentials import service as credentials
from app.credentials.parse import Upload
from app.infra.partitions import WEEK, week_of
from app.infra.runtime import open_runtime
from devkit.simulator.certificates import Authority
from devkit.simulator.push_certificates import voip
from tests.chaos import faults, neighbours
from tests.chaos.world import APPLE_TAKES, World

Put = Callable[[World], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One recording: calm, then a fault for so many seconds."""

    name: str
    what: str
    put: Put
    seconds: int
    alarms: frozenset[str]


@contextlib.asynccontextmanager
async def api_gone(world: World) -> AsyncIterator[None]:
    async with _stopped(world.house.apis[:1]):
        yield


@contextlib.asynccontextmanager
async def workers_gone(world: World) -> AsyncIterator[None]:
    async with _stopped(world.house.workers):
        yield


@contextlib.asynccontextmanager
async def _stopped(processes: list[Any]) -> AsyncIterator[None]:
    for one in processes:
        one.kill()
    try:
        yield
    finally:
        for one in processes:
            one.start()


def apple(**fault: object) -> Put:
    """The simulated Apple does so with every request."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        await world.apple.ask("DELETE", "/faults")  # the first that matches is the one in force
        await world.apple.ask("POST", "/faults/requests", fault)
        try:
            yield
        finally:
            await world.apple.ask("DELETE", "/faults")
            usual = {"delay": APPLE_TAKES, "delivered": True}
            await world.apple.ask("POST", "/faults/requests", usual)

    return put


@contextlib.asynccontextmanager
async def certificate_of_ten_days(world: World) -> AsyncIterator[None]:
    authority = Authority.open(world.house.folder / "apple")
    made = voip(authority, "com.example.old", not_after=datetime.now(UTC) + timedelta(days=10))
    runtime = open_runtime(world.house.settings)
    try:
        row = await credentials.add(runtime, world.tenant.id, Upload(data=made.pem))
        yield
        await credentials.delete(runtime, world.tenant.id, row.id, confirm=True)
    finally:
        await runtime.close()


@contextlib.asynccontextmanager
async def broken_table(world: World) -> AsyncIterator[None]:
    """A table that a step of the sweep reads has lost its name, as after a restore gone wrong."""
    await world.truth.fetch("ALTER TABLE erasures RENAME TO erasures_lost")
    try:
        yield
    finally:
        await world.truth.fetch("ALTER TABLE erasures_lost RENAME TO erasures")


@contextlib.asynccontextmanager
async def week_in_the_way(world: World) -> AsyncIterator[None]:
    """A table has the name of the week after next's partition, which is not there."""
    name = f"events_{week_of(datetime.now(UTC)) + 2 * WEEK:%Y%m%d}"
    await world.truth.fetch(f"DROP TABLE {name}")
    await world.truth.fetch(f"CREATE TABLE {name} (name text)")
    try:
        yield
    finally:
        await world.truth.fetch(f"DROP TABLE {name}")


@contextlib.asynccontextmanager
async def unreadable_call(world: World) -> AsyncIterator[None]:
    """A call whose limits are none, and which time is to end."""
    caller, callee = world.tenant.users[:2]
    made = await neighbours.ring(world, world.tenant, caller.id, callee.id, ring_time=5)
    session = UUID(made.json["session_id"])
    await world.truth.fetch(
        "UPDATE calls SET limits = $2 WHERE id = $1", session, '{"alone": "x", "length": "y"}'
    )
    try:
        yield
    finally:
        await world.truth.fetch("DELETE FROM calls WHERE id = $1", session)


@contextlib.asynccontextmanager
async def loop_that_ran_wild(world: World) -> AsyncIterator[None]:
    """Another tenant's backend rings every two seconds where it may three times a minute."""
    tenant = await world.new_tenant(["wild", "rung"], devices=1)
    limits = {"rate_limits": {"rings_per_caller": 3}}
    reply = await world.balancer.ask("PUT", "/v1/settings", bearer=tenant.key, body=limits)
    assert reply.status == 200, reply

    async def ring() -> None:
        while True:
            await neighbours.ring(world, tenant, "wild", "rung", ring_time=5)
            await asyncio.sleep(2)

    ringing = asyncio.create_task(ring())
    try:
        yield
    finally:
        ringing.cancel()
        await asyncio.wait([ringing])


CASES = (
    Case("api-gone", "an API process has gone", api_gone, 75, frozenset({"RinglineDown"})),
    Case("workers-gone", "all workers have gone", workers_gone, 90,
         frozenset({"RinglineDown", "RinglineNoWorker", "RinglinePushesWait"})),
    Case("database-frozen", "PostgreSQL is frozen", faults.server_frozen(faults.postgres), 150,
         frozenset({"RinglineDatabaseAway", "RinglineServerErrors", "RinglineSweepFails",
                    "RinglineTasksFail"})),
    Case("redis-gone", "Valkey is gone", faults.valkey_gone, 90, frozenset({"RinglineRedisAway"})),
    Case("apple-slow", "Apple answers after 2.4 s", apple(delay=2.4, delivered=True), 180,
         frozenset({"RinglineSlowToProvider"})),
    Case("apple-refuses", "Apple refuses the certificate",
         apple(status=403, reason="BadCertificate"), 180,
         frozenset({"RinglinePushesFail", "RinglineCredentialFailing"})),
    Case("certificate-ends", "a certificate ends in ten days", certificate_of_ten_days, 150,
         frozenset({"RinglineCredentialExpires"})),
    Case("webhooks-slow", "twenty webhooks answer after 9 s", neighbours.crawl, 180,
         frozenset({"RinglineWebhooksWait"})),
    Case("table-broken", "a table has lost its name", broken_table, 90,
         frozenset({"RinglineSweepFails"})),
    Case("week-in-the-way", "a table stands where a week's partition is to be", week_in_the_way, 210,
         frozenset({"RinglinePartitionsMissing"})),
    Case("call-unreadable", "a call cannot be read", unreadable_call, 210,
         frozenset({"RinglineRowsLeftAside"})),
    Case("loop-ran-wild", "a backend rings on for ten minutes where it is refused", loop_that_ran_wild,
         720, frozenset({"RinglineRateLimited"})),
    Case("clock-ahead", "the clock of an API process is an hour ahead", faults.clock_off(faults.an_api, 3600), 90,
         frozenset({"RinglineClockSkew"})),
)  # fmt: skip
