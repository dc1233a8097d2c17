"""iOS's duties and punishments, and the way of a push to the app."""

import pytest

from devkit.phone import App, Conditions, Delivery, Push, PushKit, must_report
from devkit.phone.events import Lines


@pytest.mark.parametrize(
    ("ios", "app", "on_a_call", "age_ms", "must"),
    [
        ((17, 0), App.FOREGROUND, True, 10**9, True),
        ((26, 3), App.FOREGROUND, False, 0, True),
        ((26, 4), App.LOCKED, False, 0, True),
        ((26, 4), App.KILLED, False, 0, True),
        ((26, 4), App.FOREGROUND, False, 0, False),
        ((26, 4), App.LOCKED, True, 0, False),
        ((26, 4), App.LOCKED, False, 10**6, False),
        ((27, 0), App.FOREGROUND, False, 0, False),
    ],
)
def test_who_must_report(ios, app, on_a_call, age_ms, must):
    conditions = Conditions(app=app, ios=ios)
    assert must_report(conditions, on_a_call=on_a_call, age_ms=age_ms) is must


def test_repeated_failures_silence_the_app_until_it_is_installed_anew():
    pushkit = PushKit()
    pushkit.failed("a")
    pushkit.failed("b")
    pushkit.reported()
    pushkit.failed("c")
    pushkit.failed("d")
    assert not pushkit.silenced
    pushkit.failed("e")
    assert pushkit.silenced
    assert pushkit.kills == ["a", "b", "c", "d", "e"]
    pushkit.reinstalled()
    assert not pushkit.silenced


def push(name, kind="voip", expiration="0"):
    return Push(kind, name.encode(), 1_000, {"apns-expiration": expiration})


def names(pushes):
    return [each.payload.decode() for each in pushes]


def test_a_push_goes_straight_through():
    assert names(Delivery(Conditions()).arrive(push("a"))) == ["a"]


def test_flight_mode_holds_and_gives_the_newest_of_a_kind():
    delivery = Delivery(Conditions(flight_mode=True))
    for each in (push("a"), push("b"), push("stop", "background")):
        assert delivery.arrive(each) == []
    assert delivery.held == 3
    assert names(delivery.leave_flight_mode(5_000)) == ["b", "stop"]
    assert delivery.held == 0


def test_without_late_delivery_only_a_push_that_may_wait_comes():
    delivery = Delivery(Conditions(flight_mode=True, late_delivery=False))
    delivery.arrive(push("now or never"))
    assert delivery.leave_flight_mode(5_000) == []
    delivery.arrive(push("until 10 s", expiration="10"))
    assert names(delivery.leave_flight_mode(9_999)) == ["until 10 s"]
    delivery.arrive(push("until 10 s", expiration="10"))
    assert delivery.leave_flight_mode(10_000) == []


def test_a_duplicate_comes_twice_once():
    delivery = Delivery(Conditions())
    delivery.duplicate = 1
    assert names(delivery.arrive(push("a"))) == ["a", "a"]
    assert names(delivery.arrive(push("b"))) == ["b"]


def test_an_overtaken_push_comes_after_the_next_or_when_none_comes():
    delivery = Delivery(Conditions())
    delivery.reorder = True
    assert delivery.arrive(push("a")) == []
    assert names(delivery.arrive(push("b"))) == ["b", "a"]
    delivery.reorder = True
    assert delivery.arrive(push("c")) == []
    assert names(delivery.flush()) == ["c"]
    assert delivery.flush() == []


def test_events_are_read_as_the_standard_has_it():
    lines = Lines()
    stream = [
        ": a comment",
        "id: 7",
        "event: ring.settled",
        'data: {"a":',
        "data:1}",
        "",
        "data: not json",
        "",
        "event: nothing",
        "",
        "retry: 10",
        'data: {"b": 2}',
        "",
    ]
    events = [event for line in stream if (event := lines.feed(line))]
    assert [(event.id, event.event, dict(event.data)) for event in events] == [
        ("7", "ring.settled", {"a": 1}),
        ("7", "message", {}),
        ("7", "message", {"b": 2}),
    ]
    assert lines.last_id == "7"
