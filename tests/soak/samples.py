"""What is looked at while it soaks: every process, PostgreSQL and Valkey."""

import asyncio
import contextlib
import re
import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import psutil
import redis

from tests.chaos.house import Process
from tests.chaos.wire import BROKEN, Server, request
from tests.chaos.world import World
from tests.soak.flat import Rule, Series

MIB = 2**20
TABLES = """
    SELECT CAST(CAST(COALESCE(pg_partition_root(relid), relid) AS regclass) AS text) AS name,
           CAST(sum(n_live_tup) AS bigint) AS live, CAST(sum(n_dead_tup) AS bigint) AS dead,
           CAST(sum(pg_total_relation_size(relid)) AS bigint) AS bytes
    FROM pg_stat_user_tables GROUP BY 1
"""
SERVER = """
    SELECT count(*) FILTER (WHERE backend_type = 'client backend' AND application_name <> 'chaos'
                            AND datname = 'ringline') AS ours,
           pg_database_size('ringline') AS bytes,
           CAST(pg_current_wal_lsn() - '0/0' AS bigint) AS wal
    FROM pg_stat_activity
"""
TASKS = re.compile(rb"^ringline_tasks\{[^}]*\} ([\d.e+]+)$", re.MULTILINE)
SMALL = MIB
"""Bytes of a table below which it is one of the small ones, that are looked at together."""

RULES = {
    # An allocator gives back pages late: 3 % of some 130 MiB, or 4 MiB, is what it may hide.
    "memory, MiB": Rule(0.03, 4.0),
    # The smallest leaks are one a request, one a ring or one a restart: far more than these.
    # Established TCP connections come and go with the load; who is at their other end counts them.
    "descriptors": Rule(0.0, 3.0),
    "threads": Rule(0.0, 1.0),
    "tasks": Rule(0.0, 3.0),
    # Pools fill with the load and end at their size; what is beyond them belongs to none.
    "connections beyond pools": Rule(0.0, 3.0),
    # Autovacuum comes when a fifth of a table's rows is dead, by PostgreSQL's defaults.
    "dead rows of 100": Rule(0.0, 2.0),
    # A table that keeps rows grows with them, and no faster; one that keeps none does not grow.
    "bytes a row": Rule(0.10, 16.0),
    "small tables, KiB": Rule(0.10, 256.0),
    "used, MiB": Rule(0.05, 1.0),
    "clients": Rule(0.0, 3.0),
}
"""By what is looked at: what it may rise by over the second half (see `flat`)."""


@dataclass
class Watch:
    """Samples every few seconds, each thing a series under (whose, what)."""

    world: World
    began: float = field(default_factory=time.monotonic)
    series: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    tables: dict[str, list[tuple[float, int, int, int]]] = field(default_factory=dict)
    """By table: (seconds, live, dead, bytes)."""

    async def run(self, every: float) -> None:
        """For ever."""
        due = time.monotonic()
        while True:
            try:
                await self.look()
            except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError,
                    asyncpg.InternalClientError):  # fmt: skip
                await self.world.truth.close()  # it is being started anew: the next look will do
            due = max(due + every, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def look(self) -> None:
        """Look once."""
        house = self.world.house
        for one in house.everyone:
            await self._process(one)
        with contextlib.suppress(redis.RedisError):
            self._keep("Valkey", await asyncio.to_thread(_valkey, str(house.valkey.socket)))
        rows = await self.world.truth.fetch(TABLES)
        at = self.now()
        for name, live, dead, size in rows:
            self.tables.setdefault(name, []).append((at, live, dead, size))
        (server,) = await self.world.truth.fetch(SERVER)
        live, dead = sum(row["live"] for row in rows), sum(row["dead"] for row in rows)
        pools = len(house.everyone) * house.settings.database_pool
        self._keep("PostgreSQL", {
            "connections": server["ours"],
            "connections beyond pools": max(0, server["ours"] - pools),
            "dead rows of 100": 100 * dead / max(1, live + dead),
            "database, MiB": server["bytes"] / MIB,
            "log written, MiB": server["wal"] / MIB,
        })  # fmt: skip

    def now(self) -> float:
        """Seconds since the begin."""
        return time.monotonic() - self.began

    def judged(self, born: frozenset[str]) -> dict[tuple[str, str], Series]:
        """The series that are to be flat; of processes only those that were not started anew."""
        found: dict[tuple[str, str], Series] = {
            key: seen for key, seen in self.series.items() if key[1] in RULES and key[0] not in born
        }
        for name, seen in self.tables.items():
            if seen[-1][3] >= SMALL:
                by_row = [(at, size / live) for at, live, _, size in seen if live]
                found[name, "bytes a row"] = by_row
        found["PostgreSQL", "small tables, KiB"] = self.small_tables()
        return found

    def small_tables(self) -> Series:
        """KiB of all tables that are small at the end: those that keep nothing."""
        small: dict[float, float] = {}
        for seen in self.tables.values():
            if seen[-1][3] < SMALL:
                for at, _, _, size in seen:
                    small[at] = small.get(at, 0.0) + size / 1024
        return sorted(small.items())

    def _keep(self, whose: str, values: dict[str, float]) -> None:
        at = self.now()
        for what, value in values.items():
            self.series.setdefault((whose, what), []).append((at, float(value)))

    async def _process(self, one: Process) -> None:
        with contextlib.suppress(psutil.NoSuchProcess, OSError):  # it is being killed
            found = await asyncio.to_thread(_process, one.pid)
            with contextlib.suppress(*BROKEN, TimeoutError):
                reply = await Server("127.0.0.1", one.metrics).ask(
                    request("GET", "/metrics", headers={"Connection": "close"}), 3
                )
                found["tasks"] = sum(map(float, TASKS.findall(reply.body)))
            self._keep(one.name, found)


def _process(pid: int) -> dict[str, float]:
    """Of a process and what it has started. Memory is what it has made itself (anonymous): pages of
    files are shared with others, and count more or less as those come and go."""
    root = psutil.Process(pid)
    found = dict.fromkeys(
        ("memory, MiB", "resident, MiB", "descriptors", "sockets", "threads"), 0.0
    )
    for one in (root, *root.children(recursive=True)):
        rollup = Path(f"/proc/{one.pid}/smaps_rollup").read_text()
        own = next(line for line in rollup.splitlines() if line.startswith("Anonymous:"))
        found["memory, MiB"] += int(own.split()[1]) / 1024
        found["resident, MiB"] += one.memory_info().rss / MIB
        sockets = sum(c.status == psutil.CONN_ESTABLISHED for c in one.net_connections("tcp"))
        found["sockets"] += sockets
        found["descriptors"] += one.num_fds() - sockets
        found["threads"] += one.num_threads()
    return found


def _valkey(socket: str) -> dict[str, float]:
    with redis.Redis(unix_socket_path=socket, socket_timeout=3) as client:
        told = client.info()
    return {"used, MiB": told["used_memory"] / MIB, "clients": told["connected_clients"]}
