"""The pushes of rings that begin: rows of the outbox, one for each token that rings."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from app.calls.saving import OF_RING, own_of
from app.core.call import Ring
from app.core.push import Purpose
from app.infra.db import Connection, Insert, Row
from app.infra.ids import uuid7
from app.push import alerts, batches
from app.push import tokens as push_tokens
from app.push.new_pushes import OF_PUSH, NewRepeat, NewRing, begun, new_pushes

OfCall = tuple[UUID, UUID, Ring]
"""(tenant, call, ring)."""


async def tokens_of(session: Connection, rings: Sequence[OfCall]) -> Sequence[Row]:
    """The tokens at which the users of these can be rung."""
    _, tokens = await push_tokens.ringable(
        session, [(tenant, ring.user_id) for tenant, _, ring in rings]
    )
    return tokens


def ring_pushes(
    rings: Sequence[OfCall],
    now: datetime,
    tokens: Sequence[Row],
    *,
    late: bool = False,
    large: Collection[UUID] = (),
    known: Collection[tuple[UUID, UUID]] = (),
) -> list[Insert]:
    """One push for each token of each ring, however often `tokens` names it.

    And those that ring again where notifications ring. `late`: the rings have begun before, and a
    push that exists stays as it is. `large`: calls of which they go in batches; `known`: (ring,
    token) that have one in a batch.
    """
    by_user: dict[tuple[UUID, str], dict[UUID, Row]] = {}
    for token in tokens:
        by_user.setdefault((token["tenant_id"], token["user_id"]), {})[token["id"]] = token
    if not by_user or not rings:
        return []
    usual = own_of(rings[0][0], rings[0][2])
    same: dict[str, Any] = dict(zip(OF_RING, usual, strict=True))
    same |= {"created_at": now, "purpose": Purpose.RING.value}
    rows, in_batches, again = list[Row](), list[Row](), list[NewRepeat]()
    for tenant, session_id, ring in rings:
        own, to = own_of(tenant, ring), in_batches if session_id in large else rows
        for token in by_user.get((tenant, ring.user_id), {}).values():
            if known and (ring.uuid, token["id"]) in known:
                continue
            row: dict[str, Any] = {
                "id": uuid7(),
                "ring": ring.uuid,
                "session_id": session_id,
                "user_id": ring.user_id,
                "token_id": token["id"],
            }
            if own != usual:
                row |= {"tenant_id": tenant, "deadline": ring.deadline}
            to.append(row)
            if token["every"] is not None:
                again += alerts.repeats(cast("NewRing", same | row), token["every"])
    made = [begun(rows, same, late=late)]
    if in_batches:
        made.append(batches.in_batches(in_batches, OF_PUSH, same))
    if again:
        made.append(new_pushes(again))
    return made
