"""The API in a test's own process, with what is the same in all of them worked out once.

FastAPI puts together of each route what its router and its app ask for, when a first request comes
by: 75 ms of CPU an app, and tests make one for each database they look at, some hundred and sixty.
The routes are the same in all of them, and know their app by the request alone. So is what it says
of itself, a second of CPU.

Nor does such an app rehearse a ring as it starts, 50 ms here and as much in PostgreSQL, and passwords
are hashed with little work: a process of its own (tests/e2e/house.py) does both as it is.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar

from argon2 import PasswordHasher
from fastapi import FastAPI
from starlette.routing import BaseRoute

from app import main
from app.dashboard import passwords
from app.infra.runtime import Runtime
from app.infra.settings import Settings
from clients.generator.document import openapi

HASHER, REHEARSE = passwords._hasher, main.rehearse
"""As they are in the product."""
passwords._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

_routes: list[BaseRoute] = []
_starting: ContextVar[bool] = ContextVar("starting", default=False)


def app_of(settings: Settings) -> FastAPI:
    """`create_app`, with the same routes each time; where the lab is, they know its app, and are its own.

    They are of an app that serves nobody: what a test's had open does not stay with them.
    """
    app = main.create_app(settings)
    if settings.simulator_url is None:
        if not _routes:
            _routes.extend(main.create_app(settings).router.routes)
        app.router.routes[:] = _routes
        app.openapi_schema = openapi()
    plain = app.router.lifespan_context

    @asynccontextmanager
    async def unrehearsed(app: FastAPI) -> AsyncIterator[object]:
        async with AsyncExitStack() as stack:
            token = _starting.set(True)
            try:
                state = await stack.enter_async_context(plain(app))
            finally:
                _starting.reset(token)
            yield state

    app.router.lifespan_context = unrehearsed
    return app


async def _rehearse(runtime: Runtime) -> None:
    if not _starting.get():
        await REHEARSE(runtime)


main.rehearse = _rehearse  # type: ignore[attr-defined]
