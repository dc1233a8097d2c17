"""What a phone learns and reports with the call token of its push: one read, one small answer."""

from datetime import datetime
from typing import Any

from sqlalchemy import text

from app.calls import store
from app.calls.commands import Asked, carry_out
from app.calls.refusals import not_found
from app.calls.schemas import call_reference, call_summary, member_out, ring_out
from app.calls.store import Stored
from app.core.call import Call, CallKit, Decision, Outcome, Report, view
from app.core.event import rfc3339
from app.core.person import person_from, person_json
from app.infra.db import Connection, Row, one
from app.infra.errors import Forbidden
from app.infra.runtime import Runtime
from app.push import store as pushes
from app.tenants.caller import Caller

SUMMARY = """
    c.id, c.type, c.name, c.state, c.reason, c.caller_id, c.caller_name, c.caller_avatar_url,
    c.caller_handle, c.title, c.video, c.custom, c.created_at, c.active_at, c.ended_at,
    m.user_id, m.person, m.role, m.state AS member_state, m.device_id, m.joined_at, m.left_at,
    r.uuid, r.deadline, r.outcome, r.settled_at, r.callkit_reason,
    n.members, n.joined, n.ringing
"""
COUNTS = """
    CROSS JOIN LATERAL (
        SELECT count(*) AS members,
               count(*) FILTER (WHERE o.state IN ('joined', 'away')) AS joined,
               count(*) FILTER (WHERE o.state = 'ringing') AS ringing
        FROM members o WHERE o.session_id = c.id) n
"""
STATE = text(f"""
    SELECT {SUMMARY}, c.due_at <= clock_timestamp() AS overdue, {store.GONE_AT} AS gone_at,
           (SELECT max(p.declined_at) FROM pushes p
            WHERE p.ring = r.uuid AND p.device_row = :device) AS declined_at
    FROM rings r
    JOIN calls c ON c.id = r.session_id
    JOIN members m ON m.session_id = r.session_id AND m.user_id = r.user_id
    {store.DEVICE_OF_CALL_TOKEN}
    {COUNTS}
    WHERE r.uuid = :ring AND r.tenant_id = :tenant AND (d.id IS NOT NULL OR x.id IS NOT NULL)
""")  # noqa: S608  (constants)


async def read_state(runtime: Runtime, caller: Caller, reference: str) -> dict[str, Any]:
    """The call as the holder of a call token may see it: itself, its ring, and how many others.

    The ring is the token's own, also when a later one has been made to reach the member.
    To a device that is no more the user's, or has declined for itself, it is over, whatever becomes
    of it elsewhere. Raises NotFound when the token is about another call.
    """
    values = {"tenant": caller.tenant_id, "ring": caller.ring, "device": caller.device_row}
    async with runtime.database.autocommit() as session:
        row = await one(session, STATE, values)
        if row is None or not _named(reference, row):
            raise not_found()
    if row["overdue"]:
        out = await _state_in_time(runtime, caller, row)
    else:
        out = summary_of(row)
        out |= {"ring": out["members"][0]["ring"]}
    over = row["gone_at"] or row["declined_at"]
    if over is None or out["ring"]["state"] != "ringing":
        return out
    outcome = Outcome.DECLINED if row["gone_at"] is None else Outcome.CANCELLED
    settled = {
        "state": outcome.value,
        "settled_at": rfc3339(over),
        "callkit_reason": CallKit.REMOTE_ENDED.value,
    }
    return out | {"ring": out["ring"] | settled}


def _named(reference: str, row: Row) -> bool:
    return call_reference(reference) in {row["id"], (row["type"], row["name"])}


def summary_of(row: Row) -> dict[str, Any]:
    """A row of SUMMARY as `schemas.call_summary` has it, for which no other member is loaded."""
    times = {name: row[name] and rfc3339(row[name]) for name in ("joined_at", "left_at")}
    return {
        "id": row["name"],
        "session_id": str(row["id"]),
        "cid": f"{row['type']}:{row['name']}",
        "type": row["type"],
        "state": row["state"],
        "reason": row["reason"],
        "title": row["title"],
        "caller": {"id": row["caller_id"], **person_json(store.caller_of(row))},
        "video": row["video"],
        "custom": row["custom"],
        "created_at": rfc3339(row["created_at"]),
        "active_at": rfc3339(row["active_at"]) if row["active_at"] else None,
        "ended_at": rfc3339(row["ended_at"]) if row["ended_at"] else None,
        "members": [
            {
                "user_id": row["user_id"],
                **person_json(person_from(row["person"])),
                "role": row["role"],
                "state": row["member_state"],
                "device_id": row["device_id"],
                **times,
                "ring": None if row["uuid"] is None else _ring(row),
            }
        ],
        "count": {name: row[name] for name in ("members", "joined", "ringing")},
    }


def _ring(row: Row) -> dict[str, Any]:
    return {
        "uuid": str(row["uuid"]),
        "state": row["outcome"] or "ringing",
        "expires_at": rfc3339(row["deadline"]),
        "settled_at": rfc3339(row["settled_at"]) if row["settled_at"] else None,
        "callkit_reason": row["callkit_reason"],
    }


async def _state_in_time(runtime: Runtime, caller: Caller, row: Row) -> dict[str, Any]:
    """The same for a call that time has changed and the sweep has not seen yet."""
    async with runtime.database.snapshot() as session:
        now, calls = await store.load(session, [row["id"]])
    stored = calls.get(row["id"])
    if stored is None:
        raise not_found()
    call = view(stored.call, now)
    own = call.members[row["user_id"]]
    same = own.ring is not None and own.ring.uuid == caller.ring
    ring = ring_out(own.ring) if same else _ring(row)
    return call_summary(stored, call, row["user_id"]) | {
        "members": [member_out(own) | {"ring": ring}],
        "ring": ring,
    }


async def report(runtime: Runtime, caller: Caller, reference: str, *, delivered: bool) -> None:
    """A device says that it rings, or that it cannot; its member's other devices go on.

    Noted once on the push, and told to the tenant. Raises Forbidden for other than a call token,
    NotFound when it is about another call.
    """
    if caller.kind != "call" or caller.ring is None or caller.device_row is None:
        raise Forbidden("not_allowed", "a report is made with the call token of the push")
    ring, device = caller.ring, caller.device_row
    async with runtime.database.autocommit() as session:
        found = await store.ring_of_token(session, caller.tenant_id, ring, device)
    if found is None or found["device_id"] is None:
        raise not_found()

    async def note(session: Connection, stored: Stored, _: Decision, now: datetime) -> Any:
        if not _names(reference, stored.call):
            return not_found()
        first = await pushes.note_report(session, ring, device, now, delivered=delivered)
        return None if first else "said before"

    command = Report(found["user_id"], found["device_id"], ring, delivered)
    done = await carry_out(runtime, caller.tenant_id, found["session_id"], Asked(command, note))
    if isinstance(done.instead, Exception):
        raise done.instead


def _names(reference: str, call: Call) -> bool:
    return call_reference(reference) in {call.id, (call.type, call.name)}
