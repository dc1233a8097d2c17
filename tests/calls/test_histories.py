"""Histories by HTTP: pages, filters, what was missed and seen, and who may read whose."""

import asyncio
from typing import Any

import httpx
from sqlalchemy import text

from app.api.models.histories import CallsOut, MissedOut, OwnCallsOut
from app.calls import histories
from app.live import feeds
from app.tenants import service
from tests.api.test_responses import says
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.e2e.house import bearer
from tests.events.schemas import faults as schema_faults
from tests.tenants.test_revocations import made, rows, signed


async def ring(api: httpx.AsyncClient, name: str, caller: str, *callees: str, **more: Any) -> str:
    body = {"id": name, "caller": {"id": caller}, "callees": list(callees), **more}
    answer = await api.post("/v1/calls", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["session_id"])


async def pages(api: httpx.AsyncClient, path: str, **query: Any) -> list[list[str]]:
    """The calls of every page, by the client's own ids."""
    found, cursor = [], None
    while True:
        asked = {name: value for name, value in (query | {"cursor": cursor}).items() if value}
        answer = (await api.get(path, params=asked)).json()
        found.append([one["id"] for one in answer["calls"]])
        cursor = answer["next_cursor"]
        if cursor is None:
            return found


async def test_a_tenants_calls(site: Site) -> None:
    _, api = await made(site)
    other = await service.create(site.runtime, "other")
    for n in range(7):
        await ring(api, f"c{n}", "alice", "bob", "carol" if n % 2 else "dave", type=f"t{n % 3}")
    await api.post("/v1/calls/t0:c0/decline", json={"user_id": "bob"})
    await api.post("/v1/calls/t1:c1/cancel")
    await api.post("/v1/calls/t2:c2/accept", json={"user_id": "bob"})
    assert await pages(api, "/v1/calls", limit=3) == [
        ["c6", "c5", "c4"],
        ["c3", "c2", "c1"],
        ["c0"],
    ]
    assert await pages(api, "/v1/calls", user_id="carol", limit=2) == [["c5", "c3"], ["c1"]]
    assert await pages(api, "/v1/calls", type="t1") == [["c4", "c1"]]
    assert await pages(api, "/v1/calls", reason="cancelled") == [["c1"]]
    assert await pages(api, "/v1/calls", state="active", user_id="bob") == [["c2"]]
    page = says(await api.get("/v1/calls"), CallsOut)
    third = page.calls[3].created_at
    assert await pages(api, "/v1/calls", since=third, user_id="bob") == [["c6", "c5", "c4", "c3"]]
    assert await pages(api, "/v1/calls", until=third) == [["c2", "c1", "c0"]]
    assert [member.user_id for member in page.calls[0].members] == ["alice", "bob", "dave"]
    large = await ring(api, "large", "alice", *(f"u{n}" for n in range(20)))
    (listed, *_) = says(await api.get("/v1/calls"), CallsOut).calls
    assert (listed.session_id, listed.members, listed.count.members) == (large, [], 21)
    for wrong in ("x", "2026-11-21T08:00:00Z~x", "~"):
        answer = await api.get("/v1/calls", params={"cursor": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor")
    for path in ("/v1/calls", "/v1/users/bob/calls"):
        answer = await api.get(path, params={"since": third, "until": third})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_time")
    theirs = await api.get("/v1/calls", headers=bearer(other.api_key))
    assert theirs.json() == {"calls": [], "next_cursor": None}


async def test_what_is_rare_is_found_page_by_page(site: Site) -> None:
    """A page looks at a bounded number of calls: it may be empty and have a next one."""
    tenant, api = await made(site)
    for n in range(9):
        await ring(api, f"c{n}", "alice", "bob")
    await api.post("/v1/calls/default:c0/cancel")
    wanted = histories.Wanted(reason="cancelled")
    user = histories.Wanted("bob", reason="cancelled")
    for one in (wanted, user):
        found, place, read = [], None, 0
        while read == 0 or place is not None:
            page = await histories.of_tenant(site.runtime, tenant.id, one, place, 2, window=4)
            found += page.calls
            place, read = page.next, read + 1
        assert ([call["id"] for call in found], read) == (["c0"], 3)


async def test_a_users_own_calls(site: Site) -> None:
    tenant, api = await made(site)
    await ring(api, "out", "bob", "alice")
    await ring(api, "missed", "alice", "bob", "carol")
    await ring(api, "taken", "alice", "bob")
    await api.post("/v1/calls/default:missed/cancel")
    await api.post("/v1/calls/default:taken/accept", json={"user_id": "bob"})
    await ring(api, "late", "carol", "bob", ring_time=5)
    async with site.runtime.database.transaction() as session:  # its time is over, unswept
        await session.execute(text(
            "UPDATE rings SET deadline = clock_timestamp() - interval '1 second' "
            "WHERE session_id = (SELECT id FROM calls WHERE name = 'late')"))  # fmt: skip
        await session.execute(text("UPDATE calls SET due_at = now() WHERE name = 'late'"))
    mine = bearer(signed(tenant, "bob"))
    page = says(await api.get("/v1/users/bob/calls", headers=mine), OwnCallsOut)
    told = [(one.id, one.direction, one.missed, one.seen, one.others) for one in page.calls]
    assert told == [
        ("late", "incoming", True, False, ["carol"]),
        ("taken", "incoming", False, True, ["alice"]),
        ("missed", "incoming", True, False, ["alice", "carol"]),
        ("out", "outgoing", False, True, ["alice"]),
    ]
    assert page.counts is not None
    assert [member.user_id for one in page.calls for member in one.members] == ["bob"] * 4
    assert await pages(api, "/v1/users/bob/calls", direction="outgoing") == [["out"]]
    assert await pages(api, "/v1/users/bob/calls", limit=3) == [
        ["late", "taken", "missed"],
        ["out"],
    ]
    await asyncio.gather(*(api.get(f"/v1/calls/default:{name}") for name in ("late", "out")))
    async with site.runtime.database.transaction() as session:
        await feeds.open_feeds(session, [(tenant.id, "bob"), (tenant.id, "alice")])
    before = page.calls[1].created_at
    left = await api.post("/v1/users/bob/calls/seen", json={"until": before}, headers=mine)
    assert left.json()["unseen"] >= 1
    seen = says(await api.post("/v1/users/bob/calls/seen", headers=mine), MissedOut)
    assert seen.unseen == 0
    assert await api.post("/v1/users/bob/calls/seen", json={"until": before}, headers=mine)
    heard = await rows(site, "SELECT user_id, body FROM user_events ORDER BY seq")
    assert [schema_faults(one["body"]) for one in heard] == [[], []], "nothing new, and no word"
    assert {(one["user_id"], one["body"]["type"]) for one in heard} == {("bob", "history.seen")}
    assert [one["body"]["data"]["unseen"] for one in heard] == [left.json()["unseen"], 0]
    again = (await api.get("/v1/users/bob/calls", params={"missed": True})).json()
    assert "missed" in {one["id"] for one in again["calls"]}
    assert {one["seen"] for one in again["calls"] if one["id"] == "missed"} == {True}
    for path, headers, code in (
        ("/v1/users/alice/calls", mine, "wrong_user"),
        ("/v1/users/bob/calls", bearer(signed(tenant, "bob", scopes=["calls"])), "missing_scope"),
        ("/v1/calls", mine, "not_allowed"),
    ):
        answer = await api.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    limited = bearer(signed(tenant, "bob", scopes=["history"]))
    assert (await api.get("/v1/users/bob/calls", headers=limited)).status_code == 200
    await api.delete("/v1/users/bob")
    async with site.runtime.database.autocommit() as session:
        assert await session.scalar(text("SELECT count(*) FROM seen_marks")) == 0
