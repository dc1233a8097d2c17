"""The checker finds each trap of the libraries, and APNs headers are right."""

import json

import pytest

from app.core.payload import headers, problems, ring_payload, topic
from tests.core.test_payload import BUILT_IN, FACTS


def broken(profile, path, value):
    """A good payload of a profile with one place changed, or (value ...) removed."""
    body = json.loads(ring_payload(profile, FACTS).for_token("tok"))
    *parents, last = path.split(".")
    place = body
    for key in parents:
        place = place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return body


@pytest.mark.parametrize("profile", BUILT_IN)
def test_our_own_payloads_have_no_fault(profile):
    assert problems(profile, ring_payload(profile, FACTS).for_token("tok")) == []


@pytest.mark.parametrize(
    ("profile", "path", "value", "outcome"),
    [
        ("ringline", "ring.uuid", "abc", "killed"),
        ("ringline", "aps.alert.call_cid", "abc", "wrong"),
        ("ringline", "ring.expires_at", "1790000045000", "wrong"),
        ("stream", "stream.call_cid", ..., "killed"),
        ("stream", "stream.created_by_display_name", ..., "killed"),
        ("stream", "stream.video", True, "crash"),
        ("flutter_callkit_incoming", "id", "call-1", "killed"),
        ("flutter_callkit_incoming", "id", ..., "killed"),
        ("flutter_callkit_incoming", "isVideo", "true", "wrong"),
        ("flutter_callkit_incoming", "isVideo", 1, "wrong"),
        ("rn_callkeep", "uuid", "call-1", "killed"),
        ("connectycube", "caller_id", "77", "crash"),
        ("connectycube", "caller_id", True, "crash"),
        ("connectycube", "caller_id", 7.5, "crash"),
        ("connectycube", "caller_name", ..., "crash"),
        ("connectycube", "session_id", "x", "crash"),
        ("connectycube", "call_type", "1", "crash"),
        ("connectycube", "call_opponents", "", "crash"),
        ("connectycube", "call_opponents", [1, 2], "crash"),
        ("connectycube", "user_info", '{"a": {"b": 1}}', "crash"),
        ("connectycube", "user_info", "{", "crash"),
        ("flutter_webrtc_callkeep", "aps", {"alert": "x"}, "killed"),
        ("flutter_webrtc_callkeep", "caller_id", ..., "crash"),
        ("flutter_webrtc_callkeep", "caller_id", None, "crash"),
        ("expo_callkit_telecom", "incoming_call", ..., "killed"),
        ("expo_callkit_telecom", "incoming_call.eventId", "", "killed"),
        ("expo_callkit_telecom", "incoming_call.caller.id", ..., "killed"),
        ("rocketchat", "notificationType", "push", "killed"),
        ("rocketchat", "callId", "x", "killed"),
        ("rocketchat", "createdAt", "", "killed"),
        ("rocketchat", "caller.username", ..., "killed"),
    ],
)
def test_each_trap_is_found(profile, path, value, outcome):
    found = problems(profile, broken(profile, path, value))
    assert outcome in {fault.outcome for fault in found}, found
    assert any(path.split(".")[-1] in fault.sentence for fault in found)


def test_the_sentence_says_what_and_where():
    found = problems("connectycube", broken("connectycube", "caller_id", "77"))
    assert [fault.sentence for fault in found] == [
        "this library would crash: `caller_id` is the string '77', not an integer"
    ]
    found = problems("flutter_webrtc_callkeep", broken("flutter_webrtc_callkeep", "aps", {}))
    assert found[0].sentence.endswith("there is an `aps` key")


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ({"uuid": FACTS.uuid, "x": "ä" * 2_600}, "bytes; 5120 is the most"),
    ],
)
def test_what_apple_would_refuse(payload, says):
    found = problems("rn_callkeep", payload)
    assert found[0].outcome == "refused"
    assert says in found[0].sentence


def test_headers_of_a_ring():
    assert headers("voip", "com.example.app", apns_id="0190B1A2-7C3D-7000-8000-000000000001") == {
        "apns-push-type": "voip",
        "apns-topic": "com.example.app.voip",
        "apns-priority": "10",
        "apns-expiration": "0",
        "apns-id": "0190b1a2-7c3d-7000-8000-000000000001",
    }


def test_expiration_is_zero_or_the_deadline_in_whole_seconds_before_it():
    kept = headers("voip", "com.example.app", keep_until_ms=1_790_000_045_999)
    assert kept["apns-expiration"] == "1790000045"
    assert "apns-collapse-id" not in kept


def test_a_background_push_is_for_the_app_itself_and_unhurried():
    made = headers("background", "com.example.app.voip")
    assert made["apns-topic"] == "com.example.app"
    assert (made["apns-priority"], made["apns-push-type"]) == ("5", "background")


@pytest.mark.parametrize("bundle", ["com.x.app", "com.x.app.voip", "com.x.app.voip.voip"])
def test_the_suffix_is_there_once(bundle):
    assert topic("voip", bundle) == "com.x.app.voip"
    assert topic("alert", bundle) == "com.x.app"
