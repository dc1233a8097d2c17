"""A row that cannot be read is told by its key, and fails alone: one by hand, or a newer version's."""

import json
from collections.abc import AsyncIterator

import pytest

from tests.e2e.house import House, Tenant, new_tenant

BROKEN = {
    "a caller's handle": "UPDATE calls SET caller_handle = '5' WHERE id = :id",
    "a newer version's word": "UPDATE calls SET reason = 'eaten' WHERE id = :id",
    "what is shown of a member": "UPDATE members SET person = '7' WHERE session_id = :id",
}


MENDED = (
    "UPDATE calls SET caller_handle = NULL, reason = NULL WHERE id = :id",
    "UPDATE members SET person = NULL WHERE session_id = :id",
)


@pytest.fixture
async def other(shared_house: House) -> AsyncIterator[Tenant]:
    """Another tenant of the same processes."""
    async with new_tenant(shared_house) as made:
        yield made


@pytest.mark.parametrize("what", BROKEN)
async def test_a_call_that_cannot_be_read_is_told_and_keeps_no_other(
    tenant: Tenant, what: str
) -> None:
    bad, good = await tenant.ring("bob"), await tenant.ring("bob", "carol")
    await tenant.execute(BROKEN[what], id=bad["session_id"])
    answer = await tenant.api.get(f"/v1/calls/{bad['session_id']}")
    assert (answer.status_code, answer.json()["code"]) == (500, "unreadable_row")
    told = [
        json.loads(line)
        for api in tenant.house.apis
        for line in api.output().splitlines()
        if '"row_unreadable"' in line
    ]
    assert [(one["kind"], one["row"]) for one in told][-1] == ("call", bad["session_id"])
    for path in ("/v1/calls", "/v1/calls?user_id=bob", "/v1/users/bob/calls"):
        page = await tenant.api.get(path)
        assert page.status_code == 200, page.text
        assert [one["session_id"] for one in page.json()["calls"]] == [good["session_id"]]
    assert (await tenant.read(good))["state"] == "ringing"
    await tenant.ring("bob", caller="dora")
    for statement in MENDED:
        await tenant.execute(statement, id=bad["session_id"])
    assert (await tenant.read(bad))["state"] == "ringing"


async def test_settings_that_cannot_be_read_are_their_tenants_alone(
    tenant: Tenant, other: Tenant
) -> None:
    await tenant.execute(
        'UPDATE tenants SET settings = \'{"limits": {"ring": "a lot"}}\' WHERE id = :id',
        id=tenant.id,
    )
    answer = await tenant.api.get("/v1/devices", params={"user_id": "bob"})
    assert (answer.status_code, answer.json()["code"]) == (500, "unreadable_row")
    assert (await other.api.get("/v1/devices", params={"user_id": "bob"})).status_code == 200
    await tenant.execute("UPDATE tenants SET settings = '{}' WHERE id = :id", id=tenant.id)
