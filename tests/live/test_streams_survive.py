"""Live streams when things break: API killed, Redis gone, servers stopping, readers that stall."""

import asyncio
import contextlib
import secrets
import signal
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn

from app.calls import service as calls
from app.http.connection import limits as limits_of
from app.infra.settings import Settings
from app.live.streams import Limits, Streams
from devkit.embedded import running_valkey
from tests.apps import app_of
from tests.e2e.house import Tenant, eventually, new_tenant
from tests.houses import HouseMaker
from tests.live.listener import Listener, RefusedToListen, listening
from tests.telling import tell_users

QUICK = 2.0
"""Seconds that tell what is told at once, on a busy machine too, from what a look finds after three."""

MANY = 300


async def tell(tenant: Tenant, users: list[str], what: str, *, size: int = 0) -> None:
    """Write an event to these users' feeds as a commit of this process; Redis tells the others."""
    body = {"type": "test", "what": what, "filling": secrets.token_hex(size // 2)}
    async with tenant.runtime.database.transaction() as session:
        at = datetime.now(UTC)
        told = [(tenant.id, user, at, body) for user in users]
        tenant.runtime.news.tell(await tell_users(session, told))


async def test_killed_api_with_many_streams_open(make_house: HouseMaker) -> None:
    house = make_house(apis=2, workers=0)
    async with new_tenant(house) as tenant:
        users = [f"u{n}" for n in range(MANY)]
        streams = [Listener(house.apis[0].url, tenant.token_for(user)) for user in users]
        try:
            for n in range(0, MANY, 50):
                await asyncio.gather(*(one.open() for one in streams[n : n + 50]))
            await asyncio.gather(*(one.wait_for("snapshot", 20) for one in streams))
            stop = asyncio.Event()
            count = 0

            async def write() -> None:
                nonlocal count
                while not stop.is_set():
                    await tell(tenant, users, str(count))
                    count += 1
                    await asyncio.sleep(0.02)

            writing = asyncio.create_task(write())
            await asyncio.sleep(0.5)
            house.apis[0].kill()
            await asyncio.gather(*(one.until_ended() for one in streams))
            began = time.monotonic()
            await asyncio.gather(*(one.open(house.apis[1].url) for one in streams))
            await asyncio.sleep(0.5)
            stop.set()
            await writing

            async def all_told() -> bool:
                return all(len(one.numbers()) >= count for one in streams)

            await eventually(all_told)
            print(f"{MANY} streams resumed, {count} events each, {time.monotonic() - began:.2f} s")
            for one in streams:
                told = [heard.data["what"] for heard in one.heard if heard.event == "test"]
                assert told == [str(n) for n in range(count)]
                assert one.kinds().count("snapshot") == 1
                assert "reset" not in one.kinds()
        finally:
            await asyncio.gather(*(one.close() for one in streams))


async def test_redis_flushed_gone_and_back(make_house: HouseMaker, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        valkey = stack.enter_context(running_valkey())
        house = make_house(redis_url=valkey.url, apis=2, workers=0)
        async with new_tenant(house) as tenant:
            token = tenant.token_for("bob")
            async with listening(house.apis[1].url, token) as bob:
                await bob.wait_for("snapshot")
                await tenant.runtime.redis.flushall()
                await tenant.ring("bob", id="flushed")
                began = time.monotonic()
                one = await bob.wait_for(lambda e: e.data.get("cid") == "default:flushed")
                assert one.at - began < QUICK
                stack.close()  # no Redis at all
                began = time.monotonic()
                await tenant.ring("bob", id="gone")
                assert time.monotonic() - began < QUICK
                one = await bob.wait_for(lambda e: e.data.get("cid") == "default:gone")
                assert one.at - began < 10
                # streams of the process that commits need no Redis
                async with listening(house.apis[0].url, token) as same:
                    await same.wait_for("snapshot")
                    began = time.monotonic()
                    await tenant.ring("bob", id="here")
                    one = await same.wait_for("ring.started")
                    assert one.at - began < QUICK


async def test_a_server_that_stops_says_so_and_does_not_hang(make_house: HouseMaker) -> None:
    house = make_house(apis=2, workers=0)
    async with new_tenant(house) as tenant:
        token = tenant.token_for("bob")
        async with listening(house.apis[0].url, token) as bob:
            await bob.wait_for("snapshot")
            began = time.monotonic()
            house.apis[0].send(signal.SIGTERM)
            assert (await bob.wait_for("closing")).data["reason"] == "server_shutdown"
            await bob.until_ended()
            await asyncio.to_thread(house.apis[0].stop, 5)
            assert time.monotonic() - began < 4
            assert "Traceback" not in house.apis[0].output()
            await bob.close()
            await bob.open(house.apis[1].url)
            await tenant.clients[1].post(
                "/v1/calls", json={"caller": {"id": "alice"}, "callees": ["bob"]}
            )
            await bob.wait_for("ring.started")
            assert bob.kinds().count("snapshot") == 1


@contextlib.asynccontextmanager
async def api_with(settings: Settings, limits: Limits) -> AsyncIterator[tuple[str, Streams]]:
    """The API in this loop, its streams with limits of this test's own."""
    app = app_of(settings)
    config = uvicorn.Config(app, port=0, log_config=None, log_level="error", **limits_of(1_000))
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    await app.state.streams.close()
    runtime = app.state.runtime
    streams = Streams(
        runtime, calls.live_calls, lambda devices: calls.keep_present(runtime, devices), limits
    )
    app.state.streams = streams
    streams.start()
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}", streams
    finally:
        await streams.close()
        server.should_exit = True
        await serving


async def test_a_reader_that_stalls_is_cut(tenant: Tenant) -> None:
    async with api_with(tenant.house.settings(), Limits(send_within=0.5)) as (url, streams):
        stalled = Listener(url, tenant.token_for("bob"))
        await stalled.connect(limit=1024)
        async with listening(url, tenant.token_for("bob")) as quick:
            await quick.wait_for("snapshot")
            assert streams.count == 2
            wrote = 0
            while streams.count == 2 and wrote < 400:
                await tell(tenant, ["bob"], str(wrote), size=50_000)
                wrote += 1
                await asyncio.sleep(0.01)

            async def cut() -> bool:
                return streams.count == 1

            await eventually(cut)
            await quick.wait_for(lambda one: one.data.get("what") == str(wrote - 1))
            assert len(quick.numbers()) == wrote
        assert stalled.writer is not None
        stalled.writer.close()
        # a client that comes back gets what it missed
        async with listening(url, tenant.token_for("bob"), last_id=quick.heard[0].id) as again:
            await again.wait_for(lambda one: one.data.get("what") == str(wrote - 1))
            assert again.numbers() == quick.numbers()


async def test_silence_is_broken_by_comments(tenant: Tenant) -> None:
    async with (
        api_with(tenant.house.settings(), Limits(keep_alive=0.1)) as (url, _),
        listening(url, tenant.token_for("bob")) as bob,
    ):
        began = time.monotonic()

        async def some() -> bool:
            return bob.comments >= 3

        await eventually(some)
        assert bob.comments <= 2 + (time.monotonic() - began) / 0.1


async def test_other_origins_may_listen_when_allowed(tenant: Tenant) -> None:
    settings = tenant.house.settings().model_copy(update={"cors_origins": ["https://app.example"]})
    async with (
        api_with(settings, Limits()) as (url, _),
        listening(url, tenant.token_for("bob")) as bob,
    ):
        await bob.wait_for("snapshot")
        assert "access-control-allow-origin: https://app.example" in bob.head


async def test_a_revoked_secret_ends_streams(tenant: Tenant) -> None:
    limits = Limits(keep_alive=0.1, recognise=0.2)
    async with (
        api_with(tenant.house.settings(), limits) as (url, _),
        listening(url, tenant.token_for("bob")) as bob,
    ):
        await bob.wait_for("snapshot")
        await tenant.execute(
            "UPDATE signing_secrets SET revoked_at = clock_timestamp() WHERE tenant_id = :t",
            t=tenant.id,
        )
        assert (await bob.wait_for("closing")).data["reason"] == "unauthorized"


async def test_streams_are_bounded(tenant: Tenant) -> None:
    limits = Limits(of_one_user=2, streams=3)
    async with api_with(tenant.house.settings(), limits) as (url, streams):
        async with contextlib.AsyncExitStack() as stack:
            for user in ("bob", "bob", "carol"):
                await stack.enter_async_context(listening(url, tenant.token_for(user)))
            with pytest.raises(RefusedToListen, match="503"):
                await Listener(url, tenant.token_for("dave")).connect()

        async def empty() -> bool:
            return streams.count == 0

        await eventually(empty)
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(2):
                await stack.enter_async_context(listening(url, tenant.token_for("bob")))
            with pytest.raises(RefusedToListen, match="429"):
                await Listener(url, tenant.token_for("bob")).connect()


async def test_a_ring_that_did_not_see_the_new_feed_is_in_a_second_snapshot(
    tenant: Tenant,
) -> None:
    """A transaction that looked for feeds just before this one was made, and commits after."""
    async with contextlib.AsyncExitStack() as stack:
        held = await stack.enter_async_context(tenant.runtime.database.transaction())
        async with listening(tenant.house.apis[0].url, tenant.token_for("bob")) as other:
            await other.wait_for("snapshot")  # bob's feed is there, carol's is not
            call = await tenant.ring("carol")
            await tenant.execute(
                "DELETE FROM members WHERE session_id = :c AND user_id = 'carol'",
                c=call["session_id"],
            )
            await held.exec_driver_sql(
                "INSERT INTO members (session_id, user_id, tenant_id, role, state, monitored) VALUES"
                f" ('{call['session_id']}', 'carol', '{tenant.id}', 'callee', 'missed', false)"
            )
            async with listening(tenant.house.apis[0].url, tenant.token_for("carol")) as carol:
                assert (await carol.wait_for("snapshot")).data["calls"] == []
                await held.commit()
                second = await carol.wait_for(lambda e: e.event == "snapshot" and e.data["calls"])
                assert second.data["calls"][0]["session_id"] == call["session_id"]
                assert carol.kinds() == ["snapshot", "snapshot"]
