"""The one way into the lab: an ASGI application that lets in only who may come in.

There is no sign-in, so: the lab is not there (404) unless the simulated Apple answers; it is asked
for by a name of this machine or the public URL's, which a page elsewhere cannot forge by its DNS;
and what changes something comes as JSON from its own page.
"""

from typing import Final

from fastapi import FastAPI, Request, Response
from starlette.datastructures import MutableHeaders
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http import problems
from app.http.pages import HEADERS, check_origin
from app.http.problems import problem, problem_of
from app.infra.errors import AppError, Forbidden
from app.infra.settings import LOOPBACK, Settings
from app.infra.urls import BadUrl, http_url
from devkit.lab.lab import Lab
from devkit.lab.routes import on_refused, router
from devkit.lab.setup import Refused

BASE: Final = "/lab"
SAFE: Final = frozenset({"GET", "HEAD"})


class Door:
    """In front of the lab's addresses."""

    def __init__(self, inside: ASGIApp, lab: Lab, public_url: str) -> None:
        self._inside = inside
        self._lab = lab
        self._names = {*LOOPBACK, http_url(public_url).host}
        self._public_url = public_url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Be the ASGI application of all below `/lab`."""
        if scope["type"] != "http":
            await self._inside(scope, receive, send)
            return
        refusal = await self._refusal(Request(scope))
        answer = self._inside if refusal is None else refusal
        # `/lab` is the page as `/lab/` is.
        within = {**scope, "path": BASE + "/"} if scope["path"] == BASE else scope
        within = {**within, "root_path": BASE} if scope["path"] == BASE else within
        await answer(within, receive, _with_headers(send))

    async def _refusal(self, request: Request) -> Response | None:
        if not await self._lab.there():
            return problem(404, "not_found", problems.NOWHERE)
        try:
            self._check(request)
        except AppError as error:
            return problem_of(error)
        return None

    def _check(self, request: Request) -> None:
        if _hostname(request.headers.get("host", "")) not in self._names:
            raise Forbidden(
                "wrong_host",
                "The lab answers to localhost and to the host of RINGLINE_PUBLIC_URL only.",
            )
        if request.method in SAFE:
            return
        check_origin(request, self._public_url)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise UnsupportedMediaType(
                "unsupported_media_type", "Send JSON, with `Content-Type: application/json`."
            )


def _hostname(host: str) -> str:
    """The name in a Host header, without its port; empty when there is none to be read."""
    try:
        return http_url("http://" + host).host
    except BadUrl:
        return ""


class UnsupportedMediaType(AppError):
    """415: a body that is not called JSON."""

    status = 415


def _with_headers(send: Send) -> Send:
    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            message["headers"] = headers.raw
        await send(message)

    return sent


def install(app: FastAPI, settings: Settings) -> Lab:
    """Serve the lab under `/lab`; returns it, to be started and closed with the process."""
    assert settings.simulator_url is not None
    lab = Lab(settings.simulator_url)
    inside = FastAPI(title="The lab", openapi_url=None, docs_url=None, redoc_url=None)
    inside.state.lab = lab
    problems.install(inside)
    inside.add_exception_handler(Refused, on_refused)
    inside.include_router(router)
    door = Door(inside, lab, settings.public_url)
    app.router.routes += [Route(BASE, door, include_in_schema=False), Mount(BASE, door)]
    return lab
