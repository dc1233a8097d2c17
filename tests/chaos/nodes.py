"""Three nodes on one machine, as `docs/guides/high-availability.md` draws them.

Node 1: an API process, a worker, PostgreSQL, Valkey, a sentinel. Node 2: the same, its PostgreSQL
a synchronous standby, its Valkey a replica. Node 3: a worker, a sentinel, and HAProxy before both
API processes. What goes from one part to another passes a proxy, so that no root is needed to cut
it. What Patroni or a person does, who watch the database, is done by the faults (`drill.py`).
"""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import redis

from devkit.embedded import cluster
from devkit.embedded.children import Child
from devkit.embedded.postgres import PORT, Postgres
from devkit.embedded.valkey import Valkey
from devkit.embedded.wheels import valkey_server
from tests.chaos import house
from tests.chaos.house import POSTGRES, ROOT, SOCKET, House, Process, send_all

CONFIGURATION = ROOT / "deploy" / "haproxy" / "haproxy.cfg"
SERVICE = "rings"
WRITES = "target_session_attrs=read-write"
REPLICATED = POSTGRES | {
    "wal_level": "replica",
    "max_wal_senders": "6",
    "wal_keep_size": "64MB",
    # whoever has gone silent is given up sooner than a statement (`app.infra.connections`)
    "wal_sender_timeout": "2s",
    "wal_receiver_timeout": "2s",
    "wal_retrieve_retry_interval": "500ms",
}
SENTINEL = """\
port {port}
bind 127.0.0.1
sentinel monitor {service} 127.0.0.1 {master} 2
sentinel down-after-milliseconds {service} 1000
sentinel failover-timeout {service} 3000
"""


class Routes:
    """Ports of the proxy, what each leads to, and whose it is: by part, to cut it off."""

    def __init__(self) -> None:
        self._ports = iter(house.free_ports(40))
        self.targets: dict[int, str] = {}
        self.of: dict[str, list[int]] = defaultdict(list)

    def free(self) -> int:
        """A port for a server of one's own."""
        return next(self._ports)

    def lead(self, target: Path | int, *names: str) -> int:
        """A port that leads there."""
        port = self.free()
        self.targets[port] = str(target)
        for name in names:
            self.of[name].append(port)
        return port


@dataclass(kw_only=True)
class Nodes(House):
    """A house of three. `postgres`: the primary of now; `valkey`: the master of now."""

    standby: Postgres
    valkeys: Mapping[int, Valkey]
    """By the ports of the proxy at which others know them."""
    sentinels: Mapping[int, Process]
    haproxy: Process | None
    entrance: Sequence[int]
    """Where clients ask."""
    routes: Mapping[str, Sequence[int]]
    """The ports of the proxy that lead to a part, or by which it leaves, by its name."""

    def cut(self, name: str) -> None:
        self.mute("mute all", self.routes[name])

    def joined(self, name: str) -> None:
        self.mute("join", self.routes[name])

    def mend(self) -> None:
        super().mend()
        for server in (self.standby, *self.valkeys.values()):
            server.start()
        for one in (*self.sentinels.values(), *([self.haproxy] if self.haproxy else [])):
            if not one.lives:
                one.start()

    async def in_step(self) -> None:
        """Commit nothing that the standby does not have; returns when it has caught up."""
        await ask(self.postgres, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        await ask(self.postgres, "SELECT pg_reload_conf()")
        count = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        async with asyncio.timeout(60):
            while not await ask(self.postgres, count):
                await asyncio.sleep(0.05)

    async def promote(self) -> None:
        """The standby takes writes, and waits for nobody: it has no standby yet."""
        assert await ask(self.standby, "SELECT pg_promote()")
        self.postgres, self.standby = self.standby, self.postgres

    async def rebuild(self) -> None:
        """Who was the primary is ended (it must never take writes again), and made to follow."""
        send_all(self.standby.pid, signal.SIGKILL)
        await asyncio.to_thread(self.standby.stop)
        self.joined(self.standby.home.name)
        await asyncio.to_thread(copy, self.postgres, self.standby)
        await asyncio.to_thread(self.standby.start)
        await self.in_step()

    @property
    def master(self) -> str:
        """The name of `valkey`."""
        return f"valkey-{list(self.valkeys.values()).index(self.valkey)}"

    def follow(self, valkey: Valkey) -> None:
        """Let it be a replica, as its file would say after a restart."""
        known = next(port for port, one in self.valkeys.items() if one is self.valkey)
        replicate(valkey, known)

    def moved(self) -> None:
        """Returns when the sentinels have named another master."""
        _until(
            lambda: (named := self._named()) is not None and self.valkeys[named] is not self.valkey
        )

    def agreed(self) -> None:
        """Returns when one is the master, the other its replica, and all sentinels say so."""

        def good() -> bool:
            master = self._named()
            told = {port: _replication(one) for port, one in self.valkeys.items()}
            return master is not None and all(
                state["role"] == "master"
                if port == master
                else state.get("master_link_status") == "up"
                for port, state in told.items()
            )

        _until(good)
        self.valkey = self.valkeys[self._named() or 0]

    def fail_over(self) -> None:
        """Ask a sentinel for another master, as before an upgrade."""
        with _sentinel(next(iter(self.sentinels))) as client:
            client.execute_command("SENTINEL", "FAILOVER", SERVICE)

    def _named(self) -> int | None:
        """The port of the master whom all sentinels name; None when they do not agree."""
        named = set()
        for port in self.sentinels:
            with _sentinel(port) as client:
                named.add(int(client.sentinel_masters()[SERVICE]["port"]))
        return named.pop() if len(named) == 1 else None


def _sentinel(port: int) -> "redis.Redis":
    return redis.Redis(port=port, socket_timeout=2)


def _replication(valkey: Valkey) -> Mapping[str, Any]:
    with redis.Redis(unix_socket_path=str(valkey.socket), socket_timeout=2) as client:
        found: Mapping[str, Any] = client.info("replication")
        return found


def replicate(valkey: Valkey, port: int) -> None:
    with redis.Redis(unix_socket_path=str(valkey.socket), socket_timeout=2) as client:
        client.replicaof("127.0.0.1", str(port))


def _until(true: Callable[[], bool], within: float = 60.0) -> None:
    end = time.monotonic() + within
    while time.monotonic() < end:
        with contextlib.suppress(redis.RedisError, KeyError):
            if true():
                return
        time.sleep(0.1)
    raise TimeoutError("the sentinels did not come to it")


async def ask(server: Postgres, statement: str) -> Any:
    """The value that one statement gives."""
    connection = await asyncpg.connect(
        user="postgres", host=str(server.sockets), port=PORT, database="ringline", timeout=10
    )
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


def copy(source: Postgres, target: Postgres) -> None:
    """Make the data of a standby, in place of what was there; whom it follows is its setting."""
    shutil.rmtree(target.data, ignore_errors=True)
    command = [
        str(cluster.binaries() / "bin" / "pg_basebackup"), "--pgdata", str(target.data),
        "--host", str(source.sockets), "--port", str(PORT), "--username", "postgres",
        "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync",
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def haproxy(folder: Path, port: int, apis: Sequence[int]) -> Process:
    """HAProxy with the configuration of `deploy/`, on this port, before these API processes; it listens."""
    places = {f"RINGLINE_API_{n}": f"127.0.0.1:{one}" for n, one in enumerate(apis, start=1)}
    environment = os.environ | places | {"RINGLINE_BIND": f"127.0.0.1:{port}"}
    command = [shutil.which("haproxy") or "haproxy", "-W", "-db", "-f", str(CONFIGURATION)]
    made = _process("haproxy", command, folder, environment)
    house.await_listening(port, folder / "haproxy.log")
    return made


def _process(
    name: str, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> Process:
    return Process(name, lambda _: Child(
        command, cwd=folder, log=folder / f"{name}.log", death_signal=signal.SIGKILL,
        environment=environment,
    ))  # fmt: skip


@contextlib.contextmanager
def running_nodes() -> Iterator[Nodes]:
    """Start everything; stop and forget it at the end."""
    with contextlib.ExitStack() as parts:
        folder, routes = house.new_folder(parts), Routes()
        disk = house.small_disk(folder / "disk", parts)
        primary, standby = _databases(disk or folder, routes)
        masters = _valkeys(routes)
        processes = [f"api-{n}" for n in range(2)] + [f"worker-{n}" for n in range(3)]
        urls = {name: _database_url(name, (primary, standby), routes) for name in processes}
        apis, behind = [routes.free() for _ in range(2)], routes.free()
        doors = [routes.lead(port, f"api-{n}") for n, port in enumerate(apis)]
        entrance = [routes.lead(behind, "haproxy")] if shutil.which("haproxy") else doors
        sentinels = [routes.free() for _ in range(3)]

        parts.enter_context(primary)
        house.make_database(primary)
        copy(primary, standby)
        proxy = house.start_proxy(parts, folder, routes.targets)
        parts.enter_context(standby)
        for valkey in masters.values():
            parts.enter_context(valkey)
        first, second = masters
        replicate(masters[second], first)

        def kept(one: Process) -> Process:
            parts.callback(one.stop, 5.0)
            return one

        watching = {port: kept(_watcher(folder, port, first)) for port in sentinels}
        before = kept(haproxy(folder, behind, doors)) if entrance != doors else None
        sockets = f"host={primary.sockets},{standby.sockets}&port={PORT},{PORT}"
        places = ",".join(f"127.0.0.1:{port}" for port in sentinels)
        values = {
            "database_url": f"postgresql://postgres@/ringline?{sockets}&{WRITES}",
            "redis_url": f"redis+sentinel://{places}/{SERVICE}/0",
            "public_url": f"http://127.0.0.1:{entrance[0]}",
        }
        ours = house.our_processes(
            parts, folder, values, apis, 3, lambda name: {"database_url": urls[name]}
        )
        made = Nodes(
            folder, primary, masters[first], proxy, *ours, apis, disk, standby=standby,
            valkeys=masters, sentinels=watching, haproxy=before, entrance=entrance,
            routes=routes.of,
        )  # fmt: skip
        made.agreed()
        asyncio.run(made.in_step())
        made.await_ready()
        yield made


def _databases(folder: Path, routes: Routes) -> tuple[Postgres, Postgres]:
    """A primary and its standby, by their folders' names; each is told where the other would be."""
    links = [routes.free() for _ in range(2)]
    names = [f"database-{n}" for n in range(2)]
    made = [
        Postgres(folder / name, durable=True, settings=REPLICATED | {
            "primary_conninfo": f"host=127.0.0.1 port={links[1 - n]} user=postgres"})
        for n, name in enumerate(names)
    ]  # fmt: skip
    for link, one in zip(links, made, strict=True):
        routes.targets[link] = str(one.sockets / SOCKET)
        for name in names:  # to cut either is to cut what is between them
            routes.of[name].append(link)
    return made[0], made[1]


def _database_url(name: str, databases: Sequence[Postgres], routes: Routes) -> str:
    """Both databases, by ways that only this process takes."""
    hosts = (routes.lead(one.sockets / SOCKET, name, one.home.name) for one in databases)
    places = ",".join(f"127.0.0.1:{port}" for port in hosts)
    return f"postgresql://postgres@{places}/ringline?{WRITES}"


def _valkeys(routes: Routes) -> dict[int, Valkey]:
    made = {}
    for n in range(2):
        port = routes.free()
        known = routes.lead(port, f"valkey-{n}")
        made[known] = Valkey(options={
            "port": str(port), "bind": "127.0.0.1", "repl-diskless-sync-delay": "0",
            "replica-announce-ip": "127.0.0.1", "replica-announce-port": str(known),
        })  # fmt: skip
    return made


def _watcher(folder: Path, port: int, master: int) -> Process:
    """A sentinel; it keeps what it learns in its file."""
    file = folder / f"sentinel-{port}.conf"
    file.write_text(SENTINEL.format(port=port, master=master, service=SERVICE))
    return _process(f"sentinel-{port}", [str(valkey_server()), str(file), "--sentinel"], folder)
