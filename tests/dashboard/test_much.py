"""Pages of what there is much of: nothing ends without a word, and what came before is reached."""

import re
from uuid import UUID

from sqlalchemy import text

from app.audit import log as audit
from app.audit.log import SERVER
from app.calls import ringing
from app.calls.ringer import ringer_of
from app.calls.schemas import CallerIn, RingIn
from app.dashboard.routes_calls import MOST_ROWS
from app.dashboard.timeline import MOST_STEPS
from app.tenants import service as tenants
from app.tenants.schemas import TenantSettings
from app.webhooks import service as webhook
from tests.dashboard.conftest import Site

DELIVERIES = text("""
    INSERT INTO deliveries (webhook_id, event_id, tenant_id, type, state, created_at, due_at,
        fence, attempts)
    SELECT :webhook, 'evt_' || n, :tenant, 'call.started', 'failed',
        now() - n * interval '1 second', now(), 0, 3
    FROM generate_series(1, :many) n
""")
ATTEMPTS = text("""
    INSERT INTO delivery_attempts (id, tenant_id, webhook_id, event_id, started_at, finished_at,
        status, error, answer)
    SELECT gen_random_uuid(), :tenant, :webhook, 'evt_' || n, now(), now(), 500, NULL,
        'said of evt_' || n
    FROM generate_series(1, :many) n, generate_series(1, 3)
""")
LINES = text("""
    INSERT INTO audit (id, tenant_id, at, actor, action, target, detail)
    SELECT gen_random_uuid(), :tenant, now(), '{"kind": "command", "name": null}', 'call.end', 'call:' || n, '{}'
    FROM generate_series(1, :many) n
""")


async def test_every_delivery_is_reached_with_its_attempts(site: Site, tenant: UUID) -> None:
    hook, _ = await webhook.create(site.runtime, tenant, "http://127.0.0.1:9/", ["*"], "", SERVER)
    about = {"webhook": hook.id, "tenant": tenant, "many": 120}
    async with site.runtime.database.transaction() as session:
        await session.execute(DELIVERIES, about)
        await session.execute(ATTEMPTS, about)
    viewer, seen = await site.admin("viewer"), []
    path = f"/dashboard/t/{tenant}/settings/webhooks/{hook.id}"
    while path:
        page = (await viewer.get(path)).text
        here = re.findall(r'mono quiet">(evt_\d+)<', page)
        assert len(here) <= 50
        assert all(page.count(f"<code>said of {one}</code>") == 3 for one in here)
        seen += here
        older = re.search(r'href="([^"]*before=[^"]*)"', page)
        path = older.group(1).replace("&amp;", "&") if older else ""
    assert seen == [f"evt_{n}" for n in range(1, 121)]


async def test_the_last_page_of_the_audit_log_leads_to_no_empty_one(
    site: Site, tenant: UUID
) -> None:
    viewer, path = await site.admin("viewer"), f"/dashboard/t/{tenant}/settings/audit"
    async with site.runtime.database.transaction() as session:
        written = text("SELECT count(*) FROM audit WHERE tenant_id = :tenant")
        have = (await session.execute(written, {"tenant": tenant})).scalar_one()
        await session.execute(LINES, {"tenant": tenant, "many": 100 - have})
    pages = []
    while path:
        page = (await viewer.get(path)).text
        pages.append(page.count("<time "))
        older = re.search(r'href="(\?before=[^"]*)"', page)
        path = f"/dashboard/t/{tenant}/settings/audit{older.group(1)}" if older else ""
    assert pages == [50, 50]


async def test_a_large_call_says_what_its_page_leaves_out(site: Site, tenant: UUID) -> None:
    many = MOST_ROWS + 50
    wanted = RingIn(caller=CallerIn(id="alice"), callees=[f"m{n}" for n in range(many)])
    rules = TenantSettings.model_validate({"limits": {"members": 1_000}})
    order = ringing.resolve(tenant, rules, wanted, device="server", key=None)
    call = (await ringer_of(site.runtime).submit(order))["session_id"]
    viewer = await site.admin("viewer")
    page = (await viewer.get(f"/dashboard/t/{tenant}/calls/{call}")).text
    assert f"the first {MOST_ROWS} of" in page
    assert re.search(rf"the first {MOST_STEPS} of\s+\d\d\d steps", page)
    assert f"ringline call show {call}" in page
    small = RingIn(caller=CallerIn(id="alice"), callees=["bob"])
    order = ringing.resolve(tenant, rules, small, device="server", key=None)
    call = (await ringer_of(site.runtime).submit(order))["session_id"]
    page = (await viewer.get(f"/dashboard/t/{tenant}/calls/{call}")).text
    assert "the first" not in page


async def test_a_users_page_leads_to_the_calls_that_it_has_no_room_for(
    site: Site, tenant: UUID
) -> None:
    user, viewer = "b/o+b&c", await site.admin("viewer")
    wanted = [RingIn(caller=CallerIn(id="alice"), callees=[user], id=f"n{n}") for n in range(9)]
    for one in wanted:
        order = ringing.resolve(tenant, TenantSettings(), one, device="server", key=None)
        await ringer_of(site.runtime).submit(order)
    page = (await viewer.get(f"/dashboard/t/{tenant}/user", params={"id": user})).text
    found = re.search(r'href="([^"]*)">All calls of this user<', page)
    assert found
    every = (await viewer.get(found.group(1))).text
    assert all(f"default:{one.id}<" in every for one in wanted)


ODD = text("""
    INSERT INTO audit (id, tenant_id, at, actor, action, target, detail)
    VALUES (gen_random_uuid(), :tenant, now(), CAST(:actor AS jsonb), 'call.end', 'odd', CAST(:detail AS jsonb))
""")


async def test_a_line_of_the_audit_log_that_cannot_be_read_stays_in_its_place(
    site: Site, tenant: UUID
) -> None:
    """It was an error of the whole page, and of the API's."""
    odd = [
        ("[]", "{}"),
        ("{}", "{}"),
        ('{"kind": 1}', "[]"),
        ('"x"', "7"),
        ('{"kind": "command"}', "{}"),
    ]
    async with site.runtime.database.transaction() as session:
        for actor, detail in odd:
            await session.execute(ODD, {"tenant": tenant, "actor": actor, "detail": detail})
    lines = await audit.page(site.runtime, tenant)
    (kinds,) = [[one["actor"]["kind"] for one in lines if one["target"] == "odd"]]
    assert sorted(kinds) == ["command", *["unknown"] * 4]
    viewer = await site.admin("viewer")
    page = await viewer.get(f"/dashboard/t/{tenant}/settings/audit")
    assert page.status_code == 200
    assert page.text.count("<bdi>odd</bdi>") == len(odd)
    key = await tenants.add_key(site.runtime, tenant, "reads", ["*"], actor=SERVER)
    answer = await viewer.get("/v1/audit", headers={"Authorization": f"Bearer {key}"})
    assert answer.status_code == 200
    assert sum(one["target"] == "odd" for one in answer.json()["audit"]) == len(odd)


USERS = text(
    "INSERT INTO users (tenant_id, id) SELECT :tenant, 'u' || n FROM generate_series(1, :many) n"
)


async def test_the_list_of_users_says_how_many_there_are(site: Site, tenant: UUID) -> None:
    viewer = await site.admin("viewer")

    async def said(query: str = "") -> str:
        page = (await viewer.get(f"/dashboard/t/{tenant}/users{query}")).text
        (found,) = re.findall(r'<p class="quiet nums">(.*?)</p>', page, re.DOTALL)
        return " ".join(found.split())

    async with site.runtime.database.transaction() as session:
        await session.execute(USERS, {"tenant": tenant, "many": 1_000})
    assert await said() == "1,000 users"
    assert await said("?q=u99") == "11 users whose id begins with <bdi>u99</bdi>"
    assert await said("?q=u1000") == "1 user whose id begins with <bdi>u1000</bdi>"
    async with site.runtime.database.transaction() as session:
        await session.execute(
            text("INSERT INTO users (tenant_id, id) VALUES (:t, 'v')"), {"t": tenant}
        )
    assert await said() == "More than 1,000 users"
