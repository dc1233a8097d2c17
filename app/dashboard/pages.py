"""Rendering: templates, what every page is given, headers, and how an error looks to a person."""

import secrets
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from app.core.text import isolated
from app.dashboard import words
from app.dashboard.standing import UNKNOWN
from app.dashboard.typed import filled
from app.http.pages import HEADERS, read_files
from app.http.problems import field_errors
from app.infra import clock
from app.infra.errors import AppError, Forbidden, Invalid, NotFound, TooMany, Unavailable
from app.infra.outage import is_away, is_transient
from app.infra.urls import BadUrl, http_url

BASE = "/dashboard"
BAD_REQUEST = 400
STALE = "stale.html"
HERE = Path(__file__).resolve().parent
STATIC = read_files(sorted((HERE / "static").iterdir()))


class PasswordFirst(Exception):
    """A one-time password must be replaced before anything else."""


class FactorFirst(Exception):
    """This server asks for a second factor, and the visitor has none yet."""


class StaleForm(Forbidden):
    """A form that was not made for this session, as after signing in anew."""

    def __init__(self) -> None:
        super().__init__("stale_form", "This form is not of your session. Reload and try again.")


class SignInNeeded(Exception):
    """Nobody has signed in: the browser is sent to the sign-in page."""


def bdi(value: object) -> Markup:
    """What others have named, within our text: its own direction turns nothing beside it.

    A test goes through all that templates write (`tests/dashboard/test_isolated.py`). Where no
    element may stand (a page's title, an attribute, SVG), the filter `isolated` does the same.
    """
    return Markup("<bdi>{}</bdi>").format(value) if value not in {None, ""} else Markup("")


def listed(values: Iterable[object], most: int | None = None) -> Markup:
    """Several of them with commas; after `most` characters no more begin, and `…` says so."""
    shown, length = list[str](), 0
    for value in values:
        if most is not None and length >= most:
            shown.append("…")
            break
        length += len(str(value)) + 2
        shown.append(bdi(value))
    return Markup(", ").join(shown)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"form_id": lambda: secrets.token_urlsafe(18)}
    made.globals |= {"static": f"{BASE}/static/{STATIC.version}", "base": BASE, "words": words}
    made.filters |= {
        "when": words.when,
        "iso": words.iso,
        "ago": words.ago,
        "until": words.until,
        "thousands": words.thousands,
        "duration": words.duration,
        "bdi": bdi,
        "isolated": lambda text: isolated(str(text)) if text else "",
        "listed": listed,
        "part": lambda text: quote(str(text), safe=""),
    }
    return made


TEMPLATES = _environment()


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page. Templates also know the visitor, the tenant and the address that was asked for."""
    known: dict[str, Any] = {
        "visitor": getattr(request.state, "visitor", None),
        "tenant": getattr(request.state, "tenant", None),
        "path": request.url.path,
        "done": words.DONE.get(request.query_params.get("done", "")),
        "now": clock.now(),
        "standing": getattr(request.state, "standing", UNKNOWN),
    }
    page = TEMPLATES.get_template(template).render(known | values)
    typed = _typed(request) if status >= BAD_REQUEST and template != STALE else {}
    if typed:
        page = filled(page, request.url.path, typed, _sentence(values.get("problem")))
    return HTMLResponse(page, status_code=status)


def _typed(request: Request) -> dict[str, list[str]]:
    """What the form that is answered brought, its files aside; read before, or nothing."""
    form = getattr(request, "_form", None) or FormData()
    found: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            found.setdefault(name, []).append(value)
    return found


def _sentence(problem: object) -> str:
    return problem.detail if isinstance(problem, AppError) else str(problem or "")


def moved(to: str, done: str | None = None) -> RedirectResponse:
    """After a form has been dealt with: go to a page (below `/dashboard`), which says what was."""
    mark = ("&" if "?" in to else "?") + f"done={done}" if done else ""
    return RedirectResponse(BASE + to + mark, status_code=303)


def file(data: bytes, kind: str, name: str) -> Response:
    """A download. `name` must be plain: letters, digits, dots and hyphens."""
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(data, media_type=kind, headers=headers)


class PageRoute(APIRoute):
    """A route that answers people: errors are pages, and every answer has the headers of pages."""

    is_page = True
    """Whether it shows how the server stands."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler, with errors turned into pages."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                if self.is_page:
                    request.state.standing = await request.app.state.standings.soon()
                response = await handler(request)
                _forget_what_changed(request)
            except Exception as error:
                shown = _shown(request, error)
                if shown is None:
                    raise
                response = shown
            finally:
                await request.close()  # files of a form that were put on disk
            for name, value in HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return handle


def _shown(request: Request, error: Exception) -> Response | None:
    """An error as a person meets it; None for a fault of ours."""
    if isinstance(error, SignInNeeded):
        return _sign_in_first(request)
    if isinstance(error, PasswordFirst):
        return moved("/password")
    if isinstance(error, FactorFirst):
        return moved("/me")
    if isinstance(error, StaleForm):
        return _stale_form(request, error)
    if isinstance(error, AppError):
        return error_page(request, error)
    if isinstance(error, RequestValidationError):
        if any(one["loc"][0] == "path" for one in error.errors()):
            return error_page(request, nothing_here())
        first = field_errors(error.errors())[0]
        return error_page(request, _bad_form(f"{first['field']}: {first['detail']}"))
    if isinstance(error, HTTPException):
        return error_page(request, _bad_form(str(error.detail)))
    return error_page(request, _away(error)) if is_transient(error) else None


def _forget_what_changed(request: Request) -> None:
    """Have this process read anew what it knows of a tenant of which a form was sent: a secret, a
    key or a setting that was taken back there is good for nothing from now on."""
    tenant = getattr(request.state, "tenant", None)
    if request.method == "POST" and tenant is not None:
        request.app.state.gate.settings_changed(UUID(tenant["id"]))


class FileRoute(PageRoute):
    """A route to a file, which shows nothing but itself."""

    is_page = False


def nothing_here() -> NotFound:
    """The answer for whatever is not there, or not this tenant's."""
    return NotFound("not_found", "There is nothing at this address.")


def _bad_form(sentence: str) -> AppError:
    return Invalid("invalid_form", sentence)


def _away(error: Exception) -> AppError:
    """A database that cannot serve now, as a page that says so and asks again by itself."""
    sentence = (
        "The database does not answer. Rings that are under way go on as soon as it is back."
        if is_away(error)
        else "Something else holds what this page needs. Try again in a moment."
    )
    return Unavailable("database_unavailable", sentence)


def _sign_in_first(request: Request) -> Response:
    if request.headers.get("x-ringline-part"):
        return Response(status_code=401)
    path = request.url.path.removeprefix(BASE)
    if path == "/sign-out":
        return moved("/sign-in")
    if request.method != "GET":  # a session that ended while a form was filled in
        return moved("/sign-in", "nothing_saved")
    return moved(f"/sign-in?next={quote(path, safe='')}" if path.strip("/") else "/sign-in")


NEVER_BACK = {"password", "old", "new", "again", "code", "passkey", "credential"}
"""Fields that no page gives back."""
NOT_TYPED = {"csrf", "once", "held"}
MOST_SHOWN = 2_000
"""Characters of a field that are shown; it is sent again whole."""


def _stale_form(request: Request, error: StaleForm) -> Response:
    """What was typed, and a button that sends it again in the present session.

    Only of a form that a browser says to be of our own page (`check_origin` has refused another's):
    the button is pressed by who has read what it sends, on a page that no other frames. What holds
    a password or a file is typed anew on its own page.
    """
    form = getattr(request, "_form", None) or FormData()
    items = [(name, one) for name, one in form.multi_items() if name != "csrf"]
    ours = request.headers.get("origin") or request.headers.get("sec-fetch-site") == "same-origin"
    whole = all(isinstance(one, str) and (name not in NEVER_BACK or not one) for name, one in items)
    if request.headers.get("x-csrf-token") is not None or not form or not ours:
        return error_page(request, error)
    typed = [
        (name, one[:MOST_SHOWN])
        for name, one in items
        if isinstance(one, str) and one and name not in NEVER_BACK | NOT_TYPED
    ]
    return render(
        request, STALE, status=error.status, typed=typed, back=_page_of_form(request),
        again=items if whole else None,
    )  # fmt: skip


def _page_of_form(request: Request) -> str:
    """The page that the form is on, as far as the browser says: one below `/dashboard`, or that."""
    try:
        said = http_url(request.headers.get("referer", ""))
    except BadUrl:
        return BASE + "/"
    return said.target if said.path.startswith(BASE + "/") else BASE + "/"


def error_page(request: Request, error: AppError) -> Response:
    """An error as a page: what was wrong, and what to do, as the error itself says."""
    title = words.ERROR_TITLES.get(error.status, "That did not work")
    response = render(
        request, "error.html", status=error.status, title=title, sentence=error.detail
    )
    if isinstance(error, Unavailable):
        response.headers["Retry-After"] = "5"
        response.headers["Refresh"] = "5"
    if isinstance(error, TooMany):
        response.headers["Retry-After"] = str(round(error.retry_after))
    return response
