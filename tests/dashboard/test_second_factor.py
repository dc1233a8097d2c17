"""Second factors over HTTP: an authenticator app, recovery codes; and one's own sessions."""

import html
import json
import re

import httpx
import pyotp
import pytest
from sqlalchemy import text

from app.dashboard import admins
from app.infra import clock
from app.infra.settings import Settings
from tests.dashboard.authenticator import Authenticator
from tests.dashboard.conftest import PASSWORD, Site, admin_with_password, post, sign_in

DEEP = "[" * 60_000
CODE = re.compile(r"<li>((?:[A-Z2-7]{4}-){5}[A-Z2-7]{4})</li>")


def secret_of(page: str) -> str:
    found = re.search(r'data-copy="([A-Z2-7]{32})"', page)
    assert found, page
    return found.group(1)


def code(secret: str, ahead: int = 0) -> str:
    """The app's code of now, or of so many steps of 30 s later."""
    return pyotp.TOTP(secret).at(clock.unix() + 30 * ahead)


async def with_app(site: Site, browser: httpx.AsyncClient) -> tuple[str, list[str]]:
    """Add an authenticator app: a code of it that is good next, and the recovery codes.

    The first code is used up by that; time may pass, so the next one is made at the same moment.
    """
    page = await post(browser, "/dashboard/me/totp", password=PASSWORD)
    secret = secret_of(page.text)
    assert "<svg" in page.text
    first, following = code(secret), code(secret, 1)
    done = await post(browser, "/dashboard/me/totp/confirm", code=first)
    codes = CODE.findall(done.text)
    assert len(set(codes)) == 10
    again = await post(browser, "/dashboard/me/totp/confirm", code=following)
    assert again.status_code == 422, "it counts already"
    assert secret not in (await browser.get("/dashboard/me")).text
    return following, codes


async def second(browser: httpx.AsyncClient, given: str) -> httpx.Response:
    page = await browser.get("/dashboard/sign-in/second")
    mark = re.search(r'name="form" value="([^"]+)"', page.text)
    if mark is None:
        return page
    fields = {"form": mark.group(1), "code": given, "next": "/tenants"}
    return await browser.post("/dashboard/sign-in/second", data=fields)


async def halfway(site: Site, email: str) -> httpx.AsyncClient:
    """A browser in which the password of this administrator was right."""
    browser = await site.visitor()
    answer = await sign_in(browser, email, PASSWORD)
    assert answer.headers["location"] == "/dashboard/sign-in/second"
    assert "ringline_admin" not in browser.cookies
    return browser


async def test_a_password_alone_opens_nothing_once_there_is_an_app(site: Site) -> None:
    owner = await site.admin()
    good, _ = await with_app(site, owner)
    browser = await halfway(site, site.made["owner"])
    assert (
        (await browser.get("/dashboard/tenants"))
        .headers["location"]
        .startswith("/dashboard/sign-in")
    )
    path = "/dashboard/sign-in/second"
    forged = await browser.post(path, data={"form": "x", "code": good})
    assert forged.status_code == 403
    nobody = await (await site.visitor()).post(path, data={"form": "", "code": good})
    assert nobody.headers["location"] == "/dashboard/sign-in"
    for wrong in ("000000", "", "AAAA-BBBB", "１２３４５６"):
        assert (await second(browser, wrong)).status_code == 401, wrong
    answer = await second(browser, f" {good[:3]} {good[3:]} ")
    assert answer.headers["location"] == "/dashboard/tenants"
    assert (await browser.get("/dashboard/tenants")).status_code == 200
    again = await halfway(site, site.made["owner"])
    assert (await second(again, good)).status_code == 401, "a code is good once"


async def test_a_recovery_code_is_good_once_and_new_ones_end_the_old(site: Site) -> None:
    owner = await site.admin()
    _, codes = await with_app(site, owner)
    email = site.made["owner"]
    browser = await halfway(site, email)
    typed = codes[0].lower().replace("-", " ")
    assert (await second(browser, typed)).status_code == 303
    assert (await second(await halfway(site, email), codes[0])).status_code == 401
    assert "9 recovery codes left" in (await browser.get("/dashboard/me")).text
    renewed = CODE.findall((await post(browser, "/dashboard/me/codes", password=PASSWORD)).text)
    assert (await second(await halfway(site, email), codes[1])).status_code == 401
    assert (await second(await halfway(site, email), renewed[1])).status_code == 303
    log = (await owner.get("/dashboard/admins")).text
    for told in (
        "added an authenticator app",
        "used a recovery code",
        "failed at the second factor",
    ):
        assert told in log


async def test_codes_cannot_be_guessed_for_long_and_a_right_password_does_not_wait_for_ever(
    site: Site,
) -> None:
    owner = await site.admin()
    good, codes = await with_app(site, owner)
    browser = await halfway(site, site.made["owner"])
    statuses = [(await second(browser, "AAAA")).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    assert (await second(browser, codes[0])).status_code == 429
    async with site.runtime.database.transaction() as session:
        await session.execute(text("DELETE FROM sign_in_tries"))
        await session.execute(
            text("UPDATE admin_challenges SET created_at = created_at - interval '6 minutes'")
        )
    late = await second(browser, good)
    assert late.headers["location"] == "/dashboard/sign-in"


async def test_what_one_signs_in_with_is_changed_by_the_present_password_alone(
    site: Site,
) -> None:
    owner = await site.admin()
    for path in ("totp", "codes", "passkeys/options"):
        answer = await post(owner, f"/dashboard/me/{path}", password="another one")
        assert answer.status_code in {409, 422}
        assert not CODE.findall(answer.text)
        assert "data-copy" not in answer.text
    await with_app(site, owner)
    assert (await post(owner, "/dashboard/me/totp/remove", password="no")).status_code == 422
    again = await post(owner, "/dashboard/me/totp", password=PASSWORD)
    assert again.status_code == 409
    assert (await post(owner, "/dashboard/me/totp/confirm", code="123456")).status_code == 422
    forged = await owner.post("/dashboard/me/totp/remove", data={"password": PASSWORD})
    assert forged.status_code == 403
    assert (await post(owner, "/dashboard/me/totp/remove", password=PASSWORD)).status_code == 303
    browser = await site.visitor()
    assert (
        "second" not in (await sign_in(browser, site.made["owner"], PASSWORD)).headers["location"]
    )


async def test_who_has_lost_all_is_let_in_by_an_owner_or_on_the_server(site: Site) -> None:
    owner, viewer = await site.admin(), await site.admin("viewer")
    await with_app(site, viewer)
    rows = {one["email"]: one for one in await admins.every(site.runtime)}
    lost = rows[site.made["viewer"]]
    assert lost["factor"]
    path = f"/dashboard/admins/{lost['id']}/factors"
    assert (await post(viewer, path)).status_code == 403
    page = await post(owner, path)
    first = re.search(r"<code>([a-z0-9-]{19,})</code>", page.text)
    assert first, page.text
    browser = await site.visitor()
    assert (await sign_in(browser, lost["email"], first.group(1))).headers[
        "location"
    ] == "/dashboard/"
    await with_app(site, owner)
    password = await admins.create_or_reset(site.runtime, site.made["owner"])
    reset = await sign_in(await site.visitor(), site.made["owner"], password)
    assert "second" not in reset.headers["location"]


async def test_a_passkey_signs_for_this_host_this_sign_in_and_its_owner_alone(site: Site) -> None:
    origin = "http://localhost:8000"
    owner, other = await site.admin(), await site.admin("viewer")
    assert (
        await post(owner, "/dashboard/me/passkeys/options", password=PASSWORD)
    ).status_code == 409
    site.runtime.settings.public_url = origin  # a name: with an address there are no passkeys

    async def add(browser: httpx.AsyncClient, key: Authenticator) -> httpx.Response:
        options = await post(browser, "/dashboard/me/passkeys/options", password=PASSWORD)
        made = key.make(options.json())
        return await post(browser, "/dashboard/me/passkeys", name="key", credential=made)

    mine, theirs = Authenticator(origin), Authenticator(origin)
    assert (await add(owner, Authenticator("http://localhost.evil:8000"))).status_code == 422
    replayed = mine.make({"rp": {"id": "localhost"}, "challenge": "AAAA"})
    fields = {"name": "key", "credential": replayed}
    assert (await post(owner, "/dashboard/me/passkeys", **fields)).status_code == 422
    await post(owner, "/dashboard/me/passkeys/options", password=PASSWORD)
    fields["credential"] = DEEP
    assert (await post(owner, "/dashboard/me/passkeys", **fields)).status_code == 422
    assert len(CODE.findall((await add(owner, mine)).text)) == 10
    assert (await add(owner, mine)).status_code == 409
    assert (await add(other, theirs)).status_code == 200

    async def signs(key: Authenticator, browser: httpx.AsyncClient, **more: str) -> int:
        page = html.unescape((await browser.get("/dashboard/sign-in/second")).text)
        options = json.loads(re.search(r'data-passkey="(\{.*\})"', page).group(1)) | more
        fields = {"form": re.search(r'name="form" value="([^"]+)"', page).group(1)}
        fields["passkey"] = key.sign(options)
        return (await browser.post("/dashboard/sign-in/second", data=fields)).status_code

    browser = await halfway(site, site.made["owner"])
    page = (await browser.get("/dashboard/sign-in/second")).text
    form = {"form": re.search(r'name="form" value="([^"]+)"', page).group(1), "passkey": DEEP}
    assert (await browser.post("/dashboard/sign-in/second", data=form)).status_code == 401
    assert await signs(theirs, browser) == 401
    assert await signs(mine, browser, challenge="AAAA") == 401
    assert await signs(mine, browser, rpId="evil.example") == 401
    mine.origin = "https://evil.example"
    assert await signs(mine, browser) == 401
    mine.origin = origin
    assert await signs(mine, browser) == 303
    assert (await browser.get("/dashboard/tenants")).status_code == 200


async def test_own_sessions_are_listed_and_ended(site: Site) -> None:
    here = await site.admin()
    other = await site.admin("viewer")
    email = site.made["owner"]
    away = []
    for n in range(3):
        browser = await site.visitor(f"198.51.100.{n}")
        assert (await sign_in(browser, email, PASSWORD)).status_code == 303
        away.append(browser)
    page = (await here.get("/dashboard/me")).text
    assert page.count("198.51.100.") == 3
    assert page.count("this\n  browser") == 1
    ids = re.findall(r'name="session" value="([0-9a-f]{64})"', page)
    assert len(ids) == 3
    path = "/dashboard/me/sessions/end"
    assert (await post(other, path, session=ids[0])).status_code == 404
    assert (await post(here, path, session="nonsense")).status_code == 404
    assert (await here.post(path, data={"session": ids[0]})).status_code == 403
    assert (await post(here, path, session=ids[0])).status_code == 303

    async def open_ones() -> int:
        answers = [(await one.get("/dashboard/me")).status_code for one in away]
        return answers.count(200)

    assert await open_ones() == 2
    assert (await post(here, path, session="others")).status_code == 303
    assert await open_ones() == 0
    assert (await here.get("/dashboard/me")).status_code == 200
    assert (await other.get("/dashboard/me")).status_code == 200


@pytest.fixture
def required(settings: Settings) -> None:
    settings.second_factor = "required"


async def test_where_a_second_factor_is_required_there_is_one_page_until_it_is_there(
    required: None, site: Site
) -> None:
    email = await admin_with_password(site.runtime, "owner")
    browser = await site.visitor()
    await sign_in(browser, email, PASSWORD)
    for page in ("", "/tenants", "/admins"):
        assert (await browser.get(f"/dashboard{page}")).headers["location"] == "/dashboard/me"
    assert (await post(browser, "/dashboard/tenants", name="acme")).status_code == 303
    assert "asks for a second factor" in (await browser.get("/dashboard/me")).text
    await with_app(site, browser)
    assert (await browser.get("/dashboard/tenants")).status_code == 200
    assert "acme" not in (await browser.get("/dashboard/tenants")).text
