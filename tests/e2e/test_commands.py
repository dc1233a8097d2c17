"""Commands that look at a living system: the timeline of a call, the payload of a ring."""

import asyncio
import json
import os
import secrets
from pathlib import Path

from tests import forks
from tests.e2e.house import Tenant, bearer, member
from tests.e2e.test_reactions import ended


async def ringline(tenant: Tenant, *words: str, status: int = 0) -> str:
    def run() -> str:
        env = tenant.house.env | {"COLUMNS": "200", "PATH": os.environ["PATH"]}
        done = forks.run("app.cli", *words, env=env)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    return await asyncio.to_thread(run)


async def test_call_show_tells_the_story_in_order(tenant: Tenant) -> None:
    one, twin = await tenant.phone("bob"), await tenant.phone("bob")
    call = await tenant.ring("bob", id="story")
    await ended(tenant, call)
    await tenant.act(call, "accept", "bob", one.device_id)
    await tenant.sim.arrived(1, token=twin.alert or "")
    await tenant.act(call, "end", "bob", one.device_id)
    await asyncio.sleep(0.3)
    trace = secrets.token_hex(16)
    await tenant.execute(
        "UPDATE calls SET traceparent = :t WHERE tenant_id = :id",
        t=f"00-{trace}-{secrets.token_hex(8)}-01", id=tenant.id,
    )  # fmt: skip
    shown = await ringline(tenant, "call", "show", "default:story", "--tenant", str(tenant.id))
    assert "default:story" in shown
    assert "completed" in shown
    assert f"trace {trace}" in shown
    assert shown.count("Apple") >= 2
    for secret in (one.voip, twin.voip, tenant.key):
        assert secret not in shown
    nothing = await ringline(
        tenant, "call", "show", "default:none", "--tenant", str(tenant.id), status=1
    )
    assert "no such call" in nothing


async def test_a_ring_by_command_shows_its_names_everywhere(tenant: Tenant) -> None:
    phone = await tenant.phone("bob")
    avatar = "https://example.com/alice.png"
    said = await ringline(
        tenant, "call", "ring", "alice", "bob", "--tenant", str(tenant.id), "--json",
        "--caller-name", "Alice", "--caller-avatar", avatar, "--title", "Standup",
        "--caller-handle", "phone:+49 30 1234567", "--cid", "work:named", "--ring-time", "20",
    )  # fmt: skip
    alice = {
        "name": "Alice",
        "avatar_url": avatar,
        "handle": {"kind": "phone", "value": "+49 30 1234567"},
    }
    call = json.loads(said)
    assert (call["cid"], call["title"], call["caller"]) == (
        "work:named",
        "Standup",
        alice | {"id": "alice"},
    )
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    ring = arrival.payload["ring"]
    assert (ring["title"], ring["caller"]) == ("Standup", alice | {"id": "alice"})
    seen = await tenant.api.get("/v1/calls/work:named", headers=bearer(ring["token"]))
    assert (seen.json()["title"], seen.json()["caller"]) == ("Standup", alice | {"id": "alice"})
    more = {
        "type": "work",
        "id": "named",
        "caller": {"id": "alice"},
        "callees": [{"id": "carol"} | alice],
    }
    rung = (await tenant.api.post("/v1/calls", json=more)).json()
    assert {k: v for k, v in member(rung, "carol").items() if k in alice} == alice
    assert member(rung, "bob")["name"] is None
    rows = await tenant.rows(
        "SELECT type, data FROM events WHERE session_id = :id AND type IN ('call.started', 'ring.started')",
        id=call["session_id"],
    )
    assert len(rows) == 3
    assert all((r["data"]["caller"], r["data"]["title"]) == (alice, "Standup") for r in rows)
    shown = await ringline(tenant, "call", "show", "work:named", "--tenant", str(tenant.id))
    assert "Alice (alice) calls bob: Standup" in shown
    wrong = ("call", "ring", "alice", "bob", "--tenant", str(tenant.id), "--caller-handle", "tel:1")
    assert "caller.handle.kind" in await ringline(tenant, *wrong, status=1)


async def test_devices_are_listed_and_taken_away_by_command(tenant: Tenant, tmp_path: Path) -> None:
    one, other = await tenant.phone("bob", "one"), await tenant.phone("bob", "other")
    of_bob = ("bob", "--tenant", str(tenant.id))
    listed = json.loads(await ringline(tenant, "device", "list", *of_bob, "--json"))
    assert {device["device_id"] for device in listed} == {"one", "other"}
    turn = ("device", "ringing", "bob", "other", "--tenant", str(tenant.id))
    assert json.loads(await ringline(tenant, *turn, "--off", "--json"))["rings"] is False
    assert "off" in await ringline(tenant, "device", "list", *of_bob)
    assert "other of bob is on" in await ringline(tenant, *turn, "--on")
    held = tmp_path / "token"
    held.write_text(one.voip + "\n")
    unregister = ("device", "unregister", *of_bob, "--token-file", str(held))
    said = await ringline(tenant, *unregister)
    assert (one.voip[-4:] in said, one.voip in said) == (True, False)
    left = (await tenant.api.get("/v1/devices?user_id=bob")).json()["devices"]
    assert [device["device_id"] for device in left] == ["other"]
    again = await ringline(tenant, *unregister, status=1)
    assert "no device of this user holds this token" in again
    held.write_text("ab" * 31 + "a")
    assert "odd number of digits" in await ringline(tenant, *unregister, status=2)
    android = {"kind": "fcm", "app_id": "com.example.app", "token": "Fcm_Token:" + "Zq-" * 20}
    body = {"user_id": "bob", "device_id": "droid", "tokens": [android]}
    assert (await tenant.api.post("/v1/devices", json=body)).status_code == 200
    held.write_text(android["token"])
    assert "removed" in await ringline(tenant, *unregister)
    await ringline(tenant, "device", "remove", "bob", other.device_id, "--tenant", str(tenant.id))
    assert (await tenant.api.get("/v1/devices?user_id=bob")).json() == {"devices": []}


async def test_settings_and_a_users_own_calls_by_command(tenant: Tenant) -> None:
    name, of = str(tenant.id), ("--tenant", str(tenant.id), "--json")
    wants = '{"call_types": {"default": "nothing"}}'
    await ringline(tenant, "user", "preferences", "bob", *of, "--set", wants)
    rates = {"rings_per_caller": 7}
    change = json.dumps({"rate_limits": rates, "decline_reach": "device", "users_may_ring": True})
    await ringline(tenant, "tenant", "settings", name, "--set", change)
    set_ = ("tenant", "settings", name, "--json", "--set")
    said = json.loads(
        await ringline(tenant, *set_, '{"when_busy": "quiet", "decline_reach": null}')
    )
    chosen = [said[one] for one in ("rate_limits", "when_busy", "decline_reach", "users_may_ring")]
    assert chosen == [rates, "quiet", "user", True], "what is not named stays"
    assert "unknown_rate_limit" in await ringline(
        tenant, *set_, '{"rate_limits": {"a": 1}}', status=1
    )

    calls = [await tenant.ring("bob", caller=caller) for caller in ("alice", "carol")]
    for call in calls:
        await tenant.act(call, "end", None, None)
    own = ("user", "calls", "bob", *of)
    read = json.loads(await ringline(tenant, *own, "--missed", "--limit", "1"))
    assert [(one["others"], one["suppressed"]) for one in read["calls"]] == [
        (["carol"], "call_type")
    ]
    assert read["counts"] == {"missed": 2, "unseen": 2}
    until = ("--until", calls[1]["created_at"])
    read = json.loads(await ringline(tenant, *own, "--seen", "--direction", "incoming", *until))
    assert [(one["others"], one["seen"]) for one in read["calls"]] == [(["alice"], True)]
    assert read["counts"]["unseen"] == 0
    listed = json.loads(
        await ringline(tenant, "call", "list", *of, "--reason", "cancelled", *until)
    )
    assert listed["calls"] == []
    assert "its zone" in await ringline(tenant, *own, "--since", "2026-11-21T08:00:00", status=2)


async def test_payload_preview_of_a_template_says_what_will_be_missed(
    tenant: Tenant, tmp_path: Path
) -> None:
    template = tmp_path / "template.json"
    template.write_text('{"id": "{{uuid}}"}')
    custom = ("payload", "preview", "--profile", "custom", "--template", str(template))
    assert "no {{token}}: an app that was killed cannot decline" in await ringline(tenant, *custom)


async def test_payload_preview_of_a_real_call(tenant: Tenant) -> None:
    await tenant.phone("bob")
    call = await tenant.ring("bob", id="previewed")
    shown = await ringline(
        tenant, "payload", "preview", "--call", "default:previewed", "--tenant", str(tenant.id)
    )
    ring = next(m for m in call["members"] if m["user_id"] == "bob")["ring"]
    assert ring["uuid"] in shown
    assert "of 5,120 bytes" in shown
    assert "apns-topic: com.example.app.voip" in shown
    for profile in ("stream", "connectycube", "flutter_webrtc_callkeep"):
        assert "of 5,120 bytes" in await ringline(
            tenant, "payload", "preview", "--profile", profile
        )
    assert "known are" in await ringline(
        tenant, "payload", "preview", "--profile", "nonsense", status=1
    )
