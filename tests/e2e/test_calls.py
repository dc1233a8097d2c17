"""Calls through the API: cids used again, members added, presence, and time that passes."""

import asyncio
import time

from tests.e2e.house import Tenant, eventually, member
from tests.e2e.test_bad_input import assert_problem


async def test_a_cid_is_used_again_once_its_call_has_ended(tenant: Tenant) -> None:
    first = await tenant.ring("bob", id="room")
    taken = await tenant.api.post(
        "/v1/calls", json={"caller": {"id": "eve"}, "callees": ["bob"], "id": "room"}
    )
    assert_problem(taken, 409, "call_in_progress")
    await tenant.act(first, "decline", "bob")
    second = await tenant.ring("bob", id="room", caller="eve")
    assert second["session_id"] != first["session_id"]
    by_cid = (await tenant.api.get("/v1/calls/default:room")).json()
    assert by_cid["session_id"] == second["session_id"]
    assert (await tenant.read(first))["reason"] == "declined"
    other_type = await tenant.ring("bob", id="room", type="meeting")
    assert other_type["cid"] == "meeting:room"


async def test_of_many_who_take_a_free_cid_at_once_one_begins_the_call(tenant: Tenant) -> None:
    answers = await asyncio.gather(
        *(
            tenant.clients[n % 2].post(
                "/v1/calls", json={"caller": {"id": f"c{n}"}, "callees": ["bob"], "id": "room"}
            )
            for n in range(30)
        )
    )
    codes = [answer.json().get("code") for answer in answers]
    assert codes.count(None) == 1
    assert codes.count("call_in_progress") == 29
    (row,) = await tenant.rows("SELECT count(*) AS n FROM rings WHERE tenant_id = :tenant")
    assert row["n"] == 1


async def test_ringing_more_rings_only_who_has_not_joined_and_again_with_a_new_uuid(
    tenant: Tenant,
) -> None:
    phones = {user: await tenant.phone(user) for user in ("bob", "carol", "alice")}
    call = await tenant.ring("bob", id="room")
    await tenant.act(call, "accept", "bob", phones["bob"].device_id)
    more = await tenant.ring("bob", "carol", id="room")
    assert more["session_id"] == call["session_id"]
    (arrival,) = await tenant.sim.arrived(1, token=phones["carol"].voip)
    assert arrival.payload["aps"]["alert"]["user_ids"] == "alice,bob"
    await tenant.act(call, "decline", "carol")
    again = await tenant.ring("carol", id="room", caller="bob")
    arrivals = await tenant.sim.arrived(2, token=phones["carol"].voip)
    uuids = [one.payload["ring"]["uuid"] for one in arrivals]
    assert len(set(uuids)) == 2
    assert uuids[1] == member(again, "carol")["ring"]["uuid"]
    assert len(tenant.sim.arrivals(phones["bob"].voip)) == 1

    # the caller leaves, and is rung to come back: never as calling itself
    await tenant.act(call, "leave", "alice")
    await tenant.ring("alice", id="room", caller="bob")
    (back,) = await tenant.sim.arrived(1, token=phones["alice"].voip)
    assert back.payload["aps"]["alert"]["user_ids"] == "bob"
    assert back.payload["ring"]["caller"]["id"] == "bob"


async def test_a_caller_that_vanishes_leaves_a_ring_that_ends_at_its_deadline(
    tenant: Tenant,
) -> None:
    phone = await tenant.phone("bob")
    begun = time.monotonic()
    call = await tenant.ring("bob", ring_time=5)
    (stop,) = await tenant.sim.arrived(1, token=phone.alert)
    assert 4.9 < time.monotonic() - begun < 15
    assert stop.header("apns-push-type") == "background"
    seen = await tenant.read(call)
    assert (seen["state"], seen["reason"]) == ("ended", "missed")
    assert member(seen, "bob")["ring"]["callkit_reason"] == 3
    assert seen["ended_at"] == member(seen, "bob")["ring"]["expires_at"]


async def test_heartbeats_keep_a_member_and_silence_takes_it_out(tenant: Tenant) -> None:
    await tenant.api.put("/v1/settings", json={"limits": {"away": 5, "removed": 10, "alone": 3600}})
    await asyncio.sleep(1.1)
    call = await tenant.ring("bob", "carol")
    for user in ("bob", "carol"):
        answer = await tenant.api.post(
            f"/v1/calls/{call['session_id']}/accept",
            json={"device_id": "p1"},
            headers=tenant.as_user(user),
        )
        assert answer.status_code == 200
    versions = "SELECT version FROM calls WHERE id = :id"
    (before,) = await tenant.rows(versions, id=call["session_id"])

    async def beat(device: str = "p1") -> int:
        answer = await tenant.api.post(
            f"/v1/calls/{call['session_id']}/heartbeat",
            json={"device_id": device},
            headers=tenant.as_user("bob"),
        )
        return answer.status_code

    etag = (await tenant.api.get(f"/v1/calls/{call['session_id']}")).headers["etag"]
    assert await beat() == 200
    assert await beat("p2") == 409
    assert await tenant.rows(versions, id=call["session_id"]) == [before], (
        "nothing that clients read"
    )
    same = await tenant.api.get(f"/v1/calls/{call['session_id']}", headers={"If-None-Match": etag})
    assert same.status_code == 304
    for _ in range(11):
        await asyncio.sleep(1)
        assert await beat() == 200
    seen = await tenant.read(call)
    assert (member(seen, "bob")["state"], member(seen, "carol")["state"]) == ("joined", "left")
    kinds = await eventually(
        lambda: tenant.rows(
            "SELECT data ->> 'user_id' AS who, type FROM events WHERE session_id = :id "
            "AND type IN ('member.away', 'member.back', 'member.left') ORDER BY seq",
            id=call["session_id"],
        )
    )
    assert [(one["who"], one["type"]) for one in kinds] == [
        ("carol", "member.away"),
        ("carol", "member.left"),
    ]


async def test_a_group_of_350_settles_one_by_one_and_a_phone_reads_little_of_it(
    tenant: Tenant,
) -> None:
    phone = await tenant.phone("u7")
    call = await tenant.ring(*(f"u{n}" for n in range(349)))
    assert len(call["members"]) == 350
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    answers = await asyncio.gather(
        *(tenant.act(call, "decline" if n % 2 else "accept", f"u{n}") for n in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    state = await tenant.api.get(
        f"/v1/calls/{call['session_id']}",
        headers={"Authorization": f"Bearer {arrival.payload['ring']['token']}"},
    )
    assert state.json()["count"] == {"members": 350, "joined": 11, "ringing": 0}
    assert len(state.content) < 1_500
    ended = await tenant.act(call, "end")
    assert {one["state"] for one in ended.json()["members"]} == {"left", "declined", "unreachable"}


async def test_a_call_that_cannot_be_decided_does_not_keep_the_others_from_ending(
    tenant: Tenant,
) -> None:
    tenant.house.may_log.add("row_left_aside")
    broken = await tenant.ring("bob", ring_time=5)
    other = await tenant.ring("carol", ring_time=5)
    await tenant.execute(
        """UPDATE calls SET limits = '{"alone": "x", "length": "y"}' WHERE id = :id""",
        id=broken["session_id"],
    )
    try:
        ended = "SELECT 1 FROM calls WHERE id = :id AND ended_at IS NOT NULL"
        await eventually(lambda: tenant.rows(ended, id=other["session_id"]))
        assert not await tenant.rows(ended, id=broken["session_id"])
    finally:
        await tenant.execute("DELETE FROM calls WHERE id = :id", id=broken["session_id"])


async def test_a_call_that_is_not_due_after_all_is_looked_at_when_it_is(tenant: Tenant) -> None:
    call = await tenant.ring("bob", ring_time=60)
    await tenant.execute("UPDATE calls SET due_at = now() WHERE id = :id", id=call["session_id"])
    await eventually(
        lambda: tenant.rows(
            "SELECT 1 FROM calls c JOIN rings r ON r.session_id = c.id "
            "WHERE c.id = :id AND c.due_at = r.deadline AND c.state = 'ringing'",
            id=call["session_id"],
        )
    )


async def test_who_has_answered_is_not_told_that_somebody_else_has(tenant: Tenant) -> None:
    """CallKit's reason of a ring is for the devices beside the one that answered."""
    first, beside = await tenant.phone("bob"), await tenant.phone("bob")
    await tenant.phone("carol")
    call = await tenant.ring("bob", "carol")
    for device, command, code, reason in (
        (first, "accept", None, None),
        (beside, "accept", "answered_elsewhere", 4),
        (first, "leave", None, None),
        (first, "accept", "ring_settled", 2),
        (beside, "accept", "ring_settled", 4),
        (beside, "join", None, None),
        (None, "end", None, None),
        (first, "heartbeat", "call_ended", 2),
        (beside, "heartbeat", "call_ended", 2),
        (beside, "accept", "call_ended", 2),
    ):
        by = ("bob", device.device_id) if device else ()
        answer = await tenant.act(call, command, *by)
        said = answer.json()
        assert (said.get("code"), said.get("callkit_reason")) == (code, reason), (command, said)
