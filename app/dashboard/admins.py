"""Administrators: making them, their sessions, roles and passwords. Commits."""

import base64
import re
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.audit.log import SERVER, WHOLE_SERVER, Actor, record
from app.core.text import is_plain
from app.dashboard import passwords, store, store_factors
from app.infra import vault
from app.infra.db import Connection
from app.infra.errors import Conflict, Invalid, NotFound
from app.infra.ids import uuid7
from app.infra.runtime import Runtime

ROLES = ("owner", "operator", "viewer")
EMAIL = re.compile(r"[^@\s\x00-\x1f<>\"]{1,64}@[^@\s\x00-\x1f<>\"]{1,190}")

LONGEST_SESSION = 12 * 3600.0
IDLE_SESSION = 2 * 3600.0
ONE_TIME_FOR = 24 * 3600.0
"""Seconds for which a password made by Ringline opens the page on which to choose one's own."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """An administrator who has signed in.

    `factor`: they have a second one. `csrf`: what a form of this session must bring.
    """

    id: UUID
    email: str
    role: str
    one_time: bool
    factor: bool
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
    if EMAIL.fullmatch(email) is None or not is_plain(email):
        raise Invalid("invalid_email", "This is no e-mail address; it looks like ada@example.com.")
    return email


def check_role(role: str) -> None:
    """Refuse (422) a role that does not exist."""
    if role not in ROLES:
        raise Invalid("invalid_role", f"A role is one of {', '.join(ROLES)}.")


async def create(
    runtime: Runtime, email: str, role: str = "owner", *, actor: Actor = SERVER
) -> str:
    """Make an administrator; returns a password to be replaced at the first sign-in.

    Raises Invalid, or Conflict (`admin_exists`).
    """
    email = clean_email(email)
    check_role(role)
    password = passwords.one_time_password()
    row = {"id": uuid7(), "email": email, "role": role, "one_time_for": ONE_TIME_FOR}
    row["password"] = await passwords.hashed(password)
    async with runtime.database.transaction() as session:
        if not await store.add_admin(session, row):
            raise Conflict("admin_exists", f"There is an administrator {email} already.")
        await note(session, actor, "admin.create", email, role=role)
    return password


async def create_or_reset(
    runtime: Runtime, email: str, role: str | None = None, *, actor: Actor = SERVER
) -> str:
    """Make an administrator, or give the one there is a new one-time password, which is returned.

    Second factors of theirs are forgotten: whoever may do this on the server may do all. Raises
    Conflict (`other_role`) where `role` is not the one they have: none is changed on the way.
    """
    try:
        return await create(runtime, email, role or "owner", actor=actor)
    except Conflict:
        async with runtime.database.autocommit() as session:
            row = await store.admin_by_email(session, clean_email(email))
        assert row is not None
        if role is not None and row["role"] != role:
            raise Conflict(
                "other_role",
                f"{row['email']} is {row['role']}: a reset changes no role. Leave --role out, or "
                "change it on the dashboard's page of administrators",
            ) from None
        return await reset(runtime, row["id"], factors=True, actor=actor)


async def every(runtime: Runtime) -> list[dict[str, Any]]:
    """All administrators, by address."""
    async with runtime.database.autocommit() as session:
        return await store.admins(session)


async def recognise(runtime: Runtime, cookie: str) -> Visitor | None:
    """Who has signed in with this cookie; None when nobody has, or too long ago."""
    async with runtime.database.transaction() as session:
        row = await store.admin_of_session(
            session, vault.digest(cookie), longest=LONGEST_SESSION, idle=IDLE_SESSION
        )
    if row is None:
        return None
    return Visitor(
        row["id"], row["email"], row["role"], row["one_time"], row["factor"], csrf_of(cookie)
    )


async def change_password(
    runtime: Runtime, visitor: Visitor, old: str, new: str, *, actor: Actor
) -> str:
    """Replace one's own password; ends all one's sessions and answers the cookie of a new one.

    That `old` is the present one, `sign_in.check_present_password` has looked.
    """
    passwords.check_acceptable(new, visitor.email)
    if old == new:
        raise Invalid("invalid_password", "Choose a password that differs from the present one.")
    hashed = await passwords.hashed(new)
    cookie = secrets.token_urlsafe(32)
    async with runtime.database.transaction() as session:
        await store.set_password(session, visitor.id, hashed, one_time_for=None)
        await store.end_sessions(session, visitor.id)
        await store.add_session(session, vault.digest(cookie), visitor.id, actor.source or "")
        await note(session, actor, "admin.password", visitor.email)
    return cookie


async def reset(
    runtime: Runtime, admin_id: UUID, *, factors: bool = False, actor: Actor = SERVER
) -> str:
    """Give an administrator a new one-time password, and sign them out everywhere.

    `factors`: their second factors are forgotten too.
    """
    password = passwords.one_time_password()
    hashed = await passwords.hashed(password)
    async with runtime.database.transaction() as session:
        row = await _existing(session, admin_id)
        await store.set_password(session, admin_id, hashed, one_time_for=ONE_TIME_FOR)
        await store.forget_tries(session, row["email"], admin_id)
        await store.end_sessions(session, admin_id)
        if factors:
            await store_factors.forget_factors(session, admin_id)
        await note(session, actor, "admin.reset", row["email"], factors=factors)
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
        await note(session, actor, "admin.role", row["email"], role=role)


async def remove(runtime: Runtime, admin_id: UUID, *, actor: Actor) -> None:
    """Remove an administrator. Raises Conflict for the last owner."""
    async with runtime.database.transaction() as session:
        owners = await store.lock_owners(session)
        row = await _existing(session, admin_id)
        _check_not_last(owners, admin_id)
        await store.remove_admin(session, admin_id)
        await note(session, actor, "admin.remove", row["email"])


def _check_not_last(owners: list[UUID], admin_id: UUID) -> None:
    if owners == [admin_id]:
        raise Conflict("last_owner", "This is the last owner; make another one first.")


async def _existing(session: Connection, admin_id: UUID) -> dict[str, Any]:
    row = await store.admin_by_id(session, admin_id)
    if row is None:
        raise NotFound("admin_not_found", "There is no such administrator.")
    return row


async def note(session: Connection, actor: Actor, action: str, email: str, **detail: Any) -> None:
    """A line of the audit log about an administrator."""
    await record(session, actor, WHOLE_SERVER, action, f"admin:{email}", detail)
