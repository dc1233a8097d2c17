"""The reference of the API as a page of our own."""

import re

import httpx

from app.api.docs_page import render
from app.http.pages import POLICY
from app.infra.settings import Settings
from app.main import create_app


async def test_it_tells_every_operation_model_and_event_and_loads_nothing_of_others() -> None:
    app = create_app(Settings(environment="development"))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ringline.test") as client:
        page = await client.get("/docs")
        assert page.headers["content-security-policy"] == POLICY
        loaded = re.findall(r'<(?:link|script|img)[^>]*(?:href|src)="([^"]+)"', page.text)
        assert loaded
        for path in loaded:
            found = await client.get(path)
            assert (path[0], found.status_code) == ("/", 200)
            assert "immutable" in found.headers["cache-control"]
        assert (await client.get(loaded[0].rpartition("/")[0] + "/docs.html")).status_code == 404
    document = app.openapi()
    ids = {one["operationId"] for path in document["paths"].values() for one in path.values()} | {
        f"model-{name}" for name in document["components"]["schemas"]
    }
    targets = set(re.findall(r'id="([^"]+)"', page.text))
    assert ids <= targets
    assert set(re.findall(r'href="#([^"]+)"', page.text)) <= targets
    assert all(f"<code>{name}</code>" in page.text for name in document["webhooks"])
    assert "<script" not in render(document | {"info": {**document["info"], "title": "<script>"}})
