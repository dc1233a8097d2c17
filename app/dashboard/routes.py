"""All pages of the dashboard, its static files, and what answers where there is nothing."""

from fastapi import APIRouter, Depends, FastAPI, Response
from fastapi.responses import RedirectResponse

from app.dashboard import (
    routes_calls,
    routes_credentials,
    routes_me,
    routes_notifications,
    routes_overview,
    routes_people,
    routes_removal,
    routes_runbook,
    routes_settings,
    routes_users,
    routes_webhooks,
)
from app.dashboard.access import shown
from app.dashboard.pages import BASE, STATIC, FileRoute, PageRoute, nothing_here

ASSETS = APIRouter(prefix=BASE, route_class=FileRoute, include_in_schema=False)
REST = APIRouter(prefix=BASE, route_class=PageRoute, include_in_schema=False)


@ASSETS.get("/static/{version}/{name}")
async def static(name: str) -> Response:
    """A file of the pages; its address changes with its content, so it is kept for ever."""
    found = STATIC.answer(name)
    if found is None:
        raise nothing_here()
    return found


@REST.get("/{path:path}", dependencies=[Depends(shown)])
async def nowhere() -> Response:
    """There is no such page."""
    raise nothing_here()


async def to_dashboard() -> Response:
    """A person who opens the server's address wants the dashboard."""
    return RedirectResponse(BASE + "/", status_code=307)


def install(app: FastAPI) -> None:
    """Serve the dashboard under `/dashboard`, and send `/` there."""
    app.add_api_route("/", to_dashboard, methods=["GET"], include_in_schema=False)
    pages = (
        routes_people, routes_removal, routes_me, routes_overview, routes_calls, routes_users,
        routes_credentials, routes_settings, routes_notifications, routes_webhooks, routes_runbook,
    )  # fmt: skip
    app.include_router(ASSETS)
    for page in pages:
        app.include_router(page.router)
    app.include_router(REST)
