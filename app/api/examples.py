"""An example of each model, made of what its fields say."""

from collections.abc import Mapping
from typing import Any, Final

BY_FORMAT: Final = {
    "date-time": "2026-11-21T08:00:00.123Z",
    "uuid": "0198f7e2-8d0e-7a3b-9b7c-2f8f6f0d9a11",
    "uri": "https://example.com/",
}


def add_examples(models: Mapping[str, dict[str, Any]]) -> None:
    """Give each model that has none its example."""
    for schema in models.values():
        if "example" not in schema and "examples" not in schema:
            schema["examples"] = [example_of(schema, models)]


def example_of(schema: Mapping[str, Any], models: Mapping[str, Any]) -> Any:
    """What a schema describes: its own example or default, else one made of its parts."""
    if "$ref" in schema:
        return example_of(models[schema["$ref"].rpartition("/")[2]], models)
    if "examples" in schema:
        return schema["examples"][0]
    for word in ("example", "const"):
        if word in schema:
            return schema[word]
    if schema.get("default") is not None:
        return schema["default"]
    if "enum" in schema:
        return schema["enum"][0]
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return example_of(schema[word][0], models)
    return _of_type(schema, models)


def _of_type(schema: Mapping[str, Any], models: Mapping[str, Any]) -> Any:
    match schema.get("type"):
        case "object":
            parts = schema.get("properties", {}).items()
            wanted = ((name, part) for name, part in parts if _is_shown(name, part, schema))
            return {name: example_of(part, models) for name, part in wanted}
        case "array":
            return [example_of(schema["items"], models)]
        case "string":
            return BY_FORMAT.get(schema.get("format", ""), "…")
        case "integer" | "number":
            return max(schema.get("minimum", 0), 0)
        case "boolean":
            return False
    return None


def _is_shown(name: str, part: Mapping[str, Any], whole: Mapping[str, Any]) -> bool:
    """What need not be given, and says no example of itself, is left out."""
    return name in whole.get("required", ()) or "examples" in part
