"""Valkey by sentinels, with passwords: the master dies, and queue and live news go by the new one."""

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from signal import SIGKILL

import pytest
import redis as redis_client

from devkit.embedded import running_valkey
from devkit.embedded.children import Child, EmbeddedError, await_ready
from devkit.embedded.valkey import Valkey
from devkit.embedded.wheels import valkey_server
from devkit.simulator import Simulator
from tests.e2e.house import eventually, new_tenant, running_house
from tests.live.listener import listening

SECRET, ASKING = "of-the-servers", "of-the-sentinel"


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in found]


@dataclass
class Watched:
    """Two servers, and a sentinel that makes the second the master when the first dies."""

    servers: list[Valkey]
    ports: list[int]
    sentinel: int

    @property
    def url(self) -> str:
        return f"redis+sentinel://:{SECRET}@127.0.0.1:{self.sentinel}/rings/0?sentinel_password={ASKING}"

    def client(self, number: int) -> redis_client.Redis:
        return redis_client.Redis(port=self.ports[number], password=SECRET)


def start(stack: contextlib.ExitStack, folder: Path) -> Watched:
    """Raises EmbeddedError when somebody else has taken a port meanwhile."""
    *ports, asking = free_ports(3)
    servers = [
        stack.enter_context(running_valkey(options={"port": str(port), "bind": "127.0.0.1"}))
        for port in ports
    ]
    for server, port in zip(servers, ports, strict=True):
        with contextlib.closing(redis_client.Redis(unix_socket_path=str(server.socket))) as client:
            if port == ports[1]:
                client.replicaof("127.0.0.1", str(ports[0]))
            client.config_set("masterauth", SECRET)
            client.config_set("requirepass", SECRET)
    config = folder / f"sentinel-{asking}.conf"
    config.write_text(
        f"port {asking}\nbind 127.0.0.1\nrequirepass {ASKING}\n"
        f"sentinel monitor rings 127.0.0.1 {ports[0]} 1\nsentinel auth-pass rings {SECRET}\n"
        "sentinel down-after-milliseconds rings 500\nsentinel failover-timeout rings 3000\n"
    )
    child = Child(
        [str(valkey_server()), str(config), "--sentinel"],
        cwd=folder, log=folder / "sentinel.log", death_signal=SIGKILL,
    )  # fmt: skip
    stack.callback(child.end, [(SIGKILL, 5.0)])
    asked = redis_client.Redis(port=asking, password=ASKING)
    stack.callback(asked.close)

    def knows_both() -> bool:
        with contextlib.suppress(redis_client.RedisError):
            (state,) = asked.sentinel_masters().values()
            return state["num-slaves"] == 1 and state["is_master"]
        return False

    await_ready(child, knows_both, name="sentinel")
    return Watched(servers, ports, asking)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    for last in (False, False, True):
        with contextlib.ExitStack() as stack:
            try:
                made = start(stack, tmp_path)
            except EmbeddedError:
                if last:
                    raise
                continue
            yield made
            return


async def test_queue_and_news_go_by_the_new_master(
    watched: Watched, database: str, simulator: Simulator, tmp_path: Path
) -> None:
    with running_house(database, watched.url, simulator, tmp_path, apis=2) as house:
        async with new_tenant(house) as tenant:
            phone = await tenant.phone("bob")
            await used(watched, 0)
            await tenant.ring("bob", ring_time=60)
            await tenant.sim.arrived(1, token=phone.voip)
            watched.servers[0].stop()
            await used(watched, 1)
            begun = time.monotonic()
            async with listening(house.apis[1].url, tenant.token_for("bob")) as bob:
                await bob.wait_for("snapshot")
                call = await tenant.ring("bob", ring_time=60)
                await bob.wait_for(lambda one: one.data.get("session_id") == call["session_id"])
            await tenant.sim.arrived(2, token=phone.voip)
            assert time.monotonic() - begun < 60


async def used(watched: Watched, number: int) -> None:
    """Wait until both APIs listen to this server, and the worker waits for tasks there."""

    async def in_use() -> bool:
        with contextlib.closing(watched.client(number)) as client:
            try:
                listeners = client.pubsub_numsub("ringline:news")[0][1]
                waiting = [one for one in client.client_list() if one["cmd"] == "brpop"]
            except redis_client.RedisError:
                return False
        return listeners == 2 and bool(waiting)

    await eventually(in_use)
