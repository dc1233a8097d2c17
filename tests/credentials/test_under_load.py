"""Real processes ring while credentials and keys change beneath them: no ring fails."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.credentials import rotation
from app.infra.runtime import open_runtime
from app.infra.settings import Settings
from devkit.embedded import running_valkey
from devkit.simulator import Simulator
from tests.chance import often
from tests.conftest import DatabaseServer
from tests.e2e.house import BUNDLE, SECRET_KEY, House, Tenant, eventually, new_tenant, running_house

RINGS = often(100, 1_000)
USERS = 50
CALLEES = [f"user{n}" for n in range(USERS)]
AT_ONCE = 20
NEW_KEY = "Qm5xT8rC1vLk3NwZ7bYd0sHf6uJe2GpA"
OTHER = "com.example.other"


@pytest.fixture(scope="module")
def house(
    database_server: DatabaseServer,
    session_simulator: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """One for all but the test that exchanges its workers; each test has its tenant."""
    folder = tmp_path_factory.mktemp("credentials")
    with (
        database_server.database("credentials") as url,
        running_valkey() as valkey,
        running_house(url, valkey.url, session_simulator, folder) as running,
    ):
        yield running


@pytest.fixture
async def tenant(house: House, simulator: Simulator) -> AsyncIterator[Tenant]:
    async with new_tenant(house) as made:
        yield made


def as_file(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def ring_many(
    tenant: Tenant, count: int, at: dict[int, Callable[[], Awaitable[object]]]
) -> list[str]:
    """Ring so many times, one phone after the other; `at` says what is done beside which ring."""
    gate = asyncio.Semaphore(AT_ONCE)
    beside: list[asyncio.Task[object]] = []

    async def one(n: int) -> str:
        async with gate:
            if n in at:
                beside.append(asyncio.ensure_future(at[n]()))
            call = await tenant.ring(f"user{n % USERS}", caller=f"caller{n}", ring_time=30)
            return str(call["session_id"])

    calls = await asyncio.gather(*(one(n) for n in range(count)))
    await asyncio.gather(*beside)
    return list(calls)


async def all_rang(tenant: Tenant, calls: list[str]) -> None:
    """Every push of these calls was accepted, and its phone has it, once."""

    async def settled() -> bool:
        rows = await tenant.rows(
            "SELECT count(*) AS n FROM pushes WHERE tenant_id = :tenant AND purpose = 'ring' "
            "AND state IN ('pending', 'sending')"
        )
        return bool(rows[0]["n"] == 0)

    await eventually(settled)
    states = await tenant.rows(
        "SELECT state, reason, count(*) AS n FROM pushes WHERE tenant_id = :tenant "
        "AND purpose = 'ring' GROUP BY state, reason"
    )
    assert states == [{"state": "accepted", "reason": None, "n": len(calls)}]
    delivered: dict[str, set[str]] = {}
    for arrival in tenant.sim.arrivals():
        if arrival.delivered and "ring" in (arrival.payload or {}):
            delivered.setdefault(arrival.payload["ring"]["session_id"], set()).add(arrival.apns_id)
    # one whose answer was lost may come again, under the same apns-id
    assert {call: len(delivered.get(call, ())) for call in calls} == dict.fromkeys(calls, 1)


async def add(tenant: Tenant, data: bytes) -> dict[str, Any]:
    answer = await tenant.api.post("/v1/credentials", json={"file": as_file(data)})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def listed(tenant: Tenant) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await tenant.api.get("/v1/credentials")).json()["credentials"]
    return found


def cut_off(simulator: Simulator, fingerprint: str) -> int:
    """Close every connection that was opened with this certificate."""
    numbers = [
        one["number"]
        for one in simulator.connections()
        if (one["client"] or {}).get("fingerprint") == fingerprint
    ]
    for number in numbers:
        simulator.close_connections(number)
    return len(numbers)


async def only(tenant: Tenant, certificate: Any) -> dict[str, Any]:
    """Have this certificate as the tenant's one credential."""
    (first,) = await listed(tenant)
    made = await add(tenant, certificate.pem)
    assert made["state"] == "active"
    assert (await tenant.api.delete(f"/v1/credentials/{first['id']}")).status_code == 204
    return made


async def test_the_key_encryption_key_is_rotated_while_rings_go_on(
    database: str, redis: str, simulator: Simulator, tmp_path: Path
) -> None:
    """Each process in turn, as the vault's own words have it; then the old key is gone."""
    stages = (f"1:{SECRET_KEY},2026:{NEW_KEY}", f"2026:{NEW_KEY},1:{SECRET_KEY}")
    with running_house(database, redis, simulator, tmp_path) as house:
        async with new_tenant(house) as tenant:
            await tenant.phones(*CALLEES)
            stop, calls = asyncio.Event(), list[str]()
            ringing = asyncio.create_task(ring_until(tenant, stop, calls))
            for keys in stages:
                await exchange_worker(house, keys)
            async with rotating(house, stages[1]) as settings:
                runtime = open_runtime(settings)
                before = await rotation.usage(runtime)
                done = await rotation.rotate(runtime, batch=1)
                after = await rotation.usage(runtime)
                await runtime.close()
            assert before["credentials"] == {"1": 1}
            assert after["credentials"] == {"2026": 1}
            assert (done.rewrapped, done.failed) == (3, ())
            await exchange_worker(house, f"2026:{NEW_KEY}")
            after_all = len(calls) + 20

            async def rung_on() -> bool:
                return len(calls) > max(after_all, 50)

            await eventually(rung_on)
            stop.set()
            await ringing
            await all_rang(tenant, calls)


async def test_a_certificate_is_replaced_and_the_old_one_refused(tenant: Tenant) -> None:
    simulator = tenant.sim
    outgoing, incoming = (simulator.voip_certificate(BUNDLE) for _ in range(2))
    old = await only(tenant, outgoing)
    await tenant.phones(*CALLEES)
    cut = 0

    async def replace() -> None:
        nonlocal cut
        new = await add(tenant, incoming.pem)
        assert (new["state"], new["health"]) == ("active", "working")
        simulator.revoke_certificate(outgoing)
        cut = cut_off(simulator, old["fingerprint"])

    calls = await ring_many(tenant, RINGS, {RINGS // 4: replace})
    await all_rang(tenant, calls)
    assert cut > 0
    new, replaced = await listed(tenant)
    assert (new["state"], new["health"]) == ("active", "working")
    assert (replaced["id"], replaced["state"]) == (old["id"], "standby")


async def test_one_on_standby_rings_when_the_active_one_is_refused(tenant: Tenant) -> None:
    """Nobody replaced anything: Apple begins to refuse in the midst of ringing."""
    simulator = tenant.sim
    certificates = [simulator.voip_certificate(BUNDLE) for _ in range(2)]
    await only(tenant, certificates[0])
    active = await add(tenant, certificates[1].pem)
    await tenant.phones(*CALLEES)

    async def refuse() -> None:
        simulator.revoke_certificate(certificates[1])
        assert cut_off(simulator, active["fingerprint"]) > 0

    calls = await ring_many(tenant, RINGS, {RINGS // 2: refuse})
    await all_rang(tenant, calls)
    shown = {one["id"]: one for one in await listed(tenant)}
    assert shown[active["id"]]["health"] == "failing"
    assert shown[active["id"]]["reason"] == "BadCertificate"


async def test_a_refused_credential_raises_one_alarm_and_others_go_on(tenant: Tenant) -> None:
    simulator = tenant.sim
    certificate = simulator.voip_certificate(BUNDLE)
    refused = await only(tenant, certificate)
    fine = await add(tenant, simulator.voip_certificate(OTHER).pem)
    for n in range(5):
        await tenant.phone(f"user{n}", alert=False)
    token = "ab" * 32
    body = {"user_id": "other", "device_id": "d", "tokens": [
        {"kind": "voip", "token": token, "app_id": OTHER}
    ]}  # fmt: skip
    assert (await tenant.api.post("/v1/devices", json=body)).status_code == 200
    simulator.live(token, topic=f"{OTHER}.voip")
    simulator.revoke_certificate(certificate)
    cut_off(simulator, refused["fingerprint"])
    for n in range(20):
        await tenant.ring(f"user{n % 5}", caller=f"caller{n}")
        await tenant.ring("other", caller=f"caller{n}")
    await tenant.sim.arrived(20, token=token)
    assert all(arrival.status == 200 for arrival in simulator.arrivals(token))

    async def told() -> list[dict[str, Any]]:
        return await tenant.rows("SELECT type, data FROM tenant_events WHERE tenant_id = :tenant")

    events = await eventually(told)
    await asyncio.sleep(0.5)
    events = await told()
    assert [event["type"] for event in events] == ["credential.failing"]
    assert events[0]["data"] == {
        "credential_id": refused["id"],
        "app_id": BUNDLE,
        "reason": "BadCertificate",
    }
    shown = {one["id"]: one for one in await listed(tenant)}
    assert shown[refused["id"]]["health"] == "failing"
    assert shown[fine["id"]]["health"] == "working"


async def test_request_sign_bring_and_ring(tenant: Tenant) -> None:
    """A key that never left rings a phone; by public API alone."""
    asked = await tenant.api.post("/v1/credentials/requests", json={"app_id": OTHER})
    request = asked.json()
    issued = tenant.sim.voip_certificate(OTHER, csr_pem=request["request"].encode())
    made = await add(tenant, issued.der)
    assert (made["id"], made["state"], made["health"]) == (request["id"], "active", "working")
    token = "cd" * 32
    tenant.sim.live(token, topic=f"{OTHER}.voip")
    body = {"user_id": "bob", "device_id": "d", "tokens": [
        {"kind": "voip", "token": token, "app_id": OTHER}
    ]}  # fmt: skip
    assert (await tenant.api.post("/v1/devices", json=body)).status_code == 200
    call = await tenant.ring("bob")
    (arrival,) = await tenant.sim.arrived(1, token=token)
    assert arrival.status == 200
    assert arrival.payload["ring"]["session_id"] == call["session_id"]
    assert arrival.client["fingerprint"] == made["fingerprint"]


async def ring_until(tenant: Tenant, stop: asyncio.Event, calls: list[str]) -> None:
    while not stop.is_set():
        n = len(calls)
        call = await tenant.ring(f"user{n % USERS}", caller=f"caller{n}", ring_time=60)
        calls.append(call["session_id"])
        await asyncio.sleep(0.02)


async def exchange_worker(house: House, keys: str) -> None:
    """Start a worker with these keys; once it works, stop the one before."""
    house.extra["RINGLINE_SECRET_KEY"] = keys
    await asyncio.to_thread(house.start, workers=1)
    await asyncio.to_thread(house.workers[-2].stop)


@asynccontextmanager
async def rotating(house: House, keys: str) -> AsyncIterator[Settings]:
    """The settings of `ringline vault rotate` run beside the house."""
    yield house.settings().model_copy(update={"secret_key": SecretStr(keys)})
