"""What a tenant may set: each app once, and a fault named by its own field."""

import pytest
from pydantic import ValidationError

from app.http.problems import field_errors
from app.infra.fields import AT_REST
from app.tenants.schemas import TenantSettings


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("profiles", ("stream", "ringline")),
        ("android_profiles", ("stream", "ringline")),
        ("templates", ({"uuid": "{{uuid}}"}, {"id": "{{uuid}}"})),
        ("alert_rings", (4, 5)),
    ],
)
def test_an_app_in_two_spellings_is_refused(field: str, values: tuple[object, object]) -> None:
    """The later one won, in silence: which that is nobody can tell from a JSON object."""
    both = {field: dict(zip(("com.Example.App", "com.example.app.voip"), values, strict=True))}
    with pytest.raises(ValidationError) as caught:
        TenantSettings.model_validate(both)
    [told] = field_errors(caught.value.errors())
    assert (told["field"], told["code"]) == (field, "invalid_app_id")
    assert told["detail"] == "com.Example.App and com.example.app.voip are one app"


def test_what_rests_is_read_as_it_is() -> None:
    stored = {"profiles": {"com.Example.App": "stream", "com.example.app": "stream"}}
    assert len(TenantSettings.model_validate(stored, context=AT_REST).profiles) == 2


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"limits": {"away": 300}}, "limits.removed"),
        ({"call_types": {"a-b": {"away": 200}}}, "call_types.a-b.removed"),
        (
            {"notifications": {"meeting": {"activation": {"title": "x"}}}},
            "notifications.meeting.activation",
        ),
    ],
)
def test_what_disagrees_is_told_by_its_field(values: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TenantSettings.model_validate(values)
    [told] = field_errors(caught.value.errors())
    assert told["field"] == field
    assert not told["detail"].startswith(field)
