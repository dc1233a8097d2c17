"""What is committed between a transaction's look and its insert is locked in no order: two that come
to wait for each other are both done all the same.

A third one commits what the first is about to insert, and a second one locks it: the first, held at
that row by a trigger, has meanwhile inserted what the second inserts next.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text

from app.audit.log import SERVER
from app.calls import registration
from app.devices.schemas import DeviceIn
from app.infra.connections import Patience
from app.infra.db import Database, many
from app.infra.errors import Conflict
from app.infra.runtime import Runtime
from app.tenants.schemas import TenantSettings
from app.users import service as users
from app.users.schemas import HandlesIn
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, tenant)

HOLD = """
    CREATE FUNCTION hold_here() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(4711);
        RETURN NEW;
    END $$
"""
HERE = """
    CREATE TRIGGER hold_here BEFORE INSERT ON {table} FOR EACH ROW
        WHEN (NEW.user_id = 'bob' AND NEW.kind = '{kind}') EXECUTE FUNCTION hold_here()
"""
WAITING = text("""
    SELECT wait_event FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
""")
ENDED = text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


async def waits(database: Database, what: str) -> None:
    """Returns once a session waits for this."""
    while True:
        async with database.autocommit() as session:
            if what in {row["wait_event"] for row in await many(session, WAITING)}:
                return
        await asyncio.sleep(0.01)


@pytest.fixture
async def patient(runtime: Runtime) -> AsyncIterator[Runtime]:
    """A process whose transactions wait for each other as long as it takes on a busy machine."""
    url = runtime.settings.sqlalchemy_url
    database = Database(url, patience=Patience(lock=40, statement=50, answer=55, idle=50))
    yield replace(runtime, database=database)
    await database.close()


async def met(
    runtime: Runtime, table: str, kind: str, *, act: Callable[[str, bool], Awaitable[object]]
) -> list[object]:
    """What becomes of `bob` and `dave`, who both want what `carol` has just got.

    `act(user, both)`: that user writes one row, the last of two, or both of them.
    """
    async with runtime.database.transaction() as session:
        await session.execute(text(HOLD))
        await session.execute(text(HERE.format(table=table, kind=kind)))
    async with runtime.database.transaction() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(4711)"))
        bob = asyncio.create_task(act("bob", True))
        await waits(runtime.database, "advisory")
        await act("carol", False)
        dave = asyncio.create_task(act("dave", True))
        await waits(runtime.database, "transactionid")
    return await asyncio.gather(bob, dave, return_exceptions=True)


async def ended_one(runtime: Runtime) -> None:
    """Returns once PostgreSQL says that it has ended a transaction in this database."""
    async with asyncio.timeout(20):
        while True:
            async with runtime.database.autocommit() as session:
                (row,) = await many(session, ENDED)
            if row["deadlocks"]:
                return
            await asyncio.sleep(0.05)


async def test_two_who_register_tokens_that_a_third_has_just_got(
    patient: Runtime, tenant: UUID
) -> None:
    one, other = secrets.token_hex(32), secrets.token_hex(32)

    async def act(user: str, both: bool) -> object:
        tokens = [{"kind": "voip", "token": other, "app_id": "com.example.app"}]
        if both:
            tokens.append({"kind": "alert", "token": one, "app_id": "com.example.app"})
        request = DeviceIn.model_validate({"device_id": "d1", "tokens": tokens})
        return await registration.register(patient, tenant, TenantSettings(), user, request)

    done = await met(patient, "tokens", "voip", act=act)
    assert [one["user_id"] for one in done] == ["bob", "dave"], done  # type: ignore[index]
    async with patient.database.autocommit() as session:
        rows = await many(session, text("SELECT user_id, device_row FROM tokens"))
    assert len(rows) == 2
    assert len({(row["user_id"], row["device_row"]) for row in rows}) == 1, "the later one has both"
    await ended_one(patient)


async def test_two_who_set_handles_of_which_a_third_has_just_got_one(
    patient: Runtime, tenant: UUID
) -> None:
    async def act(user: str, both: bool) -> object:
        wanted = [{"kind": "generic", "value": "the desk"}]
        if both:
            wanted.append({"kind": "email", "value": "desk@example.com"})
        given = HandlesIn.model_validate({"handles": wanted})
        return await users.set_handles(patient, tenant, user, given, actor=SERVER)

    done = await met(patient, "handles", "generic", act=act)
    assert [type(one) for one in done] == [Conflict, Conflict], done
    assert {one.code for one in done if isinstance(one, Conflict)} == {"handle_taken"}
    await ended_one(patient)
