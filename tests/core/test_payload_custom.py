"""Templates of tenants: what is refused when they are saved, and what they make."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.payload import (
    FIELDS,
    VOIP_LIMIT,
    PayloadError,
    TemplateError,
    check_template,
    ring_payload,
    voip_stop_payload,
)
from app.core.payload.custom import template_advice
from tests.core.test_payload import CALL, FACTS, UUID, any_facts

GOOD = {
    "aps": {"alert": "{{caller_label}} ruft an"},
    "id": "{{ uuid }}",
    "video": "{{video}}",
    "label": "{{caller_id}}/{{video}}/{{sent_at}}",
    "avatar": "{{caller_avatar?}}",
    "reason": "{{callkit_reason?}}",
    "fixed": [1, 2.5, None, True, "ü"],
    "inside": {
        "$json": {"t": "{{token}}", "u": "{{uuid}}", "who": "{{caller_name}}", "c": "{{custom?}}"}
    },
    "token": "{{token}}",
}


def made(source, facts=FACTS, token="tok"):
    return json.loads(ring_payload("custom", facts, check_template(source)).for_token(token))


def test_types_text_and_json_within_a_string():
    facts = replace(FACTS, caller_name='Ali"ce\\', custom={"q": '"'})
    body = made(GOOD, facts)
    assert body["aps"] == {"alert": 'Ali"ce\\ ruft an'}
    assert body["id"] == UUID
    assert body["video"] is True
    assert body["label"] == "alice/true/1790000000000"
    assert body["fixed"] == [1, 2.5, None, True, "ü"]
    assert "avatar" not in body
    assert "reason" not in body
    assert body["token"] == "tok"
    assert json.loads(body["inside"]) == {
        "t": "tok",
        "u": UUID,
        "who": 'Ali"ce\\',
        "c": {"q": '"'},
    }


def test_an_absent_value_is_null_or_left_out_or_nothing():
    source = {
        "id": "{{uuid}}",
        "a": "{{caller_avatar}}",
        "b": "{{caller_avatar?}}",
        "c": "<{{caller_avatar}}>",
    }
    assert made(source) == {"id": UUID, "a": None, "c": "<>"}
    with_avatar = replace(FACTS, caller_avatar="u")
    assert made(source, with_avatar) == {"id": UUID, "a": "u", "b": "u", "c": "<u>"}


def test_a_text_source_is_as_good_as_an_object():
    assert made('{"id": "{{uuid}}", "n": {"list": ["{{session_id}}"]}}') == {
        "id": UUID,
        "n": {"list": [CALL]},
    }


def test_every_documented_field_can_be_used():
    source = {"id": "{{uuid}}", **{f"f_{name}": f"{{{{{name}}}}}" for name in FIELDS}}
    body = made(source, replace(FACTS, custom={"a": 1}))
    kinds = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}
    for name, field in FIELDS.items():
        value = body[f"f_{name}"]
        assert isinstance(value, kinds[field.type]) or (field.absent and value is None), name


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("{", "not JSON"),
        ("[]", "must be a JSON object"),
        ('"{{uuid}}"', "must be a JSON object"),
        ('{"id": "{{uuid}}", "id": "{{uuid}}"}', "twice"),
        ('{"id": "{{uuid}}", "n": NaN}', "NaN"),
        ('{"id": "{{uuid}}", "n": "{{nope}}"}', "/n: there is no placeholder 'nope'"),
        ('{"id": "{{uuid}}", "n": "{{Caller Id}}"}', "is no placeholder"),
        ('{"id": "{{uuid}}", "n": {"m": ["x{{session_id"]}}', None),
        ('{"id": "call {{uuid}}"}', "exactly {{uuid}}"),
        ('{"a": 1}', "exactly {{uuid}}"),
        ('{"id": "{{uuid}}", "{{session_id}}": 1}', "a key cannot hold a placeholder"),
        ('{"id": "{{uuid}}", "n": "x {{caller_avatar?}}"}', "must be the whole value"),
        ('{"id": "{{uuid}}", "n": ["{{caller_avatar?}}"]}', "only a member of an object"),
        ('{"id": "{{uuid}}", "n": {"only": "{{custom?}}"}}', "a member that is always there"),
        ('{"id": "{{uuid}}", "n": "x {{custom}}"}', "must be the whole value"),
        ('{"id": "{{uuid}}", "n": {"$json": {"m": {"$json": {}}}}}', "another $json"),
        ('{"id": "{{uuid}}", "n": {"$json": 5}}', "$json must hold an object"),
        ('{"id": "{{uuid}}", "aps": 1}', "/aps: must be an object"),
        ('{"id": "{{uuid}}", "n": "' + "x" * 4_100 + '"}', "at most 4096"),
        ('{"id": "{{uuid}}", "n": ' + "[" * 8 + "]" * 8 + "}", "nesting"),
        ('{"id": "{{uuid}}", "n": ' + "[" * 1500 + "]" * 1500 + "}", "nesting"),
        ('{"id": "{{uuid}}"' + "".join(f', "y{n}": "{{{{state_url}}}}"' for n in range(21)) + "}", "nothing left to cut"),
    ],
)  # fmt: skip
def test_refused_when_saved(source, says):
    if says is None:
        assert made(source)["n"] == {"m": ["x{{session_id"]}  # no closing braces: plain text
        return
    with pytest.raises(TemplateError) as caught:
        check_template(source)
    assert any(says in reason for reason in caught.value.reasons), caught.value.reasons


def test_eight_levels_are_deep_enough():
    check_template('{"id": "{{uuid}}", "n": ' + "[" * 7 + "]" * 7 + "}")


def test_all_faults_are_told_at_once():
    with pytest.raises(TemplateError) as caught:
        check_template({"aps": 1})
    assert len(caught.value.reasons) == 2


def test_advice_names_what_will_be_missed():
    assert len(template_advice(check_template({"id": "{{uuid}}"}))) == 4
    full = {
        "id": "{{uuid}}",
        "t": "{{token}}",
        "s": "{{state_url}}",
        "e": "{{expires_at_iso}}",
        "r": "{{callkit_reason?}}",
    }
    assert template_advice(check_template(full)) == []


def test_a_template_stops_by_voip_only_if_it_can_say_so():
    body = json.loads(voip_stop_payload("custom", FACTS, 3, check_template(GOOD)))
    assert body["reason"] == 3
    with pytest.raises(PayloadError, match="cannot say stop"):
        voip_stop_payload("custom", FACTS, 3, check_template({"id": "{{uuid}}"}))


def test_a_payload_without_a_place_for_the_token_is_the_same_for_all():
    prepared = ring_payload("custom", FACTS, check_template({"id": "{{uuid}}"}))
    assert not prepared.carries_token
    assert prepared.for_token("a") == prepared.for_token("b") == f'{{"id":"{UUID}"}}'.encode()


@settings(max_examples=60, deadline=None)
@given(facts=any_facts(), token=st.text(alphabet="ab-_.9", min_size=1, max_size=512))
def test_any_ring_through_a_template_fits_and_is_json(facts, token):
    payload = ring_payload("custom", facts, check_template(GOOD)).for_token(token)
    assert len(payload) <= VOIP_LIMIT
    body = json.loads(payload)
    assert body["token"] == token
    assert json.loads(body["inside"])["t"] == token
