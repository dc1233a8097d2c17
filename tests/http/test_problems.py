"""Errors name the field and the way out, and never repeat what was sent."""

from pydantic import BaseModel, ConfigDict, ValidationError

from app.calls.schemas import RingIn
from app.devices.schemas import DeviceIn
from app.http.problems import field_errors

SECRET = "ab" * 40


def told(model: type[BaseModel], body: object) -> list[dict[str, str]]:
    try:
        model.model_validate(body)
    except ValidationError as error:
        return field_errors(error.errors())
    raise AssertionError("it was taken")


def test_a_check_of_several_fields_names_the_one_that_is_wrong() -> None:
    (error,) = told(RingIn, {"caller": {"id": "alice"}, "callees": ["alice"]})
    assert error["field"] == "callees"
    assert error["code"] == "caller_among_callees"
    assert "cannot be rung" in error["detail"]


def test_a_body_that_is_no_object_is_told_what_to_send() -> None:
    for body in (None, [1], "text", 3):
        (error,) = told(RingIn, body)
        assert "application/json" in error["detail"]


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
