"""Heartbeats: the short way answers and leaves behind just what the way of all commands does."""

import asyncio
import random
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.calls import heartbeats, service, store
from app.calls.actors import Actor
from app.calls.schemas import call_summary
from app.core.call import Accept, Command, Decline, End, Heartbeat, Join, Leave, RingMore
from app.core.model import Callee
from app.infra.db import many
from app.infra.errors import AppError
from app.infra.ids import uuid7
from tests.chance import dice, often
from tests.e2e.house import Tenant, bearer, eventually, member

SEQUENCES = often(6, 15)
STEPS = 14
USERS = ("alice", "bob", "carol", "dave", "nobody")
DEVICES = ("d1", "d2", "server")


async def keep(tenant: Tenant, call: str, user: str, device: str) -> dict[str, Any]:
    return await heartbeats.keep(tenant.runtime, Actor(tenant.id, call, user, device, hidden=False))


async def long_way(tenant: Tenant, call: str, user: str, device: str) -> dict[str, Any]:
    seen = await service.act(tenant.runtime, tenant.id, call, Heartbeat(user, device))
    return call_summary(seen.call, user)


async def said(work: Any) -> Any:
    """What was answered, or the code and the sentence of the refusal."""
    try:
        return await work
    except AppError as error:
        return error.code, error.detail


HELD = "busy", "another request holds this call; try again"
"""Who has waited for a call for longer than the product does, on a machine that is busy."""
NAMED = frozenset({"id", "cid", "session_id", "uuid", "ring", "expires_at"})


def alike(value: Any, key: str = "") -> Any:
    """A value without what differs between two calls: their names, and times but whether they are."""
    if isinstance(value, dict):
        return {name: alike(one, name) for name, one in value.items()}
    if isinstance(value, list):
        return [alike(one) for one in value]
    return value is not None if key in NAMED or key.endswith("_at") else value


ROWS = """
    SELECT c.state, c.reason, c.event_seq, c.alone_since IS NOT NULL AS alone,
        (SELECT jsonb_agg(jsonb_build_array(m.user_id, m.state, m.device_id, m.monitored,
            m.seen_at IS NULL, m.left_at IS NULL, r.outcome, r.callkit_reason, r.device) ORDER BY m.user_id)
         FROM members m LEFT JOIN rings r ON r.uuid = m.ring WHERE m.session_id = c.id) AS members,
        (SELECT jsonb_agg(jsonb_build_array(e.seq, e.type, e.data) ORDER BY e.seq)
         FROM events e WHERE e.session_id = c.id) AS events,
        (SELECT bool_and(c.due_at <= m.seen_at + interval '30 s') FROM members m
         WHERE m.session_id = c.id AND m.monitored AND m.state = 'joined' AND c.state = 'active') AS early
    FROM calls c WHERE c.id = :call
"""


async def rows_of(tenant: Tenant, call: str) -> Any:
    """What the database holds of a call, once time has been written down by a sweep."""
    (row,) = await tenant.rows(ROWS, call=call)
    assert row.pop("early") is not False, "due later than a member's silence"
    row["events"] = [[seq, kind, alike(data)] for seq, kind, data in row["events"]]
    return row


BACK = "- make_interval(secs => :seconds)"
LATER = f"""
    WITH c AS (UPDATE calls SET created_at = created_at {BACK}, active_at = active_at {BACK},
            alone_since = alone_since {BACK}, due_at = due_at {BACK} WHERE id = :call),
        m AS (UPDATE members SET seen_at = seen_at {BACK}, joined_at = joined_at {BACK}
            WHERE session_id = :call)
    UPDATE rings SET deadline = deadline {BACK}, created_at = created_at {BACK}
    WHERE session_id = :call AND outcome IS NULL
"""


async def apply_timeouts(tenant: Tenant, call: str, seconds: float) -> None:
    """So many seconds go by for this call: all its times are moved into the past."""
    async with tenant.runtime.database.transaction() as session:
        await store.lock(session, tenant.id, [UUID(call)])
        await session.execute(text(LATER), {"call": call, "seconds": seconds})


def any_command(chance: random.Random) -> Callable[[], Command] | float:
    """A command, or seconds that pass. Those that end a call are seldom.

    Times are such that no sum of them lies less than 5 s below a limit: what the test itself takes
    then makes no difference between two calls.
    """
    user, device = chance.choice(USERS[:4]), chance.choice(DEVICES)
    monitored, busy = chance.random() < 0.8, chance.random() < 0.3
    commands: list[tuple[int, Callable[[], Command] | float]] = [
        (8, lambda: Accept(user, device, monitored)),
        (4, lambda: Join(user, device, monitored)),
        (2, lambda: Decline(user, device, busy)),
        (2, lambda: Leave(user, device)),
        (3, lambda: RingMore("alice", (Callee("dave", uuid7()),), 60)),
        (1, lambda: End(user, device)),
        (9, 10.0), (3, 20.0), (2, 40.0), (1, 70.0), (1, 130.0), (1, 31 * 3600.0),
    ]  # fmt: skip
    weights = [weight for weight, _ in commands]
    return chance.choices([command for _, command in commands], weights)[0]


async def test_both_ways_answer_and_leave_behind_the_same(tenant: Tenant) -> None:
    """Two calls live through the same commands and times; only their heartbeats differ."""
    short = refused = 0
    # who has a phone is not told to be unreachable, which the house's workers do at their own time
    for user in ("bob", "carol", "dave"):
        await tenant.phone(user, "kept", alert=False)
    for seed in range(SEQUENCES):
        chance = dice(seed)
        bodies = {"caller": {"id": "alice", "device_id": "d1"}, "callees": ["bob", "carol"]}
        asked = [
            await tenant.api.post("/v1/calls", json=bodies | {"id": f"{name}-{seed}"})
            for name in ("short", "long")
        ]
        one, two = (answer.json()["session_id"] for answer in asked)
        holders = {"alice": "d1"}
        for step in range(STEPS):
            what = any_command(chance)
            for call in (one, two):
                if isinstance(what, float):
                    await apply_timeouts(tenant, call, what)
                else:
                    await said(service.act(tenant.runtime, tenant.id, call, what()))
            if not isinstance(what, float) and isinstance(did := what(), Accept | Join):
                holders[did.user_id] = did.device
            for _ in range(2):
                user = chance.choice((*USERS, *holders, *holders))
                device = chance.choice((*DEVICES, *[holders.get(user, "d1")] * 6))
                by = chance.choice((one, f"default:short-{seed}"))
                (before,) = await tenant.rows("SELECT xmin FROM calls WHERE id = :call", call=one)
                found = await said(keep(tenant, by, user, device))
                (after,) = await tenant.rows("SELECT xmin FROM calls WHERE id = :call", call=one)
                short += before == after and isinstance(found, dict)
                refused += not isinstance(found, dict)
                wanted = await said(long_way(tenant, two, user, device))
                assert alike(found) == alike(wanted), (seed, step, what, user, device)
            await service.sweep(tenant.runtime)
            assert await rows_of(tenant, one) == await rows_of(tenant, two), (seed, step, what)
    assert min(short, refused) > 2 * SEQUENCES, (short, refused)


async def joined(tenant: Tenant, *callees: str) -> dict[str, Any]:
    """A call that alice and these have joined, each with the device d1 and one heartbeat."""
    answer = await tenant.api.post(
        "/v1/calls", json={"caller": {"id": "alice", "device_id": "d1"}, "callees": callees}
    )
    call: dict[str, Any] = answer.json()
    for user in callees:
        assert (await tenant.act(call, "accept", user, "d1")).status_code == 200
        assert (await tenant.act(call, "heartbeat", user, "d1")).status_code == 200
    return call


async def test_a_member_token_keeps_a_call_without_writing_to_its_row(tenant: Tenant) -> None:
    call = await joined(tenant, "bob")
    accepted = await tenant.act(call, "accept", "bob", "d1")
    phone = bearer(accepted.json()["member_token"])
    look = "SELECT c.xmin, m.seen_at FROM calls c JOIN members m ON m.session_id = c.id"
    look += " WHERE c.id = :call AND m.user_id = 'bob'"
    (before,) = await tenant.rows(look, call=call["session_id"])
    answer = await tenant.api.post(f"/v1/calls/{call['session_id']}/heartbeat", headers=phone)
    (after,) = await tenant.rows(look, call=call["session_id"])
    assert answer.status_code == 200
    assert before["xmin"] == after["xmin"]
    assert before["seen_at"] < after["seen_at"]
    found = answer.json()
    assert member(found, "bob") == member(await tenant.read(call), "bob")
    assert found["count"] == {"members": 2, "joined": 2, "ringing": 0}


async def test_after_silence_or_the_longest_length_a_heartbeat_does_not_keep(
    tenant: Tenant,
) -> None:
    call = await joined(tenant, "bob")
    await apply_timeouts(tenant, call["session_id"], 31)
    assert (await tenant.act(call, "heartbeat", "bob", "d1")).status_code == 200
    kinds = await tenant.rows(
        "SELECT type FROM events WHERE session_id = :call AND data ->> 'user_id' = 'bob' "
        "ORDER BY seq DESC LIMIT 2",
        call=call["session_id"],
    )
    assert [row["type"] for row in kinds] == ["member.back", "member.away"]
    await apply_timeouts(tenant, call["session_id"], 31 * 3600)
    answer = await tenant.act(call, "heartbeat", "bob", "d1")
    assert (answer.status_code, answer.json()["code"]) == (410, "call_ended")


async def waiting(work: Any) -> asyncio.Task[Any]:
    """Work that has begun, and has to wait for a lock."""
    task = asyncio.create_task(said(work))
    await asyncio.sleep(0.25)
    assert not task.done()
    return task


@pytest.mark.parametrize("by_name", [False, True])
async def test_a_heartbeat_waits_for_the_command_that_has_its_call(
    tenant: Tenant, by_name: bool
) -> None:
    """What that command did is in its answer: a member who joined is counted, who left is out."""
    call = await joined(tenant, "bob", "carol")
    path = call["cid"] if by_name else call["session_id"]
    for command, wanted in (
        (Leave("carol", "d1"), 2),
        (Join("carol", "d1"), 3),
        (Leave("bob", "d1"), ("not_joined", "this user has not joined the call")),
        (End(), ("call_ended", "this call is over: ended_by_server")),
    ):
        async with tenant.runtime.database.transaction() as session:
            await store.lock(session, tenant.id, [UUID(call["session_id"])])
            now, calls = await store.load(session, [UUID(call["session_id"])])
            stored = calls[UUID(call["session_id"])]
            task = await waiting(keep(tenant, path, "bob", "d1"))
            decision = service.decide(stored.call, command, now)
            await service.apply(session, [service.Change(stored, decision)], now)
        found = await task
        assert (found["count"]["joined"] if isinstance(found, dict) else found) == wanted


async def test_a_command_waits_for_a_heartbeat_and_the_sweep_passes_it_by(tenant: Tenant) -> None:
    """The beat came in time: whoever looks later must not find its member silent."""
    await eventually(lambda: waits_for_a_beat(tenant))


async def waits_for_a_beat(tenant: Tenant) -> bool:
    """Whether the beat came in time: a busy machine may take too long for it."""
    call = await joined(tenant, "bob")
    values = {"tenant": tenant.id, "id": UUID(call["session_id"]), "user": "bob", "device": "d1"}
    await apply_timeouts(tenant, call["session_id"], 29.5)
    async with tenant.runtime.database.transaction() as session:
        if not await many(session, heartbeats.BY_ID, values):
            return False
        leaving = await waiting(
            service.act(tenant.runtime, tenant.id, call["session_id"], Leave("alice", "d1"))
        )
        await asyncio.sleep(0.5)  # the silence that was is over its limit now
        await service.sweep(tenant.runtime)
    await leaving
    await service.sweep(tenant.runtime)
    kinds = await tenant.rows(
        "SELECT type FROM events WHERE session_id = :call AND data ->> 'user_id' = 'bob'",
        call=call["session_id"],
    )
    assert "member.away" not in {row["type"] for row in kinds}
    return True


async def test_heartbeats_race_with_commands_and_time(tenant: Tenant) -> None:
    """An answered heartbeat is not followed by silence; who has left stays out; no deadlock."""
    chance, all_served = dice(7), list[bool]()

    async def race(n: int) -> None:
        call = await joined(tenant, "bob", "carol")
        await apply_timeouts(tenant, call["session_id"], 29.99 - chance.random() * 0.02)
        runtime, reference = tenant.runtime, call["session_id"]
        work = [keep(tenant, reference, "bob", "d1"), keep(tenant, reference, "carol", "d1")]
        work += [service.sweep(runtime), keep(tenant, reference, "bob", "d1")]
        ends = n % 3 == 0
        if ends:
            work.append(service.act(runtime, tenant.id, reference, End()))
        leaves = n % 3 == 1
        if leaves:
            work.append(service.act(runtime, tenant.id, reference, Leave("carol", "d1")))
        order = chance.sample(range(len(work)), len(work))
        done = dict(zip(order, await asyncio.gather(*(said(work[i]) for i in order)), strict=True))
        await service.sweep(runtime)
        found = await tenant.read(call)
        all_served.append(HELD not in done.values())
        if all_served[-1]:
            assert (found["state"] == "ended") == ends
        if all_served[-1] and not ends:
            assert isinstance(done[0], dict), done[0]
            assert member(found, "bob")["state"] == "joined"
            assert member(found, "carol")["state"] == ("left" if leaves else "joined")
        (row,) = await tenant.rows(
            "SELECT event_seq, (SELECT count(*) FROM events e WHERE e.session_id = c.id) AS events, "
            "(SELECT max(seq) FROM events e WHERE e.session_id = c.id) AS last FROM calls c "
            "WHERE id = :call",
            call=reference,
        )
        assert row["event_seq"] == row["events"] == row["last"]

    for start in range(0, often(30, 60), 6):
        await asyncio.gather(*(race(n) for n in range(start, start + 6)))
    assert any(all_served)


async def test_an_accept_says_how_often_to_show_life(tenant: Tenant) -> None:
    call = await tenant.ring("bob", "carol")
    path = f"/v1/calls/{call['id']}/accept"
    body = {"device_id": "d1"}
    answer = (await tenant.api.post(path, json=body, headers=tenant.as_user("bob"))).json()
    assert answer["heartbeat_every"] == 10
    held = (await tenant.act(call, "accept", "carol")).json()
    assert held["heartbeat_every"] is None, "what the backend holds need not show life"


async def test_a_tenant_may_do_without_presence(tenant: Tenant) -> None:
    await tenant.api.put("/v1/settings", json={"presence": False})
    headers = tenant.as_user("bob")

    async def answered() -> dict[str, Any] | None:
        call = await tenant.ring("bob")
        path = f"/v1/calls/{call['id']}/accept"
        answer = await tenant.api.post(path, json={"device_id": "d1"}, headers=headers)
        found: dict[str, Any] = answer.json()
        return found if found["heartbeat_every"] is None else None

    call = await eventually(answered, every=0.3)  # a process may go by what was set a second ago
    await tenant.execute(
        "UPDATE members SET seen_at = seen_at - interval '1 hour' WHERE session_id = :id",
        id=call["id"],
    )
    await tenant.execute(
        "UPDATE calls SET due_at = clock_timestamp() WHERE id = :id", id=call["id"]
    )
    await service.sweep(tenant.runtime)
    assert member(await tenant.read(call), "bob")["state"] == "joined"
