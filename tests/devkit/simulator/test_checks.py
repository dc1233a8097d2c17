"""Each of Apple's checks of a request, one at a time, and their order."""

import secrets
import uuid

import pytest

from devkit.simulator import Simulator
from tests.devkit.simulator.conftest import BUNDLE, Connect
from tests.devkit.simulator.raw_client import TOPIC, RawClient


async def test_accepts_a_healthy_voip_push(client: RawClient, token: str) -> None:
    identifier = str(uuid.uuid4())
    answer = await client.push(token, apns_id=identifier, apns_priority="10", apns_expiration="0")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers == {"apns-id": identifier}


BAD = [
    ("BadMessageId", 400, {"apns_id": "not-a-uuid"}),
    ("BadMessageId", 400, {"apns_id": "ec1bf194-b3b2-424a-89a9-5a918a6e6b5d0"}),
    ("BadMessageId", 400, {"apns_id": "ec1bf194b3b2424a89a95a918a6e6b5d"}),
    ("MethodNotAllowed", 405, {"method": "GET", "body": b""}),
    ("MethodNotAllowed", 405, {"method": "PUT"}),
    ("MissingTopic", 400, {"topic": None}),
    ("BadTopic", 400, {"topic": ""}),
    ("BadTopic", 400, {"topic": "com.example.app.voip.voip"}),
    ("BadTopic", 400, {"topic": "com..example"}),
    ("BadTopic", 400, {"topic": "com.example app.voip"}),
    ("BadTopic", 400, {"topic": "a" * 256}),
    ("BadCollapseId", 400, {"apns_collapse_id": "x" * 65}),
    ("BadPriority", 400, {"apns_priority": "7"}),
    ("BadPriority", 400, {"apns_priority": "high"}),
    ("BadPriority", 400, {"topic": BUNDLE, "push_type": "background", "apns_priority": "10"}),
    ("InvalidPushType", 400, {"push_type": "ring"}),
    ("InvalidPushType", 400, {"push_type": "ring", "topic": BUNDLE}),
    ("InvalidPushType", 400, {"push_type": "alert"}),
    ("InvalidPushType", 400, {"push_type": "background"}),
    ("BadExpirationDate", 400, {"apns_expiration": "soon"}),
    ("BadExpirationDate", 400, {"apns_expiration": "-1"}),
    ("BadExpirationDate", 400, {"apns_expiration": "1.5"}),
    ("BadPath", 404, {"path": "/3/devices/" + "a" * 64}),
    ("BadPath", 404, {"path": "/4/device/" + "a" * 64}),
    ("BadPath", 404, {"path": "/"}),
    ("BadPath", 404, {"path": "/3/device/" + "a" * 64 + "/more"}),
    ("MissingDeviceToken", 400, {"path": "/3/device/"}),
    ("MissingDeviceToken", 400, {"path": "/3/device"}),
    ("BadDeviceToken", 400, {"path": "/3/device/" + "a" * 62}),
    ("BadDeviceToken", 400, {"path": "/3/device/" + "a" * 65}),
    ("BadDeviceToken", 400, {"path": "/3/device/" + "a" * 202}),
    ("BadDeviceToken", 400, {"path": "/3/device/" + "g" * 64}),
    ("BadDeviceToken", 400, {"path": "/3/device/" + "b" * 64}),
    ("PayloadEmpty", 400, {"body": b""}),
    ("PayloadEmpty", 400, {"body": b"{}"}),
    ("PayloadEmpty", 400, {"body": b'"ring"'}),
    ("PayloadEmpty", 400, {"body": b"{broken"}),
]


@pytest.mark.parametrize(("reason", "status", "request_"), BAD, ids=lambda v: str(v)[:40])
async def test_refuses(
    client: RawClient, token: str, reason: str, status: int, request_: dict[str, object]
) -> None:
    answer = await client.push(token, **request_)
    assert (answer.status, answer.reason) == (status, reason)
    assert uuid.UUID(answer.headers["apns-id"])
    # A refused push does no harm to the connection.
    assert (await client.push(token)).status == 200


async def test_refuses_repeated_headers(client: RawClient, token: str) -> None:
    answer = await client.push(token, extra=[("apns-topic", TOPIC)])
    assert (answer.status, answer.reason) == (400, "DuplicateHeaders")


async def test_makes_an_apns_id_for_a_request_without(client: RawClient, token: str) -> None:
    answer = await client.push(token, apns_id=None)
    assert answer.status == 200
    made = answer.headers["apns-id"]
    assert uuid.UUID(made)
    assert made == made.upper()


async def test_echoes_an_apns_id_in_any_case(client: RawClient, token: str) -> None:
    identifier = str(uuid.uuid4()).upper()
    assert (await client.push(token, apns_id=identifier)).headers["apns-id"] == identifier


@pytest.mark.parametrize("size", [64, 66, 160, 200])
async def test_accepts_tokens_of_many_lengths(client: RawClient, sim: Simulator, size: int) -> None:
    made = secrets.token_hex(size // 2)
    sim.live(made)
    assert (await client.push(made)).status == 200
    assert (await client.push(made.upper())).status == 200
    assert [a.token for a in sim.arrivals()] == [made, made]


def payload_of(size: int) -> bytes:
    """Valid JSON of exactly `size` UTF-8 bytes, most of them in characters of two bytes."""
    empty = len('{"aps":{},"x":""}')
    filler = "é" * ((size - empty) // 2) + "x" * ((size - empty) % 2)
    made = f'{{"aps":{{}},"x":"{filler}"}}'.encode()
    assert len(made) == size
    return made


@pytest.mark.parametrize(
    ("push_type", "topic", "limit"),
    [("voip", TOPIC, 5120), (None, TOPIC, 5120), ("alert", BUNDLE, 4096), (None, BUNDLE, 4096)],
)
async def test_limits_payloads_by_kind_in_bytes(
    client: RawClient, sim: Simulator, push_type: str | None, topic: str, limit: int
) -> None:
    made = secrets.token_hex(32)
    sim.live(made)
    fits = await client.push(made, payload_of(limit), topic=topic, push_type=push_type)
    assert fits.status == 200
    large = await client.push(made, payload_of(limit + 1), topic=topic, push_type=push_type)
    assert (large.status, large.reason) == (413, "PayloadTooLarge")
    assert [a.size for a in sim.arrivals()] == [limit, limit + 1]


async def test_keeps_only_the_beginning_of_a_huge_body(
    client: RawClient, sim: Simulator, token: str
) -> None:
    stream = client.send(token, b" " * 16_000, end=False)
    for _ in range(9):
        await client.until(lambda: client.h2.local_flow_control_window(stream) >= 16_000)
        client.h2.send_data(stream, b" " * 16_000)
        client.flush()
    client.h2.end_stream(stream)
    client.flush()
    assert (await client.answer(stream)).reason == "PayloadTooLarge"
    (arrival,) = sim.arrivals()
    assert arrival.size == 160_000
    assert len(arrival.raw) == 65_536


async def test_a_voip_push_needs_the_voip_topic(client: RawClient, sim: Simulator) -> None:
    made = secrets.token_hex(32)
    sim.live(made)
    answer = await client.push(made, topic=BUNDLE, push_type="voip")
    assert (answer.status, answer.reason) == (400, "DeviceTokenNotForTopic")


@pytest.mark.parametrize("push_type", ["alert", "background", None])
async def test_accepts_pushes_of_other_kinds(
    client: RawClient, sim: Simulator, push_type: str | None
) -> None:
    made = secrets.token_hex(32)
    sim.live(made, topic=BUNDLE)
    answer = await client.push(made, topic=BUNDLE, push_type=push_type, apns_priority="5")
    assert answer.status == 200


async def test_checks_are_made_in_apples_order(client: RawClient, sim: Simulator) -> None:
    """Everything is wrong at once; what is mended shows the next check."""
    wrong: dict[str, object] = {
        "extra": [("apns-priority", "3")],
        "apns_id": "bad",
        "method": "PUT",
        "topic": "..",
        "apns_collapse_id": "x" * 65,
        "apns_priority": "3",
        "push_type": "bad",
        "apns_expiration": "bad",
        "path": "/bad",
        "body": b"",
    }
    mended: list[tuple[str, dict[str, object]]] = [
        ("DuplicateHeaders", {"extra": []}),
        ("BadMessageId", {"apns_id": str(uuid.uuid4())}),
        ("MethodNotAllowed", {"method": "POST"}),
        ("BadTopic", {"topic": "com.other.app.voip"}),
        ("BadCollapseId", {"apns_collapse_id": "x" * 64}),
        ("BadPriority", {"apns_priority": "10"}),
        ("InvalidPushType", {"push_type": "voip"}),
        ("BadExpirationDate", {"apns_expiration": "0"}),
        ("BadPath", {"path": "/3/device/"}),
        ("MissingDeviceToken", {"path": "/3/device/zz"}),
        ("BadDeviceToken", {"path": "/3/device/" + "cd" * 32}),
        ("TopicDisallowed", {"topic": TOPIC}),
        ("BadDeviceToken", {}),
    ]
    for reason, mending in mended:
        assert (await client.push("", **wrong)).reason == reason
        wrong |= mending
    sim.live("cd" * 32, topic="com.other.app.voip")
    assert (await client.push("", **wrong)).reason == "DeviceTokenNotForTopic"
    sim.live("cd" * 32, topic=TOPIC)
    sim.gone("cd" * 32)
    assert (await client.push("", **wrong)).reason == "Unregistered"
    sim.live("cd" * 32, topic=TOPIC)
    assert (await client.push("", **wrong)).reason == "PayloadEmpty"
    wrong["body"] = b'{"aps":{}}'
    assert (await client.push("", **wrong)).status == 200


async def test_unique_id_in_the_sandbox_only(
    connect: Connect, sim: Simulator, certificate: object, client: RawClient, token: str
) -> None:
    made = secrets.token_hex(32)
    sim.live(made, environment="sandbox")
    async with connect(certificate, environment="sandbox") as sandbox:
        answer = await sandbox.push(made)
        assert uuid.UUID(answer.headers["apns-unique-id"])
        refused = await sandbox.push(secrets.token_hex(32))
        assert "apns-unique-id" not in refused.headers
    assert "apns-unique-id" not in (await client.push(token)).headers
