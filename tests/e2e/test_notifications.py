"""Notifications that a phone's system shows by itself, on the path that rings take."""

import secrets
from datetime import datetime
from typing import Any

from devkit.simulator.google.accounts import Account
from tests.e2e.android import PACKAGE, account, android, give_account
from tests.e2e.house import BUNDLE, Tenant, eventually, member
from tests.e2e.web import Browser, browser, rings, vapid_key

__all__ = ["account"]
MISSED = {"title": "Missed call", "body": "{{caller_label}} called", "sound": "default"}


async def say(tenant: Tenant, **of_types: Any) -> None:
    answer = await tenant.api.put("/v1/settings", json={"notifications": of_types})
    assert answer.status_code == 200, answer.text


async def test_a_missed_call_is_told_on_each_device_with_what_is_unseen(
    tenant: Tenant, account: Account
) -> None:
    await give_account(tenant, account)
    iphone, droid = await tenant.phone("bob"), await android(tenant, "bob")
    bare = await tenant.phone("carol", alert=False)
    await say(tenant, default={"missed": MISSED})
    assert iphone.alert is not None

    async def missed(number: int) -> Any:
        call = await tenant.ring("bob", "carol", caller="alice")
        await tenant.sim.arrived(number, token=iphone.voip)
        assert (await tenant.act(call, "cancel")).status_code == 200
        found = [
            one for one in await tenant.sim.arrived(2 * number, token=str(iphone.alert))
            if dict(one.headers)["apns-push-type"] == "alert"
        ]  # fmt: skip
        return found[-1], call["members"][1]["ring"]["uuid"]

    shown, ring = await missed(1)
    said, fields = shown.payload["aps"], dict(shown.headers)
    assert said == {
        "alert": {"title": "Missed call", "body": "alice called"}, "sound": "default", "badge": 1,
    }  # fmt: skip
    assert fields["apns-collapse-id"] == ring
    assert (fields["apns-priority"], shown.topic) == ("10", BUNDLE)
    await tenant.api.post("/v1/users/bob/calls/seen", json={})
    again, _ = await missed(2)
    assert again.payload["aps"]["badge"] == 1
    third, _ = await missed(3)
    assert third.payload["aps"]["badge"] == 2

    async def on_android() -> list[Any]:
        messages = [one.payload["message"] for one in tenant.sim.deliveries(droid.token)]
        return [m["android"]["notification"] for m in messages if "notification" in m["android"]]

    async def all_there() -> bool:
        return len(await on_android()) == 3

    await eventually(all_there)
    counts = [one["notification_count"] for one in await on_android()]
    assert sorted(counts) == [1, 1, 2]
    assert len(tenant.sim.deliveries(bare.voip)) == 3  # rings: nothing to show it by

    rows = await tenant.rows(
        "SELECT DISTINCT user_id FROM pushes WHERE tenant_id = :tenant AND purpose = 'missed'"
    )
    assert [row["user_id"] for row in rows] == ["bob"]


async def test_what_was_answered_or_kept_away_or_of_another_type_is_not_missed(
    tenant: Tenant,
) -> None:
    phones = [await tenant.phone(user) for user in ("bob", "carol", "dave")]
    await say(tenant, default={"missed": MISSED})
    quiet = {"call_types": {"default": "nothing"}}
    await tenant.api.put("/v1/users/carol/preferences", json=quiet)
    call = await tenant.ring("bob", "carol")
    assert (await tenant.act(call, "accept", "bob", phones[0].device_id)).status_code == 200
    await tenant.act(call, "end")
    other = await tenant.ring("bob", type="meeting")
    await tenant.act(other, "cancel")
    declined = await tenant.ring("bob")
    await tenant.act(declined, "decline", "bob")
    last = await tenant.ring("dave")
    await tenant.act(last, "cancel")

    async def told() -> list[dict[str, Any]]:
        return await tenant.rows(
            "SELECT user_id FROM pushes WHERE tenant_id = :tenant AND purpose = 'missed'"
            " AND state = 'accepted'"
        )

    assert [row["user_id"] for row in await eventually(told)] == ["dave"]
    story = (await tenant.api.get(f"/v1/calls/{last['session_id']}/timeline")).text
    assert "a notification of the missed call goes to dave" in story


NOTIFY = {"title": "{{call_label}}", "body_key": "call_is_on", "body_args": ["{{caller_label}}"]}


async def test_a_call_that_is_not_to_ring_is_told_of(tenant: Tenant, account: Account) -> None:
    await give_account(tenant, account)
    phone, droid = await tenant.phone("bob"), await android(tenant, "bob")
    body = {"caller": {"id": "alice"}, "callees": ["bob"], "mode": "notify"}
    answer = await tenant.api.post("/v1/calls", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "missing_template")
    await say(
        tenant, default={"notify": NOTIFY, "missed": MISSED},
        meeting={"notify": NOTIFY, "mode": "notify"},
    )  # fmt: skip
    call = await tenant.ring("bob", "nobody", mode="notify", title="Standup", ring_time=60)
    assert [member(call, user)["state"] for user in ("bob", "nobody")] == ["ringing"] * 2
    assert call["warnings"] == []
    [shown] = await tenant.sim.arrived(1, token=str(phone.alert))
    assert shown.payload["aps"]["alert"] == {
        "title": "Standup", "loc-key": "call_is_on", "loc-args": ["alice"],
    }  # fmt: skip
    assert (shown.payload["ring"]["type"], shown.header("apns-push-type")) == ("notify", "alert")
    assert 0 < int(shown.header("apns-expiration") or 0) <= call_expiry(call)
    [on_android] = await tenant.sim.arrived(1, token=droid.token)
    android_says = on_android.payload["message"]["android"]
    assert android_says["notification"]["body_loc_key"] == "call_is_on"
    assert 0 < int(android_says["ttl"][:-1]) <= 60
    # it can be joined as any other, and nothing more is pushed: no call screen has to stop
    assert (await tenant.act(call, "join", "bob", phone.device_id)).status_code == 200
    await tenant.act(call, "end")
    # by its type; what is said by the request goes first
    silent = await tenant.ring("bob", type="meeting")
    await tenant.sim.arrived(2, token=str(phone.alert))
    await tenant.act(silent, "cancel")
    loud = await tenant.ring("bob", type="meeting", mode="ring")
    await tenant.sim.arrived(1, token=phone.voip)
    await tenant.act(loud, "cancel")
    await tenant.sim.arrived(3, token=str(phone.alert))  # a stop; a missed meeting is not told of
    counts = await tenant.rows(
        "SELECT purpose, count(*) AS n FROM pushes WHERE tenant_id = :tenant AND kind <> 'fcm'"
        " GROUP BY purpose ORDER BY purpose"
    )
    assert [(row["purpose"], row["n"]) for row in counts] == [
        ("notify", 2), ("ring", 1), ("stop", 1),
    ]  # fmt: skip
    history = (await tenant.api.get("/v1/users/bob/calls")).json()["calls"]
    assert {one["suppressed"] for one in history} == {None}


async def test_a_user_for_whom_a_notification_is_enough(tenant: Tenant) -> None:
    phone, other = await tenant.phone("bob"), await tenant.phone("carol")
    await say(tenant, default={"notify": NOTIFY})
    wants = {"call_types": {"default": "notify", "door": "notify"}}
    assert (await tenant.api.put("/v1/users/bob/preferences", json=wants)).status_code == 200
    call = await tenant.ring("bob", "carol")
    await tenant.sim.arrived(1, token=str(phone.alert))
    await tenant.sim.arrived(1, token=other.voip)
    door = await tenant.ring("bob", type="door")  # the tenant says nothing of such calls
    for one in (call, door):
        await tenant.act(one, "cancel")
    history = (await tenant.api.get("/v1/users/bob/calls")).json()["calls"]
    assert {one["suppressed"] for one in history} == {"call_type_notify"}
    rows = await tenant.rows(
        "SELECT purpose FROM pushes WHERE tenant_id = :tenant AND user_id = 'bob'"
    )
    assert [row["purpose"] for row in rows] == ["notify"]


def call_expiry(call: dict[str, Any]) -> int:
    """When its ring is over, in Unix seconds, rounded up."""
    at = datetime.fromisoformat(member(call, "bob")["ring"]["expires_at"])
    return int(at.timestamp()) + 1


async def by_alert(tenant: Tenant, user: str) -> tuple[str, str]:
    """A device without PushKit: its id, and its alert token, live at the simulator."""
    device, token = f"cn-{secrets.token_hex(4)}", secrets.token_hex(32)
    tenant.sim.live(token, topic=BUNDLE)
    tokens = [{"kind": "alert", "token": token, "app_id": BUNDLE}]
    body = {"user_id": user, "device_id": device, "tokens": tokens}
    assert (await tenant.api.post("/v1/devices", json=body)).status_code == 200
    return device, token


async def ring_without_callkit(tenant: Tenant) -> None:
    texts = {"default": {"answered_elsewhere": NOTIFY}}
    settings = {"alert_rings": {BUNDLE: 9}, "notifications": texts}
    answer = await tenant.api.put("/v1/settings", json=settings)
    assert answer.status_code == 200, answer.text


async def next_repeat_now(tenant: Tenant) -> None:
    """Let each device's next notification be due, and its others not for an hour."""
    await tenant.execute(
        "UPDATE pushes p SET due_at = CASE WHEN p.id = n.id THEN clock_timestamp()"
        "     ELSE p.due_at + interval '1 hour' END,"
        "   deadline = clock_timestamp() + interval '1 minute'"
        " FROM (SELECT DISTINCT ON (token_id) id, token_id FROM pushes WHERE tenant_id = :t"
        "     AND purpose LIKE 'again %' AND state = 'pending' ORDER BY token_id, due_at) n"
        " WHERE n.token_id = p.token_id AND p.tenant_id = :t AND p.purpose LIKE 'again %'"
        "   AND p.state = 'pending'",
        t=tenant.id,
    )


async def test_a_device_without_callkit_rings_by_one_notification_after_the_other(
    tenant: Tenant,
) -> None:
    await ring_without_callkit(tenant)
    _, token = await by_alert(tenant, "bob")
    phone = await tenant.phone("bob")  # with PushKit: that, and that alone
    call = await tenant.ring("bob", ring_time=60)
    assert call["warnings"] == []
    [first] = await tenant.sim.arrived(1, token=token)
    aps = first.payload["aps"]
    assert (aps["interruption-level"], aps["sound"]) == ("time-sensitive", "default")
    assert aps["alert"] == {"title": "alice", "body": "Incoming call"}
    assert (first.header("apns-push-type"), first.header("apns-expiration")) == ("alert", "0")
    rung = await tenant.rows(
        "SELECT p.due_at, p.deadline, r.created_at AS began FROM pushes p JOIN rings r ON r.uuid ="
        " p.ring WHERE p.tenant_id = :tenant AND purpose LIKE 'again %' ORDER BY due_at"
    )
    began = rung[0]["began"]
    assert [(one["due_at"] - began).total_seconds() for one in rung] == list(range(9, 60, 9))
    assert all((one["deadline"] - one["due_at"]).total_seconds() == 9 for one in rung[:-1])
    await next_repeat_now(tenant)
    again = (await tenant.sim.arrived(2, token=token))[1]
    ring = member(call, "bob")["ring"]["uuid"]
    assert [one.header("apns-collapse-id") for one in (first, again)] == [ring, ring]
    assert again.payload["ring"]["token"].startswith("rl_ct_")
    # answered elsewhere: one last, in the tenant's words, and nothing after it
    assert (await tenant.act(call, "accept", "bob", phone.device_id)).status_code == 200
    last = (await tenant.sim.arrived(3, token=token))[2]
    assert last.payload["aps"]["alert"]["loc-key"] == "call_is_on"
    assert (last.payload["ring"]["type"], last.header("apns-collapse-id")) == (
        "answered_elsewhere", ring,
    )  # fmt: skip
    await next_repeat_now(tenant)
    left = await tenant.rows(
        "SELECT DISTINCT state FROM pushes WHERE tenant_id = :tenant AND purpose LIKE 'again %'"
    )
    assert {one["state"] for one in left} == {"accepted", "dropped"}
    assert len(tenant.sim.arrivals(token)) == 3
    assert len(tenant.sim.arrivals(phone.voip)) == 1
    assert not tenant.sim.arrivals(str(phone.alert))
    story = (await tenant.api.get(f"/v1/calls/{call['session_id']}/timeline")).text
    assert "a notification, number 2, goes to bob" in story


async def repeats_of(tenant: Tenant, token: str) -> list[dict[str, Any]]:
    """When this address rings at first, and again: seconds from the first."""
    return await tenant.rows(
        "SELECT CAST(extract(epoch FROM due_at - min(due_at) OVER ()) AS float) AS after,"
        "   extract(epoch FROM p.deadline - due_at) AS lives, purpose, id"
        " FROM pushes p WHERE tenant_id = :tenant AND token = :token"
        "   AND purpose NOT IN ('stop', 'missed') ORDER BY due_at",
        token=token,
    )


async def test_a_phone_whose_best_address_is_refused_rings_by_notifications_until_it_settles(
    tenant: Tenant,
) -> None:
    await ring_without_callkit(tenant)
    phone = await tenant.phone("bob")
    tenant.sim.gone(phone.voip)
    call = await tenant.ring("bob", ring_time=60)
    [first] = await tenant.sim.arrived(1, token=str(phone.alert))
    assert first.payload["ring"]["token"].startswith("rl_ct_")
    rows = await repeats_of(tenant, str(phone.alert))
    assert [row["after"] for row in rows] == list(range(0, 60, 9))
    assert [row["purpose"] for row in rows] == ["ring", *(f"again {n}" for n in range(2, 8))]
    assert [row["lives"] for row in rows[1:-1]] == [9] * 5
    assert len({row["id"] for row in rows}) == 7
    assert {row["id"].version for row in rows} == {7}
    await next_repeat_now(tenant)
    again = (await tenant.sim.arrived(2, token=str(phone.alert)))[1]
    assert again.header("apns-collapse-id") == first.header("apns-collapse-id")
    await tenant.act(call, "cancel")
    last = (await tenant.sim.arrived(3, token=str(phone.alert)))[2]
    assert last.payload["ring"]["type"] == "missed"
    story = (await tenant.api.get(f"/v1/calls/{call['session_id']}/timeline")).json()["timeline"]
    unsent = [one["data"]["number"] for one in story if one["kind"] == "again_push.unsent"]
    assert unsent == list(range(3, 8))
    assert {row["state"] for row in await tenant.rows(
        "SELECT state FROM pushes WHERE tenant_id = :tenant AND purpose LIKE 'again %'"
    )} == {"accepted", "dropped"}  # fmt: skip


async def test_a_ring_by_notifications_is_missed_declined_and_declined_here(
    tenant: Tenant,
) -> None:
    await ring_without_callkit(tenant)
    device, token = await by_alert(tenant, "bob")
    missed = await tenant.ring("bob")
    await tenant.sim.arrived(1, token=token)
    await tenant.act(missed, "cancel")
    last = (await tenant.sim.arrived(2, token=token))[1].payload
    assert (last["ring"]["type"], last["aps"]["badge"]) == ("missed", 1)
    _, other = await by_alert(tenant, "bob")
    call = await tenant.ring("bob")
    await tenant.sim.arrived(3, token=token)
    await tenant.sim.arrived(1, token=other)
    body = {"user_id": "bob", "device_id": device, "reach": "device"}
    path = f"/v1/calls/{call['session_id']}/decline"
    assert (await tenant.api.post(path, json=body)).status_code == 200
    await next_repeat_now(tenant)
    await tenant.sim.arrived(2, token=other)
    await tenant.act(call, "decline", "bob")
    last = (await tenant.sim.arrived(3, token=other))[2].payload
    assert last["ring"]["type"] == "declined_elsewhere"
    rows = await tenant.rows(
        "SELECT count(*) AS n FROM pushes p JOIN devices d ON d.id = p.device_row WHERE"
        " p.tenant_id = :tenant AND device_id = :device AND purpose LIKE 'again %'"
        " AND p.attempts > 0", device=device,
    )  # fmt: skip
    assert rows[0]["n"] == 0, "who has declined here is not rung again"


async def test_a_device_without_callkit_that_comes_late_rings_on_and_off_by_default(
    tenant: Tenant,
) -> None:
    _, silent = await by_alert(tenant, "bob")
    call = await tenant.ring("bob", ring_time=60)
    assert [one["code"] for one in call["warnings"]] == ["unreachable"]
    await ring_without_callkit(tenant)
    began = "UPDATE rings SET created_at = created_at - interval '8.9 s' WHERE tenant_id = :tenant"
    await tenant.execute(began, tenant=tenant.id)
    _, late = await by_alert(tenant, "bob")
    for token in (late, silent):
        await tenant.sim.arrived(1, token=token)
    assert member(await tenant.read(call), "bob")["state"] == "ringing"
    again = await tenant.rows(
        "SELECT token, count(*) AS n FROM pushes WHERE tenant_id = :tenant"
        " AND purpose LIKE 'again %' GROUP BY token"
    )
    assert {one["token"] for one in again} == {late, silent}
    second = (await repeats_of(tenant, late))[1]
    assert second["after"] == 9, "from where it began itself: no two follow at once"


WORDS = {"title": "Missed call", "body": "{{caller_label}} called"} | {
    "languages": {
        "de": {"title": "Verpasster Anruf", "body": "{{caller_label}} hat angerufen"},
        "pt_br": {"title": "Chamada perdida"},
        "zh-Hant": {"title": "未接來電"},
        "zh": {"title": "未接来电"},
    }
}
TITLES = {
    "de-CH": "Verpasster Anruf", "pt-BR": "Chamada perdida", "zh-Hant-TW": "未接來電",
    None: "Missed call", "no language": "Missed call",
}  # fmt: skip


async def speaking(tenant: Tenant, locale: str | None) -> tuple[str, str, Browser]:
    """A phone of each kind that shows words, and a browser, of one language; bob's."""
    (iphone, alert), droid = await by_alert(tenant, "bob"), await android(tenant, "bob")
    one = await browser(tenant, "bob")
    for device, kind, token in (
        (iphone, "alert", {"token": alert, "app_id": BUNDLE}),
        (droid.device_id, "fcm", {"token": droid.token, "app_id": PACKAGE}),
        (one.device_id, "webpush", one.token),
    ):
        body = {"user_id": "bob", "device_id": device, "tokens": [{"kind": kind} | token]}
        answer = await tenant.api.post("/v1/devices", json=body | {"locale": locale})
        unknown = locale == "no language"
        assert answer.json()["locale"] == (None if unknown else locale)
        assert [each["code"] for each in answer.json()["warnings"]] == ["unknown_locale"] * unknown
    return alert, droid.token, one


async def test_a_device_is_told_in_its_own_language(tenant: Tenant, account: Account) -> None:
    await give_account(tenant, account)
    await vapid_key(tenant)
    said = {"default": {"missed": WORDS, "ring": WORDS, "notify": WORDS}}
    settings = {"notifications": said, "alert_rings": {BUNDLE: 9}}
    answer = await tenant.api.put("/v1/settings", json=settings)
    kept = answer.json()["notifications"]["default"]["missed"]["languages"]
    assert list(kept) == ["de", "pt-BR", "zh-Hant", "zh"]
    devices = {locale: await speaking(tenant, locale) for locale in TITLES}

    def titles() -> dict[str | None, list[list[str]]]:
        """What each has shown: an iPhone (that rings on repeats it), an Android phone, a browser."""
        found = {}
        for locale, (alert, droid, one) in devices.items():
            rung = [push.payload for push in tenant.sim.deliveries(alert)]
            once = {(each["ring"]["uuid"], each["ring"]["type"]): each["aps"] for each in rung}
            messages = [push.payload["message"]["android"] for push in tenant.sim.deliveries(droid)]
            found[locale] = [
                [aps["alert"]["title"] for aps in once.values()],
                [each["notification"]["title"] for each in messages if "notification" in each],
                [each["title"] for each in rings(tenant, one)],
            ]
        return found

    expected: dict[str | None, list[list[str]]] = {locale: [[], [], []] for locale in TITLES}

    async def said_so() -> bool:
        return titles() == expected

    async def shown(*kinds: int) -> None:
        for locale, of_kinds in expected.items():
            for kind in kinds:
                of_kinds[kind].append(TITLES[locale])
        await eventually(said_so)

    call = await tenant.ring("bob", ring_time=60)
    await shown(0, 2)  # an Android app makes its own call screen
    await tenant.act(call, "cancel")
    await shown(0, 1, 2)
    call = await tenant.ring("bob", ring_time=60, mode="notify")
    await shown(0, 1, 2)
    await tenant.act(call, "cancel")
