"""The reference of the API that a server shows at `/docs`."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from app.api.openapi import PROBLEM_SCHEMA
from app.api.problem_codes import CODES, OF_OPERATION
from app.infra.settings import Settings
from app.main import create_app

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reference() -> dict[str, Any]:
    app = create_app(Settings(environment="development"))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ringline.test") as client:
        assert (await client.get("/docs")).status_code == 200
        answer = await client.get("/openapi.json")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def test_it_has_every_request_that_the_readme_names(reference: dict[str, Any]) -> None:
    assert not [one for one in reference["paths"] if one.startswith(("/dashboard", "/lab"))]
    paths = [re.sub(r"\{[^}]+\}", "{}", path) for path in reference["paths"]]
    named = set(re.findall(r"`(?:[A-Z]+ )+(/v1/[^`?]+)`", README))
    assert len(named) > 8
    for path in named:
        assert re.sub(r"\{[^}]+\}", "{}", path) in paths, path
    acts = re.search(r"`\.\.\./([a-z ]+)`", README)
    assert acts is not None
    for act in acts.group(1).split():
        assert f"/v1/calls/{{reference}}/{act}" in reference["paths"]


async def test_it_describes_errors_as_they_are(reference: dict[str, Any]) -> None:
    for path, methods in reference["paths"].items():
        for operation in methods.values():
            for status, said in operation["responses"].items():
                if status[0] in "45" and path.startswith("/v1/"):
                    content = said["content"]["application/problem+json"]
                    assert content["schema"]["$ref"].endswith("/Problem"), "not FastAPI's own shape"
                    examples = content["examples"]
                    assert {one["value"]["code"] for one in examples.values()} == set(examples)
                    assert {one["value"]["status"] for one in examples.values()} == {int(status)}
            if path.startswith("/v1/"):
                known = {"403"} if operation["security"] else set()
                assert {"401", "503"} | known <= set(operation["responses"])
                assert "Retry-After" in operation["responses"]["503"]["headers"]
    app = create_app(Settings(environment="development"))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ringline.test") as client:
        answer = await client.get("/nothing-here")
    assert answer.headers["content-type"] == "application/problem+json"
    said = set(answer.json())
    assert set(PROBLEM_SCHEMA["required"]) <= said <= set(PROBLEM_SCHEMA["properties"])


def test_each_code_that_is_declared_is_told_somewhere_and_each_is_of_an_operation() -> None:
    app = Path(__file__).resolve().parent.parent / "app"
    told = "".join(
        path.read_text() for path in app.rglob("*.py") if path.name != "problem_codes.py"
    )
    made = {"invalid_custom", "custom_too_large"}  # of the field's name
    nowhere = [code for code in CODES if f'"{code}"' not in told.replace('"ringline_', '"')]
    assert set(nowhere) <= made
    declared = {code for codes in OF_OPERATION.values() for code in codes.split()}
    assert declared - CODES.keys() == set()
