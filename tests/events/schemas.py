"""What real events say, held against the JSON Schemas of their types."""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from app.events.registry import REGISTRY, example_of, schema_of


@cache
def validator(kind: str) -> Draft202012Validator:
    """By the type's own schema, which says what it names and nothing else may stand in `data`."""
    return Draft202012Validator(_strict(schema_of(REGISTRY[kind])))


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        closed = (
            {"additionalProperties": False} if value.get("additionalProperties") is True else {}
        )
        return {key: _strict(inner) for key, inner in value.items()} | closed
    return [_strict(one) for one in value] if isinstance(value, list) else value


def faults(event: dict[str, Any]) -> list[str]:
    """What is wrong with an event as a webhook is sent it; one of no type of ours has no schema."""
    if event["type"] not in REGISTRY:
        return []
    found = validator(event["type"]).iter_errors(event)
    return [f"{event['type']}: {one.json_path}: {one.message}" for one in found]


def data_faults(kind: str, data: dict[str, Any]) -> list[str]:
    """The same of an event's data as its row holds it."""
    told = example_of(REGISTRY[kind]) | {"data": json.loads(json.dumps(data, default=str))}
    return faults(told)
