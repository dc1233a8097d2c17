"""What both clients are made from: the OpenAPI document, as operations and fields."""

import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.http.unread import HARMLESS
from app.infra.settings import Settings
from app.main import create_app

MADE = "Made from the OpenAPI document by `make reference`: change the server, not this file."
RENAMED = {"Warning_": "Notice"}
BY_HAND = frozenset({"stream_events"})
LEFT_OUT = frozenset({"health"})

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One member of an object, or one argument. `needed`: it is always there."""

    name: str
    schema: Schema
    needed: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One request, as both languages write it. `item`: the field of a page that has its rows."""

    name: str
    method: str
    path: str
    about: str
    in_path: tuple[str, ...]
    query: tuple[Field, ...]
    body: Schema | None
    body_needed: bool
    keyed: bool
    repeatable: bool
    answer: Schema | None
    item: str | None


@functools.cache
def openapi() -> dict[str, Any]:
    """The document of this tree's server, made once: half a second. Nobody changes it."""
    document = create_app(Settings(environment="development")).openapi()
    found: dict[str, Any] = json.loads(json.dumps(document))
    return found


def type_name(schema_name: str) -> str:
    """`CallOut` reads `Call`; what is sent keeps its `In`, so that the two never meet."""
    return RENAMED.get(schema_name, schema_name.removesuffix("Out"))


def fields(schema: Schema) -> list[Field]:
    """The members of an object, those that are always there first."""
    needed = set(schema.get("required", ()))
    found = [Field(n, s, n in needed) for n, s in schema.get("properties", {}).items()]
    return sorted(found, key=lambda field: not field.needed)


def operations(document: Schema) -> Iterator[Operation]:
    """Every operation of the document, in its order."""
    schemas = document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, said in methods.items():
            if said["operationId"] not in BY_HAND and said["tags"][0] not in LEFT_OUT:
                yield _operation(path, method.upper(), said, schemas)


def _operation(path: str, method: str, said: Schema, schemas: Schema) -> Operation:
    parameters = said.get("parameters", [])
    query = [
        Field(one["name"], one["schema"], one.get("required", False))
        for one in parameters
        if one["in"] == "query"
    ]
    body = said.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    good = next(one for code, one in said["responses"].items() if code.startswith("2"))
    answer = good.get("content", {}).get("application/json", {}).get("schema")
    paged = any(field.name == "cursor" for field in query)
    return Operation(
        name=said["operationId"],
        method=method,
        path=path,
        about=said.get("description") or said["summary"],
        in_path=tuple(one["name"] for one in parameters if one["in"] == "path"),
        query=tuple(field for field in query if field.name != "cursor"),
        body=_object(body, schemas),
        body_needed=said.get("requestBody", {}).get("required", False),
        keyed=any(one["name"].lower() == "idempotency-key" for one in parameters),
        repeatable=method != "POST" or said["tags"][0] in HARMLESS,
        answer=answer,
        item=_rows(answer, schemas) if paged else None,
    )


def _object(schema: Schema | None, schemas: Schema) -> Schema | None:
    """The object behind a body's schema, with its name; None where nothing is sent."""
    if schema is None:
        return None
    options = schema.get("anyOf", [schema])
    name = next(one["$ref"] for one in options if "$ref" in one).rpartition("/")[2]
    return {**schemas[name], "name": name}


def _rows(answer: Schema, schemas: Schema) -> str:
    page = schemas[answer["$ref"].rpartition("/")[2]]
    found: str = next(n for n, s in page["properties"].items() if s.get("type") == "array")
    return found


def row_type(operation: Operation, schemas: Schema) -> Schema:
    """The schema of a page's rows."""
    assert operation.answer is not None
    page = schemas[operation.answer["$ref"].rpartition("/")[2]]
    found: Schema = page["properties"][operation.item]["items"]
    return found


def value_schema(schema: Schema) -> Schema:
    """What an object that is a table has for each key."""
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        return more
    return next(iter(schema.get("patternProperties", {}).values()), {})
