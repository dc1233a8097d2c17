"""Signing in and out, and how often it may be tried. Commits.

A try that was refused is not counted, so nobody is kept out for longer by trying; failed tries are
counted by account, by address and by both. A browser that its owner has signed in with before is
held to tries of its own, so that nobody else can use them up.
"""

import ipaddress
import secrets
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from app.audit.log import Actor
from app.dashboard import known_browsers, passwords, store, store_factors
from app.dashboard.admins import LONGEST_SESSION, clean_email, note
from app.infra import vault
from app.infra.db import Connection, clock
from app.infra.errors import Invalid, TooMany, Unauthorized
from app.infra.ids import uuid7
from app.infra.runtime import Runtime

WINDOW: Final = 15 * 60.0
MOST_FAILURES: Final = {"pair": 5, "source": 20, "account": 50}
"""Within `WINDOW` seconds, by browsers not known: for one account from one address, from one
address, for one account. Nobody can use up an account's from one address alone."""
MOST_OF_BROWSER: Final = 10
MOST_OF_PASSWORD: Final = 5


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The cookie of a new session, and the one by which the browser will be known."""

    session: str = field(repr=False)
    browser: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Browser:
    """Who asks: the address, and the cookies that the browser has kept."""

    source: str
    session: str | None = field(default=None, repr=False)
    known: str | None = field(default=None, repr=False)


def network_of(source: str) -> str:
    """What counts as one address: an IPv4 address, or the /64 in which an IPv6 host picks its own.

    RFC 6177: a site gets at least a /64. An IPv4 address written as IPv6 is itself.
    """
    try:
        address = ipaddress.ip_address(source.partition("%")[0])
    except ValueError:
        return source[:100]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))


async def sign_in(runtime: Runtime, email: str, password: str, browser: Browser) -> SignedIn | UUID:
    """Begin a session; the browser's old one ends. The administrator's id: a second factor is due.

    Raises Unauthorized (401) with one sentence for all that may be wrong, TooMany (429) after too
    many failures.
    """
    email = _typed(email)
    async with runtime.database.autocommit() as session:
        now = await clock(session)
        row = await store.admin_by_email(session, email)
    name = (
        known_browsers.known(runtime.keyring, browser.known, row["id"], now.timestamp())
        if row
        else None
    )
    try_id = await _begin(runtime, email, network_of(browser.source), name)
    if not await passwords.fits(row["password"] if row else None, password[: passwords.LONGEST]):
        await _failed(runtime, row, browser.source, known=name is not None)
        raise Unauthorized("wrong_password", "Address and password do not go together.")
    assert row is not None
    await _check_not_late(runtime, row, try_id)
    async with runtime.database.transaction() as session:
        await store.forget_try(session, try_id)
        if await store_factors.has_factor(session, row["id"]):
            found: UUID = row["id"]
            return found
        return await begin_session(runtime, session, row, browser)


async def begin_session(
    runtime: Runtime, session: Connection, row: dict[str, Any], browser: Browser
) -> SignedIn:
    """A new session for this administrator, who has shown all that is asked for."""
    cookie = secrets.token_urlsafe(32)
    await store.forget_old(session, longest=LONGEST_SESSION, window=WINDOW * 4)
    if browser.session:
        await store.end_session(session, vault.digest(browser.session))
    await store.add_session(session, vault.digest(cookie), row["id"], browser.source)
    actor = Actor("dashboard", id=str(row["id"]), name=row["email"], source=browser.source)
    await note(session, actor, "admin.sign_in", row["email"])
    now = await clock(session)
    return SignedIn(cookie, known_browsers.mark(runtime.keyring, row["id"], now.timestamp()))


def _typed(email: str) -> str:
    try:
        return clean_email(email)
    except Invalid:
        return ""  # nobody's


async def _begin(runtime: Runtime, email: str, source: str, browser: str | None) -> UUID:
    """Note a try, as failed until it has succeeded, or refuse it, which leaves nothing behind.

    It is noted first, so that tries made at once all see each other.
    """
    try_id = uuid7()
    async with runtime.database.transaction() as session:
        await store.add_try(session, try_id, email, source, browser)
    async with runtime.database.autocommit() as session:
        failed = await store.failures(session, email, source, browser, WINDOW)
        most: dict[str, int] = MOST_FAILURES if browser is None else {"browser": MOST_OF_BROWSER}
        if all(failed[name] <= number for name, number in most.items()):
            return try_id
        await store.forget_try(session, try_id)
    raise too_many()


def too_many() -> TooMany:
    """Tries that have failed, for an account, an address or a second factor."""
    return TooMany(
        "too_many_tries",
        "Too many tries have failed; wait 15 minutes. A browser with which you have signed in "
        "before need not wait, nor after `ringline admin create --reset ADDRESS` on the server.",
        retry_after=WINDOW,
    )


async def _failed(
    runtime: Runtime, row: dict[str, Any] | None, source: str, *, known: bool
) -> None:
    # What was typed for an address may be a password: only that of an administrator is written.
    actor = Actor("dashboard", source=source)
    email = row["email"] if row else "unknown"
    async with runtime.database.transaction() as session:
        await note(session, actor, "admin.sign_in_failed", email, known_browser=known)


async def _check_not_late(runtime: Runtime, row: dict[str, Any], try_id: UUID) -> None:
    """Refuse (401) a one-time password whose time is over, to whoever knows it."""
    if not row["one_time"] or not row["late"]:
        return
    async with runtime.database.transaction() as session:
        await store.forget_try(session, try_id)
    raise Unauthorized(
        "one_time_password_expired",
        "This one-time password has expired. An owner can make another, or the server: "
        "`ringline admin create --reset ADDRESS`.",
    )


async def check_present_password(runtime: Runtime, admin_id: UUID, password: str) -> None:
    """Refuse (422) what is not an administrator's password; TooMany (429) after some guesses."""
    purpose = f"password:{admin_id}"
    try_id = uuid7()
    async with runtime.database.transaction() as session:
        await store.add_try(session, try_id, "", "", purpose)
    async with runtime.database.autocommit() as session:
        row = await store.admin_by_id(session, admin_id)
        failed = await store.failures(session, "", "", purpose, WINDOW)
        if failed["browser"] > MOST_OF_PASSWORD:
            await store.forget_try(session, try_id)
            raise TooMany(
                "too_many_tries", "Too many wrong passwords; wait 15 minutes.", retry_after=WINDOW
            )
    if not await passwords.fits(row["password"] if row else None, password[: passwords.LONGEST]):
        raise Invalid("wrong_password", "The present password is another one.")
    async with runtime.database.transaction() as session:
        await store.forget_try(session, try_id)


async def sign_out(runtime: Runtime, cookie: str, *, actor: Actor) -> None:
    """End a session."""
    async with runtime.database.transaction() as session:
        await store.end_session(session, vault.digest(cookie))
        await note(session, actor, "admin.sign_out", actor.name or "")
