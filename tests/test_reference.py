"""The API reference at `/docs`: it can be made, and tells of every address."""

import httpx

from app.main import create_app
from app.settings import Settings


async def test_the_reference_can_be_read_and_has_what_the_readme_names() -> None:
    app = create_app(Settings(environment="development"))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        reference = await client.get("/openapi.json")
        assert reference.status_code == 200, reference.text
        assert "swagger" in (await client.get("/docs")).text
    paths = reference.json()["paths"]
    for path in ("/v1/calls", "/v1/devices", "/v1/events", "/v1/credentials", "/v1/webhooks"):
        assert path in paths
    assert not [path for path in paths if path.startswith(("/dashboard", "/lab"))]
