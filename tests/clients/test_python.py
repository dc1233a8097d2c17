"""The Python client: what is in its package, and what it does with a real server."""

import asyncio
import json
import tarfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ringline_client import (
    ApiError,
    AsyncRingline,
    Gone,
    InvalidRequest,
    NotFound,
    Ringline,
    RinglineError,
    Unauthorized,
    Unreachable,
    WebhookRefused,
    sign_user_token,
    verify_webhook,
)
from standardwebhooks import Webhook

from tests.clients.cable import Cable
from tests.clients.readme import CLIENTS, first_example
from tests.contract.node import PYTHON, run
from tests.e2e.house import Tenant

SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
MODULES = {
    path.name for path in (CLIENTS / "python/src/ringline_client").iterdir() if path.is_file()
}


def test_the_packages_hold_the_modules_and_nothing_else(python_packages: Path) -> None:
    (wheel,) = python_packages.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
    info = f"{wheel.name.rsplit('-', 3)[0]}.dist-info"
    papers = {f"{info}/{one}" for one in ("METADATA", "WHEEL", "RECORD", "licenses/LICENSE")}
    assert names == {f"ringline_client/{one}" for one in MODULES} | papers
    (source,) = python_packages.glob("*.tar.gz")
    with tarfile.open(source) as packed:
        files = {one.name.partition("/")[2] for one in packed.getmembers() if one.isfile()}
    # hatchling puts .gitignore into every sdist, for those who build from it
    tops = {"README.md", "LICENSE", "pyproject.toml", "PKG-INFO", ".gitignore"}
    assert files == {f"src/ringline_client/{one}" for one in MODULES} | tops


async def test_the_readmes_first_example_rings(
    tenant: Tenant, python_packages: Path, tmp_path: Path
) -> None:
    phone = await tenant.phone("bob")
    (wheel,) = python_packages.glob("*.whl")
    pip = ("-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", "installed")
    run(tmp_path, PYTHON, *pip, str(wheel))
    (tmp_path / "ring.py").write_text(first_example("python"))
    env = {"RINGLINE_URL": tenant.house.apis[0].url, "RINGLINE_KEY": tenant.key}
    said = run(tmp_path, PYTHON, "ring.py", PYTHONPATH=str(tmp_path / "installed"), **env)
    assert said.startswith("default:")
    assert said.endswith(" is ringing\n")
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    assert arrival.payload["ring"]["cid"] == said.split()[0]


async def test_those_who_wait_and_those_who_await(tenant: Tenant) -> None:
    """One tenant's day: register, ring, accept, read, end; pages; errors by kind and code."""

    def waits() -> None:
        with Ringline(tenant.house.apis[0].url, tenant.key) as ringline:
            token = {"kind": "voip", "token": "ab" * 32, "app_id": "com.example.app"}
            device = ringline.register_device(user_id="bob/1", device_id="d/1", tokens=[token])
            call = ringline.ring(caller={"id": "alice"}, callees=["bob/1"], custom={"n": 1})
            accepted = ringline.accept_call(call["session_id"], user_id="bob/1", device_id="d/1")
            assert (device["device_id"], accepted["state"]) == ("d/1", "active")
            assert ringline.read_call(call["cid"])["custom"] == {"n": 1}
            assert ringline.end_call(call["cid"])["reason"] == "ended_by_server"
            ringline.remove_device("d/1", user_id="bob/1")
            assert ringline.list_devices(user_id="bob/1")["devices"] == []
            raw = ringline.request("GET", "/v1/devices", query={"user_id": "bob/1"})
            assert raw == {"devices": []}
            with pytest.raises(Gone) as gone:
                ringline.accept_call(call["session_id"], user_id="bob/1", device_id="d/1")
            assert gone.value.body["reason"] == "ended_by_server"
            with pytest.raises(NotFound) as absent:
                ringline.read_call("default:nothing")
            assert absent.value.request_id
            with pytest.raises(InvalidRequest) as invalid:
                ringline.ring(caller={"id": "a b"}, callees=["c d"])
            assert (invalid.value.status, len(invalid.value.body["errors"])) == (422, 2)

    await asyncio.to_thread(waits)
    async with AsyncRingline(tenant.house.apis[1].url, tenant.key) as ringline:
        for _ in range(3):
            made = await ringline.create_webhook(url="https://example.com/hook", events=["call.*"])
            await ringline.delete_webhook(made["id"])
        lines = [line["action"] async for line in ringline.read_audit_log(limit=2)]
        assert lines.count("webhook.create") == 3
        assert lines.count("webhook.remove") == 3
    async with AsyncRingline(tenant.house.apis[0].url, "rl_sk_wrong") as wrong:
        with pytest.raises(Unauthorized) as refused:
            await wrong.list_webhooks()
    assert refused.value.code == "invalid_api_key"
    assert issubclass(Unauthorized, ApiError)
    assert issubclass(ApiError, RinglineError)


async def test_an_answer_that_was_lost_rings_nobody_twice(tenant: Tenant) -> None:
    async with (
        Cable(tenant.house.apis[0].url).laid() as cable,
        AsyncRingline(cable.url, tenant.key) as ringline,
    ):
        cable.swallow = 2
        call = await ringline.ring(caller={"id": "alice"}, callees=["bob"])
        assert cable.connections == 3
        rows = await tenant.rows("SELECT id FROM calls WHERE tenant_id = :tenant")
        assert [str(row["id"]) for row in rows] == [call["session_id"]]
        cable.swallow = 1  # done once, and nobody knows: it is not done again
        with pytest.raises(Unreachable):
            await ringline.create_webhook(url="https://example.com/hook", events=["*"])
        (made,) = (await ringline.list_webhooks())["webhooks"]
        cable.swallow = 1  # removed by the first try
        await ringline.delete_webhook(made["id"])
        assert (await ringline.list_webhooks())["webhooks"] == []


async def test_user_tokens_are_signed_here_and_asked_for_again_when_they_expire(
    tenant: Tenant,
) -> None:
    given: list[str] = []

    def sign(age: float) -> str:
        return sign_user_token(
            tenant.secret, tenant.kid, "bob", expires_in=60, now=time.time() - age
        )

    async def token() -> str:
        given.append(sign(age=3600 if not given else 0))  # the first one as by a slow clock
        return given[-1]

    url = tenant.house.apis[0].url
    async with AsyncRingline(url, token) as ringline:
        assert await ringline.list_devices() == {"devices": []}
        await ringline.list_devices()
        assert len(given) == 2
        assert abs(ringline.clock_offset) < 5
    with Ringline(url, sign(age=3600)) as late, pytest.raises(Unauthorized) as refused:
        await asyncio.to_thread(late.list_devices)
    assert refused.value.code == "expired_token"


def test_webhooks_are_verified() -> None:
    at, body = datetime.now(UTC), json.dumps({"id": "evt_1", "type": "call.started", "more": "ü"})
    other = "whsec_AAAAsBQIhrscChlQIMV+b5sSYspob7oD"
    signature = Webhook(SECRET).sign("evt_1", at, body)
    headers = {
        "Webhook-Id": "evt_1",
        "Webhook-Timestamp": str(int(at.timestamp())),
        "Webhook-Signature": f"v1,AAAA v2,zzz {signature}",
    }
    assert verify_webhook(body.encode(), headers, [other, SECRET])["type"] == "call.started"
    for changed in (
        {"secret": other},
        {"body": body.replace("started", "ended")},
        {"headers": {**headers, "Webhook-Id": "evt_2"}},
        {"headers": {**headers, "Webhook-Signature": "v1,!"}},
        {"headers": {}},
        {"now": at.timestamp() + 3600},
    ):
        what = {"body": body, "headers": headers, "secret": SECRET, **changed}
        with pytest.raises(WebhookRefused):
            verify_webhook(**what)
