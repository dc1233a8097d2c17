"""Calls of two that nobody answers end by a way of their own, and leave what any other would."""

import re
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

from app.calls import missed_calls, service
from app.core.call import SERVER, Call, Member, MemberState, Ring, Role, Tick, decide
from app.core.frozen import replace
from app.core.limits import CallLimits
from app.core.person import Person
from app.live import feeds
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime, site)
from tests.dashboard.conftest import Site
from tests.tenants.test_revocations import made, rows
from tests.users.test_device_off import MISSED, register
from tests.users.test_preferences import ring

LATE = (
    "UPDATE rings SET deadline = '2020-01-01T00:00:00Z'",
    "UPDATE calls SET due_at = '2020-01-01T00:00:00Z'",
)
PUSHES = (  # of three phones: one has it, one waits for it, one waits and may have rung
    "UPDATE pushes SET state = 'accepted', is_open = false, attempts = 1 WHERE token LIKE 'ab%'",
    "UPDATE pushes SET inherited = true WHERE token LIKE 'ef%'",
)
TABLES = {
    "calls": "id",
    "members": "session_id",
    "rings": "session_id",
    "pushes": "session_id",
    "events": "session_id",
    "deliveries": "session_id",
    "user_events": "CAST(body ->> 'session_id' AS uuid)",
}
IDS = re.compile(r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){4}[0-9a-f]{8}")
OTHER_TIMES = re.compile(r"(?!2020-01-01)\d{4}-\d\d-\d\d[T ][\d:.]+(?:\+00:00|Z)")
CALL = {
    "id": "same", "caller": {"id": "alice", "name": "Alice", "device_id": "web"},
    "callees": ["bob"], "title": "Standup", "video": True, "custom": {"a": 1},
}  # fmt: skip


async def do(site: Site, *statements: str) -> None:
    for sql in statements:
        await rows(site, f"{sql} RETURNING 1")


async def ended(site: Site, call: dict[str, Any], *, alone: bool) -> dict[str, Any]:
    """End it, and say what the database then holds, with ids and times in the same words."""
    session_id = UUID(call["session_id"])
    async with site.runtime.database.transaction() as session:
        if alone:
            applied, others = await missed_calls.end(session, [session_id])
            assert others == []
        else:
            applied = await service.let_time_pass(session, [session_id])
    found: dict[str, Any] = {
        "hints": len(applied.hints),
        "webhooks": len(applied.webhooks),
        "news": sorted({user for _, user, _ in applied.news}),
        "counted": applied.events,
    }
    for table, which in TABLES.items():
        less = " - 'seq'" if table == "user_events" else ""
        some = await rows(
            site,
            f"SELECT CAST(to_jsonb(t){less} AS text) AS row FROM {table} t"
            f" WHERE {which} = '{session_id}'",
        )
        found[table] = sorted(OTHER_TIMES.sub("~", IDS.sub("#", row["row"])) for row in some)
    return found


async def test_both_ways_leave_the_same(site: Site) -> None:
    tenant, api = await made(site)
    settings = {"notifications": MISSED}
    assert (await api.put("/v1/settings", json=settings)).status_code == 200
    hook = {"url": "https://example.com/hook"}
    assert (await api.post("/v1/webhooks", json=hook)).status_code == 201
    async with site.runtime.database.transaction() as session:
        await feeds.open_feeds(session, [(tenant.id, user) for user in ("alice", "bob")])
    for token in ("ab", "cd", "ef"):
        await register(api, token, token)
    left = []
    for alone in (True, False):
        answer = await api.post("/v1/calls", json=CALL)
        assert answer.status_code == 202, answer.text
        await do(site, *PUSHES, *LATE)
        left.append(await ended(site, answer.json(), alone=alone))
    assert left[0] == left[1]
    assert (left[0]["webhooks"], left[0]["news"]) == (1, ["alice", "bob"])
    states = " ".join(left[0]["pushes"])
    assert all(f'"{word}"' in states for word in ("stop", "missed", "dropped", "expired"))


async def test_what_ends_otherwise_is_left_to_the_rules(site: Site) -> None:
    _, api = await made(site)
    await register(api, "one", "ab")
    of = "WHERE session_id = '{}'"
    otherwise = {
        "group": (("bob", "carol"), ()),
        "rings on": (("bob",), (f"UPDATE rings SET deadline = now() + interval '9 hours' {of}",)),
        "answered": (("bob",), ()),
        "unreachable": (
            ("bob",),
            (f"UPDATE members SET state = 'unreachable' {of} AND user_id = 'bob'",),
        ),
        "kept": (
            ("bob",),
            (f"UPDATE members SET suppressed = 'blocked' {of} AND user_id = 'bob'",),
        ),
        "too long": (
            ("bob",),
            (
                "UPDATE calls SET limits = limits || '{{\"length\": 10}}' WHERE id = '{}'",
                "UPDATE calls SET created_at = '2019-12-31T23:59:49Z' WHERE id = '{}'",
            ),
        ),
    }
    ids = []
    for callees, _ in otherwise.values():
        ids.append(UUID((await ring(api, *callees))["session_id"]))
    plain = UUID((await ring(api, "bob"))["session_id"])
    accept = {"user_id": "bob", "device_id": "one"}
    answered = await api.post(f"/v1/calls/{ids[2]}/accept", json=accept)
    assert answered.status_code == 200, answered.text
    await do(site, *LATE)
    for session_id, (_, statements) in zip(ids, otherwise.values(), strict=True):
        await do(site, *(sql.format(session_id) for sql in statements))
    async with site.runtime.database.transaction() as session:
        _, others = await missed_calls.end(session, [*ids, plain])
    assert others == ids
    await service.sweep(site.runtime)
    found = await rows(site, "SELECT id, reason FROM calls WHERE ended_at IS NOT NULL")
    reasons = {row["id"]: row["reason"] for row in found}
    said = {name: reasons.get(one) for name, one in zip(otherwise, ids, strict=True)}
    assert said == {
        "group": "missed", "rings on": None, "answered": None, "unreachable": "unreachable",
        "kept": "missed", "too long": "max_duration",
    }  # fmt: skip
    assert reasons[plain] == "missed"


def test_what_was_decided_once_is_what_core_decides_of_each() -> None:
    """Of calls that differ in all that `LOAD` does not ask about."""
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    for presence, device, length in product((True, False), (SERVER, "web"), (46.0, 108_000.0)):
        limits = CallLimits(length=length, presence=presence, alone=0, tell_suppressed=True)
        ring = Ring(uuid4(), "bob", begun, begun + timedelta(seconds=45), shown_on=("d1",))
        caller = Member(
            "alice", Role.CALLER, MemberState.JOINED, None, device, device != SERVER, begun, begun
        )
        callee = Member("bob", Role.CALLEE, MemberState.RINGING, ring, person=Person("Bob"))
        members = {"alice": caller, "bob": callee}
        call = Call(uuid4(), "work", "x", "alice", True, limits, begun, members=members)
        decided = decide(call, Tick(), begun + timedelta(seconds=47))
        row = (call.id, uuid4(), "work", "x", "alice", 7, 2, "bob", ring.uuid, ring.deadline)
        decision = missed_calls.like(*row).decision
        ended = replace(
            call,
            state=decision.call.state,
            reason=decision.call.reason,
            ended_at=decision.call.ended_at,
            members={
                "alice": replace(caller, state=MemberState.LEFT, left_at=ring.deadline),
                "bob": replace(callee, state=MemberState.MISSED, ring=decided.settled[0]),
            },
        )
        assert decided.call == ended
        assert decided.settled == (
            replace(decision.settled[0], created_at=begun, shown_on=("d1",)),
        )
        for name in ("stops", "events", "rings", "shown", "refusal", "changed", "visible"):
            assert getattr(decided, name) == getattr(decision, name)
