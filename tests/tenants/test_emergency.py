"""The emergency switch: no new ring of a tenant begins, by whichever way; what lives goes on."""

import asyncio

from app.tenants import service
from tests.cli.test_cli import ringline
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site, post
from tests.e2e.house import bearer
from tests.tenants.test_revocations import made, rows, signed
from tests.tenants.test_signing_secrets import environment  # noqa: F401


async def test_no_new_ring_begins_and_what_lives_goes_on(
    site: Site,
    environment: dict[str, str],  # noqa: F811
) -> None:
    tenant, api = await made(site)
    other = await service.create(site.runtime, "other")
    await api.put("/v1/settings", json={"users_may_ring": True})
    ring = {"id": "live", "caller": {"id": "alice"}, "callees": ["bob"]}
    assert (await api.post("/v1/calls", json=ring)).status_code == 202
    assert (await api.get("/v1/settings/ringing")).json() == {"stopped_at": None}
    stopped = (await api.put("/v1/settings/ringing", json={"stopped": True})).json()["stopped_at"]
    again = (await api.put("/v1/settings/ringing", json={"stopped": True})).json()
    assert again == (await api.get("/v1/settings/ringing")).json() == {"stopped_at": stopped}
    mine = bearer(signed(tenant, "alice"))
    for body in (ring | {"id": "new"}, ring | {"callees": ["carol"]}):
        for headers in ({}, mine, {"Expect": ""}):
            answer = await api.post("/v1/calls", json=body, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (409, "ringing_stopped")
    assert len(await rows(site, "SELECT * FROM rings")) == 1
    assert (await api.put("/v1/settings", json={})).status_code == 200
    assert (await api.get("/v1/settings/ringing")).json() == {"stopped_at": stopped}
    accepted = await api.post("/v1/calls/default:live/accept", json={"user_id": "bob"})
    assert accepted.status_code == 200
    assert (await api.post("/v1/calls/default:live/end")).status_code == 200
    theirs = await api.post("/v1/calls", json=ring, headers=bearer(other.api_key))
    assert theirs.status_code == 202, "another tenant rings"

    owner = await site.admin()
    page = f"/dashboard/t/{tenant.id}/settings"
    assert "All new ringing is stopped" in (await owner.get(page + "/calls")).text
    refused = await post(owner, page + "/calls", ring="loud")
    assert refused.status_code == 422
    assert "All new ringing is stopped" in refused.text
    assert (await post(owner, page + "/ringing")).status_code == 303
    assert (await api.post("/v1/calls", json=ring)).status_code == 202
    said = await asyncio.to_thread(ringline, environment, "tenant", "stop", "acme")
    assert "stopped at" in said
    assert (await api.post("/v1/calls", json=ring | {"id": "x"})).status_code == 409
