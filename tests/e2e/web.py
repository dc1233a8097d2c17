"""What tests of browsers share: a VAPID key, and browsers that the fake push service reaches."""

import secrets
from dataclasses import dataclass
from typing import Any

from devkit.simulator import Arrival
from tests.e2e.house import Tenant

ORIGIN = "https://app.example.com"


@dataclass
class Browser:
    """A browser: its user, device and subscription; `id` is what the push service calls it."""

    user: str
    device_id: str
    subscription: dict[str, Any]
    key: str

    @property
    def id(self) -> str:
        return str(self.subscription["endpoint"]).rpartition("/")[2]

    @property
    def token(self) -> dict[str, Any]:
        """As it is registered."""
        return {
            "kind": "webpush", "app_id": ORIGIN, "subscription": self.subscription,
            "application_server_key": self.key,
        }  # fmt: skip


async def vapid_key(tenant: Tenant, app_id: str = ORIGIN) -> dict[str, Any]:
    """Make one, as admins do."""
    body = {"app_id": app_id, "subject": "mailto:push@example.com"}
    answer = await tenant.api.post("/v1/credentials/vapid", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def public_key(tenant: Tenant) -> str:
    """What an app's page subscribes with."""
    answer = await tenant.api.get(
        "/v1/web-push/key", params={"app_id": ORIGIN}, headers=tenant.as_user("bob")
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["public_key"])


async def subscribed(tenant: Tenant, user: str) -> Browser:
    """A browser that has subscribed, and is not registered yet."""
    key = await public_key(tenant)
    subscription = tenant.sim.web_subscribe(key)
    return Browser(user, f"w-{secrets.token_hex(4)}", subscription, key)


async def register(tenant: Tenant, browser: Browser, *more: dict[str, Any]) -> dict[str, Any]:
    answer = await tenant.api.post(
        "/v1/devices",
        json={
            "user_id": browser.user, "device_id": browser.device_id, "name": "A browser",
            "platform": "web", "tokens": [*more, browser.token],
        },
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def activate(tenant: Tenant, browser: Browser) -> None:
    """Post back what the last activation push has brought, as its service worker does."""
    said = notification(tenant.sim.deliveries(browser.id)[-1])["data"]["activation"]
    assert said["url"].endswith("/v1/devices/activate")
    answer = await tenant.api.post(
        "/v1/devices/activate", json={"token": said["token"]}, headers={"Authorization": ""}
    )
    assert answer.status_code == 204, answer.text


async def browser(tenant: Tenant, user: str, *more: dict[str, Any]) -> Browser:
    """A browser that rings."""
    made = await subscribed(tenant, user)
    await register(tenant, made, *more)
    await activate(tenant, made)
    return made


def notification(arrival: Arrival) -> dict[str, Any]:
    """What a browser is to show."""
    assert arrival.payload["web_push"] == 8030
    found: dict[str, Any] = arrival.payload["notification"]
    return found


def rings(tenant: Tenant, browser: Browser) -> list[dict[str, Any]]:
    """What has rung, or stopped, at a browser."""
    shown = [notification(one) for one in tenant.sim.deliveries(browser.id)]
    return [one for one in shown if "ring" in one["data"]]
