"""Every answer that a test's client gets is one that the OpenAPI declares for its operation.

Its status, its headers, and its body: members that a model does not name count as well, though a
client of a newer server has to pass over them.
"""

import re
from functools import cache
from typing import Any, NamedTuple

import httpx
import jsonschema_rs

from app.api.problem_codes import codes_of
from clients.generator.document import openapi

USUAL = {
    "cache-control", "connection", "content-length", "content-type", "date", "server", "vary",
    "x-content-type-options", "x-request-id",
}  # fmt: skip
"""Headers that any answer may have."""


class Answer(NamedTuple):
    """What an operation may answer with one status: its headers, and its body by media type."""

    headers: frozenset[str]
    body: dict[str, jsonschema_rs.Draft202012Validator]


@cache
def operations() -> list[tuple[str, re.Pattern[str], str]]:
    """(method, path, name) of each operation, plain paths before those with places."""
    found = []
    document = openapi()
    for path in sorted(document["paths"], key=lambda one: one.count("{")):
        pattern = re.compile("[^/]+".join(map(re.escape, re.split(r"\{[^}]+\}", path))))
        for method, operation in document["paths"][path].items():
            found.append((method.upper(), pattern, operation["operationId"]))
    return found


def operation_at(method: str, path: str) -> str | None:
    """The name of what is asked for so, if it is an operation."""
    for known, pattern, name in operations():
        if known == method and pattern.fullmatch(path):
            return name
    return None


def undeclared(method: str, path: str, status: int, code: str) -> str | None:
    """What is wrong with this refusal, if it is an operation's."""
    name = operation_at(method, path)
    if name is None or code in codes_of(name).get(status, ()):
        return None
    return f"{name} told {status} {code}: declare it in app/api/problem_codes.py"


@cache
def answer_of(name: str, status: int) -> Answer | None:
    """What an operation may answer with this status; None where it may not."""
    document = openapi()
    [responses] = [
        operation["responses"]
        for path in document["paths"].values()
        for operation in path.values()
        if operation["operationId"] == name
    ]
    said = responses.get(str(status)) or responses.get(f"{status // 100}XX")
    if said is None:
        return None
    components = {"components": closed(document["components"])}
    return Answer(
        frozenset(one.lower() for one in said.get("headers", ())),
        {
            kind: jsonschema_rs.Draft202012Validator(components | closed(content["schema"]))
            for kind, content in said.get("content", {}).items()
        },
    )


def closed(schema: Any) -> Any:
    """A schema whose objects have no members but those that are named; problems may carry more."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(one) for key, one in schema.items() if key not in {"example", "examples"}}
    named = schema.get("properties")
    if schema.get("type") == "object" and named and "code" not in named:
        found.setdefault("additionalProperties", False)
    return found


def unlike(name: str, response: httpx.Response) -> str | None:
    """What in an answer, which has been read, is not as its operation declares it."""
    where = f"{name} answered {response.status_code}"
    declared = answer_of(name, response.status_code)
    if declared is None:
        return f"{where}, which it does not declare"
    if more := set(response.headers) - USUAL - declared.headers:
        return f"{where} with headers that it does not declare: {sorted(more)}"
    if not declared.body:
        return f"{where} with a body, though none is declared" if response.content else None
    kind = response.headers.get("content-type", "").partition(";")[0]
    if kind not in declared.body:
        return f"{where} as {kind!r}, which it does not declare"
    if kind.endswith("json"):
        for error in declared.body[kind].iter_errors(response.json()):
            return f"{where}: {error.message} (at {error.instance_path}): {response.text[:500]}"
    return None


async def declared(response: httpx.Response) -> None:
    """A client's hook: fails the test that was answered in a way that is not declared."""
    path = response.request.url.raw_path.decode().partition("?")[0]
    name = operation_at(response.request.method, path)
    kind = response.headers.get("content-type", "")
    if name is None or kind.startswith("text/event-stream"):
        return
    await response.aread()
    if kind == "application/problem+json" and response.status_code != 500:
        code = response.json()["code"]
        wrong = undeclared(response.request.method, path, response.status_code, code)
        assert wrong is None, wrong
    if response.status_code < 500 or response.status_code == 503:
        found = unlike(name, response)
        assert found is None, found
