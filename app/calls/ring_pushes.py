"""The pushes of rings that begin: rows of the outbox, one for each token that rings."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast
from uuid import UUID

from app.calls.saving import OF_RING, own_of
from app.core.call import Ring
from app.core.push import Purpose
from app.infra.db import Connection, Insert, Row
from app.infra.ids import uuid7
from app.push import alerts, batches
from app.push import tokens as push_tokens
from app.push.new_pushes import NewRepeat, NewRing, begun, new_pushes
from app.push.tokens import User

OfCall = tuple[UUID, UUID, Ring]
"""(tenant, call, ring)."""

Way = tuple[str, str, str]
"""(kind, app, environment)."""

NONE: Final[Mapping[UUID, Row]] = {}


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
    by_user: dict[User, dict[UUID, Row]] = {}
    for token in tokens:
        by_user.setdefault((token["tenant_id"], token["user_id"]), {})[token["id"]] = token
    if not by_user or not rings:
        return []
    usual = own_of(rings[0][0], rings[0][2])
    same: dict[str, Any] = dict(zip(OF_RING, usual, strict=True))
    same |= {"created_at": now, "purpose": Purpose.RING.value}
    batched = [one for one in rings if one[1] in large] if large else ()
    alone = [one for one in rings if one[1] not in large] if large else rings
    rows = [_row(one, token, usual) for one, token in _each(alone, by_user, known)]
    again: list[NewRepeat] = []
    if any(token["every"] is not None for token in tokens):
        for one, token in _each(rings, by_user, known):
            if token["every"] is not None:
                row = cast("NewRing", same | _row(one, token, usual))
                again += alerts.repeats(row, token["every"])
    made = [begun(rows, same, late=late)]
    if places := _places(batched, by_user):
        made.append(batches.in_batches(places, now))
    if again:
        made.append(new_pushes(again))
    return made


def _each(
    rings: Sequence[OfCall],
    by_user: Mapping[User, Mapping[UUID, Row]],
    known: Collection[tuple[UUID, UUID]],
) -> Iterator[tuple[OfCall, Row]]:
    """Each ring with each of its tokens, but those that are known."""
    for one in rings:
        tenant, _, ring = one
        for token in by_user.get((tenant, ring.user_id), NONE).values():
            if not known or (ring.uuid, token["id"]) not in known:
                yield one, token


def _row(of_call: OfCall, token: Row, usual: tuple[Any, ...]) -> dict[str, Any]:
    tenant, session_id, ring = of_call
    row = {
        "id": uuid7(),
        "ring": ring.uuid,
        "session_id": session_id,
        "user_id": ring.user_id,
        "token_id": token["id"],
    }
    if own_of(tenant, ring) != usual:
        row |= {"tenant_id": tenant, "deadline": ring.deadline}
    return row


def _places(
    rings: Sequence[OfCall], by_user: Mapping[User, Mapping[UUID, Row]]
) -> dict[batches.OfCall, Collection[list[batches.Place]]]:
    """What is sent in batches, for each call those together that are sent by the same way."""
    found: dict[batches.OfCall, dict[Way, list[batches.Place]]] = {}
    for tenant, session_id, ring in rings:
        ways = found.setdefault((tenant, session_id, ring.deadline), {})
        for token in by_user.get((tenant, ring.user_id), NONE).values():
            way = token["kind"], token["app_id"], token["environment"]
            ways.setdefault(way, []).append((ring.uuid, token["id"], ring.user_id))
    return {of_call: ways.values() for of_call, ways in found.items() if ways}
