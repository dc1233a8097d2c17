"""`apply(session, changes)`: the only place that turns Decisions into rows."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app.calls import live, store
from app.calls.store import Stored
from app.core.audience import audience
from app.core.call import Decision, Ring
from app.core.event import envelope
from app.db import Row, Session
from app.devices import store as devices
from app.events import store as events
from app.ids import uuid7
from app.push import store as pushes

STOP_LIVES = timedelta(seconds=30)
"""How long a stop is worth sending: iOS itself ends an unanswered call after 30 to 60 s."""


@dataclass(frozen=True, slots=True)
class Change:
    """A decision on a call as it was stored; `new` when its row is already written."""

    stored: Stored
    decision: Decision
    new: bool = False


@dataclass(slots=True)
class Applied:
    """What to tell after the commit: rings with pushes to send, users and webhooks with news.

    `news`: (tenant, user, number of the user's latest event).
    """

    rings: list[UUID] = field(default_factory=list)
    news: list[tuple[UUID, str, int]] = field(default_factory=list)
    webhooks: set[UUID] = field(default_factory=set)


async def apply(
    session: Session,
    changes: Sequence[Change],
    now: datetime,
    tokens: Sequence[Row] | None = None,
) -> Applied:
    """Write what decisions say, set-wise, for calls that this transaction holds locked.

    `tokens`: those of the users that are rung, if they have been read already. Tables are written
    in the lock order of DESIGN: calls, members, rings, pushes, and the users' counters last.
    """
    await _write_calls(session, changes)
    rings = [
        (change.stored.tenant_id, change.decision.call.id, ring)
        for change in changes
        for ring in change.decision.rings
    ]
    applied = Applied(rings=[ring.uuid for _, _, ring in rings])
    if rings:
        await store.add_rings(session, rings)
    settled = [ring for change in changes for ring in change.decision.settled]
    if settled:
        await store.settle_rings(session, settled)
    if rings:
        await add_ring_pushes(session, rings, now, tokens)
    if settled:
        await pushes.drop_unsent(session, [ring.uuid for ring in settled])
        applied.rings += await _add_stops(session, changes, now)
    applied.webhooks, applied.news = await _write_events(session, changes)
    return applied


async def _write_calls(session: Session, changes: Sequence[Change]) -> None:
    known = [
        store.after(change.stored, change.decision)
        for change in changes
        if not change.new and change.decision.changed
    ]
    if known:
        await store.save_calls(session, known)
    members = [
        (change.stored.tenant_id, change.decision.call.id, member)
        for change in changes
        for member in change.decision.members
    ]
    if members:
        await store.save_members(session, members)


async def add_ring_pushes(
    session: Session,
    rings: Sequence[tuple[UUID, UUID, Ring]],
    now: datetime,
    tokens: Sequence[Row] | None = None,
) -> None:
    """One push for each token of each (tenant, call, ring); one that exists stays as it is."""
    if tokens is None:
        _, tokens = await devices.ringable(
            session, [(tenant, ring.user_id) for tenant, _, ring in rings]
        )
    by_user: dict[tuple[UUID, str], list[Row]] = {}
    for token in tokens:
        by_user.setdefault((token["tenant_id"], token["user_id"]), []).append(token)
    rows = [
        _push_row(
            token, ring=ring.uuid, call_id=call_id, purpose="ring", now=now, deadline=ring.deadline
        )
        for tenant, call_id, ring in rings
        for token in by_user.get((tenant, ring.user_id), ())
    ]
    await pushes.add_pushes(session, rows)


def _push_row(
    token: Row,
    *,
    ring: UUID,
    call_id: UUID,
    purpose: str,
    now: datetime,
    deadline: datetime,
    callkit: int | None = None,
) -> dict[str, Any]:
    return {
        "id": uuid7(),
        "ring": ring,
        "call_id": call_id,
        "tenant_id": token["tenant_id"],
        "user_id": token["user_id"],
        "device_row": token["device_row"],
        "token_id": token["id"],
        "purpose": purpose,
        "kind": token["kind"],
        "bundle_id": token["bundle_id"],
        "environment": token["environment"],
        "token": token["token"],
        "token_registered_at": token["registered_at"],
        "token_version": token["version"],
        "callkit": callkit,
        "created_at": now,
        "deadline": deadline,
        "state": "pending",
        "due_at": now,
    }


async def _add_stops(session: Session, changes: Sequence[Change], now: datetime) -> list[UUID]:
    stops = [
        (stop.ring_uuid, int(stop.callkit), stop.spared)
        for change in changes
        for stop in change.decision.stops
    ]
    targets = await pushes.stop_targets(session, stops)
    rows = [
        _push_row(
            target
            | {
                "id": target["token_id"],
                "registered_at": target["token_registered_at"],
                "version": target["token_version"],
            },
            ring=target["ring"],
            call_id=target["call_id"],
            purpose="stop",
            now=now,
            deadline=now + STOP_LIVES,
            callkit=target["callkit"],
        )
        for target in targets
    ]
    await pushes.add_pushes(session, rows)
    return list({row["ring"] for row in rows})


async def _write_events(
    session: Session, changes: Sequence[Change]
) -> tuple[set[UUID], list[tuple[UUID, str, int]]]:
    rows: list[dict[str, Any]] = []
    told: list[tuple[UUID, str, datetime, dict[str, Any]]] = []
    quieted: set[UUID] = set()
    for change in changes:
        call, tenant = change.decision.call, change.stored.tenant_id
        for seq, event in enumerate(change.decision.events, change.stored.event_seq + 1):
            data = dict(event.data)
            rows.append(
                {
                    "call_id": call.id,
                    "seq": seq,
                    "tenant_id": tenant,
                    "type": event.type.value,
                    "at": event.at,
                    "data": data,
                }
            )
            body = envelope(
                call_id=call.id,
                cid=call.cid,
                seq=seq,
                kind=event.type.value,
                at=event.at,
                data=data,
            )
            listeners = audience(call, event)
            told += [(tenant, user, event.at, body) for user in listeners]
            if len(listeners) < len(event.to):
                quieted.add(call.id)
    if quieted:
        await live.owe_update(session, sorted(quieted))
    webhooks = await events.add_events(session, rows)
    return webhooks, await events.tell_users(session, told)
