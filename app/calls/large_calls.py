"""Telling the members of large calls, once a second, who has come and gone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.calls import queries as live
from app.calls import slices, store
from app.calls.apply import Applied, Change, apply
from app.calls.notify_after_commit import notify_after_commit
from app.core.audience import update
from app.core.call import CallState, Decision
from app.events import store as events
from app.infra.bisection import Aside, sweep
from app.infra.db import Connection
from app.infra.runtime import Runtime

BATCH = 50
PERIOD = timedelta(seconds=1)
ASIDE: Final = Aside[UUID]("large calls")


async def tell_large_calls(runtime: Runtime) -> int:
    """Write the updates that are due; returns how many calls it looked at."""

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.autocommit() as session:
            return await live.updates_due(session, limit, aside)

    async def write(ids: Sequence[UUID]) -> None:
        async with runtime.database.transaction() as session:
            told = await live.lock_updates(session, ids)
            applied = await _write_updates(session, told) if told else Applied()
        notify_after_commit(runtime, applied)

    return await sweep(find, write, ASIDE, BATCH)


async def _write_updates(session: Connection, told: dict[UUID, int]) -> Applied:
    now, calls = await store.load(session, sorted(told))
    owing = [calls.pop(one.call.id) for one in list(calls.values()) if one.owed is not None]
    changed = await events.changed_members(session, told)
    changes, again = [], []
    for session_id, stored in calls.items():
        call, users = stored.call, changed[session_id]
        if call.state is CallState.ENDED:
            users = []  # all have been told that it is over
        if users:
            decision = Decision(call=call, events=(update(call, users, now),), changed=True)
            changes.append(Change(stored, decision))
        again.append((session_id, _look_again(now) if users else None))
    if owing:  # they are told in the next round, of the whole call
        applied = await slices.ring_owed(session, owing, now, others=changes)
    else:
        applied = await apply(session, changes, now)
    await live.updated(session, again)
    return applied


def _look_again(now: datetime) -> datetime:
    # due again in a second whether or not something happens by then: so two are never closer
    return now + PERIOD
