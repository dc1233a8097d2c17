"""The OpenAPI document: what FastAPI makes of the routes, and what it cannot know of itself."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI

from app.events.registry import REGISTRY, schema_of

DESCRIPTION = """A self-hosted ring service for apps with native call screens.

A backend sends an API key; an app a user token; a phone the call token of its push, and then the
member token of its accept. Each goes into `Authorization: Bearer`. Errors are problems (RFC 9457)
with a stable `code`.
"""
TAGS = {
    "calls": "Ring, read, accept, decline, end.",
    "devices": "Push tokens of phones, user tokens, erasure.",
    "events": "Live streams, the timeline of a call, the types of events.",
    "webhooks": "Endpoints of the backend, and what they were sent.",
    "credentials": "What lets Ringline push for an app.",
    "settings": "A tenant's settings and signing secrets.",
    "audit": "Who did what, when and from where.",
    "health": "For load balancers.",
}
SCHEMES = {
    "apiKey": "an API key (`rl_sk_…`) of the tenant's backend",
    "userToken": "a user token: a JWT signed with the tenant's secret",
    "callToken": "a call token (`rl_ct_…`), from a push: good for its ring",
    "memberToken": "a member token (`rl_mt_…`), from an accept",
}
LICENCE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}


def install(app: FastAPI) -> None:
    """Have this app describe itself so; made once."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _completed(plain())
        return app.openapi_schema

    app.openapi = described  # type: ignore[method-assign]


def _completed(schema: dict[str, Any]) -> dict[str, Any]:
    schema["info"] |= {"description": DESCRIPTION, "license": LICENCE}
    schema["servers"] = [{"url": "/", "description": "this server"}]
    schema["tags"] = [{"name": name, "description": about} for name, about in TAGS.items()]
    schema["components"]["securitySchemes"] = {
        name: {"type": "http", "scheme": "bearer", "description": about}
        for name, about in SCHEMES.items()
    }
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["security"] = _security(path, operation["operationId"])
    schema["webhooks"] = {name: _webhook(name) for name in REGISTRY}
    return schema


OF_CALL_TOKEN = frozenset({"read_call", "accept_call", "decline_call", "report_ring"})
OF_MEMBER_TOKEN = frozenset({"read_call", "heartbeat", "leave_call", "end_call"})
OF_USERS = ("/v1/calls", "/v1/devices", "/v1/events", "/v1/users")


def _security(path: str, operation: str) -> list[dict[str, list[str]]]:
    if not path.startswith("/v1/"):
        return []
    kinds = ["apiKey"]
    if path.startswith(OF_USERS):
        kinds.append("userToken")
    if operation in OF_CALL_TOKEN:
        kinds.append("callToken")
    if operation in OF_MEMBER_TOKEN:
        kinds.append("memberToken")
    return [{kind: []} for kind in kinds]


def _webhook(name: str) -> dict[str, Any]:
    entry = REGISTRY[name]
    schema = schema_of(entry)
    schema.pop("$schema")
    definitions = schema.pop("$defs", {})
    schema["properties"]["data"] = _inlined(schema["properties"]["data"], definitions)
    return {
        "post": {
            "operationId": f"on_{name.replace('.', '_')}",
            "summary": entry.about,
            "tags": ["events"],
            "security": [],
            "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
            "responses": {
                "2XX": {"description": "taken"},
                "4XX": {"description": "not taken: tried again, for a day at most"},
            },
        }
    }


def _inlined(value: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema with every definition where it is named."""
    if isinstance(value, dict):
        if "$ref" in value:
            return _inlined(definitions[value["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(inner, definitions) for key, inner in value.items()}
    if isinstance(value, list):
        return [_inlined(inner, definitions) for inner in value]
    return value
