"""The reference of the API that a server shows at `/docs`."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.http.problems import RESPONSES
from app.infra.settings import Settings
from app.main import create_app

README = (Path(__file__).resolve().parent.parent / "README.md").read_text()


@pytest.fixture
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
            assert "4XX" in operation["responses"], path
            assert "422" not in operation["responses"], "FastAPI's own shape, which is not ours"
    app = create_app(Settings(environment="development"))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ringline.test") as client:
        answer = await client.get("/nothing-here")
    described = RESPONSES["4XX"]["content"][answer.headers["content-type"]]["schema"]
    assert set(described["required"]) <= set(answer.json()) <= set(described["properties"])
