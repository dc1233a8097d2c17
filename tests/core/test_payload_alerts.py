"""Notifications: what is refused when they are saved, and what Apple and Google are given."""

import json
from dataclasses import replace

import pytest

from app.core.payload import (
    OTHER_LIMIT,
    RINGING,
    TOKEN_ROOM,
    AlertTexts,
    TemplateError,
    alert_bodies,
    alert_payload,
    check_alert,
    web_payload,
)
from devkit.simulator.google.rules import read
from tests.core.test_payload import FACTS, UUID

TEXTS = AlertTexts(
    title_key="missed", body="{{caller_label}} rief an", body_key="missed_from",
    body_args=("{{caller_label}}", "{{ call_label }}!"), sound="default", category="MISSED",
    channel="calls",
)  # fmt: skip


def made(service, texts=TEXTS, **more):
    return json.loads(alert_payload(service, "missed", texts, replace(FACTS, **more)).for_token(""))


def test_what_apple_is_given():
    body = made("apns", badge=3, caller_name='Al"ice')
    assert body["aps"] == {
        "alert": {
            "title-loc-key": "missed", "body": 'Al"ice rief an', "loc-key": "missed_from",
            "loc-args": ['Al"ice', 'Al"ice!'],
        },
        "sound": "default", "category": "MISSED", "badge": 3,
    }  # fmt: skip
    assert (body["ring"]["type"], body["ring"]["uuid"]) == ("missed", UUID)
    assert "token" not in body["ring"]
    assert "badge" not in made("apns", replace(TEXTS, badge=False), badge=3)["aps"]
    assert made("apns", AlertTexts(title="{{cid}}"))["aps"] == {"alert": {"title": FACTS.cid}}


def test_what_google_is_given_and_takes():
    body = made("fcm", badge=3)
    assert body["notification"] == {
        "tag": UUID, "title_loc_key": "missed", "body": "Alice rief an",
        "body_loc_key": "missed_from", "body_loc_args": ["Alice", "Alice!"], "sound": "default",
        "channel_id": "calls", "notification_count": 3,
    }  # fmt: skip
    message = {"token": "x" * 30, "data": body["data"], "android": {"notification": {}}}
    assert read(json.dumps({"message": message}).encode()).data["ring_type"] == "missed"


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (AlertTexts(sound="default"), "shows nothing"),
        (AlertTexts(title="x", body_args=("y",)), "without body_key"),
        (AlertTexts(title="{{caller_name}}"), "no text that is always there"),
        (AlertTexts(title="{{video}}"), "no text that is always there"),
        (AlertTexts(title="{{token}}"), "no text that is always there"),
        (AlertTexts(title="{{nobody}}"), "caller_label"),
        (AlertTexts(title="{{caller_label?}}"), "no text that is always"),
        (AlertTexts(title="a {{ b"), None),
        (AlertTexts(title="{{cid}}" * 30), "too long"),
    ],
)
def test_what_could_not_be_sent_is_refused(texts, says):
    if says is None:
        check_alert("missed", texts)
        return
    with pytest.raises(TemplateError, match=says):
        check_alert("missed", texts)


def test_long_names_are_cut_to_what_may_be_sent():
    long = "{{caller_label}}" * 20
    prepared = alert_payload(
        "apns", "ring", AlertTexts(body=long), replace(FACTS, caller_name="ü" * 200)
    )
    assert len(prepared.for_token("t" * TOKEN_ROOM)) <= OTHER_LIMIT
    assert "names" in prepared.trimmed


def test_what_a_browser_is_shown_in_the_tenants_words_and_else_in_ours():
    def shown(event, texts, **more):
        said = json.loads(web_payload(event, texts, replace(FACTS, **more)).for_token("tok"))
        return said["notification"]

    ring = shown("ring", AlertTexts(title="{{caller_label}}", body="Anruf"))
    assert (ring["title"], ring["body"], "silent" in ring) == ("Alice", "Anruf", False)
    assert ring["data"]["ring"]["token"] == "tok"
    assert shown("ring", None, video=True)["body"] == "Incoming video call"
    missed = shown("missed", TEXTS)
    assert (missed["title"], missed["body"], missed["silent"]) == (
        FACTS.display_name or "Alice", "Alice rief an", False,
    )  # fmt: skip
    assert missed["data"]["ring"]["callkit_reason"] == 3
    keyed = AlertTexts(title_key="missed", body_key="missed_from")
    assert (shown("missed", keyed)["body"], shown("missed", keyed)["silent"]) == (
        "Missed call", True,
    )  # fmt: skip
    assert "texts" not in ring["data"]
    assert shown("missed", TEXTS)["data"]["texts"] == {
        "title_key": "missed", "body_key": "missed_from", "body_args": ["Alice", "Alice!"],
    }  # fmt: skip
    on = shown("notify", AlertTexts(body="{{caller_label}} wartet"))
    assert (on["body"], on["data"]["ring"]["type"]) == ("Alice wartet", "notify")
    assert "token" not in on["data"]["ring"]
    made = alert_bodies("activation", AlertTexts(title="Bereit"), FACTS, "tok")["webpush"]
    assert json.loads(made)["notification"]["title"] == "Bereit"
    for event in ("ended", "failed", "activation"):
        with pytest.raises(TemplateError, match="no texts of its own"):
            check_alert(event, keyed)
    with pytest.raises(TemplateError, match="no call has begun"):
        check_alert("activation", AlertTexts(title="{{caller_label}}"))


def test_what_rings_is_urgent_and_lets_its_app_act():
    for event in ("ring", "missed"):
        body = json.loads(alert_payload("apns", event, RINGING[event], FACTS).for_token("tok"))
        urgent = body["aps"].get("interruption-level") == "time-sensitive"
        assert (urgent, body["ring"].get("token")) == (
            (True, "tok") if event == "ring" else (False, None)
        )
    for event, texts in RINGING.items():
        check_alert(event, texts)
