"""Where the bytes of a ring go: WAL and disk of each table and index, and the columns of its rows.

`python -m tests.benchmarks.bytes`: rings as `tests.benchmarks.statements` makes them, thirty at a
time, their WAL read by PostgreSQL's own `pg_waldump`.
"""

import asyncio
import json
import re
import subprocess
from collections import Counter
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text

from app.infra.db import Connection, Database
from app.infra.schema import upgrade
from app.push import claims, records, worker_store
from devkit.embedded import cluster, running_postgres
from tests.benchmarks.statements import SETTINGS, at_once, taken
from tests.push.test_claims_in_place import USERS, asked_of, make_phones

RINGS, WARM, TOGETHER = 6_000, 600, 30
TABLES = ("calls", "members", "rings", "pushes", "events")
NAMED = text("""
    SELECT relname, pg_relation_filenode(oid) AS node, pg_table_size(oid) AS bytes
    FROM pg_class WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace
""")
PLACE = text("SELECT CAST(pg_current_wal_insert_lsn() AS text)")
COLUMNS = text("""
    SELECT attname FROM pg_attribute
    WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
""")
RECORD = re.compile(r"len \(rec/tot\):\s*\d+/\s*(\d+).*? rel \d+/\d+/(\d+)")


async def ring(database: Database, worker: UUID, rings: int) -> None:
    """So many, each of one phone, written, claimed and recorded."""
    for first in range(0, rings, TOGETHER):
        users = [f"u{1 + (first + n) % USERS}" for n in range(TOGETHER)]
        begun = [
            hint.id for hint in (await at_once(database, asked_of([(u,) for u in users]))).hints
        ]
        async with database.vital.autocommit() as session:
            claimed = await claims.claim_rings(session, worker, begun, 500)
        async with database.vital.autocommit() as session:
            await records.record_taken(session, worker, [taken(push) for push in claimed])


async def widths(session: Connection, table: str) -> dict[str, int]:
    """Bytes of a row, and of those of its columns that hold something."""
    columns = (await session.execute(COLUMNS, {"table": table})).scalars().all()
    each = ", ".join(f'round(avg(coalesce(pg_column_size("{one}"), 0)))' for one in columns)
    of_row = f"SELECT round(avg(pg_column_size(t.*))), {each} FROM {table} t"
    found = (await session.execute(text(of_row))).one()
    return {name: int(n) for name, n in zip(("row", *columns), found, strict=True) if n}


async def measure(url: str) -> tuple[dict[str, dict[str, int]], dict[str, int], tuple[str, ...]]:
    """Widths by table; file of each relation; where the WAL of all rings begins and ends."""
    database, worker = Database(url), uuid4()
    async with database.transaction() as session:
        await make_phones(session)
        await worker_store.enter_worker(session, worker, host="h", pid=1, only=None, lease=9_999)
    await ring(database, worker, WARM)
    async with database.autocommit() as session:
        before = {row.relname: row.bytes for row in await session.execute(NAMED)}
        begin = (await session.execute(PLACE)).scalar_one()
    await ring(database, worker, RINGS)
    async with database.autocommit() as session:
        end = (await session.execute(PLACE)).scalar_one()
        await session.execute(text("SELECT pg_switch_wal()"))
        rows = list(await session.execute(NAMED))
        found = {f"columns of {one}": await widths(session, one) for one in TABLES}
    await database.close()
    grown = {row.relname: round((row.bytes - before.get(row.relname, 0)) / RINGS) for row in rows}
    found["disk"] = most_first(Counter(grown))
    return found, {row.relname: row.node for row in rows}, (begin, end)


def wal(folder: Path, of: dict[str, int], begin: str, end: str) -> dict[str, int]:
    """Bytes of WAL a ring, by relation."""
    command = [str(cluster.binaries() / "bin" / "pg_waldump"), "-p", str(folder)]
    told = subprocess.run(
        [*command, "-s", begin, "-e", end], capture_output=True, text=True, check=True
    )
    names, found = {node: name for name, node in of.items()}, Counter[str]()
    for record in RECORD.finditer(told.stdout):
        found[names.get(int(record[2]), "other")] += int(record[1])
    return most_first(Counter({name: round(n / RINGS) for name, n in found.items()}))


def most_first(found: Counter[str]) -> dict[str, int]:
    return {name: n for name, n in found.most_common() if n}


if __name__ == "__main__":
    with running_postgres(settings=SETTINGS) as server:
        upgrade(server.url)
        table, files, span = asyncio.run(measure(server.url))
        table["WAL"] = wal(server.data / "pg_wal", files, *span)
        print(json.dumps(table, indent=1))
