"""The timeline of a call: everything that happened, in order, each with a sentence."""

import re

from app.calls.timeline import MOST_ROWS
from tests.e2e.house import Tenant, eventually, new_tenant


async def test_a_whole_call(tenant: Tenant) -> None:
    first = await tenant.phone("bob", "p1")
    await tenant.phone("bob", "p2")
    call = await tenant.ring("bob", id="story")

    async def lines() -> list[dict]:
        answer = await tenant.api.get("/v1/calls/default:story/timeline")
        assert answer.status_code == 200, answer.text
        return answer.json()["timeline"]

    async def accepted() -> bool:
        return sum(one["kind"] == "ring_push.answered" for one in await lines()) == 2

    await eventually(accepted)
    token = next(
        one.payload["ring"]["token"] for one in tenant.sim.arrivals() if one.token == first.voip
    )
    phone = {"Authorization": f"Bearer {token}"}
    path = f"/v1/calls/{call['session_id']}"
    answer = await tenant.api.post(f"{path}/report", json={"status": "delivered"}, headers=phone)
    assert answer.status_code == 204
    assert (await tenant.api.post(f"{path}/accept", headers=phone)).status_code == 200

    async def stopped() -> bool:
        return any(one["kind"] == "stop_push.answered" for one in await lines())

    await eventually(stopped)
    assert (await tenant.act(call, "end")).status_code == 200
    found = await lines()
    kinds = [one["kind"] for one in found]
    assert kinds[:2] == ["call.started", "ring.started"]
    assert kinds[-1] == "call.ended"
    order = ["ring_push.sent", "ring_push.answered", "device.delivered", "ring.settled",
             "stop_push.sent", "stop_push.answered", "call.ended"]  # fmt: skip
    assert [kinds.index(kind) for kind in order] == sorted(kinds.index(kind) for kind in order)
    assert [one["ms"] for one in found] == sorted(one["ms"] for one in found)
    told = {one["kind"]: one["text"] for one in found}
    assert told["call.started"] == "alice calls bob"
    assert told["device.delivered"] == "bob on p1: the phone rings"
    assert told["ring.settled"] == (
        "the ring of bob was accepted on p1; other devices stop: answered elsewhere"
    )
    assert told["stop_push.answered"].startswith("Apple accepts the stop to bob's p2 after")
    assert told["call.ended"] == "the call ended: the server ended it"
    sent = next(one for one in found if one["kind"] == "ring_push.answered")
    assert sent["data"]["status"] == 200
    assert len(sent["data"]["token"]) == 7
    assert first.voip not in str(found)
    by_id = await tenant.api.get(f"{path}/timeline")
    assert by_id.json()["timeline"] == found


async def test_what_was_never_sent_says_why(tenant: Tenant) -> None:
    phone = await tenant.phone("bob", "p1", alert=False)
    tokens = [{"kind": "voip", "token": phone.voip, "app_id": "com.example.other"}]
    body = {"user_id": "bob", "device_id": "p2", "tokens": tokens}
    assert (await tenant.api.post("/v1/devices", json=body)).status_code == 200
    call = await tenant.ring("bob")

    async def told() -> bool:
        found = (await tenant.api.get(f"/v1/calls/{call['session_id']}/timeline")).json()[
            "timeline"
        ]
        return any(
            one["text"] == "the push to bob's p2 is not sent: there is no credential for this "
            "app and environment"
            for one in found
        )

    await eventually(told)


async def test_what_is_forgotten_early_is_told_from_what_is_kept(tenant: Tenant) -> None:
    """Events and attempts go after a week, the call after a quarter: it has a beginning and end."""
    phone = await tenant.phone("bob", "p1", alert=False)
    gone = await tenant.phone("bob", "p2", alert=False)
    tenant.sim.gone(gone.voip)
    call = await tenant.ring("bob")

    async def answered() -> bool:
        rows = await tenant.rows(
            "SELECT id FROM pushes WHERE tenant_id = :tenant AND answered_at IS NOT NULL"
        )
        return len(rows) == 2

    await eventually(answered)
    (push,) = await tenant.sim.arrived(1, token=phone.voip)
    token = {"Authorization": f"Bearer {push.payload['ring']['token']}"}
    path = f"/v1/calls/{call['session_id']}"
    await tenant.api.post(f"{path}/report", json={"status": "delivered"}, headers=token)
    assert (await tenant.act(call, "end")).status_code == 200
    whole = (await tenant.api.get(f"{path}/timeline")).json()["timeline"]
    for table in ("events", "attempts"):
        await tenant.execute(
            f"DELETE FROM {table} WHERE session_id = :call", call=call["session_id"]
        )
    found = (await tenant.api.get(f"{path}/timeline")).json()["timeline"]

    def told(one: dict[str, str]) -> str:
        return re.sub(r"after \d+ ms", "after some ms", one["text"])

    kept = {
        "call.started",
        "ring_push.sent",
        "ring_push.answered",
        "device.delivered",
        "call.ended",
    }
    # two pushes of one moment may stand either way round; an attempt's milliseconds are the
    # sender's own, a push's are the database's, so that they may differ by one
    assert sorted(told(one) for one in found) == sorted(
        told(one) for one in whole if one["kind"] in kept
    )
    assert "not sent" not in str(found)


async def test_who_may_read_it(tenant: Tenant) -> None:
    call = await tenant.ring("bob")
    path = f"/v1/calls/{call['session_id']}/timeline"
    assert (await tenant.api.get(path, headers=tenant.as_user("bob"))).status_code == 403
    async with new_tenant(tenant.house) as other:
        assert (await other.api.get(path)).json()["code"] == "call_not_found"
    assert (await tenant.api.get("/v1/calls/nonsense/timeline")).status_code == 404


# with the call's own number of them, from which its sweep goes on
MORE = """
    WITH told AS (
        INSERT INTO events (session_id, seq, tenant_id, type, at, data)
        SELECT session_id, seq + n, tenant_id, type, at, data
        FROM events CROSS JOIN generate_series(1, CAST(:more AS integer)) n
        WHERE session_id = :id AND seq = (SELECT max(seq) FROM events WHERE session_id = :id)
    )
    UPDATE calls SET event_seq = event_seq + CAST(:more AS integer) WHERE id = :id
"""


async def test_one_without_end_is_cut_and_says_so(tenant: Tenant) -> None:
    """A loop may ring the same members for hours: what is made of that others wait for."""
    call = await tenant.ring("bob")
    path = f"/v1/calls/{call['session_id']}/timeline"
    assert (await tenant.api.get(path)).json()["whole"] is True
    await tenant.execute(MORE, id=call["session_id"], more=MOST_ROWS)
    answer = await tenant.api.get(path)
    assert answer.status_code == 200
    story = answer.json()
    assert story["whole"] is False
    events = [one for one in story["timeline"] if "push" not in one["data"]]
    assert [one["data"]["seq"] for one in events] == list(range(1, MOST_ROWS + 1))
    assert (await tenant.act(call, "end")).status_code == 200
