"""What Apple knows of device tokens, and what becomes of a push to a phone that is off."""

import secrets
import time
from datetime import UTC, datetime, timedelta

import pytest

from devkit.simulator import Issued, Simulator
from tests.devkit.simulator.conftest import BUNDLE, Connect
from tests.devkit.simulator.raw_client import TOPIC, RawClient


async def test_gone_since(sim: Simulator, client: RawClient, token: str) -> None:
    moment = datetime.now(UTC) - timedelta(days=3)
    sim.gone(token, since=moment)
    answer = await client.push(token)
    assert (answer.status, answer.reason) == (410, "Unregistered")
    assert answer.timestamp == int(moment.timestamp() * 1000)
    sim.gone(token, since=1_700_000_000_001, reason="ExpiredToken")
    answer = await client.push(token)
    assert (answer.status, answer.reason) == (410, "ExpiredToken")
    assert answer.timestamp == 1_700_000_000_001


async def test_gone_since_now_by_default(sim: Simulator, client: RawClient, token: str) -> None:
    before = time.time_ns() // 1_000_000
    sim.gone(token)
    answer = await client.push(token)
    assert before <= answer.timestamp <= time.time_ns() // 1_000_000
    sim.live(token)
    assert (await client.push(token)).status == 200


async def test_a_token_can_be_gone_that_was_never_known(sim: Simulator, client: RawClient) -> None:
    made = secrets.token_hex(32)
    sim.gone(made)
    assert (await client.push(made)).status == 410


async def test_a_token_of_another_topic(sim: Simulator, client: RawClient) -> None:
    made = secrets.token_hex(32)
    sim.live(made, topic="com.example.app.complication")
    answer = await client.push(made)
    assert (answer.status, answer.reason) == (400, "DeviceTokenNotForTopic")
    sim.live(made, topic=TOPIC)
    assert (await client.push(made)).status == 200
    sim.live(made)
    assert (await client.push(made, topic=BUNDLE, push_type="alert")).status == 200


@pytest.mark.parametrize("environment", ["production", "sandbox", None])
async def test_a_token_of_an_environment(
    sim: Simulator, connect: Connect, certificate: Issued, environment: str | None
) -> None:
    made = secrets.token_hex(32)
    sim.live(made, environment=environment)
    for asked in ("production", "sandbox"):
        async with connect(certificate, environment=asked) as client:
            answer = await client.push(made)
            if environment in (None, asked):
                assert answer.status == 200
            else:
                assert (answer.status, answer.reason) == (400, "BadDeviceToken")
    assert [a.environment for a in sim.arrivals()] == ["production", "sandbox"]


async def test_unknown_tokens(sim: Simulator, client: RawClient, token: str) -> None:
    made = secrets.token_hex(32)
    assert (await client.push(made)).reason == "BadDeviceToken"
    sim.set_conduct(accept_unknown=True)
    assert (await client.push(made)).status == 200
    assert [a.delivered for a in sim.arrivals(made)] == [False, True]
    sim.gone(made)
    assert (await client.push(made)).status == 410
    sim.set_conduct(accept_unknown=False)
    sim.forget(token)
    assert (await client.push(token)).reason == "BadDeviceToken"


async def test_expiration_0_means_once_now(sim: Simulator, client: RawClient, token: str) -> None:
    sim.set_online(token, online=False)
    for fields in ({"apns_expiration": "0"}, {"apns_expiration": "1000000000"}):
        assert (await client.push(token, **fields)).status == 200
    sim.set_online(token, online=True)
    assert sim.deliveries(token) == []
    assert not any(a.delivered or a.stored for a in sim.arrivals())


async def test_the_newest_is_kept_until_its_expiration(
    sim: Simulator, client: RawClient, token: str
) -> None:
    sim.set_online(token, online=False)
    later = str(int(time.time()) + 60)
    for body in (b'{"aps":1}', b'{"aps":2}'):
        assert (await client.push(token, body, apns_expiration=later)).status == 200
    assert [a.stored for a in sim.arrivals()] == [False, True]
    assert sim.deliveries(token) == []
    sim.set_online(token, online=True)
    (delivered,) = sim.deliveries(token)
    assert delivered.payload == {"aps": 2}
    assert (await client.push(token, b'{"aps":3}', apns_expiration="0")).status == 200
    assert [a.payload["aps"] for a in sim.deliveries(token)] == [2, 3]


async def test_without_an_expiration_apple_stores_by_a_policy_of_its_own(
    sim: Simulator, client: RawClient, token: str
) -> None:
    sim.set_online(token, online=False)
    assert (await client.push(token)).status == 200
    assert [a.stored for a in sim.arrivals()] == [True]
    sim.set_conduct(clock_offset=24 * 3600)
    sim.set_online(token, online=True)
    assert len(sim.deliveries(token)) == 1


async def test_what_expired_meanwhile_is_dropped(
    sim: Simulator, client: RawClient, token: str
) -> None:
    sim.set_online(token, online=False)
    later = str(int(time.time()) + 60)
    assert (await client.push(token, apns_expiration=later)).status == 200
    sim.set_conduct(clock_offset=120)
    sim.set_online(token, online=True)
    assert sim.deliveries(token) == []


def test_only_known_devices_can_be_switched(sim: Simulator) -> None:
    with pytest.raises(KeyError):
        sim.set_online("ab" * 32, online=False)
