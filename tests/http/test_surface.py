"""What the outside of the server does not give away."""

import contextlib

from tests.apps import app_of
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site, post


async def test_no_trace_and_no_listing(site: Site) -> None:
    visitor = await site.visitor()
    for path in ("/", "/v1/calls", "/dashboard/sign-in", "/healthz"):
        assert (await visitor.request("TRACE", path)).status_code == 405, path
    for path in ("/dashboard/static", "/dashboard/static/", "/dashboard/static/x/", "/.git/config"):
        answer = await visitor.get(path)
        assert answer.status_code in {303, 404}, path
        assert "ringline.css" not in answer.text.split("<body>")[-1]


async def test_what_may_be_asked_of_a_path_is_told_whole(site: Site) -> None:
    visitor = await site.visitor()
    for path, methods in (
        ("/v1/calls", "GET, HEAD, POST"),
        ("/v1/settings", "GET, HEAD, PUT"),
        ("/v1/users/%40a%2Fb/blocks/bob", "DELETE, PUT"),
        ("/v1/devices/unregister", "DELETE, PATCH, POST"),
        ("/v1/events", "GET"),
        ("/v1/events/types", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
    ):
        answer = await visitor.request("TRACE", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods), path


async def test_other_origins_read_nothing(settings, runtime) -> None:
    named = settings.model_copy(update={"cors_origins": ["https://app.example.com"]})
    app = app_of(named)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        visitor = await Site(app, runtime, stack).visitor()
        for origin, allowed in (
            ("https://app.example.com", "https://app.example.com"),
            ("https://evil.example", None),
            ("null", None),
        ):
            answer = await visitor.get("/v1/settings", headers={"Origin": origin})
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in answer.headers


async def test_a_page_of_another_origin_may_read_what_its_client_goes_by(settings, runtime) -> None:
    """By `Date` the client sets its clock, by `Retry-After` it waits; a browser hides what is not named."""
    page = {"Origin": "https://app.example.com"}
    app = app_of(settings.model_copy(update={"cors_origins": ["https://app.example.com"]}))
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        visitor = await Site(app, runtime, stack).visitor()
        answer = await visitor.get("/v1/settings", headers=page)
        exposed = set(answer.headers["access-control-expose-headers"].lower().split(", "))
        assert {"date", "retry-after", "etag", "x-request-id"} <= exposed
        for asked in ("traceparent", "if-none-match", "last-event-id, authorization"):
            wish = {
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": asked,
            }
            assert (await visitor.options("/v1/calls", headers=page | wish)).status_code == 200, (
                asked
            )


async def test_the_api_takes_no_cookie(site: Site) -> None:
    owner = await site.admin()
    for method, path in (("GET", "/v1/settings"), ("PUT", "/v1/settings"), ("POST", "/v1/calls")):
        assert (await owner.request(method, path, json={})).status_code == 401, path


async def test_signing_out_clears_what_the_browser_kept(site: Site) -> None:
    answer = await post(await site.admin(), "/dashboard/sign-out")
    assert answer.headers["clear-site-data"] == '"cache", "storage"'
