"""The control API, over real HTTP, as a phone or somebody else's test would use it."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devkit.simulator import Simulator
from tests.apns.rig import Metronome
from tests.devkit.simulator.conftest import BUNDLE, Connect, ContextMaker
from tests.devkit.simulator.raw_client import TOPIC, RawClient, connected


@pytest.fixture
async def control(sim: Simulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sim.control_url, trust_env=False) as client:
        yield client


async def test_says_where_everything_is(control: httpx.AsyncClient, sim: Simulator) -> None:
    told = (await control.get("/")).json()
    assert len(told.pop("run")) == 16
    assert told == {
        "production_url": sim.production_url,
        "sandbox_url": sim.sandbox_url,
        "fcm_url": sim.fcm_url,
        "google_token_url": sim.google_token_url,
        "webpush_url": sim.webpush_url,
        "control_url": sim.control_url,
        "ca_file": str(sim.ca_file),
    }
    assert (await control.get("/ca.pem")).text == sim.ca_file.read_text()
    assert "/arrivals" in (await control.get("/openapi.json")).json()["paths"]


async def test_says_whether_it_takes_connections(control: httpx.AsyncClient) -> None:
    assert (await control.get("/healthz")).json() == {"status": "ok"}
    assert (await control.get("/readyz")).status_code == 200
    fault = {"refuse": True, "environment": "sandbox"}
    assert (await control.post("/faults/connections", json=fault)).status_code == 200
    answer = await control.get("/readyz")
    assert (answer.status_code, answer.json()["refusing"]) == (503, ["sandbox"])
    assert (await control.delete("/faults")).status_code == 200
    assert (await control.get("/readyz")).status_code == 200


async def test_a_stranger_needs_nothing_but_the_api(
    control: httpx.AsyncClient, sim: Simulator, context: ContextMaker, tmp_path: object
) -> None:
    """Certificate, device, push and its listing, all from outside."""
    made = secrets.token_hex(32)
    body = {"tokens": [made], "topics": [TOPIC], "environment": "sandbox"}
    assert (await control.post("/devices", json=body)).status_code == 200
    answer = await control.post("/certificates/voip", json={"app_id": BUNDLE})
    pem = sim.ca_file.parent / "stranger.pem"
    pem.write_text(answer.json()["certificate"] + answer.json()["key"])
    tls = context()
    tls.load_cert_chain(pem)
    async with connected(sim.sandbox_port, tls) as client:
        assert (await client.push(made, b'{"aps":{"x":1}}')).status == 200
    listed = (await control.get("/arrivals", params={"token": made})).json()
    (arrival,) = listed["arrivals"]
    assert listed["after"] == arrival["number"]
    assert arrival["payload"] == {"aps": {"x": 1}}
    assert arrival["size"] == 15
    assert arrival["headers"]["apns-topic"] == TOPIC
    assert arrival["client"]["uid"] == TOPIC
    assert (arrival["status"], arrival["reason"], arrival["delivered"]) == (200, None, True)
    assert arrival["environment"] == "sandbox"
    assert abs(time.time_ns() - arrival["received_ns"]) < 10**10
    (device,) = (await control.get("/devices")).json()["devices"]
    assert device["token"] == made
    assert device["environment"] == "sandbox"


async def test_keys(control: httpx.AsyncClient, connect: Connect, token: str) -> None:
    made = (await control.post("/keys", json={"team_id": "TEAM123456"})).json()
    claims = {"iss": made["team_id"], "iat": int(time.time())}
    bearer = jwt.encode(claims, made["p8"], "ES256", headers={"kid": made["key_id"]})
    async with connect() as client:
        assert (await client.push(token, bearer=bearer)).status == 200
        await control.delete(f"/keys/{made['key_id']}")
        assert (await client.push(token, bearer=bearer)).reason == "InvalidProviderToken"
    own = ec.generate_private_key(ec.SECP256R1())
    public = own.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = {"team_id": "TEAM123456", "key_id": "OWNKEYOWN1", "public_key": public.decode()}
    assert (await control.post("/keys", json=body)).json()["p8"] is None
    bearer = jwt.encode(claims, own, "ES256", headers={"kid": "OWNKEYOWN1"})
    async with connect() as client:
        assert (await client.push(token, bearer=bearer)).status == 200


async def test_a_csr(control: httpx.AsyncClient) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Bob")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    pem = csr.public_bytes(serialization.Encoding.PEM).decode()
    body = {"app_id": BUNDLE, "csr": pem}
    answer = (await control.post("/certificates/voip", json=body)).json()
    assert answer["key"] is None
    certificate = x509.load_pem_x509_certificate(answer["certificate"].encode())
    assert certificate.public_key() == key.public_key()


async def test_a_phone_waits_for_its_pushes(
    control: httpx.AsyncClient, client: RawClient, token: str
) -> None:
    url = f"/devices/{token}/pushes"
    assert (await control.get(url)).json()["pushes"] == []
    delays, after, metronome = [], 0, Metronome()
    for number in range(10):
        params = {"wait": 10, "after": after}
        waiting = asyncio.create_task(control.get(url, params=params))
        await asyncio.sleep(0.02)
        await client.push(token, b'{"aps":%d}' % number)
        found = (await waiting).json()
        (push,) = found["pushes"]
        delays.append(time.time_ns() - push["received_ns"])
        assert push["payload"] == {"aps": number}
        assert found["after"] == push["delivery"] > after
        after = found["after"]
    metronome.stop()
    late = 2 * metronome.worst * 10**9  # its own thread may be as late as this one
    assert sorted(delays)[5] < 50_000_000 + late
    assert len((await control.get(url)).json()["pushes"]) == 10


async def test_a_phone_gets_only_what_was_delivered(
    control: httpx.AsyncClient, sim: Simulator, client: RawClient, token: str
) -> None:
    sim.fault(reason="Shutdown", times=1)
    await client.push(token)
    found = (await control.get(f"/devices/{token}/pushes", params={"wait": 0.05})).json()
    assert found["pushes"] == []
    # A number from before a restart does not hide what comes.
    params = {"after": 10**9, "wait": 5}
    waiting = asyncio.create_task(control.get(f"/devices/{token}/pushes", params=params))
    await client.push(token)
    assert len((await waiting).json()["pushes"]) == 1


async def test_a_phone_reads_a_stream(
    control: httpx.AsyncClient, client: RawClient, token: str
) -> None:
    await client.push(token, b'{"aps":0}')
    seen = []
    async with control.stream("GET", f"/devices/{token}/stream") as stream:
        assert stream.headers["content-type"] == "application/x-ndjson"
        lines = stream.aiter_lines()
        for number in range(1, 4):
            seen.append(json.loads(await anext(lines)))
            await client.push(token, b'{"aps":%d}' % number)
            assert time.time_ns() - seen[-1]["received_ns"] < 5 * 10**9
    assert [push["payload"]["aps"] for push in seen] == [0, 1, 2]


async def test_waiting_for_arrivals(
    control: httpx.AsyncClient, client: RawClient, token: str
) -> None:
    params = {"token": token, "count": 2, "wait": 5}
    waiting = asyncio.create_task(control.get("/arrivals", params=params))
    await client.push(token)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    identifier = "abcdefab-1234-4123-8123-abcdefabcdef"
    await client.push(token, apns_id=identifier)
    assert len((await waiting).json()["arrivals"]) == 2
    found = (await control.get("/arrivals", params={"apns_id": identifier})).json()["arrivals"]
    assert [a["apns_id"] for a in found] == [identifier]
    found = (await control.get("/arrivals", params={"environment": "sandbox"})).json()
    assert found["arrivals"] == []
    assert len((await control.get("/arrivals", params={"limit": 1})).json()["arrivals"]) == 1
    await control.delete("/arrivals")
    assert (await control.get("/arrivals")).json()["arrivals"] == []


async def test_devices(control: httpx.AsyncClient, client: RawClient, token: str) -> None:
    await control.post(f"/devices/{token}/gone", json={"since": 1_700_000_000_000})
    assert (await client.push(token)).timestamp == 1_700_000_000_000
    await control.post("/devices", json={"tokens": [token]})
    await control.post(f"/devices/{token}/online", json={"online": False})
    assert (await client.push(token)).status == 200
    found = (await control.get(f"/devices/{token}/pushes")).json()
    assert found["pushes"] == []
    await control.delete(f"/devices/{token}")
    assert (await client.push(token)).reason == "BadDeviceToken"


async def test_faults(
    control: httpx.AsyncClient, sim: Simulator, client: RawClient, connect: Connect, token: str
) -> None:
    made = await control.post("/faults/requests", json={"reason": "Shutdown", "times": 1})
    number = made.json()["id"]
    assert (await client.push(token)).reason == "Shutdown"
    (listed,) = (await control.get("/faults")).json()["faults"]
    assert (listed["id"], listed["kind"], listed["struck"]) == (number, "request", 1)
    assert listed["fault"] == {"reason": "Shutdown", "times": 1}
    await control.delete(f"/faults/{number}")
    assert (await control.delete(f"/faults/{number}")).status_code == 404
    held = (await control.post("/faults/requests", json={"hold": True})).json()["id"]
    stream = client.send(token)
    await sim.arrived(2)
    answer = await control.post(f"/faults/{held}/release", params={"count": 1})
    assert answer.json() == {"released": 1}
    assert (await client.answer(stream)).status == 200
    await control.post("/faults/connections", json={"refuse": True})
    with pytest.raises(ConnectionRefusedError):
        async with connect():
            pass
    await control.delete("/faults")
    async with connect() as other:
        await other.ready()


async def test_connections(control: httpx.AsyncClient, client: RawClient, token: str) -> None:
    (listed,) = (await control.get("/connections")).json()["connections"]
    url = f"/connections/{listed['number']}"
    await control.post(f"{url}/settings", json={"max_concurrent_streams": 5})
    await client.until(lambda: client.stream_limit == 5)
    assert (await control.post(f"{url}/ping")).json()["seconds"] < 1
    await control.post(f"{url}/goaway", json={"reason": "Shutdown", "close": "never"})
    await client.until(lambda: client.goaway is not None)
    await control.post(f"{url}/close", params={"how": "rst"})
    await client.until(lambda: client.closed)
    assert (await control.post("/connections/999999/ping")).status_code == 404


async def test_conduct_statistics_and_clearing(
    control: httpx.AsyncClient, client: RawClient
) -> None:
    changed = await control.patch("/conduct", json={"accept_unknown": True, "clock_offset": 5})
    assert changed.json()["accept_unknown"] is True
    assert (await client.push("ab" * 32)).status == 200
    statistics = (await control.get("/statistics")).json()
    assert statistics["answers"] == {"200": 1}
    assert statistics["open_connections"] == 1
    await control.post("/clear")
    assert (await control.get("/statistics")).json()["requests"] == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/faults/requests", {"rest": 1}),
        ("POST", "/faults/requests", {"reset": "NO_SUCH"}),
        ("POST", "/faults/connections", {"settings": {"no_such": 1}}),
        ("POST", "/devices", {"tokens": ["ab"], "environment": "moon"}),
        ("POST", "/keys", {"team_id": "short"}),
        ("POST", "/keys", {"public_key": "x"}),
        ("POST", "/certificates/voip", {"app_id": BUNDLE, "csr": "x"}),
        ("PATCH", "/conduct", {"no_such": 1}),
        ("GET", "/arrivals?wait=100000", None),
    ],
)
async def test_wrong_orders_are_422(
    control: httpx.AsyncClient, method: str, path: str, body: object
) -> None:
    answer = await control.request(method, path, json=body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["detail"]


OTHER_PAGES = {
    "another origin": ({"origin": "https://evil.example"}, 403),
    "no origin that it would say": ({"origin": "null"}, 403),
    "another port": ({"origin": "http://127.0.0.1:1"}, 403),
    "a form without an origin": ({"sec-fetch-site": "cross-site"}, 403),
    "a name of its own that points here": ({"host": "evil.example"}, 403),
    "a form": ({"content-type": "text/plain"}, 415),
    "a body of no kind": ({"content-type": ""}, 415),
}


@pytest.mark.parametrize("how", OTHER_PAGES)
async def test_another_web_page_gives_no_orders(
    control: httpx.AsyncClient, sim: Simulator, how: str
) -> None:
    headers, status = OTHER_PAGES[how]
    body = json.dumps({"tokens": ["ab" * 32]}).encode()
    headers = {"content-type": "application/json"} | headers
    for method, path in (("POST", "/devices"), ("PATCH", "/conduct"), ("DELETE", "/arrivals")):
        answer = await control.request(method, path, content=body, headers=headers)
        assert answer.status_code == status
    assert (await control.get("/devices")).json() == {"devices": []}


async def test_its_own_page_and_the_loopbacks_other_name_do(
    control: httpx.AsyncClient, sim: Simulator
) -> None:
    url = sim.control_url.replace("127.0.0.1", "localhost")
    for origin in (sim.control_url, url):
        answer = await control.post(
            origin + "/clear", headers={"origin": origin, "sec-fetch-site": "same-origin"}
        )
        assert answer.status_code == 200
    answer = await control.get("/devices", headers={"host": "evil.example"})
    assert answer.status_code == 403  # nor does such a page read what is here
