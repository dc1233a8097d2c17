"""Pages: signing in and out, one's password, administrators, and which tenants there are."""

import hashlib
import hmac
import secrets
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.audit import log as audit
from app.core.text import is_plain
from app.dashboard import admins, forwarders, second_factor
from app.dashboard.access import (
    COOKIE,
    Owner,
    actor_of,
    checked,
    cookie_of,
    drop_cookie,
    fields_of,
    governing,
    keep_cookie,
    set_cookie,
    shown,
    signed_in,
    source_of,
    text_of,
)
from app.dashboard.known_browsers import GOOD_FOR
from app.dashboard.once import once
from app.dashboard.pages import BASE, PageRoute, moved, render
from app.dashboard.sign_in import Browser, check_present_password
from app.dashboard.sign_in import sign_in as signing_in
from app.dashboard.sign_in import sign_out as end_session
from app.dashboard.store_factors import WAIT
from app.http.acting import runtime_of
from app.http.pages import check_origin
from app.http.trusted_proxies import UNTRUSTED
from app.infra.errors import AppError, Forbidden
from app.infra.fields import RowId, Text
from app.tenants import service as tenants

MOST_SHOWN = 200
"""Tenants on one page."""

router = APIRouter(prefix=BASE, route_class=PageRoute, include_in_schema=False)
FORM_COOKIE = "ringline_form"
KNOWN_COOKIE = "ringline_known"
SECOND_COOKIE = "ringline_second"
HOUR = 3600


@router.get("/sign-in")
async def sign_in_page(request: Request, next: str = "") -> Response:  # noqa: A002
    """The form to sign in; a browser that has done so goes on."""
    cookie = cookie_of(request, COOKIE)
    await forwarders.note(runtime_of(request), request.scope.get(UNTRUSTED))
    if cookie and await admins.recognise(runtime_of(request), cookie):
        return moved(safe_path(next))
    nobody = not await admins.every(runtime_of(request))
    return _sign_in_form(request, next=next, email="", problem=None, nobody=nobody)


def _sign_in_form(request: Request, *, status: int = 200, **values: object) -> Response:
    # Before there is a session, a cookie of the form's own stands in for it (double submit).
    seed = cookie_of(request, FORM_COOKIE) or secrets.token_urlsafe(24)
    response = render(request, "sign_in.html", status=status, form=_form_mark(seed), **values)
    keep_cookie(request, response, FORM_COOKIE, seed, seconds=HOUR, strict=True)
    return response


def _form_mark(seed: str) -> str:
    return hashlib.sha256(b"sign-in|" + seed.encode()).hexdigest()


def safe_path(path: str) -> str:
    """A page below `/dashboard` to go on to: never another site."""
    plain = path.startswith("/") and not path.startswith("//") and is_plain(path)
    return path if plain and not set(path) & set("\\?#") else "/"


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Sign in. Wrong address and wrong password look the same."""
    check_origin(request, runtime_of(request).settings.public_url)
    form = await fields_of(request)
    seed = cookie_of(request, FORM_COOKIE) or ""
    if not seed or not hmac.compare_digest(_form_mark(seed), text_of(form, "form")):
        return _sign_in_form(
            request,
            status=Forbidden.status,
            next=text_of(form, "next"),
            email=text_of(form, "email"),
            problem="This form was too old: say your password again.",
            nobody=False,
        )
    email, password = text_of(form, "email"), str(form.get("password", ""))
    try:
        browser = Browser(
            source_of(request), cookie_of(request, COOKIE), cookie_of(request, KNOWN_COOKIE)
        )
        made = await signing_in(runtime_of(request), email, password, browser)
    except AppError as error:
        return _sign_in_form(
            request,
            status=error.status,
            next=text_of(form, "next"),
            email=email,
            problem=error.detail,
            nobody=False,
        )
    if isinstance(made, UUID):
        waits = await second_factor.wait(runtime_of(request), made)
        to = safe_path(text_of(form, "next"))
        response = moved("/sign-in/second" + (f"?next={quote(to, safe='')}" if to != "/" else ""))
        keep_cookie(request, response, SECOND_COOKIE, waits, seconds=WAIT, strict=True)
        return response
    response = moved(safe_path(text_of(form, "next")))
    set_cookie(request, response, made.session)
    keep_cookie(request, response, KNOWN_COOKIE, made.browser, seconds=GOOD_FOR, strict=True)
    return response


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End this session."""
    visitor = await signed_in(request)
    await checked(request, visitor)
    cookie = cookie_of(request, COOKIE) or ""
    await end_session(runtime_of(request), cookie, actor=actor_of(request, visitor))
    response = moved("/sign-in", "signed_out")
    drop_cookie(request, response, COOKIE)
    # not cookies: one says that this browser is known
    response.headers["Clear-Site-Data"] = '"cache", "storage"'
    return response


@router.get("/password")
async def password_page(request: Request) -> Response:
    """One's own password."""
    await signed_in(request)
    return render(request, "password.html", problem=None)


@router.post("/password")
async def change_password(request: Request) -> Response:
    """Change one's own password; every other session of one's own ends."""
    visitor = await signed_in(request)
    await checked(request, visitor)
    form = await fields_of(request)
    old, new, again = (str(form.get(name, "")) for name in ("old", "new", "again"))
    try:
        if new != again:
            return render(
                request, "password.html", status=422, problem="The two new passwords differ."
            )
        await check_present_password(runtime_of(request), visitor.id, old)
        cookie = await admins.change_password(
            runtime_of(request), visitor, old, new, actor=actor_of(request, visitor)
        )
    except AppError as error:
        return render(request, "password.html", status=error.status, problem=error.detail)
    response = moved("/", "password_changed")
    set_cookie(request, response, cookie)
    return response


@router.get("/admins", dependencies=[Depends(governing)])
async def admins_page(request: Request) -> Response:
    """Every administrator, and what they did that concerns no tenant."""
    return await _admins(request)


async def _admins(request: Request, *, status: int = 200, **values: object) -> Response:
    runtime = runtime_of(request)
    lines = await audit.page(runtime, audit.WHOLE_SERVER, limit=30)
    rows = await admins.every(runtime)
    known = {"problem": None, "made": None, "admins": rows, "lines": lines, "roles": admins.ROLES}
    return render(request, "admins.html", status=status, **(known | values))


@router.post("/admins")
@once
async def add_admin(request: Request, visitor: Owner) -> Response:
    """Make an administrator; the page shows their one-time password, this once."""
    form = await fields_of(request)
    email, role = text_of(form, "email"), text_of(form, "role")
    try:
        password = await admins.create(
            runtime_of(request), email, role, actor=actor_of(request, visitor)
        )
    except AppError as error:
        return await _admins(request, status=error.status, problem=error.detail)
    return await _admins(request, made={"email": email, "password": password})


@router.post("/admins/{admin_id}/role")
async def change_role(request: Request, visitor: Owner, admin_id: RowId) -> Response:
    """Change what an administrator may do."""
    role = text_of(await fields_of(request), "role")
    runtime, actor = runtime_of(request), actor_of(request, visitor)
    await admins.change_role(runtime, admin_id, role, actor=actor)
    return moved("/admins", "role_changed")


@router.post("/admins/{admin_id}/reset")
@once
async def reset_admin(request: Request, visitor: Owner, admin_id: RowId) -> Response:
    """Give an administrator a new one-time password; the page shows it, this once."""
    return await _reset(request, visitor, admin_id, factors=False)


@router.post("/admins/{admin_id}/factors")
@once
async def forget_factors(request: Request, visitor: Owner, admin_id: RowId) -> Response:
    """Forget an administrator's second factors, and give a new password: who has lost all."""
    return await _reset(request, visitor, admin_id, factors=True)


async def _reset(request: Request, visitor: Owner, admin_id: RowId, *, factors: bool) -> Response:
    runtime, actor = runtime_of(request), actor_of(request, visitor)
    password = await admins.reset(runtime, admin_id, factors=factors, actor=actor)
    email = next(row["email"] for row in await admins.every(runtime) if row["id"] == admin_id)
    return await _admins(request, made={"email": email, "password": password})


@router.post("/admins/{admin_id}/remove")
async def remove_admin(request: Request, visitor: Owner, admin_id: RowId) -> Response:
    """Remove an administrator."""
    runtime, actor = runtime_of(request), actor_of(request, visitor)
    await admins.remove(runtime, admin_id, actor=actor)
    return moved("/admins", "admin_removed")


@router.get("", dependencies=[Depends(shown)])
@router.get("/", dependencies=[Depends(shown)])
async def first_page(request: Request) -> Response:
    """To the only tenant's overview, or to choose one."""
    rows = await tenants.every(runtime_of(request))
    done = request.query_params.get("done")
    return moved(f"/t/{rows[0]['id']}" if len(rows) == 1 else "/tenants", done)


@router.get("/tenants", dependencies=[Depends(shown)])
async def tenants_page(request: Request, q: Text = "") -> Response:
    """The tenants, all or those whose name or id holds `q`; an owner may make another."""
    return await _tenants(request, q=q.strip())


async def _tenants(
    request: Request, *, status: int = 200, q: str = "", **values: object
) -> Response:
    rows = await tenants.every(runtime_of(request), deleted=True)
    sought = q.casefold()
    found = [row for row in rows if sought in f"{row['name']} {row['id']}".casefold()]
    known: dict[str, object] = {"problem": None, "made": None, "q": q}
    known["tenants"] = found[:MOST_SHOWN]
    known |= {"found": len(found), "all": len(rows)}
    return render(request, "tenants.html", status=status, **(known | values))


@router.post("/tenants")
@once
async def add_tenant(request: Request, visitor: Owner) -> Response:
    """Make a tenant; the page shows its API key and signing secret, this once."""
    name = text_of(await fields_of(request), "name")
    runtime, actor = runtime_of(request), actor_of(request, visitor)
    try:
        made = await tenants.create(runtime, name, actor=actor)
    except AppError as error:
        return await _tenants(request, status=error.status, problem=error.detail)
    return await _tenants(request, made=made)
