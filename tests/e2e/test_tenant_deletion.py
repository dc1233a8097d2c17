"""A tenant is deleted while it rings: its doors are shut, its phones stop, its rows go, others ring."""

import asyncio
import json
from typing import Any

import pytest

from tests import forks
from tests.e2e.house import House, Tenant, bearer, eventually, new_tenant
from tests.houses import HouseMaker
from tests.live.listener import listening

MANY = 60_000
"""Rows, of which a worker removes some hundred a batch: it is killed among them."""

TOLD = """INSERT INTO user_events (tenant_id, user_id, seq, at, body)
    SELECT :tenant, 'carol', n, clock_timestamp(), '{}' FROM generate_series(1, :many) n"""


async def ringline(house: House, *words: str, status: int = 0) -> str:
    done = await asyncio.to_thread(forks.run, "app.cli", *words, env=house.env)
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return str(done.stdout + done.stderr)


async def left(tenant: Tenant, table: str) -> int:
    (row,) = await tenant.rows(f"SELECT count(*) AS n FROM {table} WHERE tenant_id = :tenant")
    return int(row["n"])


async def name_of(tenant: Tenant) -> str:
    (row,) = await tenant.rows("SELECT name FROM tenants WHERE id = :tenant")
    return str(row["name"])


async def code_of(tenant: Tenant, api: int, token: str, path: str = "/v1/devices") -> Any:
    answer = await tenant.clients[api].get(path, headers=bearer(token))
    return answer.status_code, answer.json().get("code")


@pytest.mark.long(60)
async def test_a_tenant_is_deleted_while_it_rings(make_house: HouseMaker) -> None:
    house = make_house(apis=2, workers=1, RINGLINE_WEBHOOK_ALLOW_PRIVATE="true")
    async with new_tenant(house) as acme, new_tenant(house) as other:
        name = await name_of(acme)
        phone, others = await acme.phone("bob"), await other.phone("bob")
        hook = {"url": "http://127.0.0.1:9/", "events": ["call.ended"]}
        assert (await acme.api.post("/v1/webhooks", json=hook)).status_code == 201
        await acme.execute(TOLD.replace(":tenant", f"'{acme.id}'"), many=MANY)
        async with listening(house.apis[1].url, acme.token_for("bob")) as bob:
            await bob.wait_for("snapshot")
            call = await acme.ring("bob")
            (rung,) = await acme.sim.arrived(1, token=phone.voip)
            in_push = rung.payload["ring"]["token"]
            path = f"/v1/calls/{call['session_id']}"
            assert (await code_of(acme, 1, in_push, path))[0] == 200

            await refused_and_dry(house, acme, name)
            shown = json.loads(
                await ringline(house, "tenant", "delete", name, "--confirm", name, "--json")
            )
            assert shown["tenant"] == name
            assert shown["rows_left"] >= MANY
            await asyncio.sleep(1.1)  # a second is the promise
            assert (await acme.clients[1].get("/v1/calls")).status_code == 401
            assert (await code_of(acme, 1, acme.token_for("bob")))[0] == 401

            async def shut() -> bool:
                return await code_of(acme, 1, in_push, path) == (401, "tenant_deleted")

            await eventually(shut)
            ended = await bob.wait_for("call.ended")
            assert ended.data["session_id"] == call["session_id"]
            await eventually(lambda: _ended(bob))
        stop = (await acme.sim.arrived(1, token=phone.alert))[0]
        assert stop.payload["ring"]["uuid"] == rung.payload["ring"]["uuid"]
        assert await left(acme, "deliveries") == 0, "webhooks hear of it no more"

        await other.ring("bob")
        await other.sim.arrived(1, token=others.voip)
        await killed_among_rows(house, acme)
        again = json.loads(await ringline(house, "tenant", "create", name, "--json"))
        assert again["tenant"] == name
        assert f"deleted-{acme.id}" in (listed := await ringline(house, "tenant", "list"))
        assert "rows left" in listed
        call = await other.ring("bob", id="meanwhile")

        async def gone() -> bool:
            return not await acme.rows("SELECT id FROM tenants WHERE id = :tenant")

        await eventually(gone, timeout=120)
        for table in ("user_events", "calls", "members", "rings", "pushes", "tokens", "devices"):
            assert await left(acme, table) == 0, table
            assert table == "user_events" or await left(other, table) > 0, table
        assert f"deleted-{acme.id}" not in await ringline(house, "tenant", "list")
        assert (await other.read(call))["id"] == "meanwhile"
        assert (await other.api.get("/v1/settings")).status_code == 200
        late = await code_of(acme, 0, in_push, path)
        assert late == (401, "tenant_deleted"), "who knew of it has not forgotten"


async def _ended(listener: Any) -> bool:
    return bool(listener.ended)


async def refused_and_dry(house: House, acme: Tenant, name: str) -> None:
    """Without its name, with another one, and to see what would go: nothing is changed."""
    before = await acme.rows("SELECT * FROM tenants ORDER BY id")
    bare = await ringline(house, "tenant", "delete", name, status=1)
    assert f"--confirm {name}" in bare
    assert "--dry-run" in bare
    wrong = await ringline(house, "tenant", "delete", name, "--confirm", "x", status=1)
    assert f"{name!r}" in wrong
    assert "nothing was changed" in wrong
    dry = json.loads(await ringline(house, "tenant", "delete", name, "--dry-run", "--json"))
    assert dry["dry_run"]
    ones = dict.fromkeys(("devices", "calls", "webhooks", "api_keys", "credentials"), 1)
    assert ones.items() <= dry["rows"].items()
    assert dry["rows"]["users"] >= 1
    assert dry["rows"]["user_events"] >= MANY
    assert await acme.rows("SELECT * FROM tenants ORDER BY id") == before
    assert (await acme.api.get("/v1/settings")).status_code == 200
    shown = json.loads(await ringline(house, "tenant", "show", name, "--json"))
    assert shown["rows"] == dry["rows"]


async def killed_among_rows(house: House, acme: Tenant) -> None:
    """The worker dies in the middle of removing; another one goes on."""

    async def some_gone() -> bool:
        return await left(acme, "user_events") < MANY

    await eventually(some_gone, every=0.02)
    house.workers[0].kill()
    rest = await left(acme, "user_events")
    assert rest > 0, "it was killed among them"
    house.start(workers=1)
