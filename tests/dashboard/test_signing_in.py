"""Signing in: what counts as a try, who passes all the same, and which passwords may be chosen."""

import re

import httpx
import pytest
from sqlalchemy import text

from app.dashboard import admins, forwarders, known_browsers, passwords
from app.dashboard.sign_in import MOST_FAILURES, network_of
from app.infra.errors import Invalid
from app.infra.settings import Settings
from app.infra.vault import keyring
from tests.apps import app_of
from tests.dashboard.conftest import PASSWORD, Site, admin_with_password, post, sign_in

EMAIL = "ada.lovelace@example.com"


async def guess(client: httpx.AsyncClient, times: int, email: str = EMAIL) -> list[int]:
    return [(await sign_in(client, email, "a wrong password")).status_code for _ in range(times)]


async def audit_lines(site: Site) -> list[dict]:
    async with site.runtime.database.autocommit() as session:
        found = await session.execute(text("SELECT * FROM audit ORDER BY id"))
        return [dict(row) for row in found.mappings()]


async def test_sixty_wrong_tries_from_one_address_shut_out_nobody_else(site: Site) -> None:
    await site.admin()
    email = site.made["owner"]
    attacker = await site.visitor("198.51.100.9")
    statuses = await guess(attacker, 60, email)
    assert statuses == [401] * MOST_FAILURES["pair"] + [429] * (60 - MOST_FAILURES["pair"])
    async with site.runtime.database.autocommit() as session:
        counted = (await session.execute(text("SELECT count(*) FROM sign_in_tries"))).scalar_one()
    assert counted == MOST_FAILURES["pair"], "what was refused does not count"
    elsewhere = await site.visitor("192.0.2.2")
    assert (await sign_in(elsewhere, email, PASSWORD)).status_code == 303
    failed = [line for line in await audit_lines(site) if line["action"] == "admin.sign_in_failed"]
    assert len(failed) == MOST_FAILURES["pair"]
    assert {line["source"] for line in failed} == {"198.51.100.9"}


async def test_an_address_has_so_many_tries_whatever_the_accounts(site: Site) -> None:
    """Most of those that are tried here exist, with a hash that costs little; nobody's costs much."""
    visitor = await site.visitor("2001:db8:7::1")
    for n in range(MOST_FAILURES["source"]):
        neighbour = await site.visitor(f"2001:db8:7::{n + 1:x}")
        tried = (
            await admin_with_password(site.runtime, "viewer") if n % 10 else f"no{n}@example.com"
        )
        assert await guess(neighbour, 1, tried) == [401]
    assert await guess(visitor, 1, "one-more@example.com") == [429]
    assert await guess(await site.visitor("2001:db8:8::1"), 1) == [401]


async def test_a_browser_known_to_its_owner_passes_and_reset_clears(site: Site) -> None:
    owner = await site.admin()
    email = site.made["owner"]
    await post(owner, "/dashboard/sign-out")
    for n in range(MOST_FAILURES["account"] // 5):
        assert await guess(await site.visitor(f"198.51.100.{n}"), 5, email) == [401] * 5
    stranger = await site.visitor("203.0.113.1")
    refused = await sign_in(stranger, email, PASSWORD)
    assert refused.status_code == 429
    assert "wait 15 minutes" in refused.text
    assert (await sign_in(owner, email, PASSWORD)).status_code == 303
    password = await admins.create_or_reset(site.runtime, email)
    assert (await sign_in(stranger, email, password)).status_code == 303


async def test_a_known_browser_has_tries_of_its_own_and_for_its_owner_only(site: Site) -> None:
    owner = await site.admin()
    await post(owner, "/dashboard/sign-out")
    assert await guess(owner, 12, site.made["owner"]) == [401] * 10 + [429] * 2
    assert await guess(owner, 6) == [401] * 5 + [429], "another account's tries are a stranger's"


def test_a_mark_that_was_not_made_here_or_is_old_says_nothing(settings: Settings) -> None:
    ring = keyring(settings)
    admin, other = admins.uuid7(), admins.uuid7()
    cookie = known_browsers.mark(ring, admin, 1_000.0)
    assert known_browsers.known(ring, cookie, admin, 1_001.0)
    assert known_browsers.known(ring, cookie, other, 1_001.0) is None
    assert known_browsers.known(ring, cookie, admin, 1_001.0 + known_browsers.GOOD_FOR) is None
    for wrong in (None, "", "é", "AAAA", cookie[:-4], "B" + cookie[1:]):
        assert known_browsers.known(ring, wrong, admin, 1_001.0) is None


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_an_ipv6_host_cannot_pick_itself_new_tries(source: str, network: str) -> None:
    assert network_of(source) == network


async def test_a_one_time_password_expires(site: Site) -> None:
    first = await admins.create(site.runtime, EMAIL)
    async with site.runtime.database.transaction() as session:
        await session.execute(text("UPDATE admins SET one_time_until = now() - interval '1 s'"))
    visitor = await site.visitor()
    refused = await sign_in(visitor, EMAIL, first)
    assert refused.status_code == 401
    assert "has expired" in refused.text
    assert "has expired" not in (await sign_in(visitor, EMAIL, "wrong")).text


async def test_the_present_password_cannot_be_guessed_in_a_session(site: Site) -> None:
    owner = await site.admin()
    new = {"new": "four very calm words", "again": "four very calm words"}
    statuses = [
        (await post(owner, "/dashboard/password", old=f"guess {n}", **new)).status_code
        for n in range(7)
    ]
    assert statuses == [422] * 5 + [429] * 2
    assert (await post(owner, "/dashboard/password", old=PASSWORD, **new)).status_code == 429


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "Password2026!", "P@ssw0rd1234", "123456789012", "qwertyuiop12", "abcdefghijkl",
        "letmein12345!", "iloveyouiloveyou", "monkey-monkey-monkey", "1q2w3e4r5t6y", "111122223333",
        "Ada.Lovelace99", "lovelace-2026-x", "Ringline12345", "example.com12",
    ],
)  # fmt: skip
def test_what_is_tried_first_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        passwords.check_acceptable(password, EMAIL)


@pytest.mark.parametrize(
    "password",
    [PASSWORD, "correct horse battery staple", "x9-kq7m-trw2-hh3p", "grün wie die hoffnung", "🌵" * 3 + "kaktus am see"],
)  # fmt: skip
def test_a_few_plain_words_are_good(password: str) -> None:
    passwords.check_acceptable(password, EMAIL)


async def test_who_forwards_without_being_trusted_is_written_down_and_not_believed(
    site: Site,
) -> None:
    visitor = await site.visitor("203.0.113.9")
    visitor.headers["X-Forwarded-For"] = "198.51.100.1"
    assert (await visitor.get("/dashboard/sign-in")).status_code == 200
    assert await forwarders.lately(site.runtime.database) == ["203.0.113.9"]
    await guess(visitor, 1)
    assert (await audit_lines(site))[-1]["source"] == "203.0.113.9"
    behind = await site.visitor("127.0.0.1")
    behind.headers["X-Forwarded-For"] = "198.51.100.1"
    await guess(behind, 1)
    assert (await audit_lines(site))[-1]["source"] == "198.51.100.1"
    assert await forwarders.lately(site.runtime.database) == ["203.0.113.9"]


@pytest.fixture
async def public_site(settings: Settings, runtime):
    """The site as the world reaches it: by HTTPS, through a proxy on this machine."""
    import contextlib

    chosen = settings.model_copy(update={"public_url": "https://ring.example.com"})
    app = app_of(chosen)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        yield Site(app, runtime, stack)


ORIGINS = [
    ("ring.example.com", "https://ring.example.com", 303),
    ("ring.example.com:443", "https://ring.example.com", 303),
    ("ring.example.com", "https://ring.example.com:443", 303),
    ("127.0.0.1:8000", "https://ring.example.com", 303),  # nginx without `proxy_set_header Host`
    ("ringline_upstream", "https://ring.example.com", 303),
    ("127.0.0.1:8000", "https://evil.example", 403),
    ("ring.example.com", "https://ring.example.com.evil.example", 403),
    ("ring.example.com", "https://ring.example.com:8443", 403),
    ("ring.example.com", "http://ring.example.com:443", 403),
    ("ring.example.com", "null", 403),
    ("ring.example.com", "https://[", 403),
]


async def test_forms_work_behind_a_proxy_and_for_no_other_site(public_site: Site) -> None:
    first = await admins.create(public_site.runtime, EMAIL)
    for host, origin, status in ORIGINS:
        visitor = await public_site.visitor()
        visitor.base_url = "https://ringline.test"
        visitor.headers.update({"Host": host, "Origin": origin, "X-Forwarded-Proto": "https"})
        assert (await sign_in(visitor, EMAIL, first)).status_code == status, (host, origin)


async def test_cookies_and_headers_where_the_server_is_reached_by_https(public_site: Site) -> None:
    first = await admins.create(public_site.runtime, EMAIL)
    visitor = await public_site.visitor()
    visitor.base_url = "https://ring.example.com"
    answer = await sign_in(visitor, EMAIL, first)
    assert answer.status_code == 303
    cookies = {one.partition("=")[0]: one for one in answer.headers.get_list("set-cookie")}
    assert set(cookies) == {"__Host-ringline_admin", "__Host-ringline_known"}
    for one in cookies.values():
        assert re.search(r"; Path=/(;|$)", one, re.IGNORECASE), one
        assert "Secure" in one
        assert "HttpOnly" in one
        assert "Domain" not in one
    for path in ("/dashboard/sign-in", "/healthz", "/v1/settings", "/nowhere", "/docs"):
        headers = (await visitor.get(path)).headers
        assert "max-age=31536000" in headers["strict-transport-security"], path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["cache-control"] == "no-store", path
    style = re.search(
        r"\"([^\"]+\.css)\"", (await visitor.get("/dashboard/tenants", follow_redirects=True)).text
    )
    assert style
    assert "immutable" in (await visitor.get(style.group(1))).headers["cache-control"]
    signed_out = await visitor.get("/dashboard/password")
    assert signed_out.status_code == 200


async def test_head_is_get_without_its_body(site: Site) -> None:
    visitor = await site.visitor()
    for path in ("/healthz", "/metrics", "/openapi.json", "/dashboard/sign-in"):
        asked, told = await visitor.get(path), await visitor.head(path)
        assert told.status_code == asked.status_code == 200, path
        assert told.content == b""
        assert told.headers["content-type"] == asked.headers["content-type"]
    assert (await visitor.head("/v1/events")).status_code == 405
