"""A cursor is good for the list that it was given for, and for no other."""

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from app.core.cursor import cursor_of, place_of
from app.infra.ids import uuid7
from app.tenants import service
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.e2e.house import bearer
from tests.tenants.test_revocations import made, signed

AT = datetime(2026, 11, 21, 8, 0, 0, 123, UTC)


def test_a_cursor_is_of_its_list() -> None:
    made_by = cursor_of(AT, "a~b", "calls", "x")
    assert place_of(made_by, "calls", "x") == (AT, "a~b")
    assert place_of(made_by.replace("+", " "), "calls", "x") == (AT, "a~b")
    for other in (("calls",), ("calls", "y"), ("call", "sx"), ("audit", "x")):
        assert place_of(made_by, *other) is None
    assert place_of(made_by[:-1], "calls", "x") is None


async def page(api: httpx.AsyncClient, path: str, **asked: Any) -> tuple[int, Any]:
    answer = await api.get(path, params=asked)
    said = answer.json()
    return answer.status_code, said.get("next_cursor") if answer.is_success else said["code"]


async def test_of_another_list_user_or_tenant_it_is_refused(site: Site) -> None:
    tenant, api = await made(site)
    hooks = []
    for n in range(3):
        ring = {"caller": {"id": "alice"}, "callees": ["bob", "carol"], "id": f"c{n}"}
        assert (await api.post("/v1/calls", json=ring)).status_code == 202
        hook = await api.post("/v1/webhooks", json={"url": f"https://example.com/{n}"})
        hooks.append(hook.json()["id"])
    lists = {
        "calls": ("/v1/calls", {}),
        "bob's": ("/v1/users/bob/calls", {}),
        "carol's": ("/v1/users/carol/calls", {}),
        "audit": ("/v1/audit", {}),
    }
    cursors = {}
    for name, (path, more) in lists.items():
        status, cursors[name] = await page(api, path, limit=1, **more)
        assert (status, bool(cursors[name])) == (200, True), name
    of = (str(tenant.id), hooks[0])
    cursors["deliveries"] = cursor_of(AT, "evt_1", "deliveries", *of)
    cursors["attempts"] = cursor_of(AT, str(uuid7()), "attempts", *of)
    lists["deliveries"] = (f"/v1/webhooks/{hooks[0]}/deliveries", {})
    lists["attempts"] = (f"/v1/webhooks/{hooks[0]}/attempts", {})
    lists["another's deliveries"] = (f"/v1/webhooks/{hooks[1]}/deliveries", {})
    for name, (path, more) in lists.items():
        for given, cursor in cursors.items():
            status, said = await page(api, path, cursor=cursor, **more)
            if name == given:
                assert status == 200, (name, said)
            else:
                assert (status, said) == (422, "invalid_cursor"), (name, given)
    api.headers.update(bearer(signed(tenant, "bob")))
    assert (await page(api, "/v1/users/bob/calls", cursor=cursors["bob's"]))[0] == 200
    other_api = await site.visitor()
    other = await service.create(site.runtime, "other")
    other_api.headers.update(bearer(other.api_key))
    for name in ("calls", "bob's", "audit"):
        assert await page(other_api, lists[name][0], cursor=cursors[name]) == (
            422,
            "invalid_cursor",
        )


@pytest.mark.parametrize("text", ["", "~", "x", "2026-11-21T08:00:00Z~x", "2026-11-21T08:00:00Z~~"])
def test_what_is_none_of_ours(text: str) -> None:
    assert place_of(text, "calls") is None
