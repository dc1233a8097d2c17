"""The timeline of a call: its events, what its phones reported, every try at a push, in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.calls import store as calls
from app.core import story
from app.core.event import milliseconds, rfc3339
from app.db import Row, Session, many, one
from app.errors import AppError, NotFound
from app.events import store
from app.runtime import Runtime

CALL = text("""
    SELECT id, type || ':' || name AS cid, state, reason, caller_id, created_at, ended_at
    FROM calls WHERE id = :call AND tenant_id = :tenant
""")
PUSHES = text("""
    SELECT p.id, p.ring, p.user_id, p.purpose, p.kind, p.environment, p.state, p.status, p.reason,
           p.created_at, p.deadline, r.settled_at, d.device_id, d.name, right(p.token, 4) AS token
    FROM pushes p
    LEFT JOIN rings r ON r.uuid = p.ring
    LEFT JOIN devices d ON d.id = p.device_row
    WHERE p.call_id = :call ORDER BY p.id
""")
ATTEMPTS = text("""
    SELECT push_id, environment, started_at, finished_at, status, reason
    FROM attempts WHERE call_id = :call ORDER BY started_at, id
""")


@dataclass(frozen=True, slots=True)
class Line:
    """One line. `rank`: what goes first of two at the same time."""

    at: datetime
    rank: int
    kind: str
    text: str
    user_id: str | None
    device_id: str | None
    data: dict[str, Any]

    def out(self, began: datetime) -> dict[str, Any]:
        """As clients read it; `ms`: milliseconds since the call began."""
        return {
            "at": rfc3339(self.at),
            "ms": milliseconds(self.at) - milliseconds(began),
            "kind": self.kind,
            "text": self.text,
            "user_id": self.user_id,
            "device_id": self.device_id,
            "data": self.data,
        }


async def of_call(runtime: Runtime, tenant_id: UUID, reference: str) -> dict[str, Any]:
    """The timeline of a call named `type:id` or by the id of its session.

    {"call": {...}, "timeline": [{"at", "ms", "kind", "text", "user_id", "device_id", "data"}]}.
    Raises NotFound, also for another tenant's call.
    """
    async with runtime.database.reading() as session:
        call = await _find(session, tenant_id, reference)
        events = await store.events_of_call(session, call["id"])
        pushes = await many(session, PUSHES, {"call": call["id"]})
        attempts = await many(session, ATTEMPTS, {"call": call["id"]})
    lines = [*_of_events(events), *_of_pushes(pushes, attempts)]
    lines.sort(key=lambda line: (line.at, line.rank))
    began = call["created_at"]
    return {
        "call": {
            "id": str(call["id"]),
            "cid": call["cid"],
            "state": call["state"],
            "reason": call["reason"],
            "caller_id": call["caller_id"],
            "created_at": rfc3339(began),
            "ended_at": rfc3339(call["ended_at"]) if call["ended_at"] else None,
        },
        "timeline": [line.out(began) for line in lines],
    }


async def _find(session: Session, tenant_id: UUID, reference: str) -> dict[str, Any]:
    kind, colon, name = reference.partition(":")
    call_id = await calls.id_by_name(session, tenant_id, kind, name) if colon else _uuid(reference)
    values = {"call": call_id, "tenant": tenant_id}
    found = await one(session, CALL, values) if call_id is not None else None
    if found is None:
        raise _not_found()
    return found


def _uuid(text_: str) -> UUID | None:
    try:
        return UUID(text_)
    except ValueError:
        return None


def _not_found() -> AppError:
    return NotFound("call_not_found", "there is no such call")


def _of_events(events: list[dict[str, Any]]) -> Iterator[Line]:
    for event in events:
        data = event["data"]
        yield Line(
            event["at"],
            event["seq"],
            event["type"],
            story.of_event(event["type"], data),
            data.get("user_id") or data.get("caller_id"),
            data.get("device_id"),
            {"seq": event["seq"], **data},
        )


AFTER_EVENTS = 1_000_000


def _of_pushes(pushes: list[dict[str, Any]], attempts: list[dict[str, Any]]) -> Iterator[Line]:
    by_push: dict[UUID, list[dict[str, Any]]] = {}
    for attempt in attempts:
        by_push.setdefault(attempt["push_id"], []).append(attempt)
    for push in pushes:
        tries = by_push.get(push["id"], [])
        for number, attempt in enumerate(tries, 1):
            yield from _of_attempt(push, attempt, number)
        if not tries and push["state"] in {"dropped", "expired", "refused"}:
            at = push["settled_at"] if push["reason"] == "ring_settled" else push["created_at"]
            if push["state"] == "expired":
                at = push["deadline"]
            said = story.of_unsent(push["purpose"], _device(push), push["state"], push["reason"])
            yield _line(push, at or push["created_at"], f"{push['purpose']}_push.unsent", said, {})


def _of_attempt(push: Row, attempt: Row, number: int) -> Iterator[Line]:
    purpose, device = push["purpose"], _device(push)
    environment = {"environment": attempt["environment"], "attempt": number}
    started, finished = attempt["started_at"], attempt["finished_at"]
    sent = story.of_sending(purpose, device, number)
    yield _line(push, started, f"{purpose}_push.sent", sent, environment)
    took = (finished - started).total_seconds() * 1000
    answer = environment | {"status": attempt["status"], "reason": attempt["reason"]}
    said = story.of_answer(purpose, device, attempt["status"], attempt["reason"], took)
    yield _line(push, finished, f"{purpose}_push.answered", said, answer)


def _line(push: Row, at: datetime, kind: str, said: str, data: dict[str, Any]) -> Line:
    about = {
        "push": str(push["id"]),
        "ring": str(push["ring"]),
        "token_kind": push["kind"],
        "token": f"...{push['token']}",
        "state": push["state"],
    }
    rank = AFTER_EVENTS
    return Line(at, rank, kind, said, push["user_id"], push["device_id"], about | data)


def _device(push: Row) -> str:
    """How a sentence names a device: its name, its id, or the end of its token."""
    device = push["name"] or push["device_id"] or f"a device with the token ...{push['token']}"
    return f"{push['user_id']}'s {device}"
