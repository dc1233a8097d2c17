"""Other people's APNs clients: each one's healthy push is accepted, a bad one refused by name."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aioapns
import httpx
import httpx2
import kalyke
import kalyke.exceptions
import pyapns_client
import pytest
from aioapns.connection import APNsProductionClientProtocol

from devkit.simulator import Issued, ProviderCredential, Simulator
from tests.devkit.simulator.conftest import BUNDLE, ContextMaker, bearer_of, pem_file
from tests.devkit.simulator.raw_client import TOPIC

PAYLOAD = {"aps": {"alert": {"call_cid": "default:abc", "user_ids": "alice"}}}


def check_one_good_one_bad(sim: Simulator, token: str, kind: str) -> None:
    good, bad = sim.arrivals()
    assert (good.status, good.token, good.client["kind"]) == (200, token, kind)
    assert good.payload["aps"]["alert"]
    assert [a.number for a in sim.deliveries(token)] == [good.number]
    assert bad.reason == "BadDeviceToken"
    assert sim.statistics()["violations"] == []


# aioapns 4.0, whose host and port are class attributes, and which sets no ALPN by itself.


@contextlib.asynccontextmanager
async def aioapns_client(sim: Simulator, **fields: Any) -> AsyncIterator[aioapns.APNs]:
    class AtSimulator(APNsProductionClientProtocol):
        APNS_SERVER = "localhost"
        APNS_PORT = sim.production_port

    client = aioapns.APNs(topic=TOPIC, max_connection_attempts=1, **fields)
    client.pool.protocol_class = AtSimulator
    try:
        yield client
    finally:
        client.pool.close()
        await asyncio.sleep(0.05)


async def send_with_aioapns(client: aioapns.APNs, token: str, **changes: Any) -> Any:
    request = aioapns.NotificationRequest(
        device_token=token, message=PAYLOAD, push_type=aioapns.PushType.VOIP, priority=10, **changes
    )
    return await client.send_notification(request)


async def test_aioapns_with_a_certificate(
    sim: Simulator, context: ContextMaker, certificate: Issued, token: str, tmp_path: Path
) -> None:
    pem = str(pem_file(certificate, tmp_path))
    async with aioapns_client(sim, client_cert=pem, ssl_context=context()) as client:
        assert (await send_with_aioapns(client, token, time_to_live=5)).is_successful
        bad = await send_with_aioapns(client, "ab" * 32)
        assert (bad.status, bad.description) == ("400", "BadDeviceToken")
        check_one_good_one_bad(sim, token, "certificate")


def key_fields(key: ProviderCredential) -> dict[str, str]:
    return {"key": key.p8, "key_id": key.key_id, "team_id": key.team_id}


async def test_aioapns_with_a_key(
    sim: Simulator, context: ContextMaker, key: ProviderCredential, token: str
) -> None:
    async with aioapns_client(sim, ssl_context=context(), **key_fields(key)) as client:
        assert (await send_with_aioapns(client, token)).is_successful
        assert (await send_with_aioapns(client, "ab" * 32)).description == "BadDeviceToken"
        check_one_good_one_bad(sim, token, "token")


async def test_aioapns_as_it_is_offers_no_alpn(
    sim: Simulator, context: ContextMaker, key: ProviderCredential, token: str
) -> None:
    async with aioapns_client(sim, ssl_context=context(alpn=()), **key_fields(key)) as client:
        with pytest.raises(aioapns.exceptions.MaxAttemptsExceeded):
            async with asyncio.timeout(0.5):
                await send_with_aioapns(client, token)
    assert sim.arrivals() == []
    assert "ALPN" in sim.statistics()["handshake_errors"][0]


# httpx over HTTP/2, as any program might use it.


@pytest.fixture
async def http(
    sim: Simulator, context: ContextMaker, certificate: Issued
) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        http2=True, verify=context(certificate), base_url=sim.production_url, trust_env=False
    ) as client:
        yield client


async def test_httpx_with_a_certificate(
    sim: Simulator, http: httpx.AsyncClient, token: str
) -> None:
    headers = {"apns-topic": TOPIC, "apns-push-type": "voip"}
    good = await http.post(f"/3/device/{token}", json=PAYLOAD, headers=headers)
    assert (good.http_version, good.status_code) == ("HTTP/2", 200)
    bad = await http.post(f"/3/device/{'ab' * 32}", json=PAYLOAD, headers=headers)
    assert (bad.status_code, bad.json()) == (400, {"reason": "BadDeviceToken"})
    check_one_good_one_bad(sim, token, "certificate")


async def test_httpx_with_a_key(
    sim: Simulator, context: ContextMaker, key: ProviderCredential, token: str
) -> None:
    headers = {
        "apns-topic": TOPIC,
        "apns-push-type": "voip",
        "authorization": f"bearer {bearer_of(key)}",
    }
    async with httpx.AsyncClient(
        http2=True, verify=context(), base_url=sim.production_url, trust_env=False
    ) as client:
        good = await client.post(f"/3/device/{token}", json=PAYLOAD, headers=headers)
        assert good.status_code == 200
        bad = await client.post(f"/3/device/{'ab' * 32}", json=PAYLOAD, headers=headers)
        assert bad.json() == {"reason": "BadDeviceToken"}
    check_one_good_one_bad(sim, token, "token")


async def test_httpx_over_http_1_is_refused(
    sim: Simulator, context: ContextMaker, certificate: Issued, token: str
) -> None:
    async with httpx.AsyncClient(
        verify=context(certificate, alpn=()), base_url=sim.production_url, trust_env=False
    ) as client:
        with pytest.raises(httpx.TransportError):
            await client.post(f"/3/device/{token}", json=PAYLOAD)


# kalyke, a client that is made for VoIP; a new connection for each push.


class KalykeAtSimulator(kalyke.VoIPClient):
    """Kalyke's client with our server and authority in Apple's place."""

    @property
    def _base_url(self) -> str:
        return str(self.url)

    def _init_client(self, apns_config: Any) -> httpx2.AsyncClient:
        headers = apns_config.make_headers()
        headers["authorization"] = f"bearer {self._make_authorization()}"
        return httpx2.AsyncClient(headers=headers, http2=True, verify=self.tls, trust_env=False)


async def test_kalyke_with_a_key(
    sim: Simulator, context: ContextMaker, key: ProviderCredential, token: str, tmp_path: Path
) -> None:
    path = tmp_path / f"AuthKey_{key.key_id}.p8"
    path.write_text(key.p8)
    client = KalykeAtSimulator(
        use_sandbox=False, team_id=key.team_id, auth_key_id=key.key_id, auth_key_filepath=path
    )
    object.__setattr__(client, "url", sim.production_url)
    object.__setattr__(client, "tls", context())
    config = kalyke.VoIPApnsConfig(topic=TOPIC, expiration=0)
    identifier = await client.send_message(token, PAYLOAD, config)
    assert identifier == sim.arrivals()[0].apns_id
    with pytest.raises(kalyke.exceptions.BadDeviceToken):
        await client.send_message("ab" * 32, PAYLOAD, config)
    check_one_good_one_bad(sim, token, "token")


# pyapns-client, synchronous and asynchronous, certificate and key.


class PyapnsAtSimulator(pyapns_client.APNSClient):
    """Pyapns-client's client with our server in Apple's place."""

    def at(self, url: str) -> "PyapnsAtSimulator":
        self._base_url = url
        return self


pyapns_warnings = pytest.mark.filterwarnings(
    "ignore:Use 'content=:DeprecationWarning",
    "ignore:`cert=...` is deprecated:DeprecationWarning",
)


def pyapns_notification() -> Any:
    alert = pyapns_client.IOSPayloadAlert(title="Alice", body="calls")
    payload = pyapns_client.IOSPayload(alert=alert)
    return pyapns_client.IOSNotification(payload=payload, topic=BUNDLE)


def check_pyapns(client: PyapnsAtSimulator, sim: Simulator, token: str, kind: str) -> None:
    sim.live(token, topic=BUNDLE)
    with client:
        client.push(pyapns_notification(), token)
        with pytest.raises(pyapns_client.exceptions.BadDeviceTokenException):
            client.push(pyapns_notification(), "ab" * 32)
        check_one_good_one_bad(sim, token, kind)
        sim.gone(token, since=1_700_000_000_000)
        with pytest.raises(pyapns_client.UnregisteredException) as caught:
            client.push(pyapns_notification(), token)
        assert caught.value.timestamp == 1_700_000_000_000


@pyapns_warnings
def test_pyapns_client_with_a_key(
    sim: Simulator, context: ContextMaker, key: ProviderCredential, token: str, tmp_path: Path
) -> None:
    path = tmp_path / "key.p8"
    path.write_text(key.p8)
    auth = pyapns_client.TokenBasedAuth(str(path), key.key_id, key.team_id)
    client = PyapnsAtSimulator("prod", auth, root_cert_path=context()).at(sim.production_url)
    check_pyapns(client, sim, token, "token")


@pyapns_warnings
def test_pyapns_client_with_a_certificate(
    sim: Simulator, context: ContextMaker, certificate: Issued, token: str, tmp_path: Path
) -> None:
    auth = pyapns_client.CertificateBasedAuth(str(pem_file(certificate, tmp_path)))
    client = PyapnsAtSimulator("prod", auth, root_cert_path=context()).at(sim.production_url)
    check_pyapns(client, sim, token, "certificate")
