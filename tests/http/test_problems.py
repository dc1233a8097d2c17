"""Errors name the field and the way out, and never repeat what was sent."""

import json
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from app.api.problem_codes import CODES
from app.calls.schemas import RingIn
from app.devices.schemas import ActivateIn, DeviceIn, UserTokenIn
from app.http.problems import field_errors, problem, problem_of
from app.infra.errors import Invalid
from app.infra.fields import NO_TIME, Time
from app.tenants.schemas import TenantSettings
from app.users.schemas import HandlesIn
from app.webhooks.schemas import WebhookIn

SECRET = "ab" * 40


def told(model: type[BaseModel], body: object) -> list[dict[str, str]]:
    try:
        model.model_validate(body)
    except ValidationError as error:
        return field_errors(error.errors())
    raise AssertionError("it was taken")


def test_a_check_of_several_fields_names_the_one_that_is_wrong() -> None:
    (error,) = told(RingIn, {"caller": {"id": "alice"}, "callees": ["alice"]})
    assert error["field"] == "callees.0"
    assert error["code"] == "caller_among_callees"
    assert "cannot be rung" in error["detail"]


HANDLE = {"kind": "email", "value": "b@example.com"}
TOKEN = {"kind": "voip", "token": "ab" * 32, "app_id": "com.example.app"}
SOMEWHERE: tuple[tuple[type[BaseModel], dict[str, Any], str, str], ...] = (
    (RingIn, {"caller": {"id": "a"}, "callees": ["x", "a"]}, "callees.1", "caller_among_callees"),
    (RingIn, {"caller": {"id": "a"}, "callees": ["x", "y", "x"]}, "callees.2", "duplicate_callee"),
    (
        RingIn,
        {"caller": {"id": "a"}, "callees": [{"handle": HANDLE}, {"id": "x"}, "x"]},
        "callees.2",
        "duplicate_callee",
    ),
    (
        HandlesIn,
        {"handles": [HANDLE, HANDLE | {"value": "B@Example.com"}]},
        "handles.1",
        "duplicate_handle",
    ),
    (
        DeviceIn,
        {"tokens": [TOKEN, TOKEN | {"app_id": "com.b"}, TOKEN]},
        "tokens.2",
        "duplicate_token",
    ),
    (TenantSettings, {"call_types": {"a b": {}}}, "call_types.a b", "invalid_call_type"),
    (TenantSettings, {"limits": {"rng": 5}}, "limits.rng", "unknown_limit"),
    (TenantSettings, {"limits": {"away": 200}}, "limits.removed", "limits_disagree"),
    (
        TenantSettings,
        {"call_types": {"x": {"away": 200}}},
        "call_types.x.removed",
        "limits_disagree",
    ),
    (
        TenantSettings,
        {"call_types": {"x": {"ring": 1}}},
        "call_types.x.ring",
        "limit_out_of_bounds",
    ),
    (TenantSettings, {"rate_limits": {"rings": 5}}, "rate_limits.rings", "unknown_rate_limit"),
    (TenantSettings, {"profiles": {"com.x": "y"}}, "profiles.com.x", "unknown_profile"),
    (TenantSettings, {"profiles": {"com.x": "custom"}}, "templates.com.x", "missing_template"),
    (
        TenantSettings,
        {"user_tokens": {"jwks_url": "https://example.com/keys"}},
        "user_tokens.issuer",
        "missing_issuer",
    ),
    (
        TenantSettings,
        {"notifications": {"x": {"activation": {"title": "Hello"}}}},
        "notifications.x.activation",
        "invalid_template",
    ),
)


@pytest.mark.parametrize(("model", "body", "field", "code"), SOMEWHERE)
def test_of_many_the_one_that_is_wrong_is_named(
    model: type[BaseModel], body: dict[str, Any], field: str, code: str
) -> None:
    (error,) = told(model, body)
    assert (error["field"], error["code"]) == (field, code)


def test_a_sentence_goes_on_after_the_name_of_its_field() -> None:
    for model, body, said in (
        (RingIn, {"caller": {"id": "a"}, "callees": "b"}, "callees: must be a valid list"),
        (RingIn, {"caller": {}, "callees": ["b"]}, "caller.id: is missing"),
        (HandlesIn, {"handles": [HANDLE | {"value": ""}]}, "handles.0.value: must not be empty"),
        (UserTokenIn, {"scopes": []}, "scopes: must have at least 1 item"),
    ):
        (error,) = told(model, body)
        assert f"{error['field']}: {error['detail']}" == said


def test_a_body_that_is_no_object_is_told_what_to_send() -> None:
    for body in (None, [1], "text", 3):
        (error,) = told(RingIn, body)
        assert "application/json" in error["detail"]
    for text in ("alice", None, 5, ["alice"]):
        (error,) = told(RingIn, {"caller": text, "callees": ["bob"]})
        assert (error["field"], error["detail"].partition(":")[0]) == (
            "caller",
            "must be a JSON object",
        )
    (error,) = told(WebhookIn, {"url": "https://example.com", "events": []})
    assert error["detail"].startswith("name at least one")
    (error,) = field_errors([{"type": "missing", "loc": ("body",), "msg": "Field required"}])
    assert "application/json" in error["detail"]


def test_a_text_is_measured_in_characters() -> None:
    for model, body, said in (
        (WebhookIn, {"url": "x" * 2_049}, "must have at most 2,048 characters"),
        (ActivateIn, {"token": "x"}, "must have at least 10 characters"),
        (DeviceIn, {"name": "x" * 201, "tokens": [TOKEN]}, "must have at most 200 characters"),
    ):
        (error,) = told(model, body)
        assert error["detail"] == said


def test_a_token_that_may_do_nothing_is_not_made() -> None:
    (error,) = told(UserTokenIn, {"scopes": []})
    assert (error["field"], error["code"]) == ("scopes", "invalid_field")


TOKENS = [{"kind": "voip", "token": SECRET, "app_id": f"com.example.a{n}"} for n in range(9)]
BEYOND: tuple[tuple[type[BaseModel], dict[str, Any]], ...] = (
    (DeviceIn, {"tokens": TOKENS}),
    (DeviceIn, {"tokens": TOKENS[:1], "expires_in": 299}),
    (DeviceIn, {"tokens": [TOKENS[0] | {"kind": "sms"}]}),
    (WebhookIn, {"url": "https://example.com", "events": ["call.*"] * 51}),
    (WebhookIn, {"url": "https://example.com", "events": ["call.statred"]}),
    (RingIn, {"caller": {"id": "alice"}, "callees": ["bob"], "ring_time": 4}),
    (RingIn, {"caller": {"id": "alice"}, "callees": ["bob"], "custom": {"a": "x" * 2_048}}),
    (HandlesIn, {"handles": [{"kind": "email", "value": f"{n}@example.com"} for n in range(21)]}),
    (TenantSettings, {"call_types": {f"t{n}": {} for n in range(201)}}),
    (TenantSettings, {"profiles": {f"com.example.a{n}": "ringline" for n in range(1_001)}}),
)


def test_what_is_beyond_a_bound_is_told_as_the_reference_says() -> None:
    for model, body in BEYOND:
        (error,) = told(model, body)
        assert CODES[error["code"]] == (422, f"{error['field']}: {error['detail']}")


def test_every_wrong_field_is_told_at_once() -> None:
    errors = told(RingIn, {"caller": {"id": "a,b"}, "callees": ["bob"], "colour": 1, "type": "A"})
    assert {(e["field"], e["code"]) for e in errors} == {
        ("caller.id", "invalid_user_id"),
        ("colour", "unknown_field"),
        ("type", "invalid_call_type"),
    }


def test_a_token_is_never_repeated() -> None:
    token = {"kind": "voip", "token": SECRET + "z", "app_id": "com.example.app"}
    for body in ({"tokens": [token]}, {"tokens": [token | {"token": {"x": SECRET}}]}):
        assert SECRET not in str(told(DeviceIn, body))


def test_a_type_that_pydantic_may_add_has_the_general_code() -> None:
    class Any(BaseModel):
        model_config = ConfigDict(extra="forbid")
        number: int

    (error,) = told(Any, {"number": "x"})
    assert error == {"field": "number", "code": "invalid_field", "detail": error["detail"]}


def test_of_one_in_a_list_the_field_is_named() -> None:
    web = {"kind": "webpush", "app_id": "https://app.example.com"}
    bad = {"kind": "phone", "value": "x"}
    ring = {"caller": {"id": "alice"}, "callees": ["bob"]}
    for model, body, field in (
        (RingIn, ring | {"callees": ["carol", {}]}, "callees.1.id"),
        (RingIn, ring | {"caller": {"id": "alice", "handle": bad}}, "caller.handle.value"),
        (DeviceIn, {"tokens": [web]}, "tokens.0.subscription"),
        (HandlesIn, {"handles": [bad]}, "handles.0.value"),
    ):
        (error,) = told(model, body)
        assert error["field"] == field
        assert not error["detail"].startswith(field.rpartition(".")[2])


@pytest.mark.parametrize(
    ("detail", "field", "said"),
    [
        ("user_id: an API key must say for which user", "user_id", "an API key must say for which user"),
        ("url: host: is missing", "url", "host: is missing"),
        ("Idempotency-Key: must be short", "Idempotency-Key", "must be short"),
        ("tokens.0.kind: is none", "tokens.0.kind", "is none"),
        ("the body is not valid JSON in UTF-8", "", "the body is not valid JSON in UTF-8"),
        ("This is a text: no key", "", "This is a text: no key"),
    ],
)  # fmt: skip
def test_what_a_service_refuses_has_its_field_too(detail: str, field: str, said: str) -> None:
    body = json.loads(problem_of(Invalid("some_code", detail)).body)
    assert body["errors"] == [{"field": field, "code": "some_code", "detail": said}]
    assert body["detail"] == detail
    assert "errors" not in json.loads(problem(409, "some_code", detail).body)


def test_a_time_that_is_none_is_told_in_our_words() -> None:
    """A leap second was "unexpected extra characters at the end of the input"."""
    times: TypeAdapter[Any] = TypeAdapter(Time)
    for text in (
        "2016-12-31T23:59:60Z", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "0000-01-01T00:00:00Z",
        "2026-01-01T24:00:00Z", "2026-01-01T00:60Z", "2026-01-01T00:00:00+24:00", "2026-01-00T00:00:00Z",
    ):  # fmt: skip
        with pytest.raises(ValidationError) as caught:
            times.validate_python(text)
        assert [one["msg"] for one in caught.value.errors()] == [NO_TIME], text
    for text in (
        "2026-01-01t00:00:00z", "2026-01-01 00:00Z", "2026-01-01T00:00:00.1-23:59", "2024-02-29T23:59:59Z",
        "2026-01-01T00:00:00.123456789Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-14:00",
    ):  # fmt: skip
        assert times.validate_python(text).tzinfo is not None, text
