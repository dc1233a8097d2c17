"""Heartbeats, the commonest command: one conditional UPDATE when all they change is `seen_at`.

So it is for a member who has joined and is not away, by the device that holds it and has shown
life before, in a call that time has not changed. `core.call.decide` would then move `seen_at`, make
no event and answer the call as it is. Every other heartbeat goes the way of all commands.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.calls import service
from app.calls.actors import Actor
from app.calls.reference import call_reference
from app.calls.rows import COUNTS, SUMMARY, own_call_from
from app.calls.schemas import call_summary, own_call_out
from app.core.call import SERVER, Heartbeat
from app.infra.errors import Invalid
from app.infra.runtime import Runtime

# The call is held FOR SHARE: commands wait for heartbeats and heartbeats for commands, so that none
# decides on a member whom another is changing; heartbeats do not wait for each other. Nobody waits
# here: what somebody holds goes the way of all commands. `version` says whether call and members
# were read at one moment. `due_at` may be too early, as what is taken here does not move it; it is
# never too late.
BEAT = """
    WITH c AS (
        SELECT * FROM calls WHERE tenant_id = :tenant AND {call} FOR SHARE SKIP LOCKED
    ), m AS (
        UPDATE members m SET seen_at = clock_timestamp() FROM c
        WHERE m.session_id = c.id AND m.user_id = :user AND m.state = 'joined'
            AND m.device_id = :device AND m.monitored AND c.due_at > clock_timestamp()
            AND c.version = (SELECT seen.version FROM calls seen WHERE seen.id = c.id)
        RETURNING m.*
    )
    SELECT {summary} FROM m CROSS JOIN c LEFT JOIN rings r ON r.uuid = m.ring {counts}
"""
BY_ID = text(BEAT.format(call="id = :id", summary=SUMMARY, counts=COUNTS))
LIVE_BY_NAME = "type = :type AND name = :name AND ended_at IS NULL"
BY_NAME = text(BEAT.format(call=LIVE_BY_NAME, summary=SUMMARY, counts=COUNTS))


async def keep(runtime: Runtime, actor: Actor) -> dict[str, Any]:
    """A sign of life of the actor's device; returns the call as its member's phone reads it.

    Raises as `service.act` does, and Invalid when no device is named.
    """
    if actor.device is None:
        raise Invalid("missing_field", "device_id: say which device is alive")
    user = actor.user_id
    kept = await _keep_joined(runtime, actor, user)
    if kept is not None:
        return kept
    seen = await service.act(
        runtime,
        actor.tenant_id,
        actor.reference,
        Heartbeat(user, actor.device),
        hidden=actor.hidden,
    )
    return call_summary(seen.call, user)


async def _keep_joined(runtime: Runtime, actor: Actor, user: str) -> dict[str, Any] | None:
    named = call_reference(actor.reference)
    if named is None or actor.device == SERVER:  # a member that the backend holds is not monitored
        return None
    values = {"tenant": actor.tenant_id, "user": user, "device": actor.device}
    if isinstance(named, UUID):
        statement, values["id"] = BY_ID, named
    else:
        statement, (values["type"], values["name"]) = BY_NAME, named
    # a transaction of its own: who goes on from FOR SHARE to FOR NO KEY UPDATE may deadlock
    async with runtime.database.transaction() as session:
        row = (await session.execute(statement, values)).first()
    return None if row is None else own_call_out(own_call_from(row))
