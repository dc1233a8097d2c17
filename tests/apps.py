"""The API in a test's own process, whose routes are worked out once.

FastAPI puts together of each route what its router and its app ask for, when a first request comes
by: 75 ms of CPU an app, and tests make one for each database they look at, some hundred and sixty.
The routes are the same in all of them, and know their app by the request alone.
"""

from fastapi import FastAPI
from starlette.routing import BaseRoute

from app.infra.settings import Settings
from app.main import create_app

_routes: list[BaseRoute] = []


def app_of(settings: Settings) -> FastAPI:
    """`create_app`, with the same routes each time; where the lab is, they know its app, and are its own.

    They are of an app that serves nobody: what a test's had open does not stay with them.
    """
    app = create_app(settings)
    if settings.simulator_url is None:
        if not _routes:
            _routes.extend(create_app(settings).router.routes)
        app.router.routes[:] = _routes
    return app
