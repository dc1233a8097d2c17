"""Payloads by profile: shape, size, splice. The shapes are written out here, not taken from app."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.payload import (
    OTHER_LIMIT,
    PROFILES,
    VOIP_LIMIT,
    PayloadError,
    RingFacts,
    Template,
    android_ring,
    check_template,
    for_members,
    number_of,
    problems,
    ring_payload,
    stop_payload,
    voip_stop_payload,
)
from app.core.payload.fields import FIELDS, OF_MEMBER
from app.core.payload.template import compile_template, filled, render
from app.core.person import Handle, HandleKind

UUID = "0190b1a2-7c3d-7000-8000-000000000001"
CALL = "0190b1a2-7c3d-7000-8000-000000000002"
FACTS = RingFacts(
    uuid=UUID,
    cid="default:abc",
    session_id=CALL,
    caller_id="alice",
    receiver_id="bob",
    video=True,
    sent_at_ms=1_790_000_000_000,
    expires_at_ms=1_790_000_045_000,
    state_url=f"https://ring.example.com/v1/calls/{CALL}",
    caller_name="Alice",
    user_ids=("alice", "carol"),
)
BUILT_IN = [profile for profile in PROFILES if profile != "custom"]

user_ids = st.text(alphabet="ABCXYZabcxyz0189_@.:|+=~-", min_size=1, max_size=128)
names = st.none() | st.text(max_size=300)
custom = st.none() | st.dictionaries(
    st.text(max_size=20),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=400),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
        ),
        max_leaves=12,
    ),
    max_size=6,
)
tokens = st.text(alphabet="abcXYZ019-_.~", min_size=1, max_size=512)


@st.composite
def any_facts(draw):
    caller = draw(user_ids)
    receiver = draw(user_ids.filter(lambda user: user != caller))
    return replace(
        FACTS,
        caller_id=caller,
        receiver_id=receiver,
        caller_name=draw(names),
        display_name=draw(names),
        caller_avatar=draw(st.none() | st.just("https://cdn.example.com/" + "p" * 400)),
        caller_handle=draw(
            st.none() | st.builds(Handle, st.sampled_from(HandleKind), st.text(max_size=128))
        ),
        video=draw(st.booleans()),
        user_ids=(caller, *draw(st.lists(user_ids, max_size=60))),
        custom=draw(custom),
    )


def body_of(profile, facts=FACTS, token="tok-1"):
    return json.loads(ring_payload(profile, facts).for_token(token))


shown = st.sampled_from(sorted(name for name in FIELDS if FIELDS[name].type != "object"))
texts = st.text(max_size=12).filter(lambda text: "{{" not in text)
holes = st.one_of(
    st.sampled_from(sorted(FIELDS)).map(lambda name: "{{" + name + "}}"),
    st.tuples(texts, shown.filter(lambda name: FIELDS[name].type != "array"), texts).map(
        lambda found: f"{found[0]}{{{{{found[1]}}}}}{found[2]}"
    ),
    st.sampled_from(["{{token}}", "100 % %s %d", "a {{ token }} b"]),
    texts,
)
templates = st.builds(
    lambda some, optional, inner: compile_template(
        {"uuid": "{{uuid}}"}
        | {f"k{n}": value for n, value in enumerate(some)}
        | {f"o{n}": "{{" + name + "?}}" for n, name in enumerate(optional)}
        | {"in": {"$json": {"i": inner, "to": "{{receiver_id}}", "at": ["{{token}}", 1, None]}}}
    ),
    st.lists(holes, max_size=6),
    st.lists(st.sampled_from(sorted(FIELDS)), max_size=4),
    holes,
)
not_in_it = st.text(alphabet='MNO%\\"é\U0001f600', min_size=1, max_size=128)
"""User ids of who neither calls nor has joined in `any_facts`."""


@given(templates, any_facts(), st.uuids().map(str), not_in_it, not_in_it)
def test_what_is_filled_once_for_a_call_reads_as_what_is_made_for_each_member(
    template: Template, facts: RingFacts, uuid: str, first: str, another: str
) -> None:
    facts = replace(facts, receiver_id=first)
    left = filled(template, facts, OF_MEMBER)
    for one in (facts, replace(facts, uuid=uuid, receiver_id=another)):
        assert render(left, one) == render(template, one)


@given(any_facts(), st.uuids().map(str), not_in_it, not_in_it)
@settings(max_examples=25)
def test_no_other_field_is_a_members_own(
    facts: RingFacts, uuid: str, first: str, another: str
) -> None:
    one = replace(facts, receiver_id=first)
    other = replace(one, uuid=uuid, receiver_id=another)
    for name in sorted(FIELDS.keys() - OF_MEMBER):
        assert FIELDS[name].read(one) == FIELDS[name].read(other), name


@given(any_facts(), st.uuids().map(str), not_in_it, not_in_it)
@settings(max_examples=40)
def test_another_member_is_prepared_as_if_it_were_the_first(
    facts: RingFacts, uuid: str, first: str, another: str
) -> None:
    """By every profile of the same facts: to draw these costs more than all else."""
    for profile in (*BUILT_IN, "custom", "android stream"):
        prepared_as_if_first(profile, facts, uuid, first, another)


def prepared_as_if_first(
    profile: str, facts: RingFacts, uuid: str, first: str, another: str
) -> None:
    def make(one: RingFacts):
        if profile == "android stream":
            return android_ring("stream", one)
        custom = {"id": "{{uuid}}", "to": "{{receiver_id}} of {{caller_label}}", "t": "{{token}}"}
        return ring_payload(profile, one, check_template(custom) if profile == "custom" else None)

    facts = replace(facts, receiver_id=first)
    prepare = for_members(make(facts), facts)
    whole = make(replace(facts, uuid=uuid, receiver_id=another))
    found = None if prepare is None else prepare(uuid, another)
    if found is None:  # something has to be cut: of one of the two, at least
        assert make(facts).trimmed or whole.trimmed, profile
    else:
        assert (found.parts, found.trimmed) == (whole.parts, ()), profile
        assert found.for_token("tok") == whole.for_token("tok"), profile


def test_the_default_profile_is_the_documented_json_to_the_byte():
    expected = {
        "aps": {"alert": {"call_cid": "default:abc", "user_ids": "alice,carol"}},
        "ring": {
            "v": 2,
            "uuid": UUID,
            "cid": "default:abc",
            "session_id": CALL,
            "caller": {"id": "alice", "name": "Alice"},
            "video": True,
            "sent_at": 1_790_000_000_000,
            "expires_at": 1_790_000_045_000,
            "state_url": f"https://ring.example.com/v1/calls/{CALL}",
            "token": "tok-1",
        },
    }
    made = ring_payload("ringline", FACTS).for_token("tok-1")
    assert made == json.dumps(expected, separators=(",", ":")).encode()


def test_custom_data_rides_in_ring_and_an_absent_name_is_left_out():
    facts = replace(FACTS, caller_name=None, custom={"room": 7, "tags": ["a", None]})
    ring = body_of("ringline", facts)["ring"]
    assert ring["custom"] == {"room": 7, "tags": ["a", None]}
    assert ring["caller"] == {"id": "alice"}


def test_who_is_calling_is_the_caller_first_once_and_never_the_recipient():
    facts = replace(FACTS, user_ids=("carol", "bob", "alice", "carol"))
    assert body_of("ringline", facts)["aps"]["alert"]["user_ids"] == "alice,carol"
    assert body_of("ringline", replace(FACTS, user_ids=()))["aps"]["alert"]["user_ids"] == "alice"


def test_stream():
    body = body_of("stream")
    assert body["aps"] == {
        "alert": {
            "title": "Alice is calling you",
            "body": "",
            "call_cid": "default:abc",
            "user_ids": "alice,carol",
        },
        "badge": 0,
        "category": "stream.video",
        "mutable-content": 1,
    }
    assert body["stream"] == {
        "call_cid": "default:abc",
        "call_display_name": "Alice",
        "created_by_display_name": "Alice",
        "created_by_id": "alice",
        "receiver_id": "bob",
        "sender": "stream.video",
        "type": "call.ring",
        "version": "v2",
        "video": "true",
    }
    titled = body_of("stream", replace(FACTS, display_name="Team", video=False))["stream"]
    assert (titled["call_display_name"], titled["video"]) == ("Team", "false")


def test_flutter_callkit_incoming():
    body = body_of("flutter_callkit_incoming")
    ours = body.pop("ring")
    assert body == {"id": UUID, "nameCaller": "Alice", "handle": "alice", "isVideo": True}
    assert ours["token"] == "tok-1"


def test_rn_callkeep():
    body = body_of("rn_callkeep")
    assert body.pop("ring")["state_url"].endswith(CALL)
    assert body == {"uuid": UUID, "callerName": "Alice", "handle": "alice"}


def test_connectycube_has_integers_and_a_flat_map_of_strings():
    facts = replace(FACTS, caller_id="77", user_ids=("77", "5"), receiver_id="12", custom={"a": 1})
    body = body_of("connectycube", facts)
    inner = json.loads(body.pop("user_info"))
    assert body == {
        "signal_type": "startCall",
        "session_id": UUID,
        "call_type": 1,
        "caller_id": 77,
        "caller_name": "Alice",
        "call_opponents": "12,5",
    }
    assert all(isinstance(value, str) for value in inner.values())
    assert (inner["ring_token"], inner["ring_caller_id"]) == ("tok-1", "77")
    assert json.loads(inner["ring_custom"]) == {"a": 1}
    assert int(inner["ring_expires_at"]) == FACTS.expires_at_ms


def test_flutter_webrtc_callkeep_never_has_aps():
    body = body_of("flutter_webrtc_callkeep")
    assert "aps" not in body
    assert body.pop("ring")["token"] == "tok-1"
    assert body == {
        "uuid": UUID,
        "caller_id": "alice",
        "caller_name": "Alice",
        "caller_id_type": "number",
        "has_video": True,
    }


def test_expo_callkit_telecom():
    event = body_of("expo_callkit_telecom", replace(FACTS, caller_avatar="https://x/y.png"))[
        "incoming_call"
    ]
    assert event.pop("metadata")["ring"]["token"] == "tok-1"
    assert event == {
        "eventId": UUID,
        "serverCallId": CALL,
        "hasVideo": True,
        "startedAt": "2026-09-21T14:13:20.000Z",
        "caller": {"id": "alice", "displayName": "Alice", "avatarUrl": "https://x/y.png"},
    }


def test_rocketchat():
    body = body_of("rocketchat", replace(FACTS, state_url="http://127.0.0.1:8000/v1/calls/x"))
    assert body.pop("ring")["token"] == "tok-1"
    assert body == {
        "notificationType": "voip",
        "type": "incoming_call",
        "callId": UUID,
        "caller": {"name": "Alice", "username": "alice"},
        "username": "alice",
        "host": "http://127.0.0.1:8000",
        "hostName": "127.0.0.1:8000",
        "createdAt": "2026-09-21T14:13:20.000Z",
    }


@pytest.mark.parametrize("profile", BUILT_IN)
@settings(max_examples=25, deadline=None)
@given(facts=any_facts(), token=tokens)
def test_any_ring_fits_is_json_and_pleases_the_library(profile, facts, token):
    prepared = ring_payload(profile, facts)
    made = prepared.for_token(token)
    assert len(made) <= VOIP_LIMIT
    body = json.loads(made)
    assert problems(profile, made) == []
    # The splice is what serialising the whole thing again would give, byte for byte.
    assert made == json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    assert facts.caller_id in json.dumps(body)


@settings(max_examples=60, deadline=None)
@given(facts=any_facts(), token=tokens)
def test_nothing_is_cut_that_would_have_fitted(facts, token):
    prepared = ring_payload("ringline", facts)
    body = json.loads(prepared.for_token(token))
    shown = body["aps"]["alert"]["user_ids"].split(",")
    calling = list(dict.fromkeys(u for u in facts.user_ids if u != facts.receiver_id))
    assert shown == calling[: len(shown)]
    assert shown[0] == facts.caller_id
    if "user_ids" not in prepared.trimmed:
        assert shown == calling
    else:
        room = VOIP_LIMIT - len(prepared.for_token("t" * 512))
        assert len(("," + calling[len(shown)]).encode()) > room
    if "custom" not in prepared.trimmed:
        assert body["ring"].get("custom") == (facts.custom or None)
    if "names" not in prepared.trimmed:
        assert body["ring"]["caller"].get("name") == (facts.caller_name or None)


PHONE = Handle(HandleKind.PHONE, "+49 30 1234567")
MAIL = Handle(HandleKind.EMAIL, "alice@example.com")


def test_names_and_handles_stand_where_each_library_reads_them():
    avatar = "https://example.com/a.png"
    shown = replace(FACTS, display_name="Standup", caller_avatar=avatar, caller_handle=PHONE)
    mail = replace(shown, caller_handle=MAIL)
    ring = body_of("ringline", shown)["ring"]
    assert ring["title"] == "Standup"
    assert ring["caller"] == {
        "id": "alice",
        "name": "Alice",
        "avatar_url": avatar,
        "handle": {"kind": "phone", "value": "+49 30 1234567"},
    }
    assert body_of("stream", shown)["stream"]["call_display_name"] == "Standup"
    assert body_of("flutter_callkit_incoming", shown)["handle"] == "+49 30 1234567"
    assert body_of("rn_callkeep", mail)["handle"] == "alice@example.com"
    flat = json.loads(body_of("connectycube", shown)["user_info"])
    assert (flat["ring_title"], flat["ring_caller_name"]) == ("Standup", "Alice")
    assert json.loads(flat["ring_caller_handle"]) == {"kind": "phone", "value": "+49 30 1234567"}
    webrtc = [body_of("flutter_webrtc_callkeep", facts) for facts in (FACTS, shown, mail)]
    assert [(one["caller_id"], one["caller_id_type"]) for one in webrtc] == [
        ("alice", "number"),
        ("+49 30 1234567", "number"),
        ("alice@example.com", "email"),
    ]
    expo = [body_of("expo_callkit_telecom", f)["incoming_call"]["caller"] for f in (shown, mail)]
    assert expo[0].pop("phoneNumber") == "+49 30 1234567"
    assert expo[1].pop("email") == "alice@example.com"
    assert expo == [{"id": "alice", "displayName": "Alice", "avatarUrl": avatar}] * 2
    assert body_of("rocketchat", shown)["caller"]["avatarUrl"] == avatar
    for profile in BUILT_IN:
        assert problems(profile, ring_payload(profile, shown).for_token("t")) == []


def test_the_title_and_the_handle_go_before_the_name_is_cut_short():
    long = {"display_name": "T" * 200, "caller_name": "N" * 200}
    said = replace(FACTS, user_ids=("alice",), caller_handle=PHONE, **long)
    room = VOIP_LIMIT - len(ring_payload("ringline", said).for_token("t" * 512))
    for more, cut, left in (
        (room + 5, "names", {"title": "T" * 63 + "…", "handle": True, "name": 64}),
        (room + 300, "title", {"title": None, "handle": True, "name": 64}),
        (room + 370, "caller_handle", {"title": None, "handle": False, "name": 64}),
    ):
        facts = replace(said, state_url=said.state_url + "x" * more)
        prepared = ring_payload("ringline", facts)
        ring = json.loads(prepared.for_token("t"))["ring"]
        assert prepared.trimmed[-1] == cut
        assert (ring.get("title"), "handle" in ring["caller"]) == (left["title"], left["handle"])
        assert len(ring["caller"]["name"]) == left["name"]


def test_what_goes_first():
    context = f"00-{'a' * 32}-{'b' * 16}-01"
    traced = replace(FACTS, traceparent=context, custom={"blob": "b" * 3_900})
    prepared = ring_payload("ringline", traced)
    assert prepared.trimmed == ()
    assert json.loads(prepared.for_token("t"))["ring"]["traceparent"] == context
    over = replace(
        traced, custom={"blob": "b" * (3_900 + VOIP_LIMIT - len(prepared.for_token("t" * 512)) + 1)}
    )
    assert ring_payload("ringline", over).trimmed == ("traceparent",)

    crowd = tuple(f"user-with-a-longer-id-{n:04}" for n in range(349))
    facts = replace(FACTS, user_ids=("alice", *crowd))
    prepared = ring_payload("ringline", facts)
    assert prepared.trimmed == ("user_ids",)
    assert VOIP_LIMIT - 30 <= len(prepared.for_token("t" * 512)) <= VOIP_LIMIT

    long_name = replace(facts, caller_name="Ä" * 2_500)
    prepared = ring_payload("ringline", long_name)
    assert set(prepared.trimmed) == {"user_ids", "names"}
    body = json.loads(prepared.for_token("t"))
    assert body["ring"]["caller"]["name"] == "Ä" * 63 + "…"

    big_custom = replace(long_name, custom={"blob": "b" * 4_900})
    prepared = ring_payload("ringline", big_custom)
    assert "custom" in prepared.trimmed
    body = json.loads(prepared.for_token("t"))
    assert "custom" not in body["ring"]
    assert body["aps"]["alert"]["user_ids"].startswith(
        "alice,user-with-a-longer-id-0000,user-with-a-longer-id-0001"
    )


def test_what_was_not_there_is_not_said_to_have_been_cut():
    """The timeline names what went: a call without a picture has lost none."""
    bare = replace(
        FACTS, caller_name="Al", caller_avatar=None, caller_handle=None, display_name=None,
        user_ids=("alice",), custom={"blob": "b" * 4_900},
    )  # fmt: skip
    assert ring_payload("ringline", bare).trimmed == ("custom",)
    tight = replace(bare, custom=None, state_url="https://" + "x" * 4_000)
    assert ring_payload("ringline", tight).trimmed == ()


def test_nothing_left_to_cut_is_an_error_and_not_a_push():
    with pytest.raises(PayloadError, match="nothing left to cut"):
        ring_payload("ringline", replace(FACTS, state_url="https://" + "x" * 5_000))


def test_half_a_surrogate_pair_costs_a_question_mark_and_not_the_ring():
    body = body_of("ringline", replace(FACTS, caller_name="A\ud83d"))
    assert body["ring"]["caller"]["name"] == "A?"


@pytest.mark.parametrize("token", ["", 'a"b', "a\\b", "é", "a b", "a\n"])
def test_a_token_that_json_would_escape_is_refused(token):
    prepared = ring_payload("ringline", FACTS)
    if token == "":
        assert json.loads(prepared.for_token(token))["ring"]["token"] == ""
    else:
        with pytest.raises(PayloadError):
            prepared.for_token(token)


def test_a_token_beyond_its_room_is_refused():
    prepared = ring_payload("ringline", FACTS, token_room=10)
    prepared.for_token("t" * 10)
    with pytest.raises(PayloadError, match="room is 10"):
        prepared.for_token("t" * 11)


def test_a_name_that_looks_like_a_placeholder_stays_a_name():
    body = body_of("ringline", replace(FACTS, caller_name="{{token}}", custom={"k": "{{uuid}}"}))
    assert body["ring"]["caller"]["name"] == "{{token}}"
    assert body["ring"]["custom"] == {"k": "{{uuid}}"}


@pytest.mark.parametrize(
    ("user_id", "number"),
    [("77", 77), ("9007199254740991", 9007199254740991), ("1", 1)],
)
def test_plain_numbers_stay_themselves(user_id, number):
    assert number_of(user_id) == number


@given(user_ids)
def test_every_user_id_is_a_positive_exact_integer(user_id):
    assert 1 <= number_of(user_id) < 2**53
    assert number_of(user_id) == number_of(user_id)


def test_the_hash_is_the_same_for_ever():
    assert number_of("alice") == 771309228781793
    assert number_of("007") != 7
    assert number_of("9007199254740992") != 9007199254740992


def test_the_background_stop():
    body = json.loads(stop_payload(FACTS, 4))
    assert body == {
        "aps": {"content-available": 1},
        "ring": {
            "v": 2,
            "type": "stop",
            "uuid": UUID,
            "cid": "default:abc",
            "session_id": CALL,
            "callkit_reason": 4,
            "sent_at": FACTS.sent_at_ms,
            "state_url": FACTS.state_url,
        },
    }
    assert len(stop_payload(FACTS, 4)) <= OTHER_LIMIT


@pytest.mark.parametrize("reason", [0, 6, -1])
def test_only_callkit_has_reasons(reason):
    with pytest.raises(PayloadError):
        stop_payload(FACTS, reason)


@pytest.mark.parametrize("profile", BUILT_IN)
def test_a_voip_stop_is_still_a_call_that_the_library_reports(profile):
    made = voip_stop_payload(profile, FACTS, 2)
    faults = [fault for fault in problems(profile, made) if fault.outcome in {"crash", "killed"}]
    assert faults == []
    text = made.decode()
    assert UUID in text
    assert "callkit_reason" in text
    assert "token" not in text
    if profile == "connectycube":
        body = json.loads(made)
        assert body["signal_type"] == "endCall"
        assert json.loads(body["user_info"])["ring_callkit_reason"] == "2"


def test_an_unknown_profile_is_an_error():
    for call in (
        lambda: ring_payload("nokia", FACTS),
        lambda: voip_stop_payload("nokia", FACTS, 2),
        lambda: problems("nokia", b"{}"),
        lambda: ring_payload("custom", FACTS),
    ):
        with pytest.raises(PayloadError):
            call()
