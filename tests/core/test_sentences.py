"""The sentences of a timeline: one for each event, and none of them empty or broken."""

import pytest

from app.core import sentences as story
from app.core.event import EventType

DATA = {
    "user_id": "bob",
    "device_id": "p1",
    "caller_id": "alice",
    "callees": ["bob", "carol"],
    "user_ids": [f"u{n}" for n in range(9)],
    "by": "alice",
    "outcome": "declined",
    "callkit_reason": 5,
    "reason": "missed",
}


@pytest.mark.parametrize("kind", list(EventType))
def test_every_event_has_a_sentence(kind: EventType) -> None:
    said = story.of_event(kind.value, DATA)
    assert len(said) > 8
    assert kind.value not in said
    assert "None" not in said
    assert story.of_event(kind.value, {})  # whatever is missing


def test_names_are_few() -> None:
    said = story.of_event("member.added", DATA)
    assert said == "alice rings u0, u1, u2 and 6 more as well"


@pytest.mark.parametrize(
    ("status", "reason", "said"),
    [
        (200, None, "Apple accepts the push to bob's p1 after 12 ms"),
        (410, "Unregistered", "Apple refuses the push to bob's p1 after 12 ms: 410 Unregistered"),
        (None, "timeout", "no answer to the push to bob's p1 after 12 ms: timeout"),
    ],
)
def test_answers(status: int | None, reason: str | None, said: str) -> None:
    assert story.of_answer("Apple", "ring", "bob's p1", status, reason, 12.3) == said


def test_unsent() -> None:
    assert story.of_unsent("stop", "bob's p1", "dropped", "token_moved").startswith(
        "the stop to bob's p1 is not sent: its token had gone"
    )
    assert story.of_unsent("ring", "x", "expired", None) == "the push to x is not sent: expired"


def test_who_is_removed_for_silence_has_not_left() -> None:
    data = {"user_id": "bob", "device_id": "d", "reason": "silent", "silent_for": 120.0}
    said = story.of_event("member.left", data)
    assert said == "bob is removed: no sign of life for 120 s"
    assert story.of_event("member.left", {"user_id": "bob"}) == "bob has left"


@pytest.mark.parametrize(
    ("user", "name", "said"),
    [
        ("bob", "p1", "bob's p1"),
        ("bob", "Bob's iPhone", "Bob's iPhone"),
        ("bob", "Bob\u2019s iPhone", "Bob\u2019s iPhone"),
        ("bob", "Bobs iPhone", "Bobs iPhone"),
        ("bob", "bobs-phone", "bobs-phone"),
        ("bob", "bob", "bob"),
        ("bob", "Bobby", "bob's Bobby"),
        ("bob", "Robert's iPhone", "Robert's iPhone (bob)"),
        ("0198f7e2", "Mary Ann\u2019s iPad mini", "Mary Ann\u2019s iPad mini (0198f7e2)"),
        ("james", "James' iPhone", "James' iPhone"),
        ("u1", "James' iPhone", "James' iPhone (u1)"),
        ("bob", "It's", "bob's It's"),
        ("bob", "iPhone", "bob's iPhone"),
        ("bob", None, "bob's device with the token ...beef"),
    ],
)
def test_whose_a_device_is_is_said_once(user: str, name: str | None, said: str) -> None:
    assert story.of_device(user, name, "beef") == said
