"""`/docs`: the reference of the API as one page of our own, made of the OpenAPI; no script, no CDN.

It is made once, when it is first asked for, and carries the dashboard's policy.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from app.api.examples import example_of
from app.core.frozen import frozen
from app.http.pages import HEADERS, read_files
from app.infra.errors import NotFound

HERE: Final = Path(__file__).resolve().parent / "docs"
STATIC: Final = read_files(sorted(HERE.iterdir()))
RANGES: Final = (
    ("minLength", "maxLength", " characters"),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " members"),
    ("minimum", "maximum", ""),
)


@frozen
class Field:
    """A row of a table: a member of a model, or a parameter."""

    name: str
    type: Markup
    about: str
    bounds: str
    required: bool


@frozen
class Body:
    """What is sent, or answered: links to its models, and an example."""

    types: Markup
    example: str


@frozen
class Operation:
    """One operation, as the page shows it. `problems`: (status, codes)."""

    id: str
    method: str
    path: str
    about: str
    who: tuple[str, ...]
    fields: tuple[Field, ...]
    sent: Body | None
    status: str
    answered: Body | None
    problems: tuple[tuple[str, tuple[str, ...]], ...]


def install(app: FastAPI) -> None:
    """Serve the page and its style sheet."""

    @lru_cache(maxsize=1)
    def page() -> str:
        return render(app.openapi())

    async def docs(_request: Request) -> Response:
        return Response(page(), media_type="text/html", headers=HEADERS)

    async def static(request: Request) -> Response:
        found = STATIC.answer(request.path_params["name"])
        if found is None:
            raise NotFound("not_found", "there is no such file")
        return found

    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route(f"/docs/{STATIC.version}/{{name}}", static, include_in_schema=False)


def render(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document."""
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["code"] = code
    models = document["components"]["schemas"]
    return made.get_template("docs.html").render(
        static=f"/docs/{STATIC.version}",
        info=document["info"],
        tags=[(tag, _of_tag(document, tag["name"])) for tag in document["tags"]],
        schemes=document["components"]["securitySchemes"],
        models=[(name, models[name], fields_of(models[name])) for name in sorted(models)],
        events=[(name, one["post"]["summary"]) for name, one in document["webhooks"].items()],
    )


def code(text: str) -> Markup:
    """Text with what stands between backticks as code."""
    parts = str(text).split("`")
    marked = (
        Markup("<code>{}</code>").format(one) if n % 2 else one for n, one in enumerate(parts)
    )
    return Markup("").join(marked)


def _of_tag(document: Mapping[str, Any], tag: str) -> list[Operation]:
    return [
        _operation(method.upper(), path, operation, document["components"]["schemas"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if tag in operation["tags"]
    ]


def _operation(
    method: str, path: str, said: Mapping[str, Any], models: Mapping[str, Any]
) -> Operation:
    answers = said["responses"]
    status = next(one for one in answers if one[0] == "2")
    return Operation(
        id=said["operationId"],
        method=method,
        path=path,
        about=said["description"],
        who=tuple(name for one in said.get("security", ()) for name in one),
        fields=tuple(_parameter(one) for one in said.get("parameters", ())),
        sent=_body(said.get("requestBody", {}), models),
        status=status,
        answered=_body(answers[status], models),
        problems=tuple(
            (one, tuple(answer["content"]["application/problem+json"]["examples"]))
            for one, answer in answers.items()
            if one[0] in "45" and "X" not in one
        ),
    )


def _body(said: Mapping[str, Any], models: Mapping[str, Any]) -> Body | None:
    schema = said.get("content", {}).get("application/json", {}).get("schema")
    if schema is None:
        return None
    example = json.dumps(example_of(schema, models), indent=2, ensure_ascii=False)
    return Body(type_of(schema), example)


def _parameter(said: Mapping[str, Any]) -> Field:
    where = {"header": " (header)", "query": " (query)"}.get(said["in"], "")
    return Field(
        said["name"] + where,
        type_of(said["schema"]),
        said["description"],
        bounds_of(said["schema"]),
        said.get("required", False),
    )


def fields_of(model: Mapping[str, Any]) -> list[Field]:
    """The members of a model."""
    required = model.get("required", ())
    return [
        Field(name, type_of(part), part.get("description", ""), bounds_of(part), name in required)
        for name, part in model.get("properties", {}).items()
    ]


def type_of(schema: Mapping[str, Any]) -> Markup:
    """A schema in a few words; a model is a link to where it is told."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return Markup('<a href="#model-{0}">{0}</a>').format(name)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return Markup(" or ").join(type_of(one) for one in schema[word])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return Markup(", ").join(Markup("<code>{}</code>").format(json.dumps(v)) for v in values)
    kind = schema.get("type", "anything")
    if kind == "array":
        return Markup("array of {}").format(type_of(schema["items"]))
    return Markup("{}").format(f"{kind} ({schema['format']})" if "format" in schema else kind)


def bounds_of(schema: Mapping[str, Any]) -> str:
    """The bounds of a value, in words."""
    parts = [schema, *schema.get("anyOf", ())]
    said = [
        f"{one.get(least, 0):,} to {one[most]:,}{unit}"
        for one in parts
        for least, most, unit in RANGES
        if most in one
    ]
    if schema.get("default") is not None:
        said.append(f"default {json.dumps(schema['default'])}")
    return ", ".join(said)
