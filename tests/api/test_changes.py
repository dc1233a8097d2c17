"""A change names what is to be another, and nothing can be made null."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError

from app.infra.fields import Change
from app.infra.settings import Settings
from app.main import create_app

WHOSE = {"user_id"}
"""Says whom a change is of, as everywhere, and nothing that is changed."""


def flat(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """All of them, also those of routers that are included as they are."""
    for one in routes:
        if isinstance(one, APIRoute):
            yield one
        elif (inner := getattr(one, "original_router", None)) is not None:
            yield from flat(inner.routes)


def bodies() -> dict[str, type[BaseModel]]:
    """By path, what each PATCH takes."""
    app = create_app(Settings(environment="development"))
    patches = [one for one in flat(app.routes) if "PATCH" in one.methods]
    return {one.path: one.body_field.field_info.annotation for one in patches if one.body_field}


def test_no_field_that_a_patch_changes_takes_null() -> None:
    found = bodies()
    assert len(found) >= 2
    for path, body in found.items():
        schema: dict[str, Any] = body.model_json_schema()
        for name, field in schema["properties"].items():
            if name in WHOSE:
                continue
            said = [one.get("type") for one in field.get("anyOf", [field])]
            assert "null" not in said, f"{path} says that {name} may be null"
            assert "default" not in field, f"{path} says what {name} becomes that is not sent"
            with pytest.raises(ValidationError) as refused:
                body.model_validate({name: None})
            assert name in {error["loc"][0] for error in refused.value.errors()}, path


def test_a_change_is_what_was_sent() -> None:
    from app.webhooks.schemas import ChangeIn

    assert issubclass(ChangeIn, Change)
    assert ChangeIn.model_validate({}).changes() == {}
    assert ChangeIn.model_validate({"enabled": False}).changes() == {"enabled": False}
    assert ChangeIn.model_validate({"description": ""}).changes() == {"description": ""}
