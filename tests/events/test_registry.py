"""Each type of event is written down once, with data that are what the code says."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from jsonschema import Draft202012Validator

from app.core.event import EventType, TenantEventType, UserEventType, envelope
from app.events.reference import files
from app.events.registry import REGISTRY, Entry, example_of, schema_of
from tests.core.test_event_paths import events
from tests.events.schemas import faults

ROOT = Path(__file__).resolve().parents[2]


def test_every_type_has_an_entry_and_no_entry_is_of_no_type() -> None:
    assert list(REGISTRY) == [str(one) for one in (*EventType, *TenantEventType, *UserEventType)]


@pytest.mark.parametrize("entry", REGISTRY.values(), ids=list(REGISTRY))
def test_an_example_is_what_its_schema_says(entry: Entry) -> None:
    assert entry.about.endswith(".")
    entry.data.model_validate(entry.example)
    assert set(entry.example) <= set(entry.data.model_fields), "an example says only what is known"
    schema, example = schema_of(entry), example_of(entry)
    assert set(schema["required"]) <= set(example) <= set(schema["properties"])
    assert schema["$schema"].endswith("2020-12/schema")
    Draft202012Validator.check_schema(schema)
    assert list(Draft202012Validator(schema).iter_errors(example)) == []


def test_what_decisions_tell_is_what_the_schemas_say() -> None:
    for n, event in enumerate(events()):
        told = envelope(
            session_id=uuid4(), cid="default:x", seq=n + 1, kind=event.type, at=event.at,
            data=event.data,
        )  # fmt: skip
        assert faults(json.loads(json.dumps(told))) == []


def test_the_pages_are_those_that_the_code_makes() -> None:
    """`make reference` writes them anew."""
    for path, text in files().items():
        assert (ROOT / path).read_text() == text, f"{path}: run `make reference`"
    kept = {str(p.relative_to(ROOT)) for p in (ROOT / "docs" / "events").rglob("*") if p.is_file()}
    assert kept == set(files())
    assert json.loads(files()["docs/events/call.ended.json"])["title"] == "call.ended"
