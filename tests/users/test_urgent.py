"""Urgent rings, and callers who are told: where the tenant says so, and never of a block."""

from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.e2e.house import member
from tests.tenants.test_revocations import made, rows
from tests.users.test_preferences import LATER, phone, pushed, ring


async def test_an_urgent_ring_passes_wishes_and_no_block(site: Site) -> None:
    _, api = await made(site)
    for user in ("bob", "carol"):
        await phone(api, user, {"bob": "ab", "carol": "cd"}[user])
        await api.put(f"/v1/users/{user}/preferences", json={"do_not_disturb_until": LATER})
    await api.put("/v1/users/carol/blocks/alice")
    body = {"caller": {"id": "alice"}, "callees": ["bob", "carol"], "urgent": True}
    refused = await api.post("/v1/calls", json=body)
    assert (refused.status_code, refused.json()["code"]) == (403, "urgent_not_allowed")
    await api.put("/v1/settings", json={"urgent_allowed": True})
    await ring(api, "bob", "carol")
    assert await pushed(site) == []
    await ring(api, "bob", "carol", urgent=True)
    assert await pushed(site) == ["bob"]


async def test_a_caller_is_told_where_the_tenant_says_so(site: Site) -> None:
    _, api = await made(site)
    await api.put("/v1/users/bob/preferences", json={"do_not_disturb_until": LATER})
    await api.put("/v1/users/carol/blocks/alice")
    told = "SELECT data FROM events WHERE type = 'member.suppressed'"
    first = await ring(api, "bob", "carol")
    assert await rows(site, told) == []
    await api.put("/v1/settings", json={"tell_suppressed": True})
    second = await ring(api, "bob", "carol")
    assert [one["data"] for one in await rows(site, told)] == [
        {"user_id": "bob", "reason": "do_not_disturb"}
    ]
    for call, bobs in ((first, None), (second, "do_not_disturb")):
        read = (await api.get(f"/v1/calls/{call['session_id']}")).json()
        assert member(read, "bob")["suppressed"] == bobs
        assert member(read, "carol")["suppressed"] is None
        assert {one["state"] for one in read["members"]} == {"joined", "unreachable"}
