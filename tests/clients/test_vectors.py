"""Both clients do what the shared vectors say, and the vectors are the server's own words."""

import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from jsonschema import Draft202012Validator
from ringline_client import WebhookRefused, sign_user_token, verify_webhook
from ringline_client.errors import error_of
from ringline_client.events import Lines, Position

from app import access
from app.events.registry import REGISTRY, schema_of
from tests.clients.vectors import FOLDER, NAMES, cases
from tests.contract.node import run

PHONES = Path(__file__).parents[1] / "devkit" / "phone" / "test_vectors.py"


def named(name: str) -> Any:
    return pytest.mark.parametrize("case", cases(name), ids=lambda case: case["name"])


def test_the_typescript_client_does_all_of_them(typescript_project: Path) -> None:
    shutil.copy(Path(__file__).with_name("vectors.mjs"), typescript_project)
    said = json.loads(run(typescript_project, "node", "vectors.mjs", VECTORS=str(FOLDER)))
    assert said == {"ran": {name: len(cases(name)) for name in NAMES}, "wrong": []}


@named("stream")
async def test_the_python_client_reads_streams(case: dict[str, Any]) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for chunk in case["chunks"]:
            yield chunk.encode()

    lines, position, found = Lines(), Position(case["after"]), []
    async for text in httpx.Response(200, content=chunks()).aiter_text():
        for event in lines.feed(text):
            told = {"id": event.id, "type": event.type, "body": event.body}
            found.append({**told, "new": position.takes(event)})
    assert found == case["messages"]
    assert (position.after, lines.retry * 1000) == (case["then"], case["retry"])


@named("answers")
def test_the_python_client_raises_what_an_answer_is(case: dict[str, Any]) -> None:
    assert (case["error"] is None) == (case["status"] < 400)
    if case["error"] is not None:
        raised = error_of(case["status"], case["body"])
        assert (type(raised).__name__, raised.code) == (case["error"], case["body"]["code"])


@named("webhooks")
def test_the_python_client_verifies_webhooks(case: dict[str, Any]) -> None:
    what = {name: case[name] for name in ("body", "headers", "secret", "now")}
    if case["good"]:
        assert verify_webhook(**what) == json.loads(case["body"])
    else:
        with pytest.raises(WebhookRefused):
            verify_webhook(**what)


@named("tokens")
def test_the_python_client_signs_tokens_that_the_server_reads(case: dict[str, Any]) -> None:
    what = {name: value for name, value in case.items() if name not in {"name", "token"}}
    assert sign_user_token(**what) == case["token"]
    claims = access.read_user_token(case["token"], case["secret"].encode(), case["now"])
    assert claims["sub"] == case["user_id"]
    assert jwt.get_unverified_header(case["token"])["kid"] == case["kid"]


def test_the_readme_says_who_runs_which() -> None:
    """A column for each client; a vector that no client ran would prove nothing."""
    python = set(re.findall(r'^@named\("(\w+)"\)', Path(__file__).read_text(), re.MULTILINE))
    phone = set(re.findall(r'\b(?:cases|vectors)\("(\w+)"\)', PHONES.read_text()))
    rows = re.findall(
        r"^\| `(\w+)\.json` \|.*?\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$",
        (FOLDER / "README.md").read_text(),
        re.MULTILINE,
    )
    assert {row[0] for row in rows} == NAMES
    for number, ran in enumerate((python, NAMES, phone), 1):
        assert {row[0] for row in rows if row[number].startswith("yes")} == ran
        assert all(re.match("yes|no: ", row[number]) for row in rows)


def test_the_events_of_the_vectors_are_events_of_the_servers() -> None:
    seen = set()
    for case in cases("screen"):
        for message in case["messages"]:
            if (entry := REGISTRY.get(message["type"])) is not None:
                schema = schema_of(entry)
                Draft202012Validator(schema).validate({"id": "evt_1", **message["body"]})
                seen.add(message["type"])
    assert {"ring.started", "ring.settled", "call.ended", "member.away", "member.left"} <= seen
