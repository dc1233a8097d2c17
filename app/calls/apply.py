"""`apply(session, changes)`: the only place that turns Decisions into rows."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.calls import queries as live
from app.calls import saving
from app.calls.ring_pushes import ring_pushes, tokens_of
from app.calls.rows import Stored
from app.calls.saving import OfCall
from app.core.audience import audience, is_put_off
from app.core.call import Call, Decision, Member, MemberState, Ring, Role
from app.core.event import Event, EventType, envelope
from app.core.frozen import frozen, replace
from app.core.push import Purpose
from app.core.suppression import NOTIFIED
from app.events import store as events
from app.infra.db import Connection, Insert, Row, insert_all, said_apart
from app.infra.push_hints import HintOf, PushHint
from app.push import alerts, batches
from app.push import store as pushes
from app.webhooks import publish

MISSED = frozenset({MemberState.MISSED, MemberState.UNREACHABLE})


@frozen
class Change:
    """A decision on a call as it was stored."""

    stored: Stored
    decision: Decision


@dataclass(slots=True)
class Applied:
    """What to tell after the commit: what there is to push, users and webhooks with news.

    `news`: (tenant, user, number of the user's latest event). `events`: what is counted of each:
    its type, and for a device's report how many seconds after the ring it came.
    """

    hints: list[PushHint] = field(default_factory=list)
    news: list[tuple[UUID, str, int]] = field(default_factory=list)
    webhooks: set[UUID] = field(default_factory=set)
    events: list[tuple[EventType, float | None]] = field(default_factory=list)

    @property
    def tenant(self) -> UUID | None:
        """Whose work it is; where it is several tenants', the first one's."""
        return self.news[0][0] if self.news else None


async def start(
    session: Connection,
    changes: Sequence[Change],
    now: datetime,
    tokens: Sequence[Row],
    *,
    batched: bool,
) -> tuple[set[UUID], Applied]:
    """Write new calls, those at least whose cid is free; returns which these are.

    `tokens` are those of the users that are rung; `batched`: whether pushes may go in batches.
    """
    if not changes:
        return set(), Applied()
    calls = [as_inserted(change) for change in changes]
    owing = frozenset(change.decision.call.id for change in changes if change.stored.owed)
    rest = [change for change in changes if not change.stored.owed]
    # who owes rings does so as batches are read
    large = owing | await _batched(session, rest, batched)
    rows = _new_rows(changes, members_of(changes), now, tokens, large)
    added = await saving.add_calls(session, calls, rows)
    taken = [change for change in changes if change.decision.call.id in added]
    settled = [ring for change in taken for ring in change.decision.settled]
    applied = Applied(hints=hints_of(taken, large))
    if settled:  # given up at once: nothing of theirs can ring
        await saving.settle_rings(session, settled)
        found = await alerts.targets(session, _missed(taken), Purpose.MISSED)
        await alerts.add(session, found, Purpose.MISSED, now)
    await _notify(session, taken, now)
    return added, await _tell(session, taken, applied)


def as_inserted(change: Change) -> Stored:
    """A new call as its row says."""
    return replace(change.stored, event_seq=len(change.decision.events))


async def apply(
    session: Connection,
    changes: Sequence[Change],
    now: datetime,
    tokens: Sequence[Row] | None = None,
    *,
    batched: bool | None = None,
) -> Applied:
    """Write what decisions say, set-wise, for calls that this transaction holds locked.

    `tokens`: those of the users that are rung, and `batched` whether pushes may go in batches,
    where they are known.

    Tables are written in the lock order of docs/architecture.md: calls, members, rings, pushes,
    and the users' counters last.
    """
    known = [
        saving.after(change.stored, change.decision)
        for change in changes
        if change.decision.changed
    ]
    if known:
        await saving.save_calls(session, known)
    before = {change.decision.call.id: change.stored.call.members for change in changes}
    new, changed = list[OfCall](), list[OfCall]()
    for one in members_of(changes):
        (changed if one[2].user_id in before[one[1]] else new).append(one)
    if changed:
        await saving.save_members(session, changed)
    rings = rings_of(changes)
    if tokens is None:
        tokens = await tokens_of(session, rings) if rings else ()
    large = await _batched(session, changes, batched)
    await insert_all(session, _new_rows(changes, new, now, tokens, large))
    await _notify(session, changes, now)
    applied = Applied(hints=hints_of(changes, large))
    shown = [ring for change in changes for ring in change.decision.shown]
    if shown:
        await saving.show_rings(session, shown)
    settled = [ring for change in changes for ring in change.decision.settled]
    if settled:
        await saving.settle_rings(session, settled)
        applied.hints += await _after_settling(session, changes, now)
    return await _tell(session, changes, applied)


async def apply_missed(
    session: Connection, changes: Sequence[Change], decided: Decision, now: datetime
) -> Applied:
    """As `apply`, for calls that all end as was `decided` of one (`app.calls.missed_calls`)."""
    await saving.save_missed(session, [change.decision for change in changes], decided)
    applied = Applied(hints=await _after_settling(session, changes, now))
    return await _tell(session, changes, applied)


async def _after_settling(
    session: Connection, changes: Sequence[Change], now: datetime
) -> list[PushHint]:
    """What follows for pushes from rings that settle; returns what there is to send."""
    settled = [ring.uuid for change in changes for ring in change.decision.settled]
    large = [one.decision.call.id for one in changes if may_have_batches(one.decision.call)]
    await pushes.drop_unsent(session, settled, large)
    return await _add_ends(session, changes, now)


async def _tell(session: Connection, changes: Sequence[Change], applied: Applied) -> Applied:
    applied.webhooks, applied.news = await _write_events(session, changes)
    applied.events = counted(changes)
    return applied


async def _notify(session: Connection, changes: Sequence[Change], now: datetime) -> None:
    found = await alerts.targets(session, _notified(changes), Purpose.NOTIFY)
    await alerts.add(session, found, Purpose.NOTIFY, now)


def may_have_batches(call: Call) -> bool:
    """Whether a call is so large that pushes of it may be in batches."""
    return call.size >= batches.BATCHED_FROM


async def _batched(
    session: Connection, changes: Sequence[Change], all_read: bool | None
) -> frozenset[UUID]:
    """Calls of which so many rings begin that their pushes are written in batches."""
    some = [one for one in changes if len(one.decision.rings) >= batches.BATCHED_FROM]
    begun = Counter(call for _, call, _ in to_push(some))
    return await batches.batched(session, begun, all_read=all_read)


def hints_of(changes: Sequence[Change], large: Collection[UUID]) -> list[PushHint]:
    """What workers are told of: the rings that begin, but a large call for those of its own."""
    whole = {ring.uuid for _, call, ring in to_push(changes) if call in large} if large else ()
    return [
        *(
            PushHint(HintOf.BATCH, one.decision.call.id)
            for one in changes
            if one.decision.call.id in large
        ),
        *(
            PushHint(HintOf.RING, ring.uuid)
            for _, _, ring in rings_of(changes)
            if ring.uuid not in whole
        ),
    ]


def _notified(changes: Sequence[Change]) -> list[tuple[UUID, UUID]]:
    """New rings, with their tenants, that a notification tells of, and no more."""
    return [
        (change.stored.tenant_id, ring.uuid)
        for change in changes
        for ring in change.decision.rings
        if change.decision.call.members[ring.user_id].suppressed in NOTIFIED
    ]


def _missed(changes: Sequence[Change]) -> list[tuple[UUID, UUID]]:
    """The same that have settled just now as missed calls, but those kept from their users."""
    return [
        (change.stored.tenant_id, ring.uuid)
        for change in changes
        for ring in change.decision.settled
        if _is_missed(change.decision.call.members[ring.user_id], ring)
    ]


def _is_missed(member: Member, ring: Ring) -> bool:
    latest = member.ring is not None and member.ring.uuid == ring.uuid
    callee = member.role is Role.CALLEE and not member.is_hidden
    return latest and callee and member.state in MISSED


def rings_of(changes: Sequence[Change]) -> list[tuple[UUID, UUID, Ring]]:
    return [
        (change.stored.tenant_id, change.decision.call.id, ring)
        for change in changes
        for ring in change.decision.rings
    ]


def _new_rows(
    changes: Sequence[Change],
    members: Sequence[OfCall],
    now: datetime,
    tokens: Sequence[Row],
    large: Collection[UUID] = (),
) -> list[Insert]:
    """These members, and the rings and pushes that decisions make."""
    rings = rings_of(changes)
    return [
        saving.members_as_rows(members),
        saving.rings_as_rows(rings),
        *ring_pushes(to_push(changes), now, tokens, large=large),
    ]


def members_of(changes: Sequence[Change]) -> list[OfCall]:
    """Members that decisions make or change."""
    return [
        (change.stored.tenant_id, change.decision.call.id, member)
        for change in changes
        for member in change.decision.members
    ]


def to_push(changes: Sequence[Change]) -> list[tuple[UUID, UUID, Ring]]:
    """New rings but those that are kept from their users."""
    return [
        (change.stored.tenant_id, change.decision.call.id, ring)
        for change in changes
        for ring in change.decision.rings
        if not change.decision.call.members[ring.user_id].is_hidden
    ]


async def _add_ends(
    session: Connection, changes: Sequence[Change], now: datetime
) -> list[PushHint]:
    """What says that rings are over, and which calls were missed; returns hints of it."""
    stops = [
        (stop.ring_uuid, int(stop.callkit_reason), stop.spared)
        for change in changes
        for stop in change.decision.stops
    ]
    missed = await alerts.targets(session, _missed(changes), Purpose.MISSED)
    told = {(one.ring, one.token_id) for one in missed}
    targets = await pushes.stop_targets(session, stops)
    hints = await pushes.add_stops(session, targets, now, told)
    rung = await alerts.add(session, missed, Purpose.MISSED, now)
    return hints + [PushHint(HintOf.STOP, ring) for ring in rung]


async def _write_events(
    session: Connection, changes: Sequence[Change]
) -> tuple[set[UUID], list[tuple[UUID, str, int]]]:
    numbered = [
        (change, seq, event)
        for change in changes
        for seq, event in enumerate(change.decision.events, change.stored.event_seq + 1)
    ]
    if not numbered:
        return set(), []
    listeners = [audience(change.decision.call, event) for change, _, event in numbered]
    quieted = {
        change.decision.call.id
        for change, _, event in numbered
        if is_put_off(change.decision.call, event)
    }
    if quieted:
        await live.owe_update(session, sorted(quieted))
    told = [
        ((change.stored.tenant_id, user), change.decision.call, seq, event)
        for (change, seq, event), users in zip(numbered, listeners, strict=True)
        for user in users
    ]
    same = (numbered[0][0].stored.tenant_id, numbered[0][2].at)
    rows = [_event_row(*one, same) for one in numbered]
    webhooks, feeds = await publish.call_events(session, rows, {user for user, *_ in told}, same)
    news = [
        (user, event.at, _body(call, seq, event))
        for user, call, seq, event in told
        if user in feeds
    ]
    return webhooks, await events.tell_users(session, feeds, news)


def _event_row(change: Change, seq: int, event: Event, same: tuple[UUID, datetime]) -> Row:
    row = {
        "session_id": change.decision.call.id,
        "seq": seq,
        "type": event.type.value,
        "data": event.data,
    }
    return said_apart(row, ("tenant_id", "at"), (change.stored.tenant_id, event.at), same)


def counted(changes: Sequence[Change]) -> list[tuple[EventType, float | None]]:
    return [
        (event.type, _age_of_ring(change.decision.call, event))
        for change in changes
        for event in change.decision.events
    ]


def _age_of_ring(call: Call, event: Event) -> float | None:
    """Seconds from the ring to a device's word that it rings."""
    if event.type is not EventType.DEVICE_DELIVERED:
        return None
    member = call.members.get(event.data["user_id"])
    if member is None or member.ring is None or str(member.ring.uuid) != event.data["ring"]:
        return None
    return (event.at - member.ring.created_at).total_seconds()


def _body(call: Call, seq: int, event: Event) -> dict[str, Any]:
    return envelope(
        session_id=call.id,
        cid=call.cid,
        seq=seq,
        kind=event.type.value,
        at=event.at,
        data=event.data,
    )
