"""The pure pieces: percentiles, charts, explanations, files held between two pages."""

import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from app.calls.history import History
from app.core.event import EventType
from app.core.limits import CallLimits
from app.core.model import Call, Reason
from app.core.person import Person
from app.core.text import isolated
from app.dashboard import charts, words
from app.dashboard import sealed_upload as held
from app.dashboard.explaining import explain
from app.dashboard.sealed_upload import Held
from app.dashboard.timeline import drawing
from app.infra.errors import Invalid
from app.infra.settings import Settings
from app.infra.vault import keyring
from tests.core.test_sentences import DATA

AT = datetime(2026, 11, 17, 9, 0, tzinfo=UTC)


def push(**more):
    row = {
        "id": uuid4(), "ring": "r", "user_id": "bob", "device_row": uuid4(), "purpose": "ring",
        "kind": "voip", "environment": "production", "ending": "9f3c", "created_at": AT,
        "deadline": AT + timedelta(seconds=45), "state": "accepted", "status": 200, "reason": None,
        "attempts": 1, "sent_at": None, "answered_at": None, "device_name": None, "device_id": "d1",
        "report": None, "delivered_at": None, "unavailable_at": None, "declined_at": None, "retired_at": None, "retired_reason": None,
    }  # fmt: skip
    return row | more


def story(pushes=(), outcome="missed", events=(), attempts=()):
    ring = {"uuid": "r", "user_id": "bob", "outcome": outcome, "created_at": AT, "device": None,
            "deadline": AT + timedelta(seconds=45), "settled_at": None, "suppressed": None}  # fmt: skip
    call = Call(uuid4(), "default", "c", "alice", False, CallLimits(), AT, reason=Reason.MISSED,
                caller=Person("Alice"))  # fmt: skip
    return History(call, [ring], pushes, attempts, events)


def test_the_second_phone_is_explained():
    gone = push(state="refused", reason="Unregistered", retired_at=AT, status=410)
    said = explain(story([push(), gone]), [])
    assert said[0] == "bob did not answer within 45 s."
    assert "the second phone: Apple said Unregistered" in said[2]
    assert "the token was retired on Tuesday, 17 November" in said[2]


@pytest.mark.parametrize(
    ("rows", "tokens", "part"),
    [
        ([], [], "no phone is registered"),
        (
            [],
            [{"user_id": "bob", "kind": "voip", "retired_at": AT, "retired_reason": "expired"}],
            "every token is retired",
        ),
        ([], [{"user_id": "bob", "retired_at": None, "retired_reason": None}], "not at that time"),
        ([push(delivered_at=AT)], [], "it rang; nobody answered"),
        ([push(unavailable_at=AT)], [], "could not ring"),
        ([push(state="expired", reason="deadline", attempts=3)], [], "time was up after 3 tries"),
        ([push(state="dropped", reason="token_moved")], [], "its token had gone to another user"),
    ],
)
def test_each_way_to_miss_a_ring_has_its_sentence(rows, tokens, part):
    assert part in " ".join(explain(story(rows), tokens))


def test_what_was_answered_is_not_explained():
    assert explain(story([push()], outcome="accepted"), []) == []


def test_lanes_show_each_step_with_the_time_between():
    one = push(device_name="Bob's iPhone")
    attempt = {"push_id": one["id"], "environment": "production", "reason": None, "status": 200,
               "started_at": AT + timedelta(milliseconds=20),
               "finished_at": AT + timedelta(milliseconds=32)}  # fmt: skip
    joined = {"seq": 3, "type": "member.joined", "at": AT + timedelta(seconds=3),
              "data": {"user_id": "bob", "device_id": "d1"}}  # fmt: skip
    drawn = drawing(story([one], "accepted", [joined], [attempt]))
    assert [lane["name"] for lane in drawn["lanes"]] == [
        "Alice",
        "Ringline",
        "Apple",
        "Bob's iPhone",
    ]
    assert [arrow["at"] for arrow in drawn["arrows"]] == ["0 ms", "+20 ms", "+32 ms", "+3.0 s"]
    assert [arrow["gap"] for arrow in drawn["arrows"]][1:3] == ["20 ms", "12 ms"]
    assert (drawn["arrows"][3]["who"], drawn["arrows"][3]["says"]) == ("Bob's iPhone", "accepts")


SEEN_BY_OTHERS = {
    EventType.CALL_ACTIVE,
    EventType.CALL_UPDATED,
    EventType.MEMBER_RINGING,
    EventType.RING_STARTED,
    EventType.RING_SETTLED,
}


@pytest.mark.parametrize("kind", list(EventType))
def test_every_event_is_drawn_unless_others_say_it(kind):
    data = DATA | {"callkit_reason": 3}
    event = {"seq": 1, "type": kind.value, "at": AT, "data": data}
    drawn = drawing(story(events=[event]))
    started = kind is EventType.CALL_STARTED or kind in SEEN_BY_OTHERS
    assert len(drawn["arrows"]) == (1 if started else 2)
    assert drawn["arrows"][0]["says"].startswith("ring bob")
    cancelled = story(events=[event | {"data": data | {"outcome": "cancelled"}}])
    if kind is EventType.RING_SETTLED:
        assert drawing(cancelled)["arrows"][1]["says"] == "stops bob's phones"


def test_what_was_never_sent_is_drawn_with_what_was():
    unsent = push(state="dropped", reason="no_credential", status=None)
    drawn = drawing(story([unsent]))
    assert drawn["arrows"][1]["says"] == f"push to {isolated('…9f3c')}: not sent"


def test_percentiles_lie_within_their_bucket():
    counts = {50: 100, 100: 98, 5000: 2}
    assert 45 < charts.percentile(counts, 0.5) <= 50
    assert charts.percentile(counts, 0.99) <= 100
    assert charts.percentile({}, 0.5) is None


def test_a_chart_of_nothing_is_drawn_all_the_same():
    assert charts.histogram({})["marks"] == []
    assert charts.stacked([("10:00", 0, 0)])["bars"][0]["height"] == 0


def test_held_files_open_for_one_admin_in_one_tenant_for_an_hour():
    ring = keyring(Settings(environment="development"))
    tenant, admin = uuid4(), uuid4()
    text = held.seal(ring, tenant, admin, Held("a.p12", b"secret", "pw"))
    assert held.unseal(ring, tenant, admin, text) == Held("a.p12", b"secret", "pw")
    for wrong in ((tenant, uuid4(), text), (uuid4(), admin, text), (tenant, admin, "AAAA")):
        with pytest.raises(Invalid):
            held.unseal(ring, *wrong)
    later = time.time() + held.GOOD_FOR + 1
    with pytest.raises(Invalid):
        held.unseal(ring, tenant, admin, text, later)


def test_lengths_of_time_read_well():
    said = [words.duration(s) for s in (0.0123, 4.2, 45, 65, 3700, 90000, 108_000, 200_000)]
    assert said == ["12 ms", "4.2 s", "45 s", "1 min 5 s", "1 h 1 min", "25 h", "30 h", "2 d 7 h"]
