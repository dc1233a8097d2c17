"""A house whose workers run in this process, and faults that its own PostgreSQL makes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.calls import ringing
from app.push.dispatch import Dispatcher
from app.push.life import Life
from devkit.embedded import running_valkey
from devkit.simulator import Simulator
from tests.conftest import DatabaseServer
from tests.e2e.house import House, Phone, Tenant, eventually, new_tenant, running_house
from tests.e2e.test_races import order
from tests.houses import TOGETHER
from workers.loop import Loop, Round
from workers.sweep import sweep

# Counts the tries in a sequence, which no rollback takes back; then fails as it is told.
FAULTS = (
    "CREATE TABLE fault (sqlstate text NOT NULL, reason text NOT NULL)",
    "CREATE SEQUENCE tries",
    """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE code text := (SELECT sqlstate FROM fault
                          WHERE coalesce(NEW.reason, '') LIKE fault.reason LIMIT 1);
    BEGIN
        IF code = 'slow' THEN
            PERFORM pg_sleep(2.5) WHERE NEW.state = 'sending';
            RETURN NEW;
        END IF;
        IF code IS NOT NULL AND NEW.state <> 'sending' AND OLD.state = 'sending' THEN
            PERFORM nextval('tries');
            RAISE EXCEPTION 'a fault of the test' USING ERRCODE = code;
        END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER fail BEFORE UPDATE ON pushes FOR EACH ROW EXECUTE FUNCTION fail()",
)


@pytest.fixture(scope="session")
def outbox_house(
    database_server: DatabaseServer, simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """One API process, and no worker: those run in this process, see `start_worker`."""
    folder = tmp_path_factory.mktemp("outbox")
    with (
        database_server.database("outbox") as url,
        running_valkey() as valkey,
        running_house(url, valkey.url, simulator, folder, workers=0) as house,
    ):
        house.at_once = TOGETHER
        yield house


class Bench:
    """A tenant, workers in this process, and what tests do with them."""

    def __init__(self, tenant: Tenant, server: DatabaseServer) -> None:
        self.tenant = tenant
        self._server = server
        self._name = make_url(tenant.house.database_url).database
        self.sim = tenant.sim
        self.workers: list[Loop] = []

    def start_worker(self, swept: Round = sweep, *, hints: bool = False) -> Loop:
        settings = self.tenant.house.settings()
        worker = Loop(settings.model_copy(update={"direct_hints": hints}), swept)
        worker.start()
        self.workers.append(worker)
        return worker

    async def phones(self, count: int, user: str = "bob") -> list[Phone]:
        return await self.tenant.phones(*[user] * count)

    async def hold(self, phones: list[Phone], **answer: Any) -> list[int]:
        """Ring these phones, whose pushes Apple does not answer yet; the faults to release."""
        faults = [self.sim.fault(token=one.voip, hold=True, times=1, **answer) for one in phones]
        await self.ring(phones[0].user)
        for phone in phones:
            await self.sim.arrived(1, token=phone.voip)
        return faults

    async def ring(self, *users: str) -> dict[str, Any]:
        """Ring them; the workers of this process look at once, since they hear of no queue."""
        call = await self.tenant.ring(*users, ring_time=60)
        for worker in self.workers:
            worker.submit(lambda dispatcher: dispatcher.sweeping.send_due())
        return call

    async def unsent(self, session: AsyncConnection, *users: str) -> None:
        """Ring these users in a transaction of the test's."""
        await ringing.ring_new(session, [order(self.tenant.id, *users)])

    async def run(self, session: AsyncConnection, sql: str, **values: Any) -> None:
        await session.execute(text(sql), {"tenant": self.tenant.id, **values})

    def release(self, faults: list[int]) -> None:
        for fault in faults:
            self.sim.release(fault)

    async def pushes(self) -> list[dict[str, Any]]:
        return await self.tenant.rows("SELECT * FROM targets WHERE tenant_id = :tenant ORDER BY id")

    async def all_in(self, *states: str, timeout: float = 60) -> list[dict[str, Any]]:
        """The tenant's pushes, as soon as all are in one of these states."""

        async def look() -> list[dict[str, Any]] | None:
            rows = await self.pushes()
            return rows if rows and all(row["state"] in states for row in rows) else None

        found: list[dict[str, Any]] = await eventually(look, timeout=timeout)
        return found

    def sends(self, phones: list[Phone]) -> list[int]:
        return [len(self.sim.arrivals(phone.voip)) for phone in phones]

    def heard_sends(self, phones: list[Phone]) -> list[int]:
        """The same without those whose answer was waited for in vain, as is right after 3 s.

        Each of these is repeated once, and a busy machine may keep a test for so long.
        """
        return [
            sum(one.outcome != "abandoned" for one in self.sim.arrivals(phone.voip))
            for phone in phones
        ]

    def alter(self, how: str) -> None:
        """Change the database as a whole, from outside."""
        self._server.execute(f"ALTER DATABASE {self._name} {how}")

    def end_sessions(self) -> None:
        """End every connection to this database; the test's own is no more to be used."""
        self._server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'"
        )
        self.tenant.runtime.database.abandon()  # this loop has not heard of it yet

    def on_loops(self, act: Callable[[], None]) -> None:
        """Do something on the loop of each worker of this test."""

        async def work(_: Dispatcher) -> None:
            act()

        for worker in self.workers:
            worker.submit(work)

    def life(self, worker: Loop) -> Life:
        """The life that a worker lives now."""
        assert worker.dispatcher is not None
        return worker.dispatcher.life

    @contextlib.asynccontextmanager
    async def failing(self, sqlstate: str, reason: str = "%") -> AsyncIterator[Callable[[], Any]]:
        """Let PostgreSQL refuse each end of a push that has such a reason.

        Given is a wait for two more refusals.
        """
        await self.tenant.execute(
            "INSERT INTO fault VALUES (:code, :reason)", code=sqlstate, reason=reason
        )

        async def tries() -> int:
            (row,) = await self.tenant.rows("SELECT last_value FROM tries")
            return int(row["last_value"])

        async def tried() -> None:
            before = await tries()

            async def more() -> bool:
                return await tries() > before + 1

            await eventually(more)

        try:
            yield tried
        finally:
            await self.tenant.execute("DELETE FROM fault")


@pytest.fixture
async def bench(outbox_house: House, database_server: DatabaseServer) -> AsyncIterator[Bench]:
    """A tenant of the outbox house; its workers end with the test."""
    async with new_tenant(outbox_house) as tenant:
        (there,) = await tenant.rows("SELECT to_regclass('fault') IS NOT NULL AS there")
        for sql in () if there["there"] else FAULTS:
            await tenant.execute(sql)
        made = Bench(tenant, database_server)
        try:
            yield made
        finally:
            tenant.sim.end_fault()
            tenant.sim.close_connections()  # what was never answered is not waited for
            for worker in made.workers:
                await asyncio.to_thread(worker.stop)
