"""What the API answers is what its models say: every member named, none missing."""

from typing import Any

import httpx
import pytest
from pydantic import BaseModel, TypeAdapter

from app.api.models.calls import AcceptedOut, CallOut, OwnCallOut, TimelineOut
from app.api.models.credentials import CredentialsOut
from app.api.models.devices import DevicesOut, RegisteredOut, RevokedOut, UserTokenOut
from app.api.models.server import AuditOut, EventTypesOut
from app.api.models.webhooks import DeliveriesOut, NewWebhookOut, WebhooksOut
from tests.e2e.house import Tenant


def unnamed(value: Any, place: str = "") -> list[str]:
    """Members that a model does not name, anywhere inside it."""
    if isinstance(value, BaseModel):
        found = [f"{place}.{name}" for name in value.model_extra or {}]
        for name in type(value).model_fields:
            found += unnamed(getattr(value, name), f"{place}.{name}")
        return found
    if isinstance(value, list):
        return [one for item in value for one in unnamed(item, f"{place}[]")]
    return []


def says(answer: httpx.Response, model: Any) -> Any:
    assert answer.is_success, answer.text
    found = TypeAdapter(model).validate_python(answer.json())
    assert unnamed(found) == []
    return found


@pytest.mark.parametrize("plain", [True, False], ids=["fast path", "framework"])
async def test_a_ring_is_what_its_model_says(tenant: Tenant, plain: bool) -> None:
    await tenant.phone("bob")
    headers = {} if plain else {"X-Forwarded-Prefix": "/x", "Expect": ""}
    alice = {"id": "alice", "name": "Alice", "handle": {"kind": "generic", "value": "al"}}
    body = {"caller": alice, "callees": ["bob"], "custom": {"room": 7}, "title": "Standup"}
    rung = says(await tenant.api.post("/v1/calls", json=body, headers=headers), CallOut)
    assert (rung.cid, rung.type) == (f"default:{rung.id}", "default")


async def test_a_call_reads_as_its_models_say(tenant: Tenant) -> None:
    phone = await tenant.phone("bob")
    call = await tenant.ring("bob", caller="alice")
    path = f"/v1/calls/{call['session_id']}"
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    token = {"Authorization": f"Bearer {arrival.payload['ring']['token']}"}
    says(await tenant.api.get(path), CallOut)
    own = says(await tenant.api.get(path, headers=token), OwnCallOut)
    assert [one.user_id for one in own.members] == ["bob"]
    accepted = says(await tenant.api.post(f"{path}/accept", headers=token), AcceptedOut)
    member = {"Authorization": f"Bearer {accepted.member_token}"}
    says(await tenant.api.post(f"{path}/heartbeat", headers=member), OwnCallOut)
    says(await tenant.api.get(f"{path}/timeline"), TimelineOut)
    says(await tenant.api.post(f"{path}/end"), CallOut)


async def test_all_else_reads_as_its_models_say(tenant: Tenant) -> None:
    api = tenant.api
    device = {
        "user_id": "bob", "device_id": "d", "tokens": [
            {"kind": "voip", "token": "ab" * 32, "app_id": "com.example.app"}
        ],
    }  # fmt: skip
    says(await api.post("/v1/devices", json=device), RegisteredOut)
    says(await api.get("/v1/devices?user_id=bob"), DevicesOut)
    says(await api.post("/v1/users/bob/tokens"), UserTokenOut)
    says(await api.post("/v1/users/bob/revoke"), RevokedOut)
    hook = says(await api.post("/v1/webhooks", json={"url": "https://example.com/"}), NewWebhookOut)
    says(await api.get("/v1/webhooks"), WebhooksOut)
    says(await api.get(f"/v1/webhooks/{hook.id}/deliveries"), DeliveriesOut)
    await api.delete(f"/v1/webhooks/{hook.id}")
    says(await api.get("/v1/credentials"), CredentialsOut)
    says(await api.get("/v1/audit"), AuditOut)
    types = says(await api.get("/v1/events/types"), EventTypesOut)
    assert {"*", "call.*", "call.started"} <= set(types.filters)


async def test_that_a_call_is_as_it_was_is_in_the_document(tenant: Tenant) -> None:
    call = await tenant.ring("bob", caller="alice")
    path = f"/v1/calls/{call['session_id']}"
    tag = (await tenant.api.get(path)).headers["ETag"]
    again = await tenant.api.get(path, headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.headers["ETag"] == tag
    document = (await tenant.api.get("/openapi.json")).json()
    described = document["paths"]["/v1/calls/{reference}"]["get"]["responses"]
    assert set(described["304"]["headers"]) == {"ETag"}
