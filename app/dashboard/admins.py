"""Administrators: making them, signing in and out, roles and passwords. Commits."""

import base64
import re
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.audit.log import SERVER, Actor, record
from app.dashboard import passwords, store
from app.infra import vault
from app.infra.db import Session
from app.infra.errors import Conflict, Invalid, NotFound, TooMany, Unauthorized
from app.infra.ids import uuid7
from app.infra.runtime import Runtime

ROLES = ("owner", "operator", "viewer")
EMAIL = re.compile(r"[^@\s\x00-\x1f<>\"]{1,64}@[^@\s\x00-\x1f<>\"]{1,190}")

LONGEST_SESSION = 12 * 3600.0
IDLE_SESSION = 2 * 3600.0
WINDOW = 15 * 60.0
MOST_FAILURES = {"pair": 5, "source": 20, "email": 50}
"""Within `WINDOW` seconds: of one address from one place, from one place, of one address at all."""

WHOLE_SERVER = UUID(int=0)
"""The audit log's tenant for what concerns no tenant: administrators and tenants themselves."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """An administrator who has signed in. `csrf` is what a form of this session must bring."""

    id: UUID
    email: str
    role: str
    one_time: bool
    csrf: str

    @property
    def may_change(self) -> bool:
        return self.role in {"owner", "operator"}

    @property
    def may_govern(self) -> bool:
        return self.role == "owner"


def csrf_of(cookie: str) -> str:
    """What forms must bring in a session: made from its cookie, which no other site can read."""
    mark = vault.digest("ringline dashboard form|" + cookie)
    return base64.urlsafe_b64encode(mark[:24]).decode()


def clean_email(text: str) -> str:
    """An address in lower case. Raises Invalid."""
    email = text.strip().lower()
    if EMAIL.fullmatch(email) is None or not email.isprintable():
        raise Invalid("invalid_email", "This is no e-mail address; it looks like ada@example.com.")
    return email


def check_role(role: str) -> None:
    """Refuse (422) a role that does not exist."""
    if role not in ROLES:
        raise Invalid("invalid_role", f"A role is one of {', '.join(ROLES)}.")


async def create(
    runtime: Runtime, email: str, role: str = "owner", *, actor: Actor = SERVER
) -> str:
    """Make an administrator; answers a password to be replaced at the first sign-in.

    Raises Invalid, or Conflict (`admin_exists`).
    """
    email = clean_email(email)
    check_role(role)
    password = passwords.one_time_password()
    row = {"id": uuid7(), "email": email, "role": role, "one_time": True}
    row["password"] = await passwords.hashed(password)
    async with runtime.database.transaction() as session:
        if not await store.add_admin(session, row):
            raise Conflict("admin_exists", f"There is an administrator {email} already.")
        await _note(session, actor, "admin.create", email, role=role)
    return password


async def create_or_reset(runtime: Runtime, email: str, *, actor: Actor = SERVER) -> str:
    """Make an owner, or give the one there is a new one-time password, which is the answer."""
    try:
        return await create(runtime, email, actor=actor)
    except Conflict:
        async with runtime.database.reading() as session:
            row = await store.admin_by_email(session, clean_email(email))
        assert row is not None
        return await reset(runtime, row["id"], actor=actor)


async def every(runtime: Runtime) -> list[dict[str, Any]]:
    """All administrators, by address."""
    async with runtime.database.reading() as session:
        return await store.admins(session)


async def sign_in(
    runtime: Runtime, email: str, password: str, source: str, old_cookie: str | None
) -> str:
    """The cookie of a new session; the browser's old one ends.

    Raises Unauthorized (401) with one sentence for all that may be wrong, TooMany (429) after too
    many failures. The try is written first, so that tries made at once all see each other.
    """
    email = email.strip().lower()[:254]
    try_id = uuid7()
    async with runtime.database.transaction() as session:
        await store.add_try(session, try_id, email, source)
    async with runtime.database.reading() as session:
        failed = await store.failures(session, email, source, WINDOW)
        row = await store.admin_by_email(session, email)
    if any(failed[name] > most for name, most in MOST_FAILURES.items()):
        raise TooMany(
            "too_many_tries", "Too many tries have failed. Wait 15 minutes.", retry_after=WINDOW
        )
    if not await passwords.fits(row["password"] if row else None, password[: passwords.LONGEST]):
        raise Unauthorized("wrong_password", "Address and password do not go together.")
    assert row is not None
    cookie = secrets.token_urlsafe(32)
    async with runtime.database.transaction() as session:
        await store.try_succeeded(session, try_id)
        await store.forget_old(session, longest=LONGEST_SESSION, window=WINDOW * 4)
        if old_cookie:
            await store.end_session(session, vault.digest(old_cookie))
        await store.add_session(session, vault.digest(cookie), row["id"], source)
        actor = Actor("dashboard", id=str(row["id"]), name=email, source=source)
        await _note(session, actor, "admin.sign_in", email)
    return cookie


async def recognise(runtime: Runtime, cookie: str) -> Visitor | None:
    """Who has signed in with this cookie; None when nobody has, or too long ago."""
    async with runtime.database.transaction() as session:
        row = await store.admin_of_session(
            session, vault.digest(cookie), longest=LONGEST_SESSION, idle=IDLE_SESSION
        )
    if row is None:
        return None
    return Visitor(row["id"], row["email"], row["role"], row["one_time"], csrf_of(cookie))


async def sign_out(runtime: Runtime, cookie: str) -> None:
    """End a session."""
    async with runtime.database.transaction() as session:
        await store.end_session(session, vault.digest(cookie))


async def change_password(
    runtime: Runtime, visitor: Visitor, old: str, new: str, *, actor: Actor
) -> str:
    """Replace one's own password; ends all one's sessions and answers the cookie of a new one."""
    passwords.check_acceptable(new, visitor.email)
    async with runtime.database.reading() as session:
        row = await store.admin_by_id(session, visitor.id)
    if not await passwords.fits(row["password"] if row else None, old[: passwords.LONGEST]):
        raise Invalid("wrong_password", "The present password is another one.")
    if old == new:
        raise Invalid("invalid_password", "Choose a password that differs from the present one.")
    hashed = await passwords.hashed(new)
    cookie = secrets.token_urlsafe(32)
    async with runtime.database.transaction() as session:
        await store.set_password(session, visitor.id, hashed, one_time=False)
        await store.end_sessions(session, visitor.id)
        await store.add_session(session, vault.digest(cookie), visitor.id, actor.source or "")
        await _note(session, actor, "admin.password", visitor.email)
    return cookie


async def reset(runtime: Runtime, admin_id: UUID, *, actor: Actor = SERVER) -> str:
    """Give an administrator a new one-time password, and sign them out everywhere."""
    password = passwords.one_time_password()
    hashed = await passwords.hashed(password)
    async with runtime.database.transaction() as session:
        row = await _existing(session, admin_id)
        await store.set_password(session, admin_id, hashed, one_time=True)
        await store.end_sessions(session, admin_id)
        await _note(session, actor, "admin.reset", row["email"])
    return password


async def change_role(runtime: Runtime, admin_id: UUID, role: str, *, actor: Actor) -> None:
    """Change what an administrator may do. Raises Conflict for the last owner."""
    check_role(role)
    async with runtime.database.transaction() as session:
        owners = await store.lock_owners(session)
        row = await _existing(session, admin_id)
        if role != "owner":
            _check_not_last(owners, admin_id)
        await store.set_role(session, admin_id, role)
        await _note(session, actor, "admin.role", row["email"], role=role)


async def remove(runtime: Runtime, admin_id: UUID, *, actor: Actor) -> None:
    """Remove an administrator. Raises Conflict for the last owner."""
    async with runtime.database.transaction() as session:
        owners = await store.lock_owners(session)
        row = await _existing(session, admin_id)
        _check_not_last(owners, admin_id)
        await store.remove_admin(session, admin_id)
        await _note(session, actor, "admin.remove", row["email"])


def _check_not_last(owners: list[UUID], admin_id: UUID) -> None:
    if owners == [admin_id]:
        raise Conflict("last_owner", "This is the last owner; make another one first.")


async def _existing(session: Session, admin_id: UUID) -> dict[str, Any]:
    row = await store.admin_by_id(session, admin_id)
    if row is None:
        raise NotFound("admin_not_found", "There is no such administrator.")
    return row


async def _note(session: Session, actor: Actor, action: str, email: str, **detail: Any) -> None:
    await record(session, actor, WHOLE_SERVER, action, f"admin:{email}", detail)
