"""Pages: the second step of signing in, and one's own sessions and second factors."""

import hmac
from typing import Any

import segno
from fastapi import APIRouter, Request, Response

from app.dashboard import own_sessions, passkeys, recovery_codes, second_factor
from app.dashboard.access import (
    COOKIE,
    actor_of,
    checked,
    cookie_of,
    drop_cookie,
    fields_of,
    keep_cookie,
    set_cookie,
    signed_in,
    source_of,
    text_of,
)
from app.dashboard.admins import Visitor, csrf_of
from app.dashboard.known_browsers import GOOD_FOR
from app.dashboard.pages import BASE, PageRoute, PasswordFirst, moved, render
from app.dashboard.routes_people import KNOWN_COOKIE, SECOND_COOKIE, safe_path
from app.dashboard.second_factor import Waiting
from app.dashboard.sign_in import Browser, check_present_password
from app.http.acting import runtime_of
from app.http.pages import check_origin
from app.infra.errors import AppError, Forbidden
from app.infra.fields import RowId

router = APIRouter(prefix=BASE, route_class=PageRoute, include_in_schema=False)


@router.get("/sign-in/second")
async def second_page(request: Request, next: str = "") -> Response:  # noqa: A002
    """The second factor, after the password."""
    cookie = cookie_of(request, SECOND_COOKIE) or ""
    found = await second_factor.waiting(runtime_of(request), cookie) if cookie else None
    if found is None:
        return moved("/sign-in")
    return _second(request, found, cookie, next=next, problem=None)


def _second(
    request: Request, found: Waiting, cookie: str, *, status: int = 200, **values: Any
) -> Response:
    return render(
        request, "sign_in_second.html", status=status, form=csrf_of(cookie), found=found, **values
    )


@router.post("/sign-in/second")
async def second_step(request: Request) -> Response:
    """A code or a passkey's signature begins the session."""
    runtime = runtime_of(request)
    check_origin(request, runtime.settings.public_url)
    form = await fields_of(request)
    cookie = cookie_of(request, SECOND_COOKIE) or ""
    if not cookie:
        return moved("/sign-in")
    if not hmac.compare_digest(csrf_of(cookie), text_of(form, "form")):
        found = await second_factor.waiting(runtime, cookie)
        if found is None:
            return moved("/sign-in")
        too_old = "This form was too old: try again."
        to = text_of(form, "next")
        return _second(request, found, cookie, status=Forbidden.status, next=to, problem=too_old)
    browser = Browser(
        source_of(request), cookie_of(request, COOKIE), cookie_of(request, KNOWN_COOKIE)
    )
    to = text_of(form, "next")
    try:
        made = await second_factor.finish(
            runtime, cookie, browser, code=text_of(form, "code"), passkey=text_of(form, "passkey")
        )
    except AppError as error:
        found = await second_factor.waiting(runtime, cookie)
        if found is None:
            return moved("/sign-in")
        return _second(request, found, cookie, status=error.status, next=to, problem=error.detail)
    response = moved(safe_path(to))
    set_cookie(request, response, made.session)
    drop_cookie(request, response, SECOND_COOKIE)
    keep_cookie(request, response, KNOWN_COOKIE, made.browser, seconds=GOOD_FOR, strict=True)
    return response


async def _me(request: Request) -> Visitor:
    visitor = await signed_in(request)
    if visitor.one_time:
        raise PasswordFirst
    return visitor


@router.get("/me")
async def me_page(request: Request) -> Response:
    """One's own sessions and second factors."""
    return await _page(request, await _me(request))


async def _page(
    request: Request, visitor: Visitor, *, status: int = 200, **values: Any
) -> Response:
    runtime = runtime_of(request)
    cookie = cookie_of(request, COOKIE) or ""
    known: dict[str, Any] = {
        "problem": None, "totp": None, "qr": None, "codes": None,
        "sessions": await own_sessions.every(runtime, visitor, cookie),
        "factors": await second_factor.of(runtime, visitor.id),
        "passkeys_work": passkeys.relying_party(runtime) is not None,
        "required": runtime.settings.second_factor == "required",
    }  # fmt: skip
    return render(request, "me.html", status=status, **(known | values))


async def _confirmed(request: Request, visitor: Visitor) -> None:
    """Whoever changes what they sign in with says their password again."""
    await checked(request, visitor)
    given = str((await fields_of(request)).get("password", ""))
    await check_present_password(runtime_of(request), visitor.id, given)


@router.post("/me/sessions/end")
async def end_session(request: Request) -> Response:
    """End one of one's own sessions, or all others."""
    visitor = await _me(request)
    await checked(request, visitor)
    which = text_of(await fields_of(request), "session")
    runtime, actor = runtime_of(request), actor_of(request, visitor)
    cookie = cookie_of(request, COOKIE) or ""
    await own_sessions.end(runtime, visitor, which, cookie, actor=actor)
    return moved("/me", "session_ended")


@router.post("/me/totp")
async def start_totp(request: Request) -> Response:
    """A secret for an authenticator app; the page shows it, this once."""
    visitor = await _me(request)
    try:
        await _confirmed(request, visitor)
        made = await second_factor.start_totp(runtime_of(request), visitor)
    except AppError as error:
        return await _refused(request, visitor, error)
    return await _page(request, visitor, totp=made, qr=segno.make(made.uri, error="m"))


@router.post("/me/totp/confirm")
async def confirm_totp(request: Request) -> Response:
    """The first code of the app: from now on it is asked for."""
    visitor = await _me(request)
    await checked(request, visitor)
    code = text_of(await fields_of(request), "code")
    try:
        codes = await second_factor.confirm_totp(
            runtime_of(request), visitor, code, actor=actor_of(request, visitor)
        )
    except AppError as error:
        return await _refused(request, visitor, error)
    return await _page(request, visitor, codes=codes)


@router.post("/me/totp/remove")
async def remove_totp(request: Request) -> Response:
    """Forget the authenticator app."""
    visitor = await _me(request)
    try:
        await _confirmed(request, visitor)
        actor = actor_of(request, visitor)
        await second_factor.remove_totp(runtime_of(request), visitor, actor=actor)
    except AppError as error:
        return await _refused(request, visitor, error)
    return moved("/me", "factor_removed")


@router.post("/me/passkeys/options")
async def passkey_options(request: Request) -> Response:
    """What the browser is to make a passkey of; for the page's script."""
    visitor = await _me(request)
    try:
        await _confirmed(request, visitor)
        options = await passkeys.options_for(
            runtime_of(request), visitor, cookie_of(request, COOKIE) or ""
        )
    except AppError as error:
        return Response(error.detail, status_code=error.status, media_type="text/plain")
    return Response(options, media_type="application/json")


@router.post("/me/passkeys")
async def add_passkey(request: Request) -> Response:
    """Keep the passkey that the browser has made of the options."""
    visitor = await _me(request)
    await checked(request, visitor)
    form = await fields_of(request)
    try:
        codes = await passkeys.add_passkey(
            runtime_of(request), visitor, cookie_of(request, COOKIE) or "",
            text_of(form, "name"), text_of(form, "credential"), actor=actor_of(request, visitor),
        )  # fmt: skip
    except AppError as error:
        return await _refused(request, visitor, error)
    return await _page(request, visitor, codes=codes or None)


@router.post("/me/passkeys/{passkey_id}/remove")
async def remove_passkey(request: Request, passkey_id: RowId) -> Response:
    """Forget a passkey."""
    visitor = await _me(request)
    try:
        await _confirmed(request, visitor)
        actor = actor_of(request, visitor)
        await passkeys.remove_passkey(runtime_of(request), visitor, passkey_id, actor=actor)
    except AppError as error:
        return await _refused(request, visitor, error)
    return moved("/me", "factor_removed")


@router.post("/me/codes")
async def new_codes(request: Request) -> Response:
    """New recovery codes; the page shows them, this once."""
    visitor = await _me(request)
    try:
        await _confirmed(request, visitor)
        codes = await recovery_codes.new_codes(
            runtime_of(request), visitor, actor=actor_of(request, visitor)
        )
    except AppError as error:
        return await _refused(request, visitor, error)
    return await _page(request, visitor, codes=codes)


async def _refused(request: Request, visitor: Visitor, error: AppError) -> Response:
    if isinstance(error, Forbidden):
        raise error
    return await _page(request, visitor, status=error.status, problem=error.detail)
