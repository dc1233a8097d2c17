"""The OpenAPI document: what FastAPI makes of the routes, and what it cannot know of itself."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI

from app.api.examples import add_examples
from app.api.problem_codes import CODES, codes_of
from app.events.registry import REGISTRY, schema_of
from app.http.problems import MOST_ERRORS, PROBLEM

DESCRIPTION = """A self-hosted ring service for apps with native call screens.

A backend sends an API key; an app a user token; a phone the call token of its push, and then the
member token of its accept. Each goes into `Authorization: Bearer`. Errors are problems (RFC 9457)
with a stable `code`. What would change what a request means and is not known, such as a
parameter or a field, is refused and never passed over.
"""
TAGS = {
    "calls": "Ring, read, accept, decline, end.",
    "devices": "Push tokens of phones, user tokens, erasure.",
    "users": "What users want of rings, and whom they have blocked.",
    "events": "Live streams, the timeline of a call, the types of events.",
    "webhooks": "Endpoints of the backend, and what they were sent.",
    "credentials": "What lets Ringline push for an app.",
    "settings": "A tenant's settings, API keys and signing secrets.",
    "audit": "Who did what, when and from where.",
    "health": "For load balancers.",
}
SCHEMES = {
    "apiKey": "an API key (`rl_sk_…`) of the tenant's backend",
    "userToken": "a user token: a JWT signed with the tenant's secret",
    "callToken": "a call token (`rl_ct_…`), from a push: good for its ring",
    "memberToken": "a member token (`rl_mt_…`), from an accept",
}
PARAMETERS = {
    "user_id": "which user; with an API key only, unless it is the token's own",
    "device_id": "the device, as its app names it",
    "blocked_id": "who is not to ring that user",
    "credential_id": "which credential",
    "key_id": "which API key, by the `id` it is listed with",
    "webhook_id": "which webhook",
    "event_id": "which event, by the `id` that webhooks are sent",
    "app_id": "only of this app",
    "confirm": "do it although it is the last working one",
    "target": "only what was done to this, such as `credential:ID`",
    "limit": "how many on a page",
    "cursor": "`next_cursor` of the page before",
    "state": "only those in this state",
    "reason": "only those that ended so",
    "type": "only of this call type",
    "since": "only from this time on",
    "until": "only before this time",
    "direction": "only those that the user made, or was called by",
    "missed": "only those that were missed, or were not",
}
"""What a parameter means wherever it stands, where its route does not say."""
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
            name = operation["operationId"]
            operation["security"] = _security(path, name)
            problems = {str(status): _problems(codes) for status, codes in codes_of(name).items()}
            if any(status[0] == "4" for status in problems):
                del operation["responses"]["4XX"]
            operation["responses"] |= problems
            if name in CONDITIONAL:
                operation["responses"]["200"]["headers"] = ETAG
                operation["responses"] |= NOT_MODIFIED
            for parameter in operation.get("parameters", ()):
                parameter.setdefault("description", PARAMETERS.get(parameter["name"]))
    schema["components"]["schemas"]["Problem"] = PROBLEM_SCHEMA
    schema["components"]["schemas"]["FieldProblem"] = FIELD_SCHEMA
    add_examples(schema["components"]["schemas"])
    schema["webhooks"] = {
        name: _webhook(name) for name, entry in REGISTRY.items() if not entry.of_user
    }
    return schema


CONDITIONAL = frozenset({"read_call"})
ETAG = {
    "ETag": {
        "description": "of the answer as it is (RFC 9110, 8.8.3)",
        "schema": {"type": "string", "maxLength": 100},
    }
}
NOT_MODIFIED = {
    "304": {
        "description": "as it was: `If-None-Match` has the `ETag` of what the client holds",
        "headers": ETAG,
    }
}
OF_CALL_TOKEN = frozenset({"read_call", "accept_call", "decline_call", "report_ring"})
OF_MEMBER_TOKEN = frozenset({"read_call", "heartbeat", "leave_call", "end_call"})
OF_NOBODY = frozenset({"activate_subscription"})
"""What its body alone lets one do."""
OF_USERS = ("/v1/calls", "/v1/devices", "/v1/events", "/v1/users", "/v1/web-push")


def _security(path: str, operation: str) -> list[dict[str, list[str]]]:
    if not path.startswith("/v1/") or operation in OF_NOBODY:
        return []
    kinds = ["apiKey"]
    if path.startswith(OF_USERS):
        kinds.append("userToken")
    if operation in OF_CALL_TOKEN:
        kinds.append("callToken")
    if operation in OF_MEMBER_TOKEN:
        kinds.append("memberToken")
    return [{kind: []} for kind in kinds]


PROBLEM_SCHEMA = {
    "type": "object",
    "description": "An error (RFC 9457). Some codes carry more members, such as `remedy`.",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "const": "about:blank", "description": "no page of its own"},
        "title": {"type": "string", "maxLength": 100, "description": "the code in words"},
        "status": {
            "type": "integer", "minimum": 400, "maximum": 599, "description": "the HTTP status",
        },
        "code": {
            "type": "string", "maxLength": 100, "pattern": "^[a-z_0-9]+$",
            "description": "stable, for programs",
        },
        "detail": {
            "type": "string", "maxLength": 10_000,
            "description": "what is wrong and what to do, for people",
        },
        "request_id": {
            "type": "string", "maxLength": 128,
            "description": "as in the header `X-Request-ID` and the server's log",
        },
        "errors": {
            "type": "array", "maxItems": MOST_ERRORS, "description": "with 422: each fault",
            "items": {"$ref": "#/components/schemas/FieldProblem"},
        },
    },
    "example": {
        "type": "about:blank", "title": "Call not found", "status": 404, "code": "call_not_found",
        "detail": "there is no such call",
    },
}  # fmt: skip
FIELD_SCHEMA = {
    "type": "object",
    "description": "What is wrong with one field.",
    "required": ["field", "code", "detail"],
    "properties": {
        "field": {"type": "string", "maxLength": 200, "description": "where, with dots between"},
        "code": {"type": "string", "maxLength": 100, "description": "stable, for programs"},
        "detail": {"type": "string", "maxLength": 10_000, "description": "what is wrong"},
    },
    "example": {"field": "callees.0", "code": "invalid_user_id", "detail": "must be 1 to 128 …"},
}
ACCEPTS = {
    "description": "what is taken in its place (RFC 9110, 15.5.16)",
    "schema": {"type": "string", "maxLength": 200},
}
RETRY_AFTER = {
    "description": "seconds after which another try can succeed",
    "schema": {"type": "integer", "minimum": 0, "maximum": 86_400},
}
RATE_LIMIT = {
    "description": "the rate limit that was met: what is left (r), seconds until there is more (t)",
    "schema": {"type": "string", "maxLength": 200},
}
RATE_LIMIT_POLICY = {
    "description": "its quota (q) within so many seconds (w); draft-ietf-httpapi-ratelimit-headers",
    "schema": {"type": "string", "maxLength": 200},
}
AUTHENTICATE = {
    "description": "how to authenticate (RFC 9110)",
    "schema": {"type": "string", "maxLength": 200},
}
HEADERS = {
    401: {"WWW-Authenticate": AUTHENTICATE},
    415: {"Accept": ACCEPTS, "Accept-Encoding": ACCEPTS},
    429: {
        "Retry-After": RETRY_AFTER,
        "RateLimit": RATE_LIMIT,
        "RateLimit-Policy": RATE_LIMIT_POLICY,
    },
    503: {"Retry-After": RETRY_AFTER},
}


def _problems(codes: Sequence[str]) -> dict[str, Any]:
    """A response that tells one of these codes, which have one status."""
    status = CODES[codes[0]][0]
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {code: {"value": _example(code)} for code in codes},
    }
    found = {"description": ", ".join(f"`{code}`" for code in codes), "content": {PROBLEM: content}}
    return found | ({"headers": HEADERS[status]} if status in HEADERS else {})


def _example(code: str) -> dict[str, Any]:
    status, detail = CODES[code]
    title = code.replace("_", " ").capitalize()
    return {
        "type": "about:blank", "title": title, "status": status, "code": code, "detail": detail
    }  # fmt: skip


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
