"""A ring is confirmed by the devices that have it on their screens, and by nothing else."""

from typing import Any

from sqlalchemy import text

from app.access import call_token
from app.live import feeds
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.e2e.house import bearer, member
from tests.tenants.test_revocations import made, rows, signed
from tests.users.test_preferences import phone, ring

HEARD = """SELECT body #>> '{data,user_id}' AS who, body #>> '{data,devices}' AS devices
    FROM user_events WHERE user_id = 'alice' AND body ->> 'type' = 'member.ringing' ORDER BY seq"""


async def test_the_caller_hears_of_each_device_and_the_call_reads_so(site: Site) -> None:
    tenant, api = await made(site)
    for filters in (["*"], ["member.*", "call.started"], ["member.ringing"]):
        hook = {"url": "https://example.com/hooks", "events": filters}
        assert (await api.post("/v1/webhooks", json=hook)).status_code == 201
    await phone(api, "bob", "ab")
    async with site.runtime.database.transaction() as session:
        await feeds.open_feeds(session, [(tenant.id, user) for user in ("alice", "bob")])
    call = await ring(api, "bob", "carol")
    path, delivered = f"/v1/calls/{call['session_id']}", {"status": "delivered"}

    async def receipt(of: str = "bob") -> tuple[str, int]:
        read = member((await api.get(path)).json(), of)["ring"]
        return read["receipt"], read["devices"]

    assert await receipt() == ("waiting", 0)
    (row,) = await rows(site, "SELECT d.id, r.uuid FROM devices d JOIN rings r USING (user_id)")
    pushed = call_token(
        site.runtime.keyring, tenant_id=tenant.id, ring=row["uuid"], device_row=row["id"],
        now=0, expires=2**32 - 1,
    )  # fmt: skip
    page = bearer(signed(tenant, "bob"))
    said: list[tuple[dict[str, Any], dict[str, str], int]] = [
        (delivered, bearer(pushed), 204),
        (delivered, bearer(pushed), 204),
        (delivered | {"device_id": "tab", "ring": str(row["uuid"])}, page, 204),
        (delivered | {"device_id": "tab"}, page, 204),
        (delivered | {"device_id": "other", "ring": call["session_id"]}, page, 204),
        ({"status": "unavailable", "device_id": "tab"}, page, 204),
        (delivered, page, 422),
        (delivered | {"device_id": "d"}, bearer(signed(tenant, "eve")), 404),
    ]
    for body, who, status in said:
        answer = await api.post(f"{path}/report", json=body, headers=who)
        assert answer.status_code == status, answer.text
    assert await receipt() == ("confirmed", 2)
    heard = await rows(site, HEARD)
    assert [tuple(one.values()) for one in heard] == [("bob", "1"), ("bob", "2")]
    sent = await rows(site, """
        SELECT w.events, count(*) AS n FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
        WHERE d.type = 'member.ringing' GROUP BY w.events""")  # fmt: skip
    assert [(one["events"], one["n"]) for one in sent] == [(["member.ringing"], 2)]

    assert await receipt("carol") == ("waiting", 0)
    async with site.runtime.database.transaction() as session:
        await session.execute(text("UPDATE rings SET created_at = created_at - interval '6 s'"))
    assert await receipt("carol") == ("unconfirmed", 0)
    assert await receipt() == ("confirmed", 2)
    lines = (await api.get(f"{path}/timeline")).json()["timeline"]
    assert "bob rings on 2 devices" in [one["text"] for one in lines]
    assert (await api.delete("/v1/users/bob")).status_code == 204
    assert [one["shown_on"] for one in await rows(site, "SELECT shown_on FROM rings")] == [[], []]
