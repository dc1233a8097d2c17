"""A large call is written by slices, and is the call that it would be if it were written at once."""

import asyncio
import contextlib
import gc
import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from app.calls import erase, ringing, service, slices
from app.calls.commands import Asked, carry_out
from app.calls.ringer import ringer_of
from app.calls.ringing import RingRequest
from app.calls.schemas import RingIn
from app.core.call import SERVER, Member, Tick
from app.infra.ids import uuid7
from app.tenants.schemas import TenantSettings
from tests.e2e.house import Tenant, eventually, member

USERS = [f"u{n:03}" for n in range(120)]
SHOWN = [{"id": user, "name": user.upper()} if n % 7 == 3 else user for n, user in enumerate(USERS)]
NOBODY = {"u005", "u070"}
"""Users without a phone, one in the first slice, one in another."""

PHONES = (
    "INSERT INTO users (tenant_id, id) SELECT :t, u FROM unnest(CAST(:users AS text[])) u",
    """INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
        SELECT gen_random_uuid(), :t, u, 'd-' || u, now(), now()
        FROM unnest(CAST(:users AS text[])) u WHERE u <> ALL(:nobody)""",
    """INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
            registered_at, expires_at)
        SELECT gen_random_uuid(), d.tenant_id, d.user_id, d.id, 'voip', :app, 'sandbox',
            md5(d.user_id) || md5(CAST(d.id AS text)), now(), now() + interval '9 days'
        FROM devices d WHERE d.tenant_id = :t""",
)
ROWS = {
    "calls": """SELECT state, reason, event_seq, created_at, due_at, ended_at, owed
        FROM calls c WHERE id = :c""",
    "members": "SELECT * FROM members WHERE session_id = :c ORDER BY user_id",
    "rings": "SELECT * FROM rings WHERE session_id = :c ORDER BY user_id",
    "events": "SELECT seq, type, at, data FROM events WHERE session_id = :c ORDER BY seq",
    "targets": """SELECT user_id, purpose, kind, token, deadline
        FROM targets WHERE session_id = :c ORDER BY user_id""",
    "audit": """SELECT a.action, a.detail, s.user_id
        FROM audit a LEFT JOIN audit_subjects s ON s.id = a.subject
        WHERE a.tenant_id = :tenant AND a.target = 'call:' || CAST(:c AS uuid) ORDER BY user_id""",
    "kept": "SELECT answer FROM idempotency WHERE session_id = :c",
}
"""All that a call leaves, but for what counts its writings and for when a push was written."""
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@pytest.fixture
async def crowd(backend: Tenant) -> AsyncIterator[Tenant]:
    """120 users with a phone each, but for two; a worker lives that reads batches."""
    for sql in PHONES:
        values = {
            "t": backend.id,
            "users": USERS,
            "nobody": sorted(NOBODY),
            "app": "com.example.app",
        }
        await backend.execute(sql, **{k: v for k, v in values.items() if f":{k}" in sql})
    worker = uuid7()
    await backend.execute("DELETE FROM workers")  # other tests' own, which read no batches
    await backend.execute(
        """INSERT INTO workers (id, host, pid, started_at, alive_until, batches)
        VALUES (:w, 'h', 1, now(), now() + interval '1 hour', true)""",
        w=worker,
    )
    yield backend
    await backend.execute("DELETE FROM workers WHERE id = :w", w=worker)


async def request(
    tenant: Tenant, key: str | None = None, rules: dict[str, Any] | None = None, **more: Any
) -> RingRequest:
    """As the API makes it of a request with the tenant's key."""
    (row,) = await tenant.rows("SELECT id FROM api_keys WHERE tenant_id = :tenant")
    wanted = RingIn.model_validate({"caller": {"id": "alice"}, "callees": SHOWN, **more})
    owner = f"key:{row['id']}"
    return ringing.resolve(
        tenant.id,
        TenantSettings.model_validate(rules or {}),
        wanted,
        device=SERVER,
        key=key,
        owner=owner,
    )


async def first_slice(tenant: Tenant, key: str | None = None, **more: Any) -> dict[str, Any]:
    """What is there when the process that was asked dies after its first commit."""
    one = await request(tenant, key, **more)
    async with tenant.runtime.database.transaction() as session:
        answers, _ = await ringing.ring_new(session, [one])
    assert isinstance(answers[0], ringing.Owes)
    rows = await all_rows(tenant, one.session_id)
    assert len(rows["members"]) == slices.FIRST + 1
    assert len(rows["targets"]) == slices.FIRST - 1
    return {"session_id": str(one.session_id)}


async def all_rows(tenant: Tenant, call: UUID | str) -> dict[str, list[dict[str, Any]]]:
    return {name: await tenant.rows(sql, c=UUID(str(call))) for name, sql in ROWS.items()}


async def story(tenant: Tenant, call: dict[str, Any]) -> list[str]:
    """All rows of a call, and its answer, without chance: ids left out, times from its beginning."""
    rows = await all_rows(tenant, call["session_id"])
    begun = rows["calls"][0]["created_at"]

    def told(value: Any) -> str:
        if isinstance(value, datetime):
            return str((value - begun).total_seconds())
        text = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
        return re.sub(r"20\d\d-[\dT:.-]+Z", "then", IDS.sub("id", text))

    lines = [
        f"{name} {field} {told(value)}"
        for name, some in rows.items()
        for row in some
        for field, value in row.items()
    ]
    return [*lines, told(call)]


async def test_it_leaves_the_rows_of_one_that_is_written_at_once(crowd: Tenant) -> None:
    """Some cannot be reached, have blocked the caller, or are in another call: in both slices."""
    for user in ("u010", "u090"):
        answer = await crowd.api.put(f"/v1/users/{user}/blocks/alice")
        assert answer.status_code == 200
    elsewhere = await crowd.ring("u020", "u100", caller="zoe")
    for user in ("u020", "u100"):
        assert (await crowd.act(elsewhere, "accept", user, "d")).status_code == 200
    rules = {"when_busy": "busy", "tell_suppressed": True}
    found = []
    for n, sliced in enumerate((True, False)):
        await crowd.execute("UPDATE workers SET batches = :s", s=sliced)
        one = await request(crowd, f"key {n}", rules=rules, title="Standup")
        call = await ringer_of(crowd.runtime).submit(one)
        found.append(await story(crowd, call))
        (row,) = await crowd.rows("SELECT version FROM calls WHERE id = :c", c=one.session_id)
        assert row["version"] == (2 if sliced else 1), "it was written in two transactions, or one"
        (row,) = await crowd.rows(
            "SELECT answer FROM idempotency WHERE session_id = :c", c=one.session_id
        )
        assert row["answer"] == call
        assert {one["user_id"] for one in call["warnings"]} == NOBODY
        assert [one["user_id"] for one in call["members"]] == ["alice", *USERS]
        states = {user: member(call, user)["state"] for user in USERS}
        assert states["u020"] == states["u100"] == "busy"
    assert found[0] == found[1]


@contextlib.contextmanager
def reads_of_members(tenant: Tenant) -> Iterator[list[str]]:
    """Statements that read the members of a call meanwhile."""
    found: list[str] = []
    engine = tenant.runtime.database.engine.sync_engine

    def note(*said: Any) -> None:
        if "FROM members m LEFT JOIN rings" in said[2]:
            found.append(said[2])

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


async def test_who_has_written_a_slice_does_not_read_it_again(crowd: Tenant) -> None:
    with reads_of_members(crowd) as read:
        call = await ringer_of(crowd.runtime).submit(await request(crowd))
    assert {one["user_id"] for one in call["members"]} == {"alice", *USERS}
    assert read == []


async def test_what_somebody_else_has_written_meanwhile_is_read(crowd: Tenant) -> None:
    one = await request(crowd)
    async with crowd.runtime.database.transaction() as session:
        answers, _ = await ringing.ring_new(session, [one])
    owes = answers[0]
    assert isinstance(owes, ringing.Owes)
    call = {"session_id": str(one.session_id)}
    assert (await crowd.act(call, "accept", "u003", "d-u003")).status_code == 200
    asked = Asked(Tick(), known=owes.stored)
    with reads_of_members(crowd) as read:
        done = await carry_out(crowd.runtime, crowd.id, one.session_id, asked)
    assert len(read) == 1
    assert done.decision.call.members["u003"].state == "joined"
    assert len(done.decision.call.members) == len(USERS) + 1


async def test_it_ends_at_once_where_nobody_can_be_reached_and_rings_are_given_up(
    crowd: Tenant,
) -> None:
    await crowd.execute("DELETE FROM tokens WHERE tenant_id = :t", t=crowd.id)
    one = await request(crowd, rules={"end_unreachable": True})
    call = await ringer_of(crowd.runtime).submit(one)
    assert (call["state"], call["reason"]) == ("ended", "unreachable")
    assert {one["state"] for one in call["members"]} == {"left", "unreachable"}


async def test_who_repeats_the_request_in_between_gets_its_whole_answer(crowd: Tenant) -> None:
    call = await first_slice(crowd, "k")
    body = {"caller": {"id": "alice"}, "callees": SHOWN}
    answers = await asyncio.gather(
        *(
            crowd.api.post("/v1/calls", json=body, headers={"Idempotency-Key": "k"})
            for _ in range(5)
        )
    )
    assert [answer.status_code for answer in answers] == [202] * 5
    assert all(answer.json() == answers[0].json() for answer in answers)
    told = answers[0].json()
    assert told["session_id"] == call["session_id"]
    assert [one["user_id"] for one in told["members"]] == ["alice", *USERS]
    assert len(await crowd.rows("SELECT id FROM calls WHERE tenant_id = :tenant")) == 1
    other = await crowd.api.post(
        "/v1/calls", json={**body, "video": True}, headers={"Idempotency-Key": "k"}
    )
    assert other.status_code == 409


async def test_what_follows_the_first_slice_is_written_by_slices_of_one_size(
    crowd: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None is left that is a few members, and costs as much as the others besides these."""
    monkeypatch.setattr(slices, "NEXT", 40)
    one = await request(crowd)
    await ringer_of(crowd.runtime).submit(one)
    made = await crowd.rows(
        """SELECT count(*) AS n FROM rings WHERE session_id = :c
        GROUP BY xmin ORDER BY min(CAST(user_id AS text))""",
        c=one.session_id,
    )
    assert [row["n"] for row in made] == [25, 32, 32, 31]


async def test_who_was_rung_by_slices_is_let_go_of_without_a_collection(crowd: Tenant) -> None:
    """A group's objects were in a cycle, and a collection took milliseconds of a later ring."""
    ringer = ringer_of(crowd.runtime)
    gc.collect()
    gc.disable()
    try:
        before = sum(type(one) is Member for one in gc.get_objects())
        await ringer.submit(await request(crowd))
        heard = asyncio.get_running_loop().create_future()
        order = await request(crowd)
        ringer.begin(order, heard.set_result)
        await ringer.end(order, await heard)
        del heard
        await asyncio.sleep(0)
        after = sum(type(one) is Member for one in gc.get_objects())
    finally:
        gc.enable()
    assert after - before < 20


async def test_who_reads_it_in_between_reads_all_members(crowd: Tenant) -> None:
    call = await first_slice(crowd)
    read = await crowd.read(call)
    assert {one["user_id"] for one in read["members"]} == {"alice", *USERS}
    rows = await all_rows(crowd, call["session_id"])
    assert len(rows["targets"]) == len(USERS) - len(NOBODY)
    assert rows["calls"][0]["owed"] is None


@pytest.mark.parametrize("what", ["cancel", "end"])
async def test_what_ends_it_in_between_rings_nobody_more(crowd: Tenant, what: str) -> None:
    call = await first_slice(crowd)
    assert (await crowd.act(call, what)).status_code == 200
    rows = await all_rows(crowd, call["session_id"])
    assert rows["calls"][0]["owed"] is None
    assert {row["state"] for row in rows["members"]} == {"left", "missed", "unreachable"}
    assert {row["outcome"] for row in rows["rings"]} == {"cancelled"}
    assert len(rows["rings"]) == len(USERS)
    pushes = await crowd.rows(
        "SELECT state FROM targets WHERE session_id = :c AND purpose = 'ring'",
        c=UUID(call["session_id"]),
    )
    assert [row["state"] for row in pushes] == ["dropped"] * (len(USERS) - len(NOBODY))


async def test_an_accept_and_a_decline_in_between_leave_the_others_ringing(crowd: Tenant) -> None:
    call = await first_slice(crowd)
    done = await asyncio.gather(
        crowd.act(call, "accept", "u003", "d-u003"),
        crowd.act(call, "decline", "u100"),
    )
    assert [one.status_code for one in done] == [200, 200]
    read = await crowd.read(call)
    states = {one["user_id"]: one["state"] for one in read["members"]}
    assert (states.pop("u003"), states.pop("u100"), states.pop("alice")) == (
        "joined", "declined", "joined",
    )  # fmt: skip
    assert {user for user, state in states.items() if state != "ringing"} == NOBODY


async def test_the_sweep_finds_what_a_crash_has_left(crowd: Tenant) -> None:
    """A second later; and those to whom it comes after their deadline have missed a call."""
    call, late = await first_slice(crowd, id="soon"), await first_slice(crowd, id="late")
    left = await crowd.rows("SELECT due_at - created_at AS s FROM calls WHERE tenant_id = :tenant")
    assert [row["s"] for row in left] == [timedelta(seconds=1)] * 2
    past = "UPDATE calls SET due_at = now(), created_at = created_at - CAST(:s AS interval) WHERE id = :c"
    await crowd.execute(past, s=timedelta(0), c=UUID(call["session_id"]))
    await crowd.execute(past, s=timedelta(hours=1), c=UUID(late["session_id"]))

    async def swept() -> dict[str, list[dict[str, Any]]] | None:
        await service.sweep(crowd.runtime)
        rows = await all_rows(crowd, late["session_id"])
        missed = [row["user_id"] for row in rows["members"] if row["state"] == "missed"]
        return rows if len(missed) == len(USERS) - slices.FIRST - 1 else None

    rows = await eventually(swept)
    assert {row["owed"] for row in rows["calls"]} == {None}
    assert rows["calls"][0]["state"] == "ringing", "those of the first slice ring on"
    rows = await all_rows(crowd, call["session_id"])
    assert len(rows["members"]) == len(USERS) + 1
    (row,) = rows["calls"]
    assert (row["state"], row["owed"]) == ("ringing", None)
    assert {ring["deadline"] for ring in rows["rings"]} == {row["due_at"]}


async def test_who_is_erased_while_a_ring_is_owed_to_them_leaves_no_trace(crowd: Tenant) -> None:
    call = await first_slice(crowd, "k")
    await erase.erase(crowd.runtime, crowd.id, "u110")
    rows = await all_rows(crowd, call["session_id"])
    assert len(rows["members"]) == len(USERS) + 1
    assert "u110" not in str(rows)
    assert rows["calls"][0]["state"] == "ringing"
