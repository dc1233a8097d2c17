"""Erasing a user: out of live calls and of all rows; history keeps a tombstone.

What ends at once is one transaction: the user leaves live calls, devices, tokens and feed go, and
what was signed for the user is good for nothing. The history of calls follows in batches, so that
a long one holds no call for long; what is not done within two seconds the sweep goes on with.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text

from app.audit.log import SERVER, Actor, forget_user, record
from app.calls import histories, idempotency, queries, store
from app.calls.apply import Applied
from app.calls.commands import Asked, carry_out
from app.calls.notify_after_commit import notify_after_commit
from app.calls.service import take_out
from app.core.call import Tick
from app.devices import store as devices
from app.events import store as events
from app.events.tombstones import buried_call
from app.infra import bisection
from app.infra.anew import anew
from app.infra.bisection import Aside
from app.infra.db import Connection, Row, many
from app.infra.errors import AppError, NotFound
from app.infra.runtime import Runtime
from app.push import erasure as pushes
from app.tenants import erasures, revocations
from app.users import store as users
from app.webhooks import deliveries

AT_ONCE = 2.0
"""Seconds for which a request waits until nothing names the user any more."""

STEP: Final = 0.5
"""Seconds of a round of the sweep that erasures have, all together."""

LOOK_AGAIN = 0.05
CALLS_AT_ONCE = 20
ERASURES_AT_ONCE = 50
ASIDE: Final = Aside[UUID]("erasures")
CALLS_ASIDE: Final = Aside[UUID]("erasures in calls")

# The members' rows say which calls they are, so they come last.
BURY: Final = tuple(
    text(f"UPDATE {statement}")
    for statement in (
        """calls SET caller_name = NULL, caller_avatar_url = NULL, caller_handle = NULL,
            title = NULL, custom = '{}', caller_id = :tombstone
        WHERE id = ANY(CAST(:calls AS uuid[])) AND caller_id = :user""",
        f"""idempotency i SET answer = {buried_call("i.answer")}
        WHERE i.session_id = ANY(CAST(:calls AS uuid[])) AND i.answer IS NOT NULL""",
        """rings SET user_id = :tombstone, device = NULL, shown_on = '{}'
        WHERE session_id = ANY(CAST(:calls AS uuid[])) AND user_id = :user""",
        """members SET user_id = :tombstone, device_id = NULL, person = NULL
        WHERE session_id = ANY(CAST(:calls AS uuid[])) AND user_id = :user""",
    )
)
NAMING: Final = text("""
    SELECT m.session_id FROM members m JOIN calls c ON c.id = m.session_id
    LEFT JOIN rings r ON r.uuid = m.ring
    WHERE m.tenant_id = :tenant AND m.user_id = :user AND c.created_at <= :before
        AND coalesce(r.created_at, c.created_at) <= :before
        AND m.session_id <> ALL(CAST(:aside AS uuid[]))
    ORDER BY m.session_id LIMIT :limit
""")


async def erase(runtime: Runtime, tenant_id: UUID, user_id: str, *, actor: Actor = SERVER) -> None:
    """Erase a user: devices, tokens and events go; past calls keep a tombstone in their place.

    Its ringing phones are told to stop. Raises NotFound when there is no such user.
    """

    async def leave(session: Connection) -> tuple[Applied, Row]:
        await devices.lock_user(session, tenant_id, user_id)
        live = await store.live_calls_of(session, tenant_id, user_id)
        calls = await _hold_whole(session, tenant_id, live)  # what somebody holds follows
        applied = await take_out(session, user_id, calls)
        erasure = await erasures.add(session, tenant_id, user_id)
        await _bury(session, erasure, calls)
        known = await users.forget_user(session, tenant_id, user_id)
        if not await devices.erase_user(session, tenant_id, user_id) and not known:
            raise NotFound("user_not_found", "there is no such user")
        await revocations.forget_user(session, tenant_id, user_id)
        await histories.forget_user(session, tenant_id, user_id)
        await record(session, actor, tenant_id, "user.erase", "user", user=user_id)
        await forget_user(session, tenant_id, user_id)
        await idempotency.forget_user(session, tenant_id, user_id)
        await events.forget_feed(session, tenant_id, user_id)
        return applied, erasure

    applied, erasure = await anew(runtime.database, leave)
    notify_after_commit(runtime, applied)
    end = time.monotonic() + AT_ONCE
    for _ in range(1 + round(AT_ONCE / LOOK_AGAIN)):
        if await _finish(runtime, erasure["id"], end) or time.monotonic() > end:
            break
        await asyncio.sleep(LOOK_AGAIN)


async def sweep(runtime: Runtime) -> int:
    """Go on with erasures that are not finished; returns at how many it looked.

    What is not finished now comes after all others the next time.
    """
    end, looked = time.monotonic() + STEP, 0

    async def finish(ids: Sequence[UUID]) -> None:
        for one in ids:
            if not await _finish(runtime, one, end):
                async with runtime.database.autocommit() as session:
                    await erasures.put_last(session, one)

    async with runtime.database.autocommit() as session:
        due = await erasures.due(session, ERASURES_AT_ONCE, ASIDE.keys())
    for one in due:
        if looked and time.monotonic() > end:
            break
        await bisection.by_halves([one], finish, ASIDE)
        looked += 1
    return looked


async def _finish(runtime: Runtime, erasure_id: UUID, end: float) -> bool:
    """Put the tombstone where the user is still named, until `end`; whether all is done."""
    async with runtime.database.autocommit() as session:
        erasure = await erasures.unfinished(session, erasure_id)
    if erasure is None:
        return True

    await _pay_debts(runtime, erasure)

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.autocommit() as session:
            return await _naming(session, erasure, erasure["erased_at"], limit, aside)

    bury = partial(_bury_free, runtime, erasure)
    left_over = end - time.monotonic()
    _, whole = await bisection.sweep_for(find, bury, CALLS_ASIDE, CALLS_AT_ONCE, left_over)
    if not whole:
        return False
    async with runtime.database.transaction() as session:
        # before it is looked who names the user: what was under way then may be in the tables now
        alone = await erasures.alone(session, erasure_id)
        open_stops = await pushes.bury(session, erasure)
        left = await _naming(session, erasure, erasure["erased_at"], 1, [])
        left += await queries.owing(session, erasure["tenant_id"], erasure["erased_at"])
        if open_stops or left or not alone:
            return False
        await erasures.done(session, erasure_id)
    return True


async def _pay_debts(runtime: Runtime, erasure: Row) -> None:
    """Have those written whom calls from before the erasure owe a ring: the user may be among them.

    What somebody holds for long is left for the next time.
    """
    tenant_id = erasure["tenant_id"]
    async with runtime.database.autocommit() as session:
        owing = await queries.owing(session, tenant_id, erasure["erased_at"])
    for one in owing:
        with contextlib.suppress(AppError):
            await carry_out(runtime, tenant_id, one, Asked(Tick()))


async def _hold_whole(session: Connection, tenant_id: UUID, ids: Sequence[UUID]) -> list[UUID]:
    """Hold those of these calls that nobody holds, but for those that owe somebody a ring."""
    held = await queries.lock_free(session, ids)
    owing = await queries.owing(session, tenant_id) if held else ()
    return [one for one in held if one not in owing]


async def _bury_free(runtime: Runtime, erasure: Row, ids: Sequence[UUID]) -> None:
    """In those of these calls that nobody holds; a user who is in a live one leaves it first."""

    async def leave(session: Connection) -> Applied:
        calls = await _hold_whole(session, erasure["tenant_id"], ids)
        applied = await take_out(session, erasure["user_id"], calls) if calls else Applied()
        await _bury(session, erasure, calls)
        return applied

    applied = await anew(runtime.database, leave)
    notify_after_commit(runtime, applied)


async def _naming(
    session: Connection, erasure: Row, before: datetime, limit: int, aside: Sequence[UUID]
) -> list[UUID]:
    """Calls from before the erasure that name the user; one who is rung again later is another."""
    values = {"tenant": erasure["tenant_id"], "user": erasure["user_id"], "before": before}
    found = await many(session, NAMING, values | {"limit": limit, "aside": list(aside)})
    return [row["session_id"] for row in found]


async def _bury(session: Connection, erasure: Row, calls: Sequence[UUID]) -> None:
    """Put the tombstone in the user's place in all that is kept of these calls, which are held."""
    if not calls:
        return
    await deliveries.forget_answers_naming(session, erasure["user_id"], calls)
    await events.bury(session, erasure, calls)
    await pushes.bury_in(session, erasure, calls)
    values = {"user": erasure["user_id"], "tombstone": erasure["tombstone"], "calls": list(calls)}
    for statement in BURY:
        await session.execute(statement, _wanted(statement, values))


def _wanted(statement: TextClause, values: Row) -> Row:
    return {name: values[name] for name in statement.compile().params}
