"""What tests of Android phones share: an account of Google's, and phones that FCM reaches."""

import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from app.credentials import service as credentials
from app.credentials.parse import Upload
from devkit.simulator import Arrival, Simulator
from devkit.simulator.google.accounts import Account
from tests.e2e.house import Tenant

PACKAGE = "com.example.droid_app"
PROJECT = "demo-project"


@pytest.fixture(scope="session")
def account(simulator: Simulator) -> Account:
    """One for all tests of a process: to make its key takes a while."""
    return simulator.google_account(PROJECT)


@dataclass
class Android:
    """An Android phone: its user, device and registration token."""

    user: str
    device_id: str
    token: str


def registration_token() -> str:
    return f"{secrets.token_urlsafe(16)}:APA91b{secrets.token_urlsafe(100)}"


async def give_account(tenant: Tenant, account: Account, app_id: str = PACKAGE) -> UUID:
    """Its id."""
    upload = Upload(data=account.json.encode(), app_id=app_id)
    return (await credentials.add(tenant.runtime, tenant.id, upload)).id


async def android(tenant: Tenant, user: str, *, project: str = PROJECT, **more: Any) -> Android:
    """Register an Android phone whose token lives at the fake Google."""
    phone = Android(user, f"a-{secrets.token_hex(4)}", registration_token())
    tenant.sim.fcm_live(phone.token, project=project)
    await register(tenant, phone, name="A droid", platform="android", **more)
    return phone


async def register(tenant: Tenant, phone: Android, **more: Any) -> dict[str, Any]:
    """Register it, once more or for another user; as it reads."""
    token = {"kind": "fcm", "token": phone.token, "app_id": PACKAGE}
    body = {"user_id": phone.user, "device_id": phone.device_id, "tokens": [token], **more}
    answer = await tenant.api.post("/v1/devices", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def data_of(arrival: Arrival) -> dict[str, str]:
    """What an app is given of a message."""
    found: dict[str, str] = arrival.payload["message"]["data"]
    return found
