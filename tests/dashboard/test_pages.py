"""What the pages say, over HTTP: counts, the overview, live parts, the first administrator."""

import os
import re
from datetime import timedelta

from sqlalchemy import text

from app.audit.log import SERVER
from app.calls import ringing
from app.calls import service as calls
from app.calls.ringer import ringer_of
from app.calls.schemas import CallerIn, RingIn
from app.core.call import Cancel
from app.dashboard import admins, counting, sign_in, store_counts
from app.infra import clock as unix_clock
from app.infra.db import clock
from app.infra.ids import uuid7
from app.infra.settings import Settings
from app.push import worker_store
from app.tenants import service as tenants
from app.tenants.schemas import TenantSettings
from app.users import service as users
from app.webhooks import limited
from tests import forks
from tests.apps import app_of
from tests.dashboard.conftest import Site, post

OLDER = """
UPDATE {table} SET created_at = created_at - interval '20 minutes' WHERE tenant_id = :tenant
"""


async def ring(site: Site, tenant, name: str) -> str:
    request = RingIn(id=name, caller=CallerIn(id="alice", name="Alice"), callees=["bob"])
    order = ringing.resolve(tenant, TenantSettings(), request, device="server", key=None)
    answer = await ringer_of(site.runtime).submit(order)
    return answer["session_id"]


async def test_the_overview_names_a_rate_limit_that_refuses_for_long(site: Site, tenant) -> None:
    viewer = await site.admin("viewer")
    limiter = site.app.state.rate_limiter
    assert "Rate limits that refuse" not in (await viewer.get(f"/dashboard/t/{tenant}")).text
    now = unix_clock.unix()
    for minute in range(10, -1, -1):
        limiter.refused(tenant, "rings_per_key", 120_000, now - 60 * minute)
    await limited.tell(site.runtime.database, limiter)
    page = (await viewer.get(f"/dashboard/t/{tenant}")).text
    assert "Rate limits that refuse" in page
    assert re.search(
        r"Rings of one API key</a>.*120,000 a minute; since <time[^>]*>10 min", page, re.DOTALL
    )


async def test_what_a_user_wants_is_set_and_taken_back_by_hand(site: Site, tenant) -> None:
    owner = await site.admin()
    at = f"/dashboard/t/{tenant}/user"
    await users.block(site.runtime, tenant, "eve", "mallory", actor=SERVER)  # before a first ring
    await ring(site, tenant, "late")
    await post(owner, at + "/preferences", id="bob", preferences='{"call_types": {"a": "loud"}}')
    wrong = await post(owner, at + "/preferences", id="bob", preferences='{"quiet": 1}')
    own = await post(owner, at + "/block", id="bob", blocked_id="bob")
    nobody = await post(owner, at + "/block", id="bob", blocked_id="a,b")
    assert [one.status_code for one in (wrong, own, nobody)] == [422] * 3
    assert '"quiet": 1</textarea>' in wrong.text.replace("}<", "<"), "what was typed is not lost"
    assert (await users.preferences(site.runtime, tenant, "bob")).stored() == {}
    wants = '{"call_types": {"a": "nothing"}}'
    await post(owner, at + "/preferences", id="bob", preferences=wants)
    await post(owner, at + "/block", id="bob", blocked_id="eve")
    page = (await owner.get(at + "?id=bob")).text
    assert "a: nothing" in page
    assert [one["blocked_id"] for one in await users.blocks(site.runtime, tenant, "bob")] == ["eve"]
    await post(owner, at + "/preferences", id="bob")
    assert (await users.preferences(site.runtime, tenant, "bob")).stored() == {}
    assert "mallory" in (await owner.get(at + "?id=eve")).text
    viewer = await site.admin("viewer")
    assert "Save preferences" not in (await viewer.get(at + "?id=bob")).text


async def test_the_overview_counts_settled_and_fresh_minutes_once_each(site: Site, tenant) -> None:
    owner = await site.admin("viewer")
    async with site.runtime.database.transaction() as session:
        await session.execute(text("DELETE FROM counted_until"))
    old = await ring(site, tenant, "old")
    await calls.act(site.runtime, tenant, old, Cancel())
    async with site.runtime.database.transaction() as session:
        now = await clock(session)
        # the ring's id says when it was, as its row does
        low = store_counts._floor(now - timedelta(minutes=20))
        await session.execute(
            text("UPDATE rings SET uuid = :id, created_at = created_at - interval '20 minutes'"),
            {"id": low},
        )
        await session.execute(text(OLDER.format(table="calls")), {"tenant": tenant})
    while await counting.count_once(site.runtime):
        pass
    await ring(site, tenant, "new")
    for _ in range(2):
        page = (await owner.get(f"/dashboard/t/{tenant}")).text
        assert re.search(r"Rings</span><strong>2</strong>", page)
    async with site.runtime.database.autocommit() as session:
        rows = (await session.execute(text("SELECT what, name, count FROM minute_counts"))).all()
    assert [tuple(row) for row in rows] == [("ring", "cancelled", 1)]


async def test_an_empty_overview_says_what_to_do_next(site: Site, tenant) -> None:
    owner = await site.admin()
    page = (await owner.get(f"/dashboard/t/{tenant}")).text
    assert "add a credential" in page
    assert "No worker is alive" in page
    async with site.runtime.database.transaction() as session:
        await worker_store.enter_worker(session, uuid7(), host="here", pid=1, only=None, lease=600)
    page = (await owner.get(f"/dashboard/t/{tenant}")).text
    assert "1 worker alive" in page
    for span in ("hour", "day", "week", "nonsense"):
        assert (await owner.get(f"/dashboard/t/{tenant}?span={span}")).status_code == 200


async def test_a_live_part_is_sent_only_when_it_has_changed(site: Site, tenant) -> None:
    owner = await site.admin()
    path, part = f"/dashboard/t/{tenant}/calls", {"X-Ringline-Part": "1"}
    first = await owner.get(path, headers=part)
    assert "<html" not in first.text
    known = part | {"If-None-Match": first.headers["etag"]}
    assert (await owner.get(path, headers=known)).status_code == 304
    await ring(site, tenant, "one")
    assert "default:one" in (await owner.get(path, headers=known)).text
    nobody = await site.visitor()
    assert (await nobody.get(path, headers=part)).status_code == 401


async def test_older_calls_are_on_the_next_page_each_once(site: Site, tenant) -> None:
    owner = await site.admin()
    for n in range(53):
        await ring(site, tenant, f"n{n}")
    seen, path = [], f"/dashboard/t/{tenant}/calls?user=bob"
    for _ in range(2):
        page = (await owner.get(path)).text
        seen += re.findall(r"default:(n\d+)<", page)
        older = re.search(r'href="([^"]*before=[^"]*)"', page)
        path = older.group(1).replace("&amp;", "&") if older else ""
    assert path == ""
    assert seen == [f"n{n}" for n in reversed(range(53))]


async def test_ending_a_call_is_in_the_audit_log_once(site: Site, tenant) -> None:
    owner = await site.admin("operator")
    call = await ring(site, tenant, "one")
    for _ in range(2):  # the second comes too late: it ends nothing
        await post(owner, f"/dashboard/t/{tenant}/calls/{call}/end")
    async with site.runtime.database.transaction() as session:
        traced = text("UPDATE calls SET traceparent = '00-4bf92f3577-00f0-01' WHERE id = :call")
        await session.execute(traced, {"call": call})
    page = (await owner.get(f"/dashboard/t/{tenant}/calls/{call}")).text
    assert "Cancelled" in page
    assert 'Trace <span class="mono">4bf92f3577</span>' in page
    log = (await owner.get(f"/dashboard/t/{tenant}/settings/audit")).text
    assert log.count("ended a call") == 1
    assert f"call:{call}" in log


async def test_an_app_that_gets_the_default_payload_again_is_said_so(site: Site, tenant) -> None:
    owner = await site.admin()
    path = f"/dashboard/t/{tenant}/settings/payload"
    for profile, said in (("stream", "this payload"), ("ringline", "the default payload again")):
        answer = await post(owner, path, app_id="com.example.app", profile=profile)
        assert said in (await owner.get(answer.headers["location"])).text


async def test_an_android_app_is_sent_the_newer_form_and_is_not(site: Site, tenant) -> None:
    owner = await site.admin()
    path = f"/dashboard/t/{tenant}/settings/payload"
    form = {"app_id": "com.example.droid", "profile": "android:stream", "template": ""}
    answer = await post(owner, path, **form, android_v2="yes")
    page = (await owner.get(answer.headers["location"])).text
    assert "By <code>android_v2</code>: <bdi>com.example.droid</bdi>." in page
    answer = await post(owner, path, **form)
    page = (await owner.get(answer.headers["location"])).text
    assert ("By <code>android_v2</code>" in page, "stream on Android" in page) == (False, True)


async def test_what_a_notification_says_is_shown_checked_saved_and_taken_back(
    site: Site, tenant
) -> None:
    owner = await site.admin()
    path = f"/dashboard/t/{tenant}/settings/notifications"
    form = {"call_type": "default", "event": "missed"}
    said = '{"title": "Missed", "body": "{{caller_label}} called"}'
    page = (await post(owner, path + "/preview", **form, texts=said)).text
    assert page.count("Alice Adams called") == 3
    for wrong, why in (
        ("{", "JSON"),
        ('{"title": "{{video}}"}', "no text"),
        ("{}", "shows nothing"),
    ):
        for to in (path, path + "/preview"):
            answer = await post(owner, to, **form, texts=wrong)
            assert (answer.status_code, why in answer.text) == (422, True), (to, answer.text)
    answer = await post(owner, path, **form, texts=said)
    assert "Saved" in (await owner.get(answer.headers["location"])).text
    assert "Alice Adams called" in (await owner.get(path)).text
    answer = await post(owner, path, **form, texts="")
    assert "nothing is said of this" in (await owner.get(answer.headers["location"])).text
    assert "Nothing is sent" in (await owner.get(path)).text


async def test_an_app_is_rung_by_notifications_and_is_not(site: Site, tenant) -> None:
    owner = await site.admin()
    path = f"/dashboard/t/{tenant}/settings/notifications"
    answer = await post(owner, path + "/rings", app_id="com.example.cn", every="5")
    assert "<bdi>com.example.cn</bdi>: every" in (await owner.get(answer.headers["location"])).text
    answer = await post(owner, path + "/rings", app_id="com.example.cn", every="60")
    assert (answer.status_code, "4 to 9 seconds" in answer.text) == (422, True)
    await post(owner, path + "/rings", app_id="com.example.cn", every="")
    assert "No app is rung so" in (await owner.get(path)).text


async def test_a_template_is_shown_with_what_its_app_will_miss(site: Site, tenant) -> None:
    owner = await site.admin()
    path = f"/dashboard/t/{tenant}/settings/payload/preview"
    form = {"app_id": "com.example.app", "profile": "custom"}
    for template, misses in (('{"id": "{{uuid}}"}', True), (FULL, False)):
        page = (await post(owner, path, **form, template=template)).text
        assert ("no {{token}}: an app that was killed cannot decline" in page) == misses
        assert "Would not ring rightly" not in page


FULL = """{"id": "{{uuid}}", "t": "{{token}}", "s": "{{state_url}}", "e": "{{expires_at_iso}}",
           "r": "{{callkit_reason?}}"}"""


async def test_the_servers_address_leads_to_the_dashboard(site: Site) -> None:
    visitor = await site.visitor()
    assert (await visitor.get("/")).headers["location"] == "/dashboard/"
    page = await visitor.get("/dashboard/sign-in")
    assert "ringline admin create" in page.text
    asset = re.search(r'href="([^"]*ringline\.css)"', page.text)
    assert asset
    style = await visitor.get(asset.group(1))
    assert style.headers["cache-control"].startswith("public")
    assert (await visitor.get("/dashboard/static/x/../../pages.py")).status_code in {303, 404}


async def test_rate_limits_are_set_on_the_page_and_what_it_does_not_ask_for_stays(
    site: Site, tenant
) -> None:
    owner, path = await site.admin(), f"/dashboard/t/{tenant}/settings/calls"

    async def rates() -> dict[str, int]:
        return (await tenants.settings_of(site.runtime, tenant)).rate_limits

    saved = await post(owner, path, rings_per_callee="60", rings_per_caller="30")
    assert saved.status_code == 303
    assert await rates() == {"rings_per_callee": 60, "rings_per_caller": 30}
    page = (await owner.get(path)).text
    assert re.search(r'name="rings_per_callee"[^>]* value="60"', page)
    assert (await post(owner, path, rings_per_callee="")).status_code == 303
    assert await rates() == {"rings_per_caller": 30}
    for wrong in ("0", "ten", "1.5", "٣", "99999999"):
        answer = await post(owner, path, rings_per_key=wrong)
        assert (answer.status_code, "rings_per_key" in answer.text) == (422, True)
    assert await rates() == {"rings_per_caller": 30}


async def test_the_first_administrator_is_made_by_a_command(settings: Settings, runtime) -> None:
    environment = os.environ | {
        "RINGLINE_ENVIRONMENT": "development",
        "RINGLINE_DATABASE_URL": settings.database_url.replace("postgresql+asyncpg", "postgresql"),
        "RINGLINE_REDIS_URL": settings.redis_url,
    }
    command = ("app.cli", "admin", "create", "Ada@Example.com")
    done = forks.run(*command, env=environment)
    assert done.returncode == 0, done.stderr
    password = done.stdout.strip()
    made = await sign_in.sign_in(runtime, "ada@example.com", password, sign_in.Browser("192.0.2.1"))
    cookie = made.session
    visitor = await admins.recognise(runtime, cookie)
    assert visitor is not None
    assert (visitor.role, visitor.one_time) == ("owner", True)
    again = forks.run(*command, env=environment)
    assert again.returncode == 1
    assert "already" in again.stderr


async def test_with_the_database_away_a_person_gets_a_page(settings: Settings) -> None:
    """And a machine a problem document."""
    import httpx

    nowhere = settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/nothing"})
    app = app_of(nowhere)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ringline.test") as one:
            page = await one.get("/dashboard/sign-in")
            signed_in = await one.get("/dashboard/tenants", headers={"Cookie": "ringline_admin=x"})
            problem = await one.get("/v1/settings", headers={"Authorization": "Bearer rl_sk_x"})
    for answer in (page, signed_in):
        assert answer.status_code == 503
        assert answer.headers["content-type"].startswith("text/html")
        assert "The database does not answer" in answer.text
        assert "retry-after" in answer.headers
        assert "default-src" in answer.headers["content-security-policy"]
    assert problem.headers["content-type"] == "application/problem+json"


def test_refused_is_apples_word_alone() -> None:
    from app.core import words as said
    from app.dashboard import words

    assert words.push_tag("refused", "no_credential") == ("warn", "Not sent")
    assert words.push_tag("refused", "Unregistered") == ("bad", "Refused")
    assert "no credential" in said.of_push("no_credential")
    assert said.of_push("Unregistered") == "the app is no longer on this phone (Unregistered)"
    assert words.limit("length", 108_000) == "30 h"
