"""Rows of pushes that are to be written, and what the server finds of their tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypedDict
from uuid import UUID

from app.infra.db import Insert, Joined, Row
from app.push.models import Push
from app.push.targets import rings_already

OF_TOKEN = Joined(
    # by key, whatever the planner thinks of the number of tokens: see `claims.RING_OF_PUSH`
    """JOIN LATERAL (SELECT * FROM tokens t WHERE t.id = r.token_id LIMIT 1) t
        ON t.tenant_id = r.tenant_id AND t.user_id = r.user_id""",
    (
        ("device_row", "t.device_row"),
        ("kind", "t.kind"),
        ("app_id", "t.app_id"),
        ("environment", "t.environment"),
        ("token", "t.token"),
        ("token_registered_at", "t.registered_at"),
        ("token_version", "t.version"),
        ("state", "'pending'"),
        ("due_at", "r.created_at"),
    ),
)


class NewRing(TypedDict):
    """A push that rings, to be written."""

    id: UUID
    ring: UUID
    session_id: UUID
    tenant_id: UUID
    user_id: str
    token_id: UUID
    purpose: str
    created_at: datetime
    deadline: datetime


class NewRepeat(NewRing):
    """A notification that rings again, once it is due; its purpose has its number."""

    due_at: datetime


class NewStop(NewRepeat):
    """A push that tells a phone to stop, for CallKit's reason, once it is due."""

    callkit_reason: int


OF_TOKEN_LATE = Joined(
    f"""{OF_TOKEN.join} AND NOT EXISTS (
        SELECT FROM targets o
        WHERE {rings_already("o", "t", "r.ring", "r.session_id")} OFFSET 0)""",
    OF_TOKEN.columns,
)
"""For devices that come late: one that rings by another of its addresses rings already."""

OF_TOKEN_DATED = Joined(
    OF_TOKEN.join, tuple(column for column in OF_TOKEN.columns if column[0] != "due_at")
)
"""For rows that say themselves when they are due."""

OF_PUSH: Final = ("id", "ring", "session_id", "user_id", "token_id")
"""What each push of a ring says itself."""

FREE: Final = "ON CONFLICT (ring, token_id, purpose) DO NOTHING"


def new_pushes(
    rows: Sequence[NewRing] | Sequence[NewRepeat] | Sequence[NewStop],
) -> Insert:
    """Pushes to be written: these rows are the outbox. One that is there already stays as it is.

    None is made to a token that is not the user's any more; the token's columns are the server's to
    find, which is cheaper than to bring them here and back.
    """
    dated = bool(rows) and "due_at" in rows[0]
    return Insert(Push.__table__, rows, FREE, OF_TOKEN_DATED if dated else OF_TOKEN)


def begun(rows: Sequence[Row], same: Row, *, late: bool) -> Insert:
    """As `new_pushes`, of rings: what they do not say is as `same` says. `late`: they have begun
    before.

    Of a ring that begins in this transaction nobody has written a push, and no two rows may be for
    one token: whether there is one is not asked.
    """
    of_token, free = (OF_TOKEN_LATE, FREE) if late else (OF_TOKEN, "")
    return Insert(Push.__table__, rows, free, of_token, columns=OF_PUSH, same=same)
