"""Faults of one tenant: what another one does while ours rings as ever."""

import asyncio
import contextlib
import itertools
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.chaos.house import ROOT
from tests.chaos.wire import Reply
from tests.chaos.world import Tenant, World
from tests.fuzz.api import faults_in, fuzz
from tests.webhooks.receiver import receiving

OUR_WORDS = (
    "user_id", "call.ended", "type", "seq", "members", "caller", "caller_id", "callee", "state",
    "ringing", "accepted", "missed", "reason", "ring", "uuid", "data", "at", "id", "cid", "null",
    "device_id", "server", "call", "event", "snapshot", "erased", "events", "session_id",
)  # fmt: skip
FLOOD_CONNECTIONS = 24
FUZZ_SECONDS = 90


async def ring(world: World, tenant: Tenant, *users: str, **more: object) -> Reply:
    """A call of this tenant: the first user rings the others. One try."""
    caller, *callees = users
    body = {"caller": {"id": caller}, "callees": callees, "ring_time": 20, **more}
    return await world.balancer.ask(
        "POST", "/v1/calls", bearer=tenant.key, body=body, within=0.0, count=False
    )


@contextlib.asynccontextmanager
async def flood(world: World) -> AsyncIterator[None]:
    """As many requests to ring as are answered, from a process of its own."""
    tenant = await world.new_tenant([f"f{n}" for n in range(8)])
    ports = ",".join(map(str, world.house.ports))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.chaos.flood", ports, tenant.key, str(FLOOD_CONNECTIONS),
        cwd=ROOT,
    )  # fmt: skip
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def fuzzed(world: World) -> AsyncIterator[None]:
    """Schemathesis, by the key of another tenant, at one API process."""
    tenant = await world.new_tenant(["odd"], devices=1)
    url = f"http://127.0.0.1:{world.house.ports[0]}"
    done = await asyncio.to_thread(fuzz, url, tenant.key, FUZZ_SECONDS)
    assert not faults_in(done), faults_in(done)
    yield


@contextlib.asynccontextmanager
async def crawl(world: World) -> AsyncIterator[None]:
    """20 webhooks that take 9 s to answer, and calls that they are told of."""
    tenant = await world.new_tenant([f"c{n}" for n in range(8)])
    async with receiving() as receiver:
        receiver.delay = 9.0
        for n in range(20):
            await world.hook(tenant, f"http://127.0.0.1:{receiver.port}/hooks/{n}")
        async with ringing(world, tenant):
            yield


@contextlib.asynccontextmanager
async def unsendable(world: World) -> AsyncIterator[None]:
    """14 webhooks that nothing can be sent to, whatever of it is taken."""
    tenant = await world.new_tenant([f"u{n}" for n in range(8)])
    wishes = [
        "https://bücher.example/hooks", "https://example.invalid/hooks", "http://127.0.0.1:1/hooks",
        "http://127.0.0.1/päth ä", "https://[::1]:1/hooks", "http://[::ffff:127.0.0.1]:1/",
        "http://0.0.0.0:1/", "http://localhost:1/%00", "http://nobody.test/", "http://127.0.0.1:2/?q=ü",
    ]  # fmt: skip
    more = (f"http://127.0.0.1:1/never/{n}" for n in itertools.count())
    taken = 0
    for url in itertools.chain(wishes, more):
        body = {"url": url, "events": ["*"]}
        reply = await world.balancer.ask("POST", "/v1/webhooks", bearer=tenant.key, body=body)
        taken += reply.status == 201
        if taken == 14:
            break
    async with ringing(world, tenant):
        yield


@contextlib.asynccontextmanager
async def erase(world: World) -> AsyncIterator[None]:
    """Users named by our own words are rung, in calls of six, and erased while they ring."""
    tenant = await world.new_tenant(list(OUR_WORDS), devices=1)

    async def on() -> None:
        for n in itertools.count():
            six = [OUR_WORDS[(n + 5 * k) % len(OUR_WORDS)] for k in range(6)]
            await ring(world, tenant, *six)
            await world.balancer.ask(
                "DELETE", f"/v1/users/{six[n % 6]}", bearer=tenant.key, within=0.0, count=False
            )
            await asyncio.sleep(0.1)

    async with on_the_side(on):
        yield


@contextlib.asynccontextmanager
async def held_call(world: World) -> AsyncIterator[None]:
    """The row of a call of 31 is locked; its 30 callees decline at once, and more are rung."""
    users = [f"h{n}" for n in range(31)]
    tenant = await world.new_tenant([*users, "more-0", "more-1"], devices=1)
    made = await ring(world, tenant, *users, id="held")
    assert made.status == 202, made
    holder = await world.house.connect()

    async def decline(user: str) -> None:
        await world.balancer.ask(
            "POST", "/v1/calls/default:held/decline", bearer=tenant.key,
            body={"user_id": user}, within=60, count=False,
        )  # fmt: skip

    async def all_at_once() -> None:
        await asyncio.gather(
            *map(decline, users[1:]),
            ring(world, tenant, users[0], "more-0", id="held"),
            ring(world, tenant, users[0], "more-1", id="held"),
        )

    try:
        async with holder.transaction():
            await holder.fetch("SELECT id FROM calls WHERE tenant_id = $1 FOR UPDATE", tenant.id)
            async with on_the_side(all_at_once):
                yield
    finally:
        await holder.close()


@contextlib.asynccontextmanager
async def ringing(world: World, tenant: Tenant) -> AsyncIterator[None]:
    """Eight calls a second of this tenant, each ended at once."""

    async def on() -> None:
        for n in itertools.count():
            name = f"side-{n}"
            users = [user.id for user in tenant.users]
            made = await ring(world, tenant, users[n % 8], users[(n + 1) % 8], id=name)
            if made.status == 202:
                await world.balancer.ask(
                    "POST", f"/v1/calls/default:{name}/end", bearer=tenant.key, within=0.0,
                    count=False,
                )  # fmt: skip
            await asyncio.sleep(0.12)

    async with on_the_side(on):
        yield


@contextlib.asynccontextmanager
async def on_the_side(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Do this for the length of the block."""
    task = asyncio.ensure_future(work())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
