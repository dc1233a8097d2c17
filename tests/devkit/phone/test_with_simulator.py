"""The phone behind the real APNs simulator: a push goes in by HTTP/2 and TLS, and it rings."""

import ssl
import time
from dataclasses import replace

import httpx
import pytest

from app.core.payload import headers, ring_payload, stop_payload
from devkit.phone import Identity, Phone, SimulatorPushes, Step
from devkit.simulator import Simulator
from tests.devkit.phone.conftest import FAST
from tests.devkit.phone.test_parsers import FACTS

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def simulator():
    with Simulator.running() as running:
        yield running


@pytest.fixture
async def apple(simulator, tmp_path):
    """An APNs client that owes nothing to ours, with a certificate that the simulator trusts."""
    pem = tmp_path / "voip.pem"
    pem.write_bytes(simulator.voip_certificate("com.example.app").pem)
    context = ssl.create_default_context(cafile=str(simulator.ca_file))
    context.load_cert_chain(pem)
    async with httpx.AsyncClient(
        base_url=simulator.sandbox_url, http2=True, http1=False, verify=context
    ) as client:
        yield client


async def test_a_push_rings_and_a_background_push_stops_it(simulator, apple):
    now = time.time_ns() // 1_000_000
    facts = replace(FACTS, sent_at_ms=now, expires_at_ms=now + 45_000, state_url=NOWHERE)
    async with SimulatorPushes(simulator.control_url) as source:
        bob = Identity("bob", None)
        await source.switch_on(bob)
        async with Phone(bob, api=NOWHERE, source=source, timing=FAST) as phone:
            answer = await apple.post(
                f"/3/device/{bob.voip_token}",
                content=ring_payload("ringline", facts).for_token("call-token"),
                headers=headers("voip", bob.app_id, apns_id=facts.uuid),
            )
            assert answer.status_code == 200, answer.text
            ringing = await phone.log.wait_for(Step.RINGING)
            assert ringing.uuid == facts.uuid
            assert now <= phone.inbox.last_push.received_ms <= ringing.at_ms
            answer = await apple.post(
                f"/3/device/{bob.alert_token}",
                content=stop_payload(facts, 4),
                headers=headers("background", bob.app_id),
            )
            assert answer.status_code == 200, answer.text
            ended = await phone.log.wait_for(Step.ENDED)
            assert ended.detail["reason"] == 4
