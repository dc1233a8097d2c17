"""What one ring costs PostgreSQL, step by step: CPU by its backends' own accounting, WAL, and bytes.

`python -m tests.benchmarks.statements`: the product's own statements, with no API, worker or push
service, for rings that come one by one and thirty at a time. Run the two versions that are to be
compared in turn: the machine drifts.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text

from app.calls import at_once as begun
from app.calls import ringing
from app.calls.apply import Applied
from app.infra.db import Connection, Database
from app.infra.schema import upgrade
from app.push import claims, records, worker_store
from app.push.claimed import ClaimedPush
from devkit.embedded import running_postgres
from tests.push.test_claims_in_place import USERS, asked_of, make_phones

ROUNDS, RINGS = 9, {30: 300, 1: 50}
"""Rounds, of which the first does not count; rings of a round, by how many come at a time."""
SETTINGS = {"autovacuum": "off", "max_wal_size": "8GB", "checkpoint_timeout": "1h"}
BACKENDS = text("""
    SELECT pid FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND datname = current_database()
""")
WAL = text("SELECT CAST(pg_current_wal_insert_lsn() - '0/0' AS bigint)")
BYTES = text("SELECT pg_database_size(current_database())")


class Meter:
    """Adds up what each step takes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.cpu, self.wal = Counter[str](), Counter[str]()
        self.own, self.wall = Counter[str](), Counter[str]()

    @asynccontextmanager
    async def measured(self, step: str) -> AsyncIterator[None]:
        """What is done within it, of one after another's doing."""
        async with self._database.autocommit() as session:
            backends = (await session.execute(BACKENDS)).scalars().all()
            wal = (await session.execute(WAL)).scalar_one()
        cpu, own, begun = nanoseconds(backends), time.process_time_ns(), time.perf_counter_ns()
        yield
        self.wall[step] += time.perf_counter_ns() - begun
        self.own[step] += time.process_time_ns() - own
        self.cpu[step] += nanoseconds(backends) - cpu
        async with self._database.autocommit() as session:
            self.wal[step] += (await session.execute(WAL)).scalar_one() - wal


def nanoseconds(backends: Sequence[int]) -> int:
    """CPU that these processes have used: the first number of their `schedstat`."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in backends)


def taken(push: ClaimedPush) -> records.TakenPush:
    """How a first try at it ended that was taken."""
    sent = push.now.timestamp()
    return push.id, push.fence, 200, sent, sent + 0.009


Ring = Callable[[Database, Sequence[ringing.RingRequest]], Awaitable[Applied]]


async def in_a_transaction(database: Database, asked: Sequence[ringing.RingRequest]) -> Applied:
    """The long way, which any ring may go."""
    async with database.transaction() as session:
        _, applied = await ringing.ring_new(session, asked)
    return applied


async def at_once(database: Database, asked: Sequence[ringing.RingRequest]) -> Applied:
    """As the product rings."""
    _, applied = await begun.ring(database, asked)
    return applied


WAYS: dict[str, Ring] = {"in a transaction": in_a_transaction, "at once": at_once}


async def one_round(database: Database, worker: UUID, at_a_time: int, ring: Ring) -> Meter:
    """So many rings, each of one phone, written, claimed and recorded."""
    meter = Meter(database)
    for first in range(0, RINGS[at_a_time], at_a_time):
        users = [(f"u{1 + (first + n) % USERS}",) for n in range(at_a_time)]
        asked = asked_of(users)
        async with meter.measured("ring"):
            applied = await ring(database, asked)
        rings = [hint.id for hint in applied.hints]
        async with meter.measured("claim"), database.vital.autocommit() as session:
            claimed = await claims.claim_rings(session, worker, rings, 500)
        ends = [taken(push) for push in claimed]
        async with meter.measured("record"), database.vital.autocommit() as session:
            written = await records.record_taken(session, worker, ends)
        assert len(written) == at_a_time
    return meter


async def size(session: Connection) -> int:
    """Bytes of the database."""
    return int((await session.execute(BYTES)).scalar_one())


async def measure(url: str) -> dict[str, dict[str, float]]:
    """By how many at a time: microseconds and WAL of each step of a ring (lower quartiles)."""
    database, worker, found = Database(url), uuid4(), {}
    async with database.transaction() as session:
        await make_phones(session)
        await worker_store.enter_worker(session, worker, host="h", pid=1, only=None, lease=9_999)
    async with database.autocommit() as session:
        await session.execute(text("VACUUM ANALYZE"))
        before = await size(session)
    for at_a_time, rings in RINGS.items():
        meters = await in_turn(url, worker, at_a_time)
        for way, some in meters.items():
            found[f"{at_a_time} at a time, {way}"] = of_a_ring(some, rings)
    async with database.autocommit() as session:
        grown = await size(session) - before
    found["bytes a ring"] = {"bytes": round(grown / ROUNDS / sum(RINGS.values()) / len(WAYS))}
    await database.close()
    return found


async def in_turn(url: str, worker: UUID, at_a_time: int) -> dict[str, list[Meter]]:
    """Rounds by each way, one after the other; the first of each does not count."""
    # connections of their own: whether a statement is planned anew is decided by its first few
    fresh = {way: Database(url) for way in WAYS}
    meters: dict[str, list[Meter]] = {way: [] for way in WAYS}
    for _ in range(ROUNDS):
        for way, ring in WAYS.items():
            meters[way].append(await one_round(fresh[way], worker, at_a_time, ring))
    for one in fresh.values():
        await one.close()
    return {way: some[1:] for way, some in meters.items()}


def of_a_ring(meters: Sequence[Meter], rings: int) -> dict[str, float]:
    """Microseconds and WAL of each step of a ring, and of its writing this process's own."""
    cpu, wal, own, wall = (
        {step: quartile([one[step] for one in some]) / rings for step in some[0]}
        for some in zip(*((one.cpu, one.wal, one.own, one.wall) for one in meters), strict=True)
    )
    of = {f"{step}_us": round(used / 1e3, 1) for step, used in cpu.items()}
    of |= {f"{step}_wal": round(written) for step, written in wal.items()}
    of |= {
        "ring_own_us": round(own["ring"] / 1e3, 1),
        "ring_takes_us": round(wall["ring"] / 1e3, 1),
    }
    return of | {"us": round(sum(cpu.values()) / 1e3, 1), "wal": round(sum(wal.values()))}


def quartile(values: Sequence[int]) -> int:
    """The lower one: what disturbs adds."""
    return sorted(values)[len(values) // 4]


if __name__ == "__main__":
    with running_postgres(settings=SETTINGS) as server:
        upgrade(server.url)
        print(json.dumps(asyncio.run(measure(server.url)), indent=1))
