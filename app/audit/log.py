"""The audit log: who did what, when, and from where. Append-only, which the database sees to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from app.audit import store
from app.infra.db import Connection, clock
from app.infra.ids import uuid7
from app.infra.runtime import Runtime

LAST = UUID(int=2**128 - 1)
WHOLE_SERVER = UUID(int=0)
"""The log's tenant for what concerns no tenant: administrators, tenants themselves, the vault."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `id` is an API key's or a user's id, `name` a key's, a person's or a command's.

    `source` is an address.
    """

    kind: Literal["api_key", "user", "command", "dashboard", "server"]
    id: str | None = None
    name: str | None = None
    source: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """What a line keeps; a user's id is left to its subject."""
        known = self.kind != "user"
        return {"kind": self.kind, "id": self.id if known else None, "name": self.name}


SERVER = Actor("server", name="ringline")
"""Ringline itself, for what it does of its own accord."""


async def record(
    session: Connection,
    actor: Actor,
    tenant_id: UUID,
    action: str,
    target: str,
    detail: Mapping[str, Any] | None = None,
    *,
    at: datetime | None = None,
    user: str | None = None,
) -> None:
    """Write one line, in the transaction of the act itself. `detail` must hold no secret.

    `user`: whom the act is about, if a user. Nothing else may name one, so that an erased user is
    named by no line.
    """
    about = user or (actor.id if actor.kind == "user" else None)
    subject = await store.subject_of(session, tenant_id, about) if about else None
    await store.add_audit(
        session,
        {
            "id": uuid7(),
            "tenant_id": tenant_id,
            "at": at or await clock(session),
            "actor": actor.as_dict(),
            "action": action,
            "target": target,
            "source": actor.source,
            "detail": dict(detail or {}),
            "subject": subject,
        },
    )


@dataclass(frozen=True, slots=True)
class About:
    """A line about a user: what was done, to what."""

    tenant_id: UUID
    action: str
    target: str
    detail: Mapping[str, Any]
    user: str


async def record_all(session: Connection, actor: Actor, lines: Sequence[About]) -> None:
    """Write any number of lines about users, with the same few statements."""
    if not lines:
        return
    subjects = await store.subjects_of(session, {(line.tenant_id, line.user) for line in lines})
    at = await clock(session)
    rows = [
        {
            "id": uuid7(),
            "tenant_id": line.tenant_id,
            "at": at,
            "actor": actor.as_dict(),
            "action": line.action,
            "target": line.target,
            "source": actor.source,
            "detail": dict(line.detail),
            "subject": subjects.get((line.tenant_id, line.user)),
        }
        for line in lines
    ]
    await store.add_lines(session, rows)


async def page(
    runtime: Runtime,
    tenant_id: UUID,
    *,
    before: UUID | None = None,
    limit: int = 50,
    target: str | None = None,
) -> list[dict[str, Any]]:
    """Up to `limit` lines older than the line `before`, newest first."""
    async with runtime.database.autocommit() as session:
        return await store.audit_before(session, tenant_id, before or LAST, limit, target)


async def forget_user(session: Connection, tenant_id: UUID, user_id: str) -> None:
    """Let no line name this user any more: the lines stay, and say `user:erased`."""
    await store.forget_subject(session, tenant_id, user_id)
