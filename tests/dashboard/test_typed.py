"""A refused form keeps what was typed, and says what is wrong beside its field."""

import re
from uuid import UUID

import pytest
from sqlalchemy import text

from app.dashboard.typed import filled
from app.tenants import service as tenants
from app.tenants.schemas import MOST_TYPES, TenantSettings
from tests.dashboard.conftest import Site, post

PAGE = """<form action="/other"><input name="a" value="stays"></form>
<p>ä \u2028 one line</p>
<form method="post" action="/here">
<input type="hidden" name="csrf" value="the page's"><input name="a" value="old" aria-describedby="a-hint"
  required><input type="password" name="p"><label><input type="checkbox" name="c" value="yes" checked> c</label>
<label><input type="checkbox" name="d" value="2"> d</label>
<select name="s"><option value="x" selected>x</option><option value="y">y</option></select>
<textarea name="t" rows="4">before</textarea><button>Save</button></form><input name="a" value="out">"""
TYPED = {
    "csrf": ["theirs"],
    "a": ['<b>"new"'],
    "p": ["secret"],
    "d": ["1", "2"],
    "s": ["y"],
    "t": ["</textarea>\nx"],
}


def test_each_field_has_what_was_typed_and_no_other_form_has() -> None:
    page = filled(PAGE, "/here", TYPED, "a: must be shorter")
    assert 'name="a" value="stays"' in page
    assert 'name="a" value="out"' in page
    assert 'value="the page\'s"' in page
    assert "secret" not in page
    assert "theirs" not in page
    assert "<b>" not in page
    assert 'value="&lt;b&gt;&quot;new&quot;"' in page
    assert 'aria-describedby="a-hint fault"' in page
    assert 'aria-invalid="true"' in page
    assert '<p class="hint bad" id="fault">must be shorter</p><input type="password"' in page
    assert re.findall(r"name=\"(\w)\"[^>]* (?:checked|selected)", page) == ["d"]
    assert '<option value="x">x</option><option value="y" selected>' in page
    assert '<textarea name="t" rows="4">\n&lt;/textarea&gt;\nx</textarea>' in page
    assert page.endswith('<input name="a" value="out">')


@pytest.mark.parametrize("problem", ["s: none of x, y", "t.0.kind: is none", "form: `t` is none"])
def test_a_fault_stands_after_what_it_is_about(problem: str) -> None:
    page = filled(PAGE, "/here", TYPED, problem)
    assert re.search(r"</(select|textarea)><p class=\"hint bad\"", page)
    assert page.count('id="fault"') == 1


async def test_limits_are_kept_and_the_wrong_one_is_marked(site: Site, tenant: UUID) -> None:
    admin, path = await site.admin(), f"/dashboard/t/{tenant}/settings/calls"
    made = await post(admin, path, new_type="meeting")
    assert made.status_code == 303
    said = {
        "ring": "33",
        "meeting.ring": "20",
        "users_may_ring": "yes",
        "decline_reach": "device",
        "new_type": "door",
    }
    for wrong, words in (
        ({"meeting.ring": "1000"}, "must be from 5 to 180"),
        ({"meeting.ring": "soon"}, "is not a number"),
        ({"members": "2.5"}, "whole number"),
        ({"away": "200", "removed": "100"}, "must not be less"),
        ({"rings_per_key": "x"}, "is not a whole number"),
        ({"keep_calls_days": "0"}, "greater than or equal to 1"),
    ):
        answer = await post(admin, path, **{**said, **wrong})
        assert answer.status_code == 422
        marked = re.search(
            r'<input[^>]* name="([^"]+)"[^>]*aria-invalid="true"[^>]*><p[^>]*id="fault">([^<]+)',
            answer.text,
        )
        assert marked is not None, wrong
        assert marked[1] == list(wrong)[-1]
        assert words in marked[2]
        for name, value in {**said, **wrong}.items():
            if value not in {"yes", "device"}:
                assert re.search(rf'name="{re.escape(name)}"[^>]* value="{value}"', answer.text), (
                    name
                )
        assert re.search(r'name="users_may_ring"[^>]* checked', answer.text)
        assert '<option value="device" selected>' in answer.text
    kept = await tenants.settings_of(site.runtime, tenant)
    assert kept.limits == {}


async def test_as_many_call_types_as_there_may_be_are_saved(site: Site, tenant: UUID) -> None:
    """The form has ten fields for each: of nine types it was refused for its number of fields."""
    types = {f"type{n}": {"ring": 30.0} for n in range(MOST_TYPES)}
    await tenants.change_settings(site.runtime, tenant, TenantSettings(call_types=types))
    admin, path = await site.admin(), f"/dashboard/t/{tenant}/settings/calls"
    page = (await admin.get(path)).text
    form = page[page.index(f'action="{path}"') : page.index("</form>")]
    fields = dict.fromkeys(re.findall(r'<(?:input|select)[^>]* name="([^"]+)"', form), "")
    fields = {name: "" for name in fields if not name.startswith("drop.") and name != "csrf"}
    fields |= {f"{name}.ring": "40" for name in types} | {
        "keep_calls_days": "90",
        "keep_events_days": "7",
    }
    answer = await post(admin, path, **fields)
    assert answer.status_code == 303, answer.text[:500]
    kept = await tenants.settings_of(site.runtime, tenant)
    assert {one["ring"] for one in kept.call_types.values()} == {40.0}


async def test_keys_and_webhooks_are_typed_once(site: Site, tenant: UUID) -> None:
    admin, path = await site.admin(), f"/dashboard/t/{tenant}/settings"
    answer = await post(admin, f"{path}/keys", name="call backend")
    assert answer.status_code == 422
    assert 'value="call backend"' in answer.text
    assert not re.search(r'name="scope" value="calls"[^>]* checked', answer.text)
    said = {"url": "ftp://x", "events": "call.started", "description": "told of calls"}
    answer = await post(admin, f"{path}/webhooks", **said)
    assert answer.status_code == 422
    for value in said.values():
        assert f'value="{value}"' in answer.text
    assert re.search(r'name="url"[^>]*aria-invalid="true"', answer.text)
    said = {"url": "https://example.com/", "events": "call.statred"}
    answer = await post(admin, f"{path}/webhooks", **said)
    assert re.search(r'name="events"[^>]*aria-invalid="true"', answer.text), answer.text


async def test_a_session_that_ended_in_a_form_is_said(site: Site, tenant: UUID) -> None:
    stranger = await site.visitor()
    answer = await stranger.post(f"/dashboard/t/{tenant}/settings/keys", data={"name": "x"})
    assert answer.status_code == 303
    shown = await stranger.get(answer.headers["location"])
    assert "nothing was saved" in shown.text


async def test_ten_thousand_tenants_and_keys_make_no_endless_page(site: Site, tenant: UUID) -> None:
    async with site.runtime.database.transaction() as session:
        await session.execute(
            text(
                "INSERT INTO tenants (id, name) "
                "SELECT gen_random_uuid(), 'Customer ' || n FROM generate_series(1, 10000) n"
            )
        )
        await session.execute(
            text(
                "INSERT INTO api_keys (id, tenant_id, digest, hint, name, scopes, revoked_at) "
                "SELECT gen_random_uuid(), :tenant, decode(md5(n::text), 'hex'), 'abcd', 'key ' || n, "
                "'[\"*\"]', CASE WHEN n > 5 THEN now() END FROM generate_series(1, 10000) n"
            ),
            {"tenant": tenant},
        )
    admin = await site.admin()
    page = (await admin.get("/dashboard/tenants")).text
    assert page.count('class="link"') == 200
    assert "10,001" in page
    found = (await admin.get("/dashboard/tenants", params={"q": "customer 9999"})).text
    assert found.count('class="link"') == 1
    assert "Customer 9999" in found
    assert "No such tenant" in (await admin.get("/dashboard/tenants", params={"q": "<b>"})).text
    keys = (await admin.get(f"/dashboard/t/{tenant}/settings")).text
    assert keys.count("/revoke") >= 6  # each live one can be revoked
    assert "9,975 more" in keys
    assert len(keys) < 40_000
