"""Every task in a real browser, on real processes; any console error or CSP violation fails."""

import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from playwright.async_api import Browser, Page, expect
from playwright.async_api import Error as PlaywrightError

from app.dashboard import admins
from app.tenants import service as tenants
from devkit.simulator import Simulator
from tests.axe import serious
from tests.dashboard.conftest import BUNDLE, PASSWORD, admin_with_password
from tests.e2e.house import House, bearer

pytestmark = pytest.mark.asyncio(loop_scope="session")
PACKAGE = "com.example.an_android_app"
WEB_APP = "https://app.example.com"
EVIL = "<script>alert(1)</script>"


STILL: dict[str, Any] = {"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce"}
LOOKS = {"viewport", "reduced_motion", "color_scheme"}
"""What can be changed of a page that is open."""
_kept: list[Page] = []
"""The page that goes from test to test: a browser context of its own costs each half a second of CPU."""


async def kept_page(
    chromium: Browser, viewport: Any, reduced_motion: Any, color_scheme: Any = "light"
) -> Page:
    """The page of the tests before, looking so; nobody is signed in."""
    if not _kept or _kept[0].context.browser is not chromium:
        _kept[:] = [await (await chromium.new_context()).new_page()]
    (page,) = _kept
    await page.context.clear_cookies()
    await page.set_viewport_size(viewport)
    await page.emulate_media(color_scheme=color_scheme, reduced_motion=reduced_motion)
    return page


async def leave(page: Page) -> None:
    """To where nothing runs: another page of the same host, since one of none takes a new process,
    half a second of CPU, and so does the way back. Where that server has ended there is no way."""
    origin = re.match(r"http://[^/]+", page.url)
    try:
        await page.goto(f"{origin[0]}/healthz" if origin else "about:blank")
    except PlaywrightError:  # a page that says so is on its way, and would break off another
        _kept.clear()
        await page.context.close()


def _is_complaint(message: Any) -> bool:
    """But for the icon of the page that was left for, which a browser may miss late."""
    late = message.location["url"].endswith("/favicon.ico")
    return message.type in {"error", "warning"} and not late


def _complaint(message: Any) -> str:
    return f"{message.text} ({message.location['url']})"


def unexpected(page: Page) -> list[str]:
    """What the console of a page of `new_page` has complained of, but for what its test expects."""
    found: list[str] = page.complaints  # type: ignore[attr-defined]
    return [one for one in found if not page.expected.search(one)]  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def new_page(
    chromium: Browser, *, alone: bool = False, **options: Any
) -> AsyncIterator[Page]:
    """An empty page. What its console complains of fails the test.

    `alone`, or with options that are no looks: of a browser context of its own. It moves little:
    drawing costs more than all else, and what shakes is late to be clicked on.
    """
    given = STILL | options
    alone = alone or not given.keys() <= LOOKS
    if alone:
        page = await (await chromium.new_context(**given)).new_page()
    else:
        page = await kept_page(chromium, **given)
    page.set_default_timeout(60_000)
    complaints: list[str] = []
    heard: dict[str, Callable[[Any], None]] = {
        "console": lambda m: complaints.append(_complaint(m)) if _is_complaint(m) else None,
        "pageerror": lambda error: complaints.append(str(error)),
        "dialog": lambda dialog: complaints.append(f"dialog: {dialog.message}"),
    }
    for event, hear in heard.items():
        page.on(event, hear)  # type: ignore[call-overload]
    page.expected = re.compile("status of (409|422)")  # type: ignore[attr-defined]
    page.complaints = complaints  # type: ignore[attr-defined]
    keep = False
    try:
        yield page
        assert unexpected(page) == []
        keep = not alone
    finally:
        if keep:
            for event, hear in heard.items():
                page.remove_listener(event, hear)
            await leave(page)
        else:
            _kept.clear()
            await page.context.close()


async def accessible(page: Page, *, contrast: bool = True) -> None:
    """Axe finds nothing serious; of contrast, which goes by no width and costs the most, if asked."""
    assert await serious(page, contrast=contrast) == [], page.url


async def fits(page: Page, *, contrast: bool = True) -> None:
    """Nothing is wider than the window, and axe finds nothing serious."""
    wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{page.url} is {wide} px too wide"
    await accessible(page, contrast=contrast)


async def fits_in_both_looks(page: Page) -> None:
    """It fits narrow and dark, wide and light: what axe says of contrast goes by the colours, all else by the width."""
    for width, scheme in ((390, "dark"), (1440, "light")):
        await page.set_viewport_size({"width": width, "height": 844})
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        await fits(page)


async def signed_in(page: Page, house: House, role: str = "owner") -> str:
    """Sign in as an administrator; returns the dashboard's address."""
    base = f"{house.apis[0].url}/dashboard"
    async with house.runtime() as runtime:
        email = await admin_with_password(runtime, role)
    await page.goto(base)
    await page.fill("#email", email)
    await page.fill("#password", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/dashboard/(tenants|t/)"))
    return base


async def signed_in_anew(page: Page, house: House) -> None:
    """Sign in for the first time, with the one-time password, and choose one's own."""
    email = f"owner-{secrets.token_hex(3)}@example.com"
    async with house.runtime() as runtime:
        first = await admins.create(runtime, email)
    await page.goto(f"{house.apis[0].url}/dashboard")
    await page.fill("#email", email)
    await page.fill("#password", first)
    await page.keyboard.press("Enter")
    await page.fill("#old", first)
    await page.fill("#new", PASSWORD)
    await page.fill("#again", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url(re.compile("/dashboard/(tenants|t/)"))


async def furnished(house: House, simulator: Simulator, **device: Any) -> tuple[str, str, str]:
    """A tenant with a credential and a live phone of bob's: (tenant id, key, token)."""
    from app.credentials import service as credentials
    from app.credentials.parse import Upload

    token = secrets.token_hex(32)
    simulator.live(token, topic=f"{BUNDLE}.voip")
    async with house.runtime() as runtime:
        made = await tenants.create(runtime, f"t-{secrets.token_hex(4)}")
        await credentials.add(runtime, made.id, Upload(data=simulator.voip_certificate(BUNDLE).pem))
    body = {"user_id": "bob", "device_id": "d1", "name": "Bob's iPhone"} | device
    body |= {"tokens": [{"kind": "voip", "token": token, "app_id": BUNDLE}]}
    async with api(house, made.api_key) as client:
        (await client.post("/v1/devices", json=body)).raise_for_status()
    return str(made.id), made.api_key, token


async def with_android(house: House, simulator: Simulator, tenant: str, key: str) -> None:
    """A service account, and an Android phone of bob's whose app has said what hinders it."""
    from app.credentials import service as credentials
    from app.credentials.parse import Upload

    account = simulator.google_account(f"project-of-{secrets.token_hex(4)}")
    upload = Upload(data=account.json.encode(), app_id=PACKAGE)
    async with house.runtime() as runtime:
        await credentials.add(runtime, UUID(tenant), upload)
    phone = {
        "user_id": "bob", "device_id": "droid", "name": "Bob's Android", "platform": "android",
        "report": {"full_screen": False, "battery_optimized": True},
        "tokens": [{"kind": "fcm", "token": secrets.token_urlsafe(120), "app_id": PACKAGE}],
    }  # fmt: skip
    async with api(house, key) as client:
        (await client.post("/v1/devices", json=phone)).raise_for_status()


async def browser_of(house: House, simulator: Simulator, key: str) -> None:
    """A browser of bob's that has subscribed, and not been activated yet."""
    async with api(house, key) as client:
        asked = await client.get("/v1/web-push/key", params={"app_id": WEB_APP})
        subscription = simulator.web_subscribe(asked.json()["public_key"])
        token = {"kind": "webpush", "app_id": WEB_APP, "subscription": subscription}
        body = {"user_id": "bob", "device_id": "web", "name": "Bob's browser", "tokens": [token]}
        (await client.post("/v1/devices", json=body)).raise_for_status()


def api(house: House, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=house.apis[0].url, headers=bearer(key), timeout=20)


async def test_the_reference_of_the_api_asks_nobody_else(
    chromium: Browser, dashboard_house: House
) -> None:
    base = dashboard_house.apis[0].url
    async with new_page(chromium) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        await page.goto(f"{base}/docs")
        await page.get_by_role("link", name="accept call").click()
        await expect(page.locator("article#accept_call")).to_be_in_viewport()
        await page.locator("article#accept_call summary").last.click()
        await expect(page.locator("article#accept_call dl")).to_contain_text("answered_elsewhere")
        for width in (1440, 390):
            await page.set_viewport_size({"width": width, "height": 900})
            await fits(page, contrast=width == 1440)
        assert len(asked) >= 2  # and not of each browser its icon
        asked.append(await page.locator("link[rel=icon]").evaluate("one => one.href"))
        assert [one for one in asked if not one.startswith(base + "/")] == []


async def test_from_an_empty_database_to_a_rung_device(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    async with new_page(chromium) as page:
        await signed_in_anew(page, dashboard_house)
        await page.goto(f"{dashboard_house.apis[0].url}/dashboard/tenants")
        name = f"first-{secrets.token_hex(3)}"
        await page.fill("#name", name)
        await page.get_by_role("button", name="Make tenant").click()
        key = await page.locator(".secret code").first.inner_text()
        assert key.startswith("rl_sk_")
        await accessible(page)
        await page.get_by_role("link", name=f"Open {name}").click()
        await page.get_by_role("link", name="Credentials", exact=True).click()
        made = simulator.voip_certificate(BUNDLE)
        upload = {
            "name": "voip.p12",
            "mimeType": "application/x-pkcs12",
            "buffer": made.p12("pass"),
        }
        await page.locator("input[type=file]").set_input_files(upload)
        await page.get_by_role("button", name="Look at it").click()
        await expect(page.get_by_role("alert")).to_contain_text("locked with a password")
        await accessible(page)
        await page.fill("#password", "pass")
        await page.get_by_role("button", name="Look again").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "This is what Ringline understood"
        )
        await expect(page.locator("main")).to_contain_text("nothing is stored yet")
        assert "PRIVATE KEY" not in await page.content()
        await accessible(page)
        await page.get_by_role("button", name="Store it and ask Apple").click()
        await expect(page.locator("main")).to_contain_text("production: Apple takes it")
        await accessible(page)
        token = secrets.token_hex(32)
        simulator.live(token, topic=f"{BUNDLE}.voip")
        tokens = [{"kind": "voip", "token": token, "app_id": BUNDLE}]
        async with api(dashboard_house, key) as client:
            body = {"user_id": "bob", "device_id": "d1", "name": "Bob's iPhone", "tokens": tokens}
            (await client.post("/v1/devices", json=body)).raise_for_status()
        await page.get_by_role("link", name="Users", exact=True).click()
        await page.get_by_role("searchbox").or_(page.locator("#q")).fill(token[-6:])
        await page.keyboard.press("Enter")
        await (
            page.get_by_role("region", name=re.compile("Tokens that end"))
            .get_by_role("link")
            .click()
        )
        await expect(page.get_by_role("heading", level=1)).to_have_text("bob")
        await page.get_by_role("button", name="Send a test ring").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text(
            "Ringline test rings bob"
        )
        # the page updates by itself: the answer of Apple appears in it
        await expect(page.locator(".lanes")).to_contain_text("accepted")
        assert len(simulator.arrivals(token)) == 1
        await accessible(page)
        await page.get_by_text("End this call…").click()
        await page.get_by_role("button", name="End it for everyone").click()
        await expect(page.locator("main")).to_contain_text("Cancelled")


async def test_a_file_dropped_anywhere_is_looked_at_first(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    async with dashboard_house.runtime() as runtime:
        tenant = (await tenants.create(runtime, f"t-{secrets.token_hex(4)}")).id
    async with new_page(chromium) as page:
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/credentials")
        pem = simulator.voip_certificate(BUNDLE).pem
        await page.evaluate(
            """(pem) => {
              const carried = new DataTransfer();
              carried.items.add(new File([pem], "voip.pem"));
              for (const kind of ["dragenter", "dragover", "drop"])
                document.querySelector("h1").dispatchEvent(new DragEvent(kind,
                  { dataTransfer: carried, bubbles: true, cancelable: true }));
            }""",
            pem.decode() if isinstance(pem, bytes) else pem,
        )
        await expect(page.get_by_role("heading", level=1)).to_have_text(
            "This is what Ringline understood"
        )
        await page.goto(f"{base}/t/{tenant}/credentials")
        await expect(page.locator("main")).to_contain_text("Nothing to push with yet")
        wrong = {
            "name": "photo.png",
            "mimeType": "image/png",
            "buffer": b"\x89PNG\r\n\x1a\n" + b"0" * 90,
        }
        await page.locator("input[type=file]").set_input_files(wrong)
        await page.get_by_role("button", name="Look at it").click()
        await expect(page.get_by_role("alert")).to_contain_text("not a certificate or a key")


async def test_a_service_account_is_looked_at_stored_and_asked_about(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    """On a small screen: the file does not name the app, so that is asked for."""
    tenant, _, _ = await furnished(dashboard_house, simulator)
    account = simulator.google_account("a-project-with-a-long-name-of-its-own")
    file = {"name": "key.json", "mimeType": "application/json", "buffer": account.json.encode()}
    async with new_page(chromium, viewport={"width": 390, "height": 844}) as page:
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/credentials")
        await page.locator("#file").set_input_files(files=[file])  # type: ignore[list-item]
        await page.get_by_role("button", name="Look at it").click()
        await page.get_by_label("Android package").fill(PACKAGE)
        await accessible(page)
        await page.get_by_role("button", name="Look again").click()
        await expect(page.get_by_text(account.project_id, exact=True)).to_be_visible()
        await expect(page.get_by_text(account.client_email)).to_be_visible()
        await accessible(page)
        await page.get_by_role("button", name="Store it and ask Google").click()
        await expect(page.get_by_text("production: Google takes it")).to_be_visible()
        await fits(page)


async def test_a_vapid_key_is_made_shown_and_kept_while_a_browser_knows_it(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, key, _ = await furnished(dashboard_house, simulator)
    async with new_page(chromium, viewport={"width": 390, "height": 844}) as page:
        base = await signed_in(page, dashboard_house, "operator")
        await page.goto(f"{base}/t/{tenant}/credentials")
        await page.get_by_label("Origin of the web app").fill(WEB_APP)
        await page.get_by_label("Whom a push service may write to").fill("push@example.com")
        await page.get_by_role("button", name="Make VAPID key").click()
        await expect(page.get_by_role("alert")).to_contain_text("mailto:push@example.com")
        await page.get_by_label("Origin of the web app").fill(WEB_APP)
        await page.get_by_label("Whom a push service may write to").fill("mailto:push@example.com")
        await page.get_by_role("button", name="Make VAPID key").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text(WEB_APP)
        await expect(page.get_by_text("ready", exact=True)).to_be_visible()
        where = page.url
        await browser_of(dashboard_house, simulator, key)
        for width in (390, 1440):
            await page.set_viewport_size({"width": width, "height": 844})
            for path in (where, f"{base}/t/{tenant}/credentials", f"{base}/t/{tenant}/user?id=bob"):
                await page.goto(path)
                await fits(page)
        await expect(page.get_by_text("Not activated")).to_be_visible()
        await page.goto(where)
        await page.get_by_text("Retire…").click()
        await page.get_by_role("button", name="Retire it").click()
        await expect(page.get_by_role("alert")).to_contain_text("without it no phone")


async def test_the_signing_request_in_three_steps(
    chromium: Browser, dashboard_house: House
) -> None:
    async with dashboard_house.runtime() as runtime:
        tenant = (await tenants.create(runtime, f"t-{secrets.token_hex(4)}")).id
    async with new_page(chromium) as page:
        base = await signed_in(page, dashboard_house, "operator")
        await page.goto(f"{base}/t/{tenant}/credentials")
        await page.fill("#bundle", "com.example.steps")
        await page.get_by_role("button", name="Make key and request").click()
        await accessible(page)
        async with page.expect_download() as download:
            await page.get_by_role("link", name="Download the request").click()
        assert (await download.value).suggested_filename == "com.example.steps.certSigningRequest"
        await expect(page.locator("main")).to_contain_text("made a signing request")
        upload = {
            "name": "x.cer",
            "mimeType": "application/pkix-cert",
            "buffer": b"not a certificate",
        }
        await page.locator("input[type=file]").set_input_files(upload)
        await page.get_by_role("button", name="Complete").click()
        await expect(page.get_by_role("alert")).to_be_visible()


async def test_rotating_retiring_and_bringing_back(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, _, _ = await furnished(dashboard_house, simulator)
    async with new_page(chromium) as page:
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/credentials")
        await page.locator("td a").click()
        await page.get_by_text("Retire…").click()
        await page.get_by_role("button", name="Retire it").click()
        await expect(page.get_by_role("alert")).to_contain_text("last working credential")
        await page.get_by_role("button", name="Do it all the same").click()
        await expect(page.locator(".head")).to_contain_text("Retired")
        await page.get_by_role("button", name="Bring back").click()
        await expect(page.locator(".head")).to_contain_text("Working")
        await expect(page.get_by_role("region", name="History")).to_contain_text(
            "retired a credential"
        )


async def test_the_list_of_calls_updates_by_itself_and_tells_why(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, key, token = await furnished(dashboard_house, simulator)
    async with new_page(chromium) as page, api(dashboard_house, key) as client:
        base = await signed_in(page, dashboard_house, "viewer")
        await page.goto(f"{base}/t/{tenant}/calls")
        await expect(page.locator("#live")).to_contain_text("No calls yet")
        simulator.gone(token)
        ring = {"caller": {"id": "alice"}, "callees": ["bob"], "ring_time": 5, "id": "self-made"}
        (await client.post("/v1/calls", json=ring)).raise_for_status()
        await expect(page.locator("#live")).to_contain_text("default:self-made")
        await expect(page.locator("#live")).to_contain_text("Nobody could be reached")
        await accessible(page)
        await page.get_by_role("link", name="from alice").press("Enter")
        await expect(page.locator("main")).to_contain_text("Apple said Unregistered")
        await expect(page.locator("main")).to_contain_text("the token was retired on")
        await page.get_by_text("The numbers").click()
        await expect(page.get_by_role("region", name="Steps")).to_contain_text("ms")
        await page.goto(f"{base}/t/{tenant}/calls")
        await page.select_option("#state", "completed")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator("#live")).to_contain_text("No call fits")


async def test_a_devices_life_test_push_and_removal(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, _, token = await furnished(dashboard_house, simulator)
    async with new_page(chromium) as page:
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/user?id=bob")
        await expect(page.locator("main")).to_contain_text(f"…{token[-4:]}")
        await page.get_by_role("button", name="Test push").click()
        await expect(page.get_by_role("region", name="What was said just now")).to_contain_text(
            "Accepted"
        )
        await accessible(page)
        await page.get_by_role("button", name="Turn off").click()
        await expect(page.get_by_role("button", name="Turn on")).to_be_visible()
        await page.set_viewport_size({"width": 390, "height": 844})
        await fits(page)
        await page.get_by_role("button", name="Turn on").click()
        await expect(page.get_by_role("button", name="Test push")).to_be_visible()
        await page.get_by_text("Remove…").click()
        await page.get_by_role("button", name="Remove this device").click()
        await expect(page.locator("main")).to_contain_text("No device")


async def test_settings_keys_times_payload_webhooks_and_audit(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, _, _ = await furnished(dashboard_house, simulator)
    async with new_page(chromium) as page:
        base = await signed_in(page, dashboard_house)
        at = f"{base}/t/{tenant}/settings"
        await page.goto(at)
        await page.fill("#name", "ringing backend")
        await page.get_by_role("button", name="Make key").click()
        key = await page.locator(".secret code").inner_text()
        async with api(dashboard_house, key) as client:
            assert (await client.get("/v1/devices?user_id=bob")).status_code == 200
            assert (await client.get("/v1/audit")).status_code == 403
        await page.goto(at)
        assert key not in await page.content()
        await accessible(page)
        row = page.locator("tr", has_text="ringing backend")
        await row.get_by_text("Revoke…").click()
        await row.get_by_role("button", name="Revoke ringing backend").click()
        await expect(page.locator("tr", has_text="ringing backend")).to_contain_text("Revoked")
        await page.goto(f"{at}/calls")
        await page.fill("#ring", "4")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("alert")).to_contain_text("must be from 5 to 180")
        await page.fill("#ring", "30")
        await page.fill("#new_type", "doorbell")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator("#ring")).to_have_value("30")
        await expect(page.get_by_role("heading", name="Call type doorbell")).to_be_visible()
        await accessible(page)
        await page.goto(f"{at}/payload")
        await page.select_option("#profile", "stream")
        await expect(page.locator("#preview pre")).to_contain_text("stream.video")
        await page.select_option("#profile", "custom")
        await page.fill("#template", '{"no": "uuid"}')
        await expect(page.locator("#preview")).to_contain_text("uuid")
        await page.fill("#template", '{"id": "{{uuid}}", "token": "{{token}}"}')
        await expect(page.locator("#preview")).to_contain_text("of 5,120 bytes")
        await page.get_by_role("button", name="Save").click()
        await expect(page.get_by_role("status")).to_contain_text("The next ring uses this payload")
        await accessible(page)
        await page.goto(f"{at}/webhooks")
        await page.fill("#url", "http://127.0.0.1:9/hooks")
        await page.get_by_role("button", name="Add webhook").click()
        await expect(page.locator(".secret code")).to_contain_text("whsec_")
        await page.get_by_role("link", name="http://127.0.0.1:9/hooks").click()
        await accessible(page)
        await page.goto(f"{at}/audit")
        await expect(page.locator("main")).to_contain_text("revoked an API key")
        await accessible(page)


async def test_hostile_names_are_shown_and_never_run(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, key, _ = await furnished(dashboard_house, simulator, name=EVIL)
    async with api(dashboard_house, key) as client:
        ring = {"caller": {"id": "eve", "name": EVIL}, "callees": ["bob"], "id": "hostile"}
        call = (await client.post("/v1/calls", json=ring)).raise_for_status().json()
    async with new_page(chromium) as page:
        base = await signed_in(page, dashboard_house)
        page.expected = re.compile("status of 404")  # type: ignore[attr-defined]
        for path in ("/calls", f"/calls/{call['session_id']}", "/user?id=bob", "/users?q=" + EVIL,
                     "/calls?user=" + EVIL, "/user?id=" + EVIL, ""):  # fmt: skip
            await page.goto(f"{base}/t/{tenant}{path}")
            assert await page.locator("script:not([src])").count() == 0
        await page.goto(f"{base}/t/{tenant}/user?id=bob")
        await expect(page.get_by_role("heading", name=EVIL)).to_be_visible()


async def test_the_keyboard_alone_is_enough(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, _, _ = await furnished(dashboard_house, simulator)
    async with new_page(chromium) as page:
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/user?id=bob")
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        await page.keyboard.press("Enter")
        await tab_to(page, "Send a test ring")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_contain_text("rings bob")
        await tab_to(page, "End this call…")
        await page.keyboard.press("Enter")
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("button", name="End it for everyone")).to_be_hidden()
        await page.keyboard.press("Enter")
        await tab_to(page, "End it for everyone")
        await page.keyboard.press("Enter")
        await expect(page.locator("main")).to_contain_text("Cancelled")


async def tab_to(page: Page, name: str) -> None:
    """Press Tab until what is focused reads so."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if name == (await page.evaluate("document.activeElement.textContent.trim()")):
            return
    raise AssertionError(f"the Tab key does not reach {name!r}")


async def test_pages_fit_and_are_accessible(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, key, _ = await furnished(dashboard_house, simulator)
    await with_android(dashboard_house, simulator, tenant, key)
    async with new_page(chromium) as page:
        await page.goto(f"{dashboard_house.apis[0].url}/dashboard/sign-in")
        await fits_in_both_looks(page)
        base = await signed_in(page, dashboard_house)
        at = f"{base}/t/{tenant}"
        for path in (f"{at}?span=day", f"{at}/calls", f"{at}/users", f"{at}/user?id=bob",
                     f"{at}/credentials", f"{at}/settings", f"{at}/settings/payload",
                     f"{at}/settings/notifications", f"{at}/settings/calls",
                     f"{base}/admins", f"{base}/tenants", f"{base}/tenants/{tenant}/delete"):  # fmt: skip
            await page.goto(path)
            await fits_in_both_looks(page)


async def test_pages_work_without_scripts(
    chromium: Browser, dashboard_house: House, simulator: Simulator
) -> None:
    tenant, _, _ = await furnished(dashboard_house, simulator)
    async with new_page(chromium, java_script_enabled=False) as page:
        base = await signed_in(page, dashboard_house)
        await page.goto(f"{base}/t/{tenant}/settings/payload")
        await page.select_option("#profile", "stream")
        await page.get_by_role("button", name="Preview").click()
        await expect(page.locator("#preview pre")).to_contain_text("stream.video")
        await page.goto(f"{base}/t/{tenant}/user?id=bob")
        await page.get_by_role("button", name="Send a test ring").click()
        await expect(page.get_by_role("heading", level=1)).to_contain_text("rings bob")


async def test_a_passkey_is_made_and_signs_in(chromium: Browser, dashboard_house: House) -> None:
    async with new_page(chromium, alone=True) as page:
        page.expected = re.compile("status of (401|409|422)")  # type: ignore[attr-defined]
        tools = await page.context.new_cdp_session(page)
        await tools.send("WebAuthn.enable")
        await tools.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2", "transport": "internal", "hasResidentKey": True,
                    "hasUserVerification": True, "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )  # fmt: skip
        base = dashboard_house.apis[0].url.replace("127.0.0.1", "localhost") + "/dashboard"
        async with dashboard_house.runtime() as runtime:
            email = await admin_with_password(runtime, "viewer")
        await page.goto(f"{base}/sign-in?next=/me")
        await page.fill("#email", email)
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"{base}/me")
        await accessible(page)
        await page.fill("#name", "laptop")
        await page.fill("#passkey-password", "not this one")
        await page.click("text=Add a passkey")
        await expect(page.get_by_text("The present password is another one.")).to_be_visible()
        await page.fill("#passkey-password", PASSWORD)
        await page.click("text=Add a passkey")
        await expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
        await expect(page.get_by_text("Passkey laptop")).to_be_visible()
        await page.set_viewport_size({"width": 390, "height": 844})
        await accessible(page)
        await page.click("text=Sign out")
        await page.fill("#email", email)
        await page.fill("#password", PASSWORD)
        await page.keyboard.press("Enter")
        await page.wait_for_url(re.compile("/sign-in/second"))
        await accessible(page)
        await page.fill("#code", "AAAA-BBBB")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("This code is not good")).to_be_visible()
        await page.click("text=Use a passkey")
        await page.wait_for_url(re.compile("/dashboard/(tenants|t/)"))
        await page.goto(f"{base}/me")
        await page.click("summary:has-text('laptop')")
        await page.fill("[id^=remove-]", PASSWORD)
        await page.click("button:has-text('Remove laptop')")
        await expect(page.get_by_text("your password alone opens this dashboard")).to_be_visible()
