"""The sweep with bad rows: one keeps no other waiting, whatever is wrong with it."""

import secrets
from typing import Any

import pytest

from app.calls import service
from app.calls.large_calls import tell_large_calls
from app.devices import service as devices
from tests.e2e.house import Tenant, eventually
from workers.sweep import Steps

TRAP = """
    CREATE OR REPLACE FUNCTION trap() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'this row is bad' USING ERRCODE = '22000'; END $$
"""


async def trapped(tenant: Tenant, table: str, column: str, value: str) -> None:
    """A row that cannot be changed: every UPDATE of it fails."""
    await tenant.execute(TRAP)
    name = f"trap_{secrets.token_hex(4)}"
    await tenant.execute(
        f"CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW"
        f" WHEN (CAST(OLD.{column} AS text) = '{value}') EXECUTE FUNCTION trap()"
    )


async def overdue(tenant: Tenant, calls: list[dict[str, Any]]) -> None:
    await tenant.execute(
        "UPDATE calls SET due_at = clock_timestamp() - interval '1 second'"
        " WHERE id = ANY(CAST(:ids AS uuid[]))",
        ids=[call["session_id"] for call in calls],
    )
    await tenant.execute(
        "UPDATE rings SET deadline = clock_timestamp() - interval '1 second'"
        " WHERE session_id = ANY(CAST(:ids AS uuid[]))",
        ids=[call["session_id"] for call in calls],
    )


async def test_a_call_that_cannot_be_read_or_written_keeps_no_other_waiting(
    backend: Tenant,
) -> None:
    calls = [await backend.ring(f"b{n}", caller=f"c{n}") for n in range(5)]
    unread, unwritten, *good = calls
    await overdue(backend, calls)
    await backend.execute("UPDATE calls SET reason = 'odd' WHERE id = :id", id=unread["session_id"])
    await trapped(backend, "calls", "id", unwritten["session_id"])
    await service.sweep(backend.runtime)
    states = {
        str(row["id"]): row["state"]
        for row in await backend.rows("SELECT id, state FROM calls WHERE tenant_id = :tenant")
    }
    assert [states[call["session_id"]] for call in good] == ["ended"] * 3
    assert states[unwritten["session_id"]] == states[unread["session_id"]] == "ringing"
    # and so for those that become due afterwards
    later = await backend.ring("b9", caller="c9")
    await overdue(backend, [later])
    await service.sweep(backend.runtime)
    assert (await backend.read(later))["state"] == "ended"
    await backend.execute("DELETE FROM calls WHERE tenant_id = :t", t=backend.id)


async def test_an_event_that_names_nobody_stops_no_update_and_a_call_that_ended_owes_none(
    backend: Tenant,
) -> None:
    calls = []
    for n in range(3):
        call = await backend.ring(*(f"u{m}" for m in range(12)), id=f"large{n}")
        await backend.act(call, "accept", "u1")
        await backend.act(call, "decline", "u2")
        calls.append(call)
    bad, ended, good = calls
    await backend.execute(
        "UPDATE events SET data = '{}' WHERE session_id = :id AND type = 'member.declined'",
        id=bad["session_id"],
    )
    await backend.act(ended, "end")
    await tell_large_calls(backend.runtime)
    updates = await backend.rows(
        "SELECT session_id FROM events WHERE tenant_id = :tenant AND type = 'call.updated'"
    )
    assert {str(row["session_id"]) for row in updates} == {good["session_id"]}
    (row,) = await backend.rows(
        "SELECT update_due_at FROM calls WHERE id = :id", id=ended["session_id"]
    )
    assert row["update_due_at"] is None
    for call in calls:
        await backend.act(call, "end")


async def test_a_token_that_cannot_be_retired_keeps_no_other_waiting(
    backend: Tenant,
) -> None:
    phones = [await backend.phone("bob", f"d{n}", alert=False) for n in range(3)]
    await backend.execute(
        "UPDATE tokens SET expires_at = clock_timestamp() - interval '1 second'"
        " WHERE tenant_id = :t", t=backend.id,
    )  # fmt: skip
    await trapped(backend, "tokens", "token", phones[1].voip)
    await devices.sweep(backend.runtime)
    rows = await backend.rows(
        "SELECT token, retired_at IS NOT NULL AS retired FROM tokens WHERE tenant_id = :tenant"
    )
    retired = {row["token"]: row["retired"] for row in rows}
    assert [retired[phone.voip] for phone in phones] == [True, False, True]


async def test_a_step_that_fails_is_counted_and_the_others_go_on() -> None:
    done = []

    async def fail() -> None:
        raise KeyError("user_id")

    async def go_on() -> None:
        done.append(1)

    steps = Steps()
    for _ in range(3):
        await steps.go_through({"bad": fail, "good": go_on})
    assert len(done) == 3


@pytest.mark.parametrize("name", ["user_id", "callees", "call.ended", "null", "members"])
async def test_erasing_a_user_with_such_an_id_stops_nothing(tenant: Tenant, name: str) -> None:
    """The whole house: a large call of which one is erased, and another call goes on in time."""
    crowd = [f"m{n}" for n in range(11)]
    call = await tenant.ring(name, *crowd, caller="alice")
    await tenant.act(call, "accept", name)
    await tenant.act(call, "accept", "m1")
    assert (await tenant.api.delete(f"/v1/users/{name}")).status_code == 204
    other = await tenant.ring("zoe", caller="yan", ring_time=5)
    await overdue(tenant, [other])

    async def missed() -> bool:
        return bool(
            await tenant.rows(
                "SELECT 1 FROM calls WHERE id = :id AND ended_at IS NOT NULL",
                id=other["session_id"],
            )
        )

    assert await eventually(missed)
