"""Every page and form of the dashboard, fed what nothing can hold: refused in words, never a failure."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
from fastapi.routing import APIRoute, iter_route_contexts

from app.devices import store
from tests.chance import dice
from tests.dashboard.conftest import post
from tests.fuzz.diet import CURSORS, NUMBERS, TEXTS

DASHBOARD = Path(__file__).resolve().parents[2] / "app" / "dashboard"
SOURCE = "".join(path.read_text() for path in DASHBOARD.glob("*.py"))
FIELDS = sorted(
    {*re.findall(r'text_of\([^"]*"(\w+)"\)', SOURCE), "password", "old", "new", "again", "scope",
     "ring", "members", "default.ring"}
)  # fmt: skip
QUERIES = (
    "q",
    "after",
    "id",
    "state",
    "user",
    "type",
    "before",
    "next",
    "span",
    "app_id",
    "profile",
    "done",
)
HASHING = ("/password", "/sign-in", "/admins", "/sign-out")
"""Each try costs a hash, or the session: tests/dashboard/test_signing_in.py is about them."""
DIET = [one for one in (*TEXTS, *CURSORS, *map(str, NUMBERS)) if len(one) < 5_000]
SPELLED = [one.encode("utf-8", "surrogatepass") for one in DIET]


def routes(app: object) -> Iterator[tuple[str, str]]:
    """(method, path) of every page."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        path = str(context.path)
        if isinstance(route, APIRoute) and path.startswith("/dashboard"):
            yield from ((method, path) for method in sorted(context.methods or ()))


async def test_no_page_fails(site, tenant) -> None:
    chance = dice()
    admin: httpx.AsyncClient = await site.admin()
    pages = [one for one in routes(site.app) if not one[1].endswith(HASHING)]
    assert len(pages) > 30
    for method, path in pages * 3:
        asked = path.replace("{tenant_id}", str(tenant)).replace("{path:path}", "x")
        asked = re.sub(r"{\w*_id}", lambda _: str(uuid4()), asked)
        asked = re.sub(r"{\w+}", lambda _: quote(chance.choice(SPELLED), safe="") or "x", asked)
        if method == "GET":
            query = {name: chance.choice(SPELLED) for name in chance.sample(QUERIES, 4)}
            answer = await admin.get(asked, params=query)  # type: ignore[arg-type]
        else:
            wanted = {name: chance.choice(DIET) for name in chance.sample(FIELDS, 8)}
            fields = {name: one.encode("utf-8", "surrogatepass") for name, one in wanted.items()}
            answer = await post(admin, asked, **fields)  # type: ignore[arg-type]
        assert answer.status_code < 500, f"{method} {asked}: {answer.text[:300]}"


async def test_json_that_is_nested_without_end(site, tenant) -> None:
    admin = await site.admin()
    for deep in ("[" * 60_000, '{"title":' * 900 + "1" + "}" * 900):
        for form, fields in {
            "notifications": {"call_type": "default", "event": "missed", "texts": deep},
            "notifications/preview": {"call_type": "default", "event": "missed", "texts": deep},
            "tokens": {"jwks": deep},
            "payload": {"app_id": "com.example", "profile": "custom", "template": deep},
        }.items():
            answer = await post(admin, f"/dashboard/t/{tenant}/settings/{form}", **fields)
            assert answer.status_code == 422, f"{form}: {answer.text[:300]}"


async def test_a_form_without_a_session_is_no_way_in_for_odd_text(site) -> None:
    visitor = await site.visitor()
    for email in ("a\x00@b.c", "\u2028", "x" * 10_000):
        page = await visitor.get("/dashboard/sign-in")
        mark = re.search(r'name="form" value="([0-9a-f]+)"', page.text)
        assert mark
        data = {"form": mark.group(1), "email": email, "password": "x\x00", "next": "\x00"}
        answer = await visitor.post("/dashboard/sign-in", data=data)
        assert answer.status_code in {401, 422}, answer.text[:300]


async def test_every_user_has_a_page_whatever_the_id(site, runtime, tenant) -> None:
    ids = ["@foo/bar:matrix.org", "o'brien@example.com", "a+b&c=d;e", "/", "{x}", "a|b`c^d$(e)!*"]
    async with runtime.database.transaction() as session:
        await store.see_users(session, [(tenant, user_id) for user_id in ids])
    admin = await site.admin()
    listed = await admin.get(f"/dashboard/t/{tenant}/users")
    links = re.findall(r'href="(/dashboard/t/[^"]*/user\?id=[^"]*)"', listed.text)
    titles = [re.search(r"<h1>(.*?)</h1>", (await admin.get(unescape(one))).text) for one in links]
    assert {unescape(title[1]) for title in titles if title} == {f"<bdi>{one}</bdi>" for one in ids}
    for user_id in ids:
        gone = await post(admin, f"/dashboard/t/{tenant}/user/erase", id=user_id)
        assert gone.status_code == 303, gone.text
