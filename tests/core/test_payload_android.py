"""What an FCM message says: flat, strings alone, within Google's limit, for each library."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app.core.payload import (
    ANDROID_PROFILES,
    OTHER_LIMIT,
    PayloadError,
    android_problems,
    android_ring,
    android_stop,
    ring_payload,
    sample_facts,
)
from app.core.person import Handle, HandleKind
from devkit.simulator.google.answers import Refusal
from devkit.simulator.google.rules import read

FACTS = sample_facts(1_790_000_000_000)


@pytest.mark.parametrize("profile", ANDROID_PROFILES)
def test_a_ring_is_a_flat_object_of_strings(profile: str) -> None:
    body = android_ring(profile, FACTS).for_token("rl_ct_x")
    data = json.loads(body)
    assert all(isinstance(value, str) for value in data.values())
    assert (data["ring_type"], data["ring_token"]) == ("ring", "rl_ct_x")
    assert data["ring_uuid"] == FACTS.uuid
    assert android_problems(profile, body) == []


def test_each_library_finds_the_call_where_it_looks() -> None:
    read = {name: json.loads(android_ring(name, FACTS).for_token("t")) for name in ANDROID_PROFILES}
    assert read["ringline"]["call_cid"] == read["stream"]["call_cid"] == FACTS.cid
    assert read["stream"]["type"] == "call.ring"
    assert read["flutter_callkit_incoming"]["id"] == read["rn_callkeep"]["uuid"] == FACTS.uuid


@pytest.mark.parametrize("profile", ["flutter_callkit_incoming", "rn_callkeep"])
def test_a_call_screen_is_given_the_handle_as_on_an_iphone(profile: str) -> None:
    """It is what is redialled, and what a contact is found by: the id only where there is none."""
    named = replace(FACTS, caller_handle=Handle(HandleKind.PHONE, "+49 30 1234567"))
    for facts in (named, replace(FACTS, caller_handle=None)):
        droid = json.loads(android_ring(profile, facts).for_token("t"))
        apple = json.loads(ring_payload(profile, facts).for_token("t"))
        assert droid["handle"] == apple["handle"]


def test_the_guide_names_each_of_our_keys() -> None:
    guide = (Path(__file__).parents[2] / "docs/guides/android.md").read_text()
    every = replace(FACTS, traceparent="00-x", caller_handle=Handle(HandleKind.PHONE, "1"))
    for body in (android_ring("ringline", every).for_token("t"), android_stop(every, 2)):
        missing = [key for key in json.loads(body) if f"`{key}`" not in guide]
        assert not missing


def test_too_much_is_cut_and_never_sent_too_long() -> None:
    long = replace(FACTS, custom={"x": "y" * 5_000}, caller_name="N" * 2_000)
    prepared = android_ring("stream", long)
    assert len(prepared.for_token("t" * 512)) <= OTHER_LIMIT
    assert "custom" in prepared.trimmed


def test_a_stop_says_which_ring_and_why() -> None:
    data = json.loads(android_stop(FACTS, 3))
    assert (data["ring_type"], data["ring_callkit_reason"]) == ("stop", "3")
    assert "ring_token" not in data
    with pytest.raises(PayloadError):
        android_stop(FACTS, 6)


@pytest.mark.parametrize(
    ("payload", "where"),
    [
        ("[]", ""),
        ("{", ""),
        ('{"call_cid": "a:b", "ring_uuid": 7}', "/ring_uuid"),
        ('{"call_cid": "a:b", "ring_uuid": "u", "google.x": "y"}', "/google.x"),
        ('{"call_cid": "a:b", "ring_uuid": "u", "from": "y"}', "/from"),
        ('{"call_cid": "a:b"}', "/ring_uuid"),
        (json.dumps({"call_cid": "a:b", "ring_uuid": "u", "x": "y" * 5_000}), ""),
    ],
)
def test_faults_are_found(payload: str, where: str) -> None:
    assert where in {one.path for one in android_problems("ringline", payload)}


@pytest.mark.parametrize(
    ("android", "high"),
    [
        ({"remote_notification": {"notification": {"title": "x"}, "mutable_content": True}}, True),
        ({"background_sync": {}, "ttl": "3s"}, False),
        ({"background_sync": {}, "remote_notification": {"notification": {"title": "x"}}}, None),
        ({"ttl": "3s"}, None),
        ({"remote_notification": {"mutable_content": True}}, None),
        ({"remote_notification": {"notification": {}}}, None),
        ({"background_sync": {}, "priority": "HIGH"}, None),
    ],
)
def test_google_takes_one_intent_of_android_v2(android, high):
    body = json.dumps({"message": {"token": "x" * 30, "data": {}, "android_v2": android}}).encode()
    if high is None:
        with pytest.raises(Refusal):
            read(body)
    else:
        assert read(body).high is high
