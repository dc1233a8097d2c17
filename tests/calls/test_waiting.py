"""Who waits for one call, one key or one tenant holds nothing that others share."""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text

from tests.e2e.house import House, Tenant, member, new_tenant


@contextlib.asynccontextmanager
async def held(tenant: Tenant, call: dict[str, Any]) -> AsyncIterator[None]:
    """Somebody holds this call's row."""
    async with tenant.runtime.database.transaction() as session:
        await session.execute(
            text("SELECT 1 FROM calls WHERE id = :id FOR UPDATE"), {"id": call["session_id"]}
        )
        yield


@pytest.fixture
async def others(quiet_house: House) -> AsyncIterator[Tenant]:
    """Another tenant of the same processes."""
    async with new_tenant(quiet_house) as made:
        yield made


async def rung(tenant: Tenant, count: int = 5) -> float:
    """Seconds of the slowest of some rings, one after the other."""
    slowest = 0.0
    for _ in range(count):
        began = time.monotonic()
        await tenant.ring("zoe", caller="yan")
        slowest = max(slowest, time.monotonic() - began)
    return slowest


async def test_ringing_more_into_a_held_call_keeps_no_ring_waiting(
    backend: Tenant, others: Tenant
) -> None:
    call = await backend.ring("bob", id="held")
    body = {"id": "held", "caller": {"id": "alice"}, "callees": ["carol"]}
    async with held(backend, call):
        more = [
            asyncio.create_task(
                backend.api.post("/v1/calls", json=body, headers={"Idempotency-Key": "once"})
            )
            for _ in range(12)
        ]
        await asyncio.sleep(0)
        assert await rung(others) < 2
        assert await rung(backend, 1) < 2
    answers = [one for one in await asyncio.gather(*more) if one.status_code != 503]
    assert {one.status_code for one in answers} <= {202}
    again = await backend.api.post("/v1/calls", json=body, headers={"Idempotency-Key": "once"})
    answers.append(again)
    rings = {member(one.json(), "carol")["ring"]["uuid"] for one in answers}
    assert len(rings) == 1, "one key, one answer"


async def test_commands_on_a_held_call_are_answered_503_and_cost_nobody_anything(
    backend: Tenant, others: Tenant
) -> None:
    users = [f"u{n}" for n in range(60)]
    call = await backend.ring(*users)
    async with held(backend, call):
        commands = [
            asyncio.create_task(backend.act(call, what, user))
            for n, user in enumerate(users)
            for what in (("decline", "accept")[n % 2],)
        ]
        reads = [asyncio.create_task(backend.read(call)) for _ in range(20)]
        assert await rung(others) < 2
        await asyncio.gather(*reads)
        answers = await asyncio.gather(*commands)
    assert {one.status_code for one in answers} == {503}
    assert all(one.headers["Retry-After"] for one in answers)
    assert (await backend.act(call, "decline", "u0")).status_code == 200


async def test_commands_that_come_together_are_decided_one_after_the_other(
    backend: Tenant,
) -> None:
    """First device wins, however many come in one batch; the losers are told so."""
    call = await backend.ring("bob", "carol")
    async with held(backend, call):
        racing = [
            asyncio.create_task(backend.act(call, "accept", "bob", f"d{n}")) for n in range(12)
        ]
        declines = [asyncio.create_task(backend.act(call, "decline", "carol")) for _ in range(3)]
        await asyncio.sleep(0.3)
    answers = await asyncio.gather(*racing)
    assert sorted(one.status_code for one in answers) == [200] + [409] * 11
    assert {one.status_code for one in await asyncio.gather(*declines)} == {200}
    (winner,) = [one for one in answers if one.status_code == 200]
    assert (
        member(await backend.read(call), "bob")["device_id"]
        == member(winner.json(), "bob")["device_id"]
    )
    kinds = await backend.rows(
        "SELECT type, count(*) AS n FROM events WHERE session_id = :id GROUP BY type",
        id=call["session_id"],
    )
    counts = {row["type"]: row["n"] for row in kinds}
    assert counts["member.joined"] == counts["member.declined"] == 1


async def test_a_key_that_another_transaction_holds_keeps_no_other_tenant_waiting(
    backend: Tenant, others: Tenant
) -> None:
    body = {"caller": {"id": "alice"}, "callees": ["bob"]}
    key = secrets.token_hex(8)
    first = await backend.api.post("/v1/calls", json=body, headers={"Idempotency-Key": key})
    async with backend.runtime.database.transaction() as session:
        await session.execute(
            text("UPDATE idempotency SET created_at = created_at - interval '25 hours'"
                 " WHERE tenant_id = :t"), {"t": backend.id},
        )  # fmt: skip
        again = asyncio.create_task(
            backend.api.post("/v1/calls", json=body, headers={"Idempotency-Key": key})
        )
        assert await rung(others) < 1
    answer = await again
    if answer.status_code == 503:  # a slow machine: the other transaction took too long
        headers = {"Idempotency-Key": key}
        answer = await backend.api.post("/v1/calls", json=body, headers=headers)
    assert answer.status_code == 202
    assert answer.json()["session_id"] != first.json()["session_id"]
