"""A row that cannot be read is told by its key, and fails alone: one by hand, or a newer version's."""

import json
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from app.infra.unreadable import Unreadable, readable
from tests.e2e.house import House, Tenant, eventually, new_tenant

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


# --- rows of other kinds -------------------------------------------------------------------------


def told(tenant: Tenant) -> set[tuple[str, str]]:
    """The (kind, key) of each row that the API processes have told of."""
    lines = [line for api in tenant.house.apis for line in api.output().splitlines()]
    rows = [json.loads(line) for line in lines if '"row_unreadable"' in line]
    return {(row["kind"], row["row"]) for row in rows}


@pytest.mark.parametrize(
    "change",
    [
        "state = 'resting'",
        "kind = 'passkey'",
        "topics = '5'",
        "probe = '{\"production\": 7}'",
        "refused = '[]'",
        "environments = '[\"moon\"]'",
    ],
)
async def test_a_credential_that_cannot_be_read_is_told_and_keeps_no_other(
    tenant: Tenant, change: str
) -> None:
    (bad,) = (await tenant.api.get("/v1/credentials")).json()["credentials"]
    phone = await tenant.phone("bob")
    made = await tenant.api.post(
        "/v1/credentials/vapid",
        json={"app_id": "https://app.example.com", "subject": "mailto:ops@example.com"},
    )
    assert made.status_code == 201, made.text
    await tenant.execute(f"UPDATE credentials SET {change} WHERE id = :id", id=bad["id"])
    answer = await tenant.api.get(f"/v1/credentials/{bad['id']}")
    assert (answer.status_code, answer.json()["code"]) == (500, "unreadable_row")
    listed = await tenant.api.get("/v1/credentials")
    assert [one["id"] for one in listed.json()["credentials"]] == [made.json()["id"]]
    assert ("credential", bad["id"]) in told(tenant)
    assert (await tenant.register(phone)).status_code == 200
    await tenant.ring("bob")
    assert (await tenant.api.get("/v1/devices", params={"user_id": "bob"})).status_code == 200


@pytest.mark.parametrize(
    "change", ["state = 'asleep'", "events = '5'", "disabled_reason = 'moved'"]
)
async def test_a_webhook_that_cannot_be_read_is_told_and_keeps_no_other(
    tenant: Tenant, change: str
) -> None:
    bad, good = [
        (
            await tenant.api.post(
                "/v1/webhooks", json={"url": f"https://example.com/{n}", "events": ["call.*"]}
            )
        ).json()["id"]
        for n in range(2)
    ]
    await tenant.execute(f"UPDATE webhooks SET {change} WHERE id = :id", id=bad)
    for ask in (tenant.api.get, tenant.api.delete):
        answer = await ask(f"/v1/webhooks/{bad}")
        if ask == tenant.api.get:
            assert (answer.status_code, answer.json()["code"]) == (500, "unreadable_row")
            listed = await tenant.api.get("/v1/webhooks")
            assert [one["id"] for one in listed.json()["webhooks"]] == [good]
            await tenant.ring("bob")
        else:
            assert answer.status_code == 204, "it can be removed by its key"
    assert ("webhook", bad) in told(tenant)


async def test_a_device_that_cannot_be_read_is_told_and_keeps_no_other(tenant: Tenant) -> None:
    await tenant.phone("bob", "bad")
    phone = await tenant.phone("bob", "good")
    await tenant.execute(
        "UPDATE devices SET report = '5' WHERE tenant_id = :tenant AND device_id = 'bad'",
        tenant=tenant.id,
    )
    rows = await tenant.rows("SELECT id FROM devices WHERE tenant_id = :tenant AND report = '5'")
    listed = await tenant.api.get("/v1/devices", params={"user_id": "bob"})
    assert [one["device_id"] for one in listed.json()["devices"]] == ["good"]
    assert ("device", str(rows[0]["id"])) in told(tenant)
    off = await tenant.api.patch("/v1/devices/bad", json={"user_id": "bob", "rings": False})
    assert (off.status_code, off.json()["code"]) == (500, "unreadable_row")
    await tenant.ring("bob")
    await tenant.sim.arrived(1, token=phone.voip)
    gone = await tenant.api.delete("/v1/devices/bad", params={"user_id": "bob"})
    assert gone.status_code == 204


@pytest.mark.parametrize("change", ["kind = 'carrier pigeon'", "environment = 'moon'"])
async def test_a_token_that_cannot_be_read_is_left_out_of_its_device(
    tenant: Tenant, change: str
) -> None:
    phone = await tenant.phone("bob", "d1")
    await tenant.execute(
        f"UPDATE tokens SET {change} WHERE token = :token",
        token=phone.alert,
    )
    (device,) = (await tenant.api.get("/v1/devices", params={"user_id": "bob"})).json()["devices"]
    assert [one["kind"] for one in device["tokens"]] == ["voip"]
    assert "token" in {kind for kind, _ in told(tenant)}
    await tenant.ring("bob")
    await tenant.sim.arrived(1, token=phone.voip)


@pytest.mark.parametrize("others", [1, 12], ids=["each by itself", "in a batch"])
async def test_a_push_of_words_that_no_worker_knows_holds_up_no_other(
    tenant: Tenant, others: int
) -> None:
    """A newer version's, or changed by hand: it is left to whoever knows them, or to its deadline."""
    phones = [await tenant.phone(f"u{n}", alert=False) for n in range(others)]
    odd = await tenant.phone("bob", alert=False)
    await tenant.execute(
        "UPDATE tokens SET environment = 'moon' WHERE token = :token", token=odd.voip
    )
    call = await tenant.ring("bob", *(phone.user for phone in phones))
    for phone in phones:
        await tenant.sim.arrived(1, token=phone.voip)

    async def state() -> str:
        (row,) = await tenant.rows(
            "SELECT state FROM targets WHERE session_id = :id AND token = :token",
            id=call["session_id"], token=odd.voip,
        )  # fmt: skip
        return str(row["state"])

    assert await state() == "pending"
    for table in ("pushes", "push_batches"):
        await tenant.execute(
            f"UPDATE {table} SET deadline = clock_timestamp() "
            "WHERE session_id = :id AND environment = 'moon'",
            id=call["session_id"],
        )

    async def expired() -> bool:
        return await state() == "expired"

    await eventually(expired)
    assert not tenant.sim.arrivals(odd.voip)
    await tenant.act(call, "end")


async def test_an_event_that_cannot_be_read_is_left_out_of_the_timeline(tenant: Tenant) -> None:
    call = await tenant.ring("bob")
    path = f"/v1/calls/{call['session_id']}/timeline"
    await tenant.execute(
        "UPDATE events SET data = '5' WHERE session_id = :id AND type = 'call.started'",
        id=call["session_id"],
    )
    answer = await tenant.api.get(path)
    assert answer.status_code == 200, answer.text
    kinds = [line["kind"] for line in answer.json()["timeline"]]
    assert "ring.started" in kinds
    assert "call.started" not in kinds
    assert ("event", f"{call['session_id']}:1") in told(tenant)


async def test_an_answer_kept_for_a_key_that_cannot_be_read_is_told(tenant: Tenant) -> None:
    body = {"caller": {"id": "alice"}, "callees": ["bob"]}
    keyed = {"Idempotency-Key": "once"}
    first = await tenant.api.post("/v1/calls", json=body, headers=keyed)
    assert first.status_code == 202
    await tenant.execute(
        "UPDATE idempotency SET answer = '5' WHERE tenant_id = :tenant", tenant=tenant.id
    )
    again = await tenant.api.post("/v1/calls", json=body, headers=keyed)
    assert (again.status_code, again.json()["code"]) == (500, "unreadable_row")
    assert ("kept answer", f"{tenant.id}:{first.json()['session_id']}") in told(tenant)
    other = await tenant.api.post("/v1/calls", json=body, headers={"Idempotency-Key": "twice"})
    assert other.status_code == 202


@pytest.mark.parametrize("stored", ['{"quiet_hours": 5}', '{"call_types": []}', "7"])
async def test_preferences_that_cannot_be_read_are_none(tenant: Tenant, stored: str) -> None:
    set_ = await tenant.api.put(
        "/v1/users/bob/preferences", json={"call_types": {"default": "nothing"}}
    )
    assert set_.status_code in {200, 204}, set_.text
    await tenant.execute(
        "UPDATE preferences SET settings = CAST(:stored AS jsonb) WHERE tenant_id = :tenant",
        stored=stored,
        tenant=tenant.id,
    )
    answer = await tenant.api.get("/v1/users/bob/preferences")
    assert (answer.status_code, answer.json()["code"]) == (500, "unreadable_row")
    call = await tenant.ring("bob", "carol")
    assert {one["user_id"] for one in call["members"]} == {"alice", "bob", "carol"}
    assert ("preferences", f"{tenant.id}:bob") in told(tenant)


async def test_a_list_that_is_asked_for_again_does_not_tell_of_the_row_each_time() -> None:
    def make(number: int) -> int:
        return 1 // number if number else int("")

    with capture_logs() as logs:
        for _ in range(3):
            assert readable([1, 0], make, "number", str) == [1]
    assert [one["row"] for one in logs if one["event"] == "row_unreadable"] == ["0"]
    with pytest.raises(Unreadable):
        readable([1, 0], make, "number", str, leave_out=False)
