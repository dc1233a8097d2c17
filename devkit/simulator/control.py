"""The control API: plain HTTP and JSON on the loopback, for people, tests and phones.

Its pages at `/docs` list every operation.
"""

import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from devkit.simulator import control_admin
from devkit.simulator.arrivals import Delivery
from devkit.simulator.devices import Environment
from devkit.simulator.google import control as google_control
from devkit.simulator.own_pages import OwnPagesOnly
from devkit.simulator.requests import Arrival
from devkit.simulator.webpush import control as webpush_control

if TYPE_CHECKING:
    from devkit.simulator.server import Server

LONGEST_WAIT = 300.0
Wait = Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="seconds to wait at most")]


def control_app(server: "Server") -> FastAPI:
    """Make the control API of a simulator."""
    app = FastAPI(title="Ringline's simulator of push services", docs_url="/docs", redoc_url=None)
    app.state.server = server
    app.add_middleware(OwnPagesOnly)
    router = APIRouter()
    _arrivals_routes(router, server)
    _pushes_routes(router, server)
    app.include_router(router)
    app.include_router(control_admin.router(server))
    app.include_router(google_control.router(server))
    app.include_router(webpush_control.router(server))

    @app.exception_handler(KeyError)
    async def unknown(_request: Request, error: KeyError) -> JSONResponse:
        return JSONResponse({"detail": f"there is no {error.args[0]!r}"}, status_code=404)

    @app.exception_handler(ValueError)
    async def wrong(_request: Request, error: ValueError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=422)

    return app


def _arrivals_routes(router: APIRouter, server: "Server") -> None:
    apple = server.apple

    @router.get("/arrivals")
    async def arrivals(
        token: str | None = None,
        apns_id: str | None = None,
        environment: Environment | None = None,
        after: int = 0,
        limit: Annotated[int, Query(ge=1, le=100_000)] = 1000,
        count: int = 1,
        wait: Wait = 0,
    ) -> Response:
        """List requests by number; with `wait`, once `count` of them are there.

        `forgotten`: those up to this number came and are not kept any more.
        """

        def matching() -> list[Arrival]:
            return apple.arrivals.select(
                token=token,
                after=after,
                limit=limit,
                where=lambda a: (
                    apns_id in (None, a.apns_id) and environment in (None, a.environment)
                ),
            )

        if wait:
            await apple.arrivals.wait(token, lambda: len(matching()) >= count, wait)
        found = matching()
        listed = {
            "arrivals": [arrival.as_dict() for arrival in found],
            "after": found[-1].number if found else after,
            "forgotten": apple.arrivals.forgotten,
        }
        return Response(_json(listed), media_type="application/json")


def _pushes_routes(router: APIRouter, server: "Server") -> None:
    apple = server.apple

    @router.get("/devices/{token}/pushes")
    async def pushes(token: str, after: int = 0, wait: Wait = 0) -> Response:
        """Give what a device has received after delivery number `after`; wait for it if asked."""
        if wait:
            await apple.arrivals.wait(
                token, lambda: bool(apple.arrivals.deliveries(token, after)), wait
            )
        found = apple.arrivals.deliveries(token, after)
        return JSONResponse(
            {
                "pushes": [_delivery(delivery) for delivery in found],
                "after": found[-1].number if found else min(after, apple.arrivals.last_delivery),
            }
        )

    @router.get("/devices/{token}/stream")
    async def stream(token: str, after: int = 0) -> StreamingResponse:
        """Give each push as a line of JSON as the device gets it; an empty line is a beat."""

        async def lines() -> AsyncIterator[str]:
            position = after
            while not apple.arrivals.closed:
                await apple.arrivals.wait(
                    token,
                    lambda: bool(apple.arrivals.deliveries(token, position)),  # noqa: B023
                    15,
                )
                found = apple.arrivals.deliveries(token, position)
                for delivery in found:
                    position = delivery.number
                    yield json.dumps(_delivery(delivery)) + "\n"
                if not found:
                    yield "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")


def _json(value: Any) -> bytes:
    """As bytes; while they are made nothing else is done here, and there may be hundreds."""
    try:
        return orjson.dumps(value)
    except TypeError:  # a number of more than 64 bits, or half a character: JSON, too
        return json.dumps(value).encode()


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {"delivery": delivery.number, **delivery.arrival.as_dict()}
