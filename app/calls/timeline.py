"""The timeline of a call: its events, what its phones reported, every try at a push, in order."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from app import senders
from app.calls import history
from app.calls.history import History
from app.calls.reference import find
from app.calls.refusals import not_found
from app.calls.schemas import call_out
from app.core import sentences as story
from app.core.event import milliseconds, rfc3339
from app.core.push import TOKEN_KINDS
from app.infra.db import Row
from app.infra.runtime import Runtime
from app.infra.traces import trace_id_of
from app.infra.unreadable import mapping, readable

MOST_ROWS = 5_000
"""Rows of a kind that are read: a call of a thousand members has fewer, one that a loop rings anew
again and again for hours has no end."""

SHOWN = ("id", "session_id", "cid", "state", "reason", "title", "caller", "created_at", "ended_at")


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
        """As clients read it; `ms`: milliseconds since the call began, of which none is before it:
        a push of a batch has its times to the millisecond.
        """
        return {
            "at": rfc3339(self.at),
            "ms": max(milliseconds(self.at) - milliseconds(began), 0),
            "kind": self.kind,
            "text": self.text,
            "user_id": self.user_id,
            "device_id": self.device_id,
            "data": self.data,
        }


async def of_call(runtime: Runtime, tenant_id: UUID, reference: str) -> dict[str, Any]:
    """The timeline of a call named `type:id` or by the id of its session.

    {"call": {...}, "timeline": [{"at", "ms", "kind", "text", "user_id", "device_id", "data"}],
    "whole": whether that is all}. Raises NotFound, also for another tenant's call.
    """
    async with runtime.database.autocommit() as session:
        session_id = await find(session, tenant_id, reference)
        known = await history.of_call(session, tenant_id, session_id, limit=MOST_ROWS)
    if known is None:
        raise not_found()
    # the sentences of thousands of rows take longer than others may wait for the loop
    return await asyncio.to_thread(_out, known)


def _out(known: History) -> dict[str, Any]:
    call = known.call
    shown = call_out(call)
    return {
        "call": {name: shown[name] for name in SHOWN}
        | {"caller_id": call.caller_id, "trace_id": trace_id_of(known.traceparent)},
        "timeline": [line.out(call.created_at) for line in lines(known)],
        "whole": known.whole,
    }


def lines(known: History) -> list[Line]:
    """What happened, in order of time: the one reading of the rows, for the API and for pages."""
    found = [*_of_events(known), *_of_forgotten_events(known), *_of_pushes(known)]
    found += _of_suppressed(known)
    found.sort(key=lambda line: (line.at, line.rank))
    return found


AFTER_EVENTS = 1_000_000


def _of_events(known: History) -> Iterator[Line]:
    yield from readable(
        known.events, _of_event, "event", lambda event: f"{known.call.id}:{event['seq']}"
    )


def _of_event(event: Row) -> Line:
    data = {"seq": event["seq"], **mapping(event["data"])}
    return _told(event["at"], event["seq"], event["type"], data)


def _told(at: datetime, rank: int, kind: str, data: dict[str, Any]) -> Line:
    user = data.get("user_id") or data.get("caller_id")
    return Line(at, rank, kind, story.of_event(kind, data), user, data.get("device_id"), data)


def _of_suppressed(known: History) -> Iterator[Line]:
    for ring in known.rings:
        if ring["suppressed"] is not None:
            data = {"ring": str(ring["uuid"]), "reason": ring["suppressed"]}
            said = story.of_suppressed(ring["user_id"], ring["suppressed"])
            at, user = ring["created_at"], ring["user_id"]
            yield Line(at, AFTER_EVENTS, "ring.suppressed", said, user, None, data)


def _of_forgotten_events(known: History) -> Iterator[Line]:
    """What other rows still say when events, which are kept for a shorter time, are gone."""
    call, kinds = known.call, {event["type"] for event in known.events}
    if "call.started" not in kinds:
        callees = dict.fromkeys(ring["user_id"] for ring in known.rings)
        data = {"caller_id": call.caller_id, "callees": list(callees)}
        yield _told(call.created_at, 0, "call.started", data)
    for push in () if kinds else known.pushes:
        data = {"user_id": push["user_id"], "device_id": push["device_id"]}
        data |= {"ring": str(push["ring"])}
        for kind, at in (
            ("device.delivered", push["delivered_at"]),
            ("device.unavailable", push["unavailable_at"]),
            ("device.declined", push["declined_at"]),
        ):
            if at is not None:
                yield _told(at, AFTER_EVENTS, kind, data)
    if call.ended_at is not None and "call.ended" not in kinds:
        reason = {"reason": call.reason.value if call.reason else None}
        yield _told(call.ended_at, AFTER_EVENTS, "call.ended", reason)


def _of_pushes(known: History) -> Iterator[Line]:
    settled = {ring["uuid"]: ring["settled_at"] for ring in known.rings}
    by_push: dict[UUID, list[Row]] = {}
    for attempt in known.attempts:
        by_push.setdefault(attempt["push_id"], []).append(attempt)

    def of_one(push: Row) -> list[Line]:
        return [*_of_push(push, by_push.get(push["id"], []), settled.get(push["ring"]))]

    for some in readable(known.pushes, of_one, "push", itemgetter("id")):
        yield from some


def _of_push(push: Row, tries: Sequence[Row], settled: datetime | None) -> Iterator[Line]:
    for number, attempt in enumerate(tries, 1):
        yield from _of_attempt(push, attempt, number)
    if tries:
        return
    if push["sent_at"] is not None:
        yield from _of_forgotten_attempts(push)
    elif push["state"] in {"dropped", "expired", "refused"}:
        at = settled if push["reason"] == "ring_settled" else None
        if push["state"] == "expired":
            at = push["deadline"]
        said = story.of_unsent(push["purpose"], _device(push), push["state"], push["reason"])
        yield _line(push, at or push["created_at"], "unsent", said, {})


def _of_forgotten_attempts(push: Row) -> Iterator[Line]:
    """The push's own row has when it first went out and the last answer."""
    if push["answered_at"] is not None:
        answer = {"started_at": push["sent_at"], "finished_at": push["answered_at"]}
        yield from _of_attempt(push, {**push, **answer}, 1)


def _of_attempt(push: Row, attempt: Row, number: int) -> Iterator[Line]:
    purpose, device = push["purpose"], _device(push)
    environment = {"environment": attempt["environment"], "attempt": number}
    started, finished = attempt["started_at"], attempt["finished_at"]
    yield _line(push, started, "sent", story.of_sending(purpose, device, number), environment)
    took = (finished - started).total_seconds() * 1000
    answer = environment | {"status": attempt["status"], "reason": attempt["reason"]}
    service = senders.serving(TOKEN_KINDS[push["kind"]]).title
    said = story.of_answer(service, purpose, device, attempt["status"], attempt["reason"], took)
    yield _line(push, finished, "answered", said, answer)


def _line(push: Row, at: datetime, what: str, said: str, data: dict[str, Any]) -> Line:
    about = {
        "push": str(push["id"]),
        "ring": str(push["ring"]),
        "token_kind": push["kind"],
        "token": f"...{push['ending']}",
        "state": push["state"],
    }
    purpose, _, number = push["purpose"].partition(" ")
    kind = f"{purpose}_push.{what}"
    data = {"number": int(number), **data} if number else data
    return Line(at, AFTER_EVENTS, kind, said, push["user_id"], push["device_id"], about | data)


def _device(push: Row) -> str:
    name = push["device_name"] or push["device_id"]
    return story.of_device(push["user_id"], name, push["ending"])
