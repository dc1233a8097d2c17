"""What one ring costs PostgreSQL, step by step: CPU by its backends' own accounting, WAL, and bytes.

`python -m tests.benchmarks.statements`: the product's own statements, with no API, worker or push
service, for rings that come one by one and thirty at a time. Run the two versions that are to be
compared in turn: the machine drifts.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text

from app.core.push import PushState
from app.infra.db import Connection, Database
from app.infra.schema import upgrade
from app.push import claims, records, worker_store
from app.push.claimed import ClaimedPush
from devkit.embedded import running_postgres
from tests.push.test_claims_in_place import USERS, make_phones, ring_each

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

    @asynccontextmanager
    async def measured(self, step: str) -> AsyncIterator[None]:
        """What is done within it, of one after another's doing."""
        async with self._database.autocommit() as session:
            backends = (await session.execute(BACKENDS)).scalars().all()
            wal = (await session.execute(WAL)).scalar_one()
        cpu = nanoseconds(backends)
        yield
        self.cpu[step] += nanoseconds(backends) - cpu
        async with self._database.autocommit() as session:
            self.wal[step] += (await session.execute(WAL)).scalar_one() - wal


def nanoseconds(backends: Sequence[int]) -> int:
    """CPU that these processes have used: the first number of their `schedstat`."""
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in backends)


def taken(push: ClaimedPush, worker: UUID) -> records.PushEnd:
    """How a first try at it ended that was taken."""
    return {
        "id": push.id, "worker": worker, "fence": push.fence, "state": PushState.ACCEPTED,
        "environment": push.environment, "healed": False, "silent": False, "due_at": None,
        "status": 200, "reason": None, "sent_at": push.now,
        "answered_at": push.now + timedelta(milliseconds=9), "next_id": None, "try_id": None,
    }  # fmt: skip


async def one_round(database: Database, worker: UUID, at_a_time: int) -> Meter:
    """So many rings, each of one phone, written, claimed and recorded."""
    meter = Meter(database)
    for first in range(0, RINGS[at_a_time], at_a_time):
        users = [f"u{1 + (first + n) % USERS}" for n in range(at_a_time)]
        async with meter.measured("ring"), database.transaction() as session:
            rings = await ring_each(session, users)
        async with meter.measured("claim"), database.vital.autocommit() as session:
            claimed = await claims.claim_rings(session, worker, rings, 500)
        ends = [taken(push, worker) for push in claimed]
        async with meter.measured("record"), database.vital.autocommit() as session:
            states = await records.record(session, ends, [])
        assert list(states.values()) == [PushState.ACCEPTED] * at_a_time
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
        # connections of its own: whether a statement is planned anew is decided by its first few
        fresh = Database(url)
        meters = [await one_round(fresh, worker, at_a_time) for _ in range(ROUNDS)][1:]
        await fresh.close()
        cpu, wal = (
            {step: quartile([one[step] for one in some]) / rings for step in some[0]}
            for some in ([one.cpu for one in meters], [one.wal for one in meters])
        )
        of = {f"{step}_us": round(used / 1e3, 1) for step, used in cpu.items()}
        of |= {f"{step}_wal": round(written) for step, written in wal.items()}
        of |= {"us": round(sum(cpu.values()) / 1e3, 1), "wal": round(sum(wal.values()))}
        found[f"{at_a_time} at a time"] = of
    async with database.autocommit() as session:
        grown = await size(session) - before
    found["bytes a ring"] = {"bytes": round(grown / ROUNDS / sum(RINGS.values()))}
    await database.close()
    return found


def quartile(values: Sequence[int]) -> int:
    """The lower one: what disturbs adds."""
    return sorted(values)[len(values) // 4]


if __name__ == "__main__":
    with running_postgres(settings=SETTINGS) as server:
        upgrade(server.url)
        print(json.dumps(asyncio.run(measure(server.url)), indent=1))
