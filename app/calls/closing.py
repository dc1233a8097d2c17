"""Deleting a tenant: one transaction shuts every door, its calls end, and its rows follow.

From the commit on its keys, secrets and issuers are good for nothing, its webhooks are off, nothing
new rings, and its name is free. Then its live calls are ended: at once by who deletes it, and by
the sweep, which also finds what had begun to ring before the commit and comes after it. The phones
that ring are told to stop by the tenant's own credentials, so these stay until that is sent, or for
`LONGEST_STOPS`. What is left are rows, which `workers.removal` takes away.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.audit.log import SERVER, WHOLE_SERVER, Actor, record
from app.calls import queries as live
from app.calls import store
from app.calls.apply import Applied, Change, apply
from app.calls.commands import Asked, carry_out
from app.calls.notify_after_commit import notify_after_commit
from app.core.call import End, decide
from app.core.delivery import DisabledReason
from app.core.frozen import frozen
from app.infra import bisection, tenant_rows
from app.infra.anew import anew
from app.infra.bisection import Aside
from app.infra.db import Connection, many
from app.infra.errors import AppError, Invalid, NotFound
from app.infra.runtime import Runtime
from app.tenants import store as tenants
from app.tenants.service import deleted_already
from app.webhooks import endpoints

AT_ONCE: Final = 2.0
"""Seconds for which who deletes a tenant ends its calls; the sweep goes on with the rest."""

CALLS_AT_ONCE: Final = 20
LONGEST_STOPS: Final = 30.0
"""Seconds after which credentials go also if phones have not been told to stop: since the tenant
was deleted, and since the last of its calls ended."""

FORGOTTEN_AFTER: Final = 3.0
"""Seconds by which every process has forgotten a deleted tenant's keys."""

ASIDE: Final = Aside[UUID]("calls of deleted tenants")
LIVE: Final = text("""
    SELECT c.id FROM tenants t CROSS JOIN LATERAL (
        SELECT id FROM calls WHERE tenant_id = t.id AND ended_at IS NULL
            AND id <> ALL(CAST(:aside AS uuid[])) LIMIT :limit) c
    WHERE t.deleted_at IS NOT NULL LIMIT :limit
""")
REMOVABLE: Final = text("""
    SELECT t.id FROM tenants t WHERE t.deleted_at IS NOT NULL AND (
        t.deleted_at
            < clock_timestamp() - make_interval(secs => CAST(:forgotten AS double precision))
        AND NOT EXISTS (SELECT FROM calls WHERE tenant_id = t.id AND ended_at IS NULL)
        AND NOT EXISTS (SELECT FROM pushes WHERE is_open AND tenant_id = t.id)
        AND NOT EXISTS (SELECT FROM push_batches WHERE done_at IS NULL AND tenant_id = t.id)
        OR greatest(t.deleted_at, (SELECT max(ended_at) FROM calls WHERE tenant_id = t.id))
            < clock_timestamp() - make_interval(secs => CAST(:stops AS double precision)))
    ORDER BY t.id
""")


@frozen
class Deleted:
    """A tenant that was just deleted: what it was called, and when."""

    id: UUID
    name: str
    at: datetime


async def delete(
    runtime: Runtime, tenant_id: UUID, confirm: str, *, actor: Actor = SERVER
) -> Deleted:
    """Delete a tenant, if `confirm` is its name; its calls end, and its rows go by and by.

    Raises NotFound, Invalid for another name, and Conflict for one that was deleted already.
    """

    async def close(session: Connection) -> Deleted:
        row = await tenants.hold_tenant(session, tenant_id)
        if row is None:
            raise NotFound("tenant_not_found", "there is no such tenant")
        if row["deleted_at"] is not None:
            raise deleted_already(row)
        name: str = row["name"]
        check_confirmed(name, confirm)
        await endpoints.disable_all(session, tenant_id, DisabledReason.BY_HAND)
        closed = await tenants.close(session, tenant_id)
        target, detail = f"tenant:{tenant_id}", {"name": name}
        await record(session, actor, WHOLE_SERVER, "tenant.delete", target, detail)
        return Deleted(tenant_id, name, closed["deleted_at"])

    deleted = await anew(runtime.database, close)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(AT_ONCE):
            await end_calls(runtime)
    return deleted


def check_confirmed(name: str, confirm: str) -> None:
    """Raises Invalid unless what was typed is the tenant's name."""
    if confirm != name:
        raise Invalid(
            "not_confirmed",
            f"confirm: {confirm!r} is not the name of the tenant, which is {name!r}: nothing was "
            "changed. To delete it with all that it has, type that name",
        )


async def end_calls(runtime: Runtime) -> int:
    """End the live calls of tenants that were deleted; returns at how many it looked."""

    async def find(limit: int, aside: Sequence[UUID]) -> list[UUID]:
        async with runtime.database.autocommit() as session:
            rows = await many(session, LIVE, {"limit": limit, "aside": list(aside)})
        return [row["id"] for row in rows]

    async def end(ids: Sequence[UUID]) -> None:
        async with runtime.database.transaction() as session:
            applied, owing = await _end(session, await live.lock_free(session, ids))
        notify_after_commit(runtime, applied)
        for tenant_id, one in owing:
            with contextlib.suppress(AppError):  # what somebody holds for long is found again
                await carry_out(runtime, tenant_id, one, Asked(End()))

    return await bisection.sweep(find, end, ASIDE, CALLS_AT_ONCE)


async def _end(session: Connection, ids: Sequence[UUID]) -> tuple[Applied, list[tuple[UUID, UUID]]]:
    """End these calls, which are held, but those that owe somebody a ring: these are returned."""
    if not ids:
        return Applied(), []
    now, found = await store.load(session, sorted(ids))
    owing = [one for one in found.values() if one.owed is not None]
    changes = [
        Change(one, decide(one.call, End(), now)) for one in found.values() if one.owed is None
    ]
    applied = await apply(session, changes, now)
    return applied, [(one.tenant_id, one.call.id) for one in owing]


async def rows_of(runtime: Runtime, tenant_id: UUID) -> dict[str, int]:
    """How many rows a tenant has by table, up to `tenant_rows.COUNTED` of each; those of calls'
    rings and pushes, which go with their calls, are not counted."""
    async with runtime.database.patient.autocommit() as session:
        return await tenant_rows.count(session, tenant_id)


async def removable(session: Connection) -> list[UUID]:
    """Deleted tenants whose phones have been told to stop, or that have had their time for it."""
    values = {"forgotten": FORGOTTEN_AFTER, "stops": LONGEST_STOPS}
    return [row["id"] for row in await many(session, REMOVABLE, values)]
