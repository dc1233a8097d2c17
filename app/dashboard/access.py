"""Who may see and do what in the dashboard: dependencies of its routes.

A route that shows takes `Shown` (or `Here`, for one tenant); one that changes takes `Changed` or
`Governed`, which also want the form's token: a form that another site makes a browser send has
none.
"""

import hmac
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request, Response
from starlette.datastructures import FormData, UploadFile

from app.audit.log import Actor
from app.core.numerals import decimal_of
from app.core.text import is_storable
from app.dashboard import admins
from app.dashboard.admins import Visitor
from app.dashboard.pages import (
    BASE,
    FactorFirst,
    PasswordFirst,
    SignInNeeded,
    StaleForm,
    nothing_here,
)
from app.http.acting import runtime_of
from app.http.pages import check_origin
from app.infra.errors import Forbidden, Invalid
from app.infra.fields import RowId
from app.infra.runtime import Runtime
from app.tenants import service as tenants
from app.tenants.schemas import TenantSettings

COOKIE = "ringline_admin"
MOST_FIELDS = 4_000
"""Of the page of limits there are ten for each of a tenant's 200 call types."""


def keep_cookie(
    request: Request, response: Response, name: str, value: str, *, seconds: float, strict: bool
) -> None:
    """Let the browser keep a cookie that no script and no other site reads.

    Where the server is reached by HTTPS it is bound to this host alone (`__Host-`, RFC 6265bis).
    """
    secure = _secure(request)
    response.set_cookie(
        _named(request, name),
        value,
        max_age=round(seconds),
        path="/" if secure else BASE,
        httponly=True,
        samesite="strict" if strict else "lax",
        secure=secure,
    )


def cookie_of(request: Request, name: str) -> str | None:
    """A cookie that `keep_cookie` set."""
    return request.cookies.get(_named(request, name))


def drop_cookie(request: Request, response: Response, name: str) -> None:
    """Let the browser forget a cookie."""
    secure = _secure(request)
    path = "/" if secure else BASE
    response.delete_cookie(_named(request, name), path=path, secure=secure, httponly=True)


def _named(request: Request, name: str) -> str:
    return f"__Host-{name}" if _secure(request) else name


def set_cookie(request: Request, response: Response, cookie: str) -> None:
    """Let the browser keep its session."""
    keep_cookie(request, response, COOKIE, cookie, seconds=admins.LONGEST_SESSION, strict=False)


def _secure(request: Request) -> bool:
    public = runtime_of(request).settings.public_url
    return request.url.scheme == "https" or public.startswith("https://")


def source_of(request: Request) -> str:
    """The address that the request came from."""
    return request.client.host if request.client else "unknown"


def actor_of(request: Request, visitor: Visitor) -> Actor:
    """Who acts, for the audit log."""
    return Actor("dashboard", id=str(visitor.id), name=visitor.email, source=source_of(request))


async def signed_in(request: Request) -> Visitor:
    """Whoever has signed in, also with a one-time password. Raises SignInNeeded."""
    cookie = cookie_of(request, COOKIE)
    visitor = await admins.recognise(runtime_of(request), cookie) if cookie else None
    if visitor is None:
        raise SignInNeeded
    request.state.visitor = visitor
    return visitor


async def shown(request: Request) -> Visitor:
    """An administrator of any role."""
    visitor = await signed_in(request)
    if visitor.one_time:
        raise PasswordFirst
    if not visitor.factor and runtime_of(request).settings.second_factor == "required":
        raise FactorFirst
    return visitor


async def fields_of(request: Request) -> FormData:
    """The form that was sent. Raises Invalid for text that nothing can hold."""
    form = await request.form(max_files=2, max_fields=MOST_FIELDS)
    for name, value in form.multi_items():
        text = value if isinstance(value, str) else value.filename or ""
        if not is_storable(name) or not is_storable(text):
            raise Invalid("invalid_text", "A field holds a character that cannot be kept (U+0000).")
    return form


async def checked(request: Request, visitor: Visitor) -> None:
    """Refuse (403) a form that was not made for this session, or comes from another site."""
    check_origin(request, runtime_of(request).settings.public_url)
    given = request.headers.get("x-csrf-token")
    if given is None:
        field = (await fields_of(request)).get("csrf")
        given = field if isinstance(field, str) else ""
    if not hmac.compare_digest(given.encode(), visitor.csrf.encode()):
        raise StaleForm


async def changed(request: Request) -> Visitor:
    """An operator or owner, whose form is genuine."""
    visitor = await shown(request)
    await checked(request, visitor)
    if not visitor.may_change:
        raise Forbidden("viewers_look", "Your role is viewer: you may look at everything here.")
    return visitor


async def governing(request: Request) -> Visitor:
    """An owner, who looks."""
    visitor = await shown(request)
    if not visitor.may_govern:
        raise Forbidden("owners_only", "Only an owner may see this.")
    return visitor


async def governed(request: Request) -> Visitor:
    """An owner, whose form is genuine."""
    visitor = await changed(request)
    if not visitor.may_govern:
        raise Forbidden("owners_only", "Only an owner may do this.")
    return visitor


AnyViewer = Annotated[Visitor, Depends(shown)]
AnyOperator = Annotated[Visitor, Depends(changed)]
Owner = Annotated[Visitor, Depends(governed)]


@dataclass(frozen=True, slots=True)
class TenantPage:
    """One tenant, as someone looks at it or changes it."""

    runtime: Runtime
    visitor: Visitor
    actor: Actor
    id: UUID
    name: str
    settings: TenantSettings

    @property
    def path(self) -> str:
        """The tenant's pages, below `/dashboard`."""
        return f"/t/{self.id}"


async def _place(request: Request, visitor: Visitor, tenant_id: RowId) -> TenantPage:
    runtime = runtime_of(request)
    row = await tenants.one(runtime, tenant_id)
    if row is None:
        raise nothing_here()
    actor = actor_of(request, visitor)
    place = TenantPage(runtime, visitor, actor, tenant_id, row["name"], row["settings"])
    request.state.tenant = {"id": str(tenant_id), "name": row["name"], "path": BASE + place.path}
    return place


async def here(request: Request, visitor: AnyViewer, tenant_id: RowId) -> TenantPage:
    """The tenant of this address, to look at."""
    return await _place(request, visitor, tenant_id)


async def changing(request: Request, visitor: AnyOperator, tenant_id: RowId) -> TenantPage:
    """The tenant of this address, to change something of it."""
    return await _place(request, visitor, tenant_id)


Viewer = Annotated[TenantPage, Depends(here)]
Operator = Annotated[TenantPage, Depends(changing)]


def text_of(form: FormData, name: str) -> str:
    """A field of a form, trimmed; empty when it is absent or a file."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def number_of(name: str, value: str) -> float:
    """The number that this field of a form says. Raises Invalid."""
    number = decimal_of(value)
    if number is None:
        raise Invalid("invalid_limit", f"{name}: {value!r} is not a number.")
    return number


async def file_of(form: FormData, name: str) -> tuple[str, bytes]:
    """A file of a form as (name, bytes); empty when there is none."""
    value = form.get(name)
    if not isinstance(value, UploadFile):
        return "", b""
    return value.filename or "", await value.read()
