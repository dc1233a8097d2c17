"""The TypeScript client and its service worker ring a real browser by Web Push.

The push service is the simulated one: what it opens is handed to the worker by the browser's own
developer tools, since Chromium's own push service is not to be reached.
"""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Browser, Page

from devkit.lab.routes import ADDRESS
from tests.dashboard.test_in_a_browser import new_page
from tests.e2e.house import House, Tenant, eventually, member, new_tenant
from tests.e2e.web import vapid_key

pytestmark = pytest.mark.asyncio(loop_scope="session")
SUBSCRIBE = """async ({ subscription, token, device, folder }) => {
  PushManager.prototype.subscribe = async (options) => {
    window.asked = options;
    return { toJSON: () => subscription };
  };
  const { RinglinePhone } = await import(`${folder}/browser.js`);
  const options = { url: location.origin, token: () => token, userId: "bob", deviceId: device };
  window.phone = new RinglinePhone(options);
  window.heard = [];
  phone.on("ring", (ring) => heard.push(["ring", ring.uuid]));
  phone.on("stop", (ring, reason) => heard.push(["stop", ring.uuid, reason]));
  const { device_id } = await phone.subscribe(`${folder}/worker.js`);
  return [device_id, asked];
}"""
SHOWN = """async () => {
  const [registration] = await navigator.serviceWorker.getRegistrations();
  return (await registration.getNotifications()).map(({ title, tag, body }) => [title, tag, body]);
}"""
DECLINE = """async (tag) => {
  const [notification] = await self.registration.getNotifications({ tag });
  dispatchEvent(new NotificationEvent("notificationclick", { notification, action: "decline" }));
}"""


class Pushed:
    """One browser's push service, which hands on what it has opened."""

    def __init__(self, page: Page, tenant: Tenant, base: str) -> None:
        self._page = page
        self._tenant = tenant
        self._base = base
        self._given = 0
        self.id = ""

    async def open(self) -> None:
        """Learn what the browser calls its worker."""
        self._session = await self._page.context.new_cdp_session(self._page)
        self._workers: dict[str, str] = {}
        self._session.on("ServiceWorker.workerRegistrationUpdated", self._noted)
        await self._session.send("ServiceWorker.enable")

    def _noted(self, event: dict[str, Any]) -> None:
        for one in event["registrations"]:
            self._workers[one["registrationId"]] = one["scopeURL"]

    async def next(self) -> dict[str, Any]:
        """Hand the next push to the worker; what it is to show."""

        async def come() -> Any:
            return self._workers and self._tenant.sim.deliveries(self.id)[self._given :]

        [push, *_] = await eventually(come)
        self._given += 1
        worker = next(iter(self._workers))
        data = json.dumps(push.payload)
        told = {"origin": self._base, "registrationId": worker, "data": data}
        await self._session.send("ServiceWorker.deliverPushMessage", told)
        found: dict[str, Any] = push.payload["notification"]
        return found


@contextlib.asynccontextmanager
async def subscribed(
    chromium: Browser, house: House, tenant: Tenant
) -> AsyncIterator[tuple[Page, Pushed]]:
    """A page of bob's that has subscribed with the client."""
    base = house.apis[0].url
    key = (await vapid_key(tenant, base))["key_id"]
    subscription = tenant.sim.web_subscribe(key)
    async with new_page(chromium, permissions=["notifications"]) as page:
        # a page of this origin that is no phone itself: the worker tells all that are open
        await page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
        await page.goto(f"{base}{ADDRESS}/ringline.css")
        pushed = Pushed(page, tenant, base)
        pushed.id = subscription["endpoint"].rpartition("/")[2]
        await pushed.open()
        token = tenant.token_for("bob")
        what = {"subscription": subscription, "token": token, "device": "a-browser"}
        what["folder"] = ADDRESS
        device, asked = await page.evaluate(SUBSCRIBE, what)
        assert (device, asked) == (
            "a-browser", {"userVisibleOnly": True, "applicationServerKey": key},
        )  # fmt: skip
        yield page, pushed


async def shown(page: Page, tag: str, title: str = "alice") -> bool:
    """Whether the browser shows this notification."""
    return [title, tag] in [one[:2] for one in await page.evaluate(SHOWN)]


async def test_a_browser_rings_by_push_is_told_once_and_declines_without_a_page(
    whole_chromium: Browser, lab_house: House
) -> None:
    async with (
        new_tenant(lab_house) as tenant,
        subscribed(whole_chromium, lab_house, tenant) as (page, pushed),
    ):
        assert (await pushed.next())["title"] == "Calls ring here"

        async def activated() -> bool:
            rows = await tenant.rows("SELECT retired_at FROM tokens WHERE tenant_id = :tenant")
            return [row["retired_at"] for row in rows] == [None]

        await eventually(activated)
        await page.evaluate("phone.start()")
        call = await tenant.ring("bob")
        uuid = member(call, "bob")["ring"]["uuid"]
        assert (await pushed.next())["tag"] == uuid
        await page.wait_for_function("heard.length")

        async def delivered() -> bool:
            story = await tenant.api.get(f"/v1/calls/{call['session_id']}/timeline")
            return "device.delivered" in story.text

        await eventually(delivered)
        await tenant.act(call, "cancel", user="alice")
        assert (await pushed.next())["silent"] is True
        await page.wait_for_function("heard.length > 1")
        assert await page.evaluate("heard") == [["ring", uuid], ["stop", uuid, 2]]
        await page.wait_for_function(
            f"({SHOWN})().then((all) => all.some(([, , body]) => body === 'Call ended'))"
        )
        assert uuid in [tag for _, tag, _ in await page.evaluate(SHOWN)]

        again = await tenant.ring("bob")
        tag = (await pushed.next())["tag"]
        await eventually(lambda: shown(page, tag))
        [worker] = page.context.service_workers
        await worker.evaluate(DECLINE, tag)

        async def declined() -> bool:
            return bool((await tenant.read(again))["reason"] == "declined")

        await eventually(declined)
