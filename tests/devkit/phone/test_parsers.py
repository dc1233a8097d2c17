"""Every profile's good payload rings; every trap does what its library does."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.payload import RingFacts, ring_payload, voip_stop_payload
from app.core.payload import problems as server_problems
from devkit.phone import PROFILES, Outcome, parse
from tests.devkit.phone.payloads import CALL_ID, GOOD, STATE_URL, UUID, changed

REPORTED, CRASH, NEVER, KILLED = Outcome


@pytest.mark.parametrize("profile", PROFILES)
def test_a_good_payload_rings_and_shows_who_calls(profile):
    verdict = parse(profile, json.dumps(GOOD[profile]).encode())
    assert verdict.outcome is REPORTED, verdict.reason
    assert verdict.uuid == UUID
    assert verdict.notes == ()
    if profile != "custom":
        assert verdict.caller == "Alice"
        assert verdict.handle in {"alice", "77"}


@pytest.mark.parametrize("profile", PROFILES)
def test_our_own_facts_are_found_in_every_profile(profile):
    ring = parse(profile, json.dumps(GOOD[profile]).encode()).ring
    assert (ring.uuid, ring.session_id, ring.cid) == (UUID, CALL_ID, "default:abc")
    assert (ring.state_url, ring.token) == (STATE_URL, "call-token")
    assert ring.expires_at_ms == 1_790_000_045_000
    assert not ring.is_stop


TRAPS = [
    ("ringline", "aps.alert.call_cid", "abc", KILLED, "type:id"),
    ("ringline", "aps.alert", "call", KILLED, "type:id"),
    ("ringline", "ring.uuid", "call-1", NEVER, "no UUID"),
    ("stream", "stream.call_cid", ..., KILLED, "call_cid"),
    ("stream", "stream.created_by_display_name", ..., KILLED, "created_by_display_name"),
    ("stream", "stream.video", True, CRASH, "isEqualToString"),
    ("flutter_callkit_incoming", "id", "call-1", KILLED, "no UUID"),
    ("flutter_callkit_incoming", "id", ..., KILLED, "missing"),
    ("rn_callkeep", "uuid", "call-1", NEVER, "no UUID"),
    ("rn_callkeep", "uuid", ..., NEVER, "missing"),
    ("connectycube", "caller_id", "77", CRASH, "`caller_id` is a string"),
    ("connectycube", "caller_id", ..., CRASH, "nil"),
    ("connectycube", "session_id", "x", CRASH, "no UUID"),
    ("connectycube", "call_type", "1", CRASH, "`call_type` is a string"),
    ("connectycube", "caller_name", None, CRASH, "nil"),
    ("connectycube", "call_opponents", [1, 2], CRASH, "something else"),
    ("connectycube", "call_opponents", "", CRASH, "int.parse"),
    ("connectycube", "call_opponents", "alice,bob", CRASH, "int.parse"),
    ("connectycube", "user_info", "{", CRASH, "jsonDecode"),
    ("connectycube", "user_info", '{"a":{"b":1}}', CRASH, "Map<String, String>"),
    ("flutter_webrtc_callkeep", "aps", {"alert": "x"}, KILLED, "`aps`"),
    ("flutter_webrtc_callkeep", "aps", {}, KILLED, "`aps`"),
    ("flutter_webrtc_callkeep", "caller_id", ..., CRASH, "nil"),
    ("expo_callkit_telecom", "incoming_call", ..., KILLED, "`incoming_call`"),
    ("expo_callkit_telecom", "incoming_call.eventId", ..., KILLED, "eventId"),
    ("expo_callkit_telecom", "incoming_call.eventId", "event-1", KILLED, "no UUID"),
    ("expo_callkit_telecom", "incoming_call.serverCallId", "", KILLED, "serverCallId"),
    ("expo_callkit_telecom", "incoming_call.caller", {}, KILLED, "caller.id"),
    ("rocketchat", "notificationType", "message", KILLED, "notificationType"),
    ("rocketchat", "type", "call", KILLED, "incoming_call"),
    ("rocketchat", "callId", "x", KILLED, "no UUID"),
    ("rocketchat", "host", ..., KILLED, "host"),
    ("rocketchat", "createdAt", ..., KILLED, "createdAt"),
    ("rocketchat", "caller.username", ..., KILLED, "caller.username"),
]


@pytest.mark.parametrize(("profile", "path", "value", "outcome", "says"), TRAPS)
def test_each_trap_does_what_the_library_does(profile, path, value, outcome, says):
    verdict = parse(profile, changed(profile, path, value))
    assert verdict.outcome is outcome, verdict.reason
    assert says in verdict.reason
    assert verdict.reason.endswith(".")
    assert verdict.uuid is None


def test_the_documented_key_of_expo_is_named_when_it_was_used():
    payload = json.dumps({"incomingCall": GOOD["expo_callkit_telecom"]["incoming_call"]}).encode()
    verdict = parse("expo_callkit_telecom", payload)
    assert verdict.outcome is KILLED
    assert "as its docs have it" in verdict.reason


@pytest.mark.parametrize(
    ("profile", "path", "value", "note"),
    [
        ("flutter_callkit_incoming", "isVideo", "true", "isVideo"),
        ("rn_callkeep", "callerName", ..., "(null)"),
        ("connectycube", "signal_type", "endCall", "signal_type"),
    ],
)
def test_small_faults_ring_but_are_noted(profile, path, value, note):
    verdict = parse(profile, changed(profile, path, value))
    assert verdict.outcome is REPORTED
    assert note in verdict.notes[0]


def test_video_is_told_from_voice():
    assert parse("stream", changed("stream", "stream.video", "true")).video
    assert not parse("stream", changed("stream", "stream.video", "false")).video
    assert not parse("connectycube", changed("connectycube", "call_type", 2)).video
    flutter = changed("flutter_callkit_incoming", "isVideo", "true")
    assert not parse("flutter_callkit_incoming", flutter).video


def test_a_library_that_makes_its_own_uuid_still_shows_one():
    verdict = parse("flutter_webrtc_callkeep", changed("flutter_webrtc_callkeep", "uuid", ...))
    assert uuid.UUID(verdict.uuid)
    body = json.loads(changed("stream", "ring", ...))
    first, second = (parse("stream", json.dumps(body).encode()).uuid for _ in range(2))
    assert first == second


def test_upper_case_is_the_same_uuid():
    verdict = parse("rn_callkeep", changed("rn_callkeep", "uuid", UUID.upper()))
    assert verdict.uuid == UUID


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"\xff", b"{}"])
def test_no_payload_breaks_the_model(profile, payload):
    assert parse(profile, payload).outcome is not REPORTED


@given(
    st.sampled_from(PROFILES),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "aps",
                        "alert",
                        "ring",
                        "uuid",
                        "id",
                        "caller",
                        "caller_id",
                        "stream",
                        "callId",
                        "incoming_call",
                        "user_info",
                        "call_cid",
                        "session_id",
                        "metadata",
                        "name",
                    ]
                ),
                inner,
                max_size=6,
            )
        ),
    ),
)
def test_no_json_breaks_the_model(profile, body):
    parse(profile, json.dumps(body).encode())


FACTS = RingFacts(
    uuid=UUID,
    cid="default:abc",
    session_id=CALL_ID,
    caller_id="alice",
    receiver_id="bob",
    video=True,
    sent_at_ms=1_790_000_000_000,
    expires_at_ms=1_790_000_045_000,
    state_url=STATE_URL,
    caller_name="Alice",
    user_ids=("alice", "carol"),
    traceparent=f"00-{'a' * 32}-{'b' * 16}-01",
)


@pytest.mark.parametrize("profile", [profile for profile in PROFILES if profile != "custom"])
def test_what_the_server_makes_rings_in_the_model(profile):
    verdict = parse(profile, ring_payload(profile, FACTS).for_token("call-token"))
    assert (verdict.outcome, verdict.uuid, verdict.caller) == (REPORTED, UUID, "Alice")
    assert verdict.notes == ()
    ring = verdict.ring
    assert (ring.uuid, ring.token, ring.state_url) == (UUID, "call-token", STATE_URL)
    assert (ring.sent_at_ms, ring.expires_at_ms) == (FACTS.sent_at_ms, FACTS.expires_at_ms)
    assert (ring.caller_id, ring.traceparent) == ("alice", FACTS.traceparent)


@pytest.mark.parametrize("profile", [profile for profile in PROFILES if profile != "custom"])
def test_the_server_s_voip_stop_is_reported_and_understood(profile):
    verdict = parse(profile, voip_stop_payload(profile, FACTS, 4))
    assert verdict.outcome is REPORTED
    assert (verdict.ring.uuid, verdict.ring.is_stop, verdict.ring.callkit_reason) == (UUID, True, 4)


@pytest.mark.parametrize(("profile", "path", "value", "outcome", "says"), TRAPS)
def test_server_and_phone_agree_on_every_trap(profile, path, value, outcome, says):
    """Two tables made from the same documents, by two modules that share nothing."""
    found = {fault.outcome for fault in server_problems(profile, changed(profile, path, value))}
    if outcome is CRASH:
        assert "crash" in found
    else:
        assert found & {"killed", "crash", "wrong"}
