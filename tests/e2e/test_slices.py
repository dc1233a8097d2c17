"""Between the slices of a large call its process is killed, or the database is away: all ring."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from app.calls import slices
from tests.e2e.house import Tenant, eventually, new_tenant
from tests.houses import HouseMaker

CROWD = 110
GATE = 7
"""An advisory lock: while a test holds it nothing more of the second slice can be written."""

STOP_AT_THE_GATE = (
    """CREATE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.user_id = 'gate' THEN PERFORM pg_advisory_xact_lock_shared(7); END IF;
        RETURN NEW;
    END $$""",
    "CREATE TRIGGER gate BEFORE INSERT ON members FOR EACH ROW EXECUTE FUNCTION gate()",
)
WAITING = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = :gate AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


class Crowd:
    """A tenant whose users have a phone each, and one call of them all."""

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.tokens: dict[str, str] = {}
        self.users = [*(f"u{n:03}" for n in range(CROWD)), "gate"]
        self.body = {"caller": {"id": "alice"}, "callees": self.users, "ring_time": 60}

    async def move_in(self) -> None:
        phones = await self.tenant.phones(*self.users)
        self.tokens = {phone.user: phone.voip for phone in phones}

    async def ring(self, api: int) -> httpx.Response:
        return await self.tenant.clients[api].post(
            "/v1/calls", json=self.body, headers={"Idempotency-Key": "k"}
        )

    async def times_rung(self, users: list[str]) -> list[int]:
        return [len(self.tenant.sim.arrivals(self.tokens[user])) for user in users]

    async def all_ring(self, users: list[str]) -> None:
        async def rung() -> bool:
            return 0 not in await self.times_rung(users)

        await eventually(rung)

    async def is_whole(self) -> dict[str, Any]:
        """Everybody's phone has been rung, once; the answer to who asks again."""
        await self.all_ring(list(self.tokens))
        answer = await self.ring(1)
        assert answer.status_code == 202, answer.text
        call: dict[str, Any] = answer.json()
        assert [one["user_id"] for one in call["members"]] == ["alice", *self.tokens]
        rows = await self.tenant.rows(
            """SELECT c.id, c.owed, c.event_seq, count(*) AS members,
                (SELECT count(*) FROM events e WHERE e.session_id = c.id) AS events,
                (SELECT count(DISTINCT deadline) FROM rings r WHERE r.session_id = c.id) AS times,
                (SELECT count(*) FROM targets p WHERE p.session_id = c.id) AS targets
            FROM calls c JOIN members m ON m.session_id = c.id
            WHERE c.tenant_id = :tenant GROUP BY c.id"""
        )
        count = len(self.tokens)
        assert rows == [
            {
                "id": UUID(call["session_id"]),
                "owed": None,
                "event_seq": count + 1,
                "members": count + 1,
                "events": count + 1,
                "times": 1,
                "targets": count,
            }
        ]
        assert await self.times_rung(list(self.tokens)) == [1] * count
        return call


@contextlib.asynccontextmanager
async def closed_gate(tenant: Tenant) -> AsyncIterator[None]:
    async with tenant.runtime.database.patient.transaction() as session:
        await session.execute(text("SELECT pg_advisory_xact_lock(:gate)"), {"gate": GATE})
        yield


async def at_the_gate(tenant: Tenant) -> int:
    """Who waits there, by the id of its session."""

    async def look() -> int | None:
        rows = await tenant.rows(WAITING, gate=GATE)
        return int(rows[0]["pid"]) if rows else None

    pid: int = await eventually(look, every=0.01)
    return pid


async def test_what_a_crash_or_an_outage_leaves_between_slices_rings_within_seconds(
    make_house: HouseMaker,
) -> None:
    house = make_house(apis=2, workers=2)
    house.may_log |= {"sweep_step_failed", "database_error"}
    async with new_tenant(house) as cut, new_tenant(house) as killed:
        for sql in STOP_AT_THE_GATE:
            await cut.execute(sql)
        crowds = []
        for tenant in (cut, killed):
            crowds.append(Crowd(tenant))
            await crowds[-1].move_in()
        first = list(crowds[0].tokens)[: slices.FIRST]

        async with closed_gate(cut):
            asked = asyncio.create_task(crowds[0].ring(0))
            await cut.execute("SELECT pg_terminate_backend(:pid)", pid=await at_the_gate(cut))
            answer = await asked
        assert answer.status_code == 202
        told = answer.json()
        assert {one["state"] for one in told["members"][1:]} == {"ringing"}
        call = await crowds[0].is_whole()
        assert call["session_id"] == told["session_id"]
        for then, now in zip(told["members"][1:], call["members"][1:], strict=True):
            assert now["ring"]["uuid"] == then["ring"]["uuid"]

        async with closed_gate(killed):
            asked = asyncio.create_task(crowds[1].ring(0))
            await at_the_gate(killed)
            house.apis[0].kill()
            with pytest.raises(httpx.TransportError):
                await asked
            await crowds[1].all_ring(first)
            assert sum(await crowds[1].times_rung(list(crowds[1].tokens)[slices.FIRST :])) == 0
        await crowds[1].is_whole()
