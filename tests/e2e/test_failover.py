"""Several database hosts: the primary dies, the standby is promoted, and the same processes go on."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from app.infra import schema
from app.infra.db import Database
from devkit.embedded import running_postgres
from devkit.embedded.postgres import PORT, Postgres
from devkit.simulator import Simulator
from tests.chaos.nodes import copy
from tests.e2e.house import TROUBLES, eventually, new_tenant, running_house

REPLICATED = {"wal_level": "replica", "max_wal_senders": "4", "fsync": "off"}


def both(first: Postgres, second: Postgres) -> str:
    """One address of two servers, of whom the one that takes writes is wanted."""
    sockets = f"host={first.sockets},{second.sockets}&port={PORT},{PORT}"
    return f"postgresql+asyncpg://postgres@/postgres?{sockets}&target_session_attrs=read-write"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postgres, Postgres]]:
    """A migrated primary and its standby, without which it commits nothing."""
    folder = tmp_path_factory.mktemp("pair")
    with running_postgres(folder / "one", settings=REPLICATED) as primary:
        schema.upgrade(primary.url)
        standby = Postgres(folder / "two", settings={"fsync": "off"})
        copy(primary, standby)
        with standby:
            yield primary, standby


async def ask(server: Postgres, statement: str) -> object:
    database = Database(server.url, pool=1)
    try:
        async with database.autocommit() as session:
            found = await session.execute(text(statement))
            return found.scalar_one() if found.returns_rows else None
    finally:
        await database.close()


async def test_a_failover_loses_nothing_that_was_answered_and_the_same_processes_ring_on(
    pair: tuple[Postgres, Postgres], redis: str, simulator: Simulator, tmp_path: Path
) -> None:
    primary, standby = pair

    await ask(primary, "ALTER SYSTEM SET synchronous_standby_names = '*'")
    await ask(primary, "SELECT pg_reload_conf()")

    async def in_step() -> bool:
        found = await ask(
            primary, "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'"
        )
        return found == 1

    await eventually(in_step)
    with running_house(both(primary, standby), redis, simulator, tmp_path) as house:
        house.may_log = TROUBLES  # the database goes away
        async with new_tenant(house) as tenant:
            phones = [await tenant.phone(user) for user in ("bob", "carol")]
            rung = [await tenant.ring("bob", ring_time=120) for _ in range(5)]
            await tenant.sim.arrived(5, token=phones[0].voip)
            os.kill(primary.pid, signal.SIGKILL)

            async def asked(user: str, status: int) -> bool:
                body = {"caller": {"id": "alice"}, "callees": [user], "ring_time": 120}
                answer = await tenant.api.post("/v1/calls", json=body)
                return answer.status_code == status

            await eventually(lambda: asked("nobody", 503))  # it ends a moment after its kill
            assert await ask(standby, "SELECT pg_promote()")
            await eventually(lambda: asked("carol", 202))
            await tenant.sim.arrived(1, token=phones[1].voip)
            for call in rung:
                assert (await tenant.read(call))["state"] == "ringing"
