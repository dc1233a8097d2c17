"""Erasing a user: nobody else's rows change meaning, and nothing of the user's is good any more."""

import asyncio
import secrets
from typing import Any

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app.calls import erase as erasing
from app.infra.errors import NotFound
from tests.e2e.house import Tenant, bearer, eventually, member
from tests.e2e.test_bad_input import assert_problem

OURS = (
    "user_id", "user_ids", "callees", "call.ended", "ringing", "null", "true", "0", "members",
    "default", "caller", "custom", "missed", "evt_", "server", "data", "d1", "[]", "{}", "'", "a",
)  # fmt: skip
"""Ids that are words of ours, or JSON's: each stands in documents as something else as well."""

TABLES = [
    f"SELECT * FROM {table} WHERE tenant_id = :tenant"
    for table in ("calls", "members", "events", "user_events", "idempotency")
]
DOCUMENTS = {
    "events": ("session_id::text || '.' || seq", "data"),
    "user_events": ("user_id || '.' || seq", "body"),
    "idempotency": ("key", "answer"),
}


async def documents(tenant: Tenant, table: str) -> dict[str, Any]:
    key, column = DOCUMENTS[table]
    rows = await tenant.rows(
        f"SELECT {key} AS k, {column} AS d FROM {table} WHERE tenant_id = :tenant"
    )
    return {row["k"]: row["d"] for row in rows}


def differences(before: Any, after: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """(path, before, after) of each value that differs; lists' numbers are left out."""
    if isinstance(before, dict) and isinstance(after, dict) and before.keys() == after.keys():
        return [d for k in before for d in differences(before[k], after[k], f"{path}.{k}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = zip(before, after, strict=True)
        return [d for b, a in pairs for d in differences(b, a, path)]
    return [] if before == after else [(path.lstrip("."), before, after)]


OF_USERS = {"user_id", "user_ids", "caller_id", "callees", "by", "members.user_id"}
ALLOWED = {
    "events": OF_USERS,
    "user_events": {f"data.{one}" for one in OF_USERS},
    "idempotency": {"caller.id", "members.user_id"},
}


FACE = ("name", "avatar_url", "handle")
SHOWN = {
    "events": {"caller", "title"},
    "user_events": {"data.caller", "data.title"},
    "idempotency": {f"{who}.{one}" for who in ("caller", "members") for one in FACE}
    | {"title", "custom"},
}


def person(user_id: str, name: str) -> dict[str, Any]:
    return {
        "id": user_id, "name": name, "avatar_url": f"https://example.com/{name}",
        "handle": {"kind": "generic", "value": name},
    }  # fmt: skip


@pytest.mark.parametrize("name", OURS)
async def test_only_places_that_hold_ids_of_users_change(backend: Tenant, name: str) -> None:
    others = [one for one in ("bob", "carol", "user_id", "ringing") if one != name]
    tenant = backend
    await tenant.execute(
        "INSERT INTO feeds (tenant_id, user_id, seq, opened_at)"
        " SELECT :t, unnest(CAST(:users AS text[])), 0, clock_timestamp()",
        t=tenant.id, users=[name, *others],
    )  # fmt: skip
    await tenant.phone(name, "d1")

    async def ring(*callees: str | dict[str, Any], **more: Any) -> dict[str, Any]:
        body = {"callees": list(callees), **more}
        key = {"Idempotency-Key": secrets.token_hex(8)}
        answer = await tenant.api.post("/v1/calls", json=body, headers=key)
        assert answer.status_code == 202, answer.text
        call: dict[str, Any] = answer.json()
        return call

    others_shown = {"caller": person(others[0], "O"), "title": "O", "custom": {name: name}}
    first = await ring(person(name, "Nn"), person(others[1], "O"), *others[2:], **others_shown)
    await tenant.act(first, "accept", name, "d1")
    await tenant.act(first, "decline", others[1])
    await tenant.act(first, "leave", name)
    theirs = await ring(*others, caller=person(name, "Nn"), title="Nn", custom={name: name})
    await tenant.act(theirs, "accept", others[0])
    apart = await ring(*others[1:], **others_shown)
    before = {table: await documents(tenant, table) for table in DOCUMENTS}
    assert (await tenant.api.delete(f"/v1/users/{name}")).status_code == 204
    for table in DOCUMENTS:
        after = await documents(tenant, table)
        mine = {
            key for key in before[table] if table == "user_events" and key.startswith(f"{name}.")
        }
        assert before[table].keys() - mine <= after.keys()
        for key in before[table].keys() - mine:
            for path, was, now in differences(before[table][key], after[key]):
                if path in ALLOWED[table]:
                    assert (was, str(now)[:7]) == (name, "erased~")
                elif path.split(".")[-1] == "device_id":
                    assert (was in {"d1", "server"}, now) == (True, None)
                else:
                    assert (path in SHOWN[table], now in (None, {})) == (True, True), path
                    assert "Nn" in str(was) or path == "custom", "another's"
            assert not [p for p, v in paths(after[key]) if v == name and p in ALLOWED[table]]
    assert {
        k: v for k, v in (await tenant.read(apart)).items() if k in others_shown
    } == others_shown
    assert "Nn" not in str([await tenant.read(one) for one in (first, theirs)])
    assert "Nn" not in str([await tenant.rows(one) for one in TABLES])
    assert {one["user_id"] for one in (await tenant.read(apart))["members"]} == set(others)
    seen = await tenant.read(theirs)
    assert seen["caller"]["id"].startswith("erased~")
    assert (seen["caller"]["name"], seen["title"], seen["custom"]) == (None, None, {})


def paths(value: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [one for k, v in value.items() for one in paths(v, f"{path}.{k}")]
    if isinstance(value, list):
        return [one for v in value for one in paths(v, path)]
    return [(path.lstrip("."), value)]


async def test_what_was_signed_for_an_erased_user_is_good_for_nothing(tenant: Tenant) -> None:
    phone = await tenant.phone("bob", "d1")
    old = tenant.as_user("bob")
    call = await tenant.ring("bob", "carol")
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    call_token = bearer(arrival.payload["ring"]["token"])
    state = f"/v1/calls/{call['session_id']}"
    accepted = await tenant.api.post(f"{state}/accept", headers=call_token)
    member_token = bearer(accepted.json()["member_token"])
    assert (await tenant.api.get("/v1/devices", headers=old)).status_code == 200
    assert (await tenant.api.delete("/v1/users/bob")).status_code == 204
    assert_problem(await tenant.api.get("/v1/devices", headers=old), 401, "user_erased")

    async def refused_elsewhere() -> bool:
        return (await tenant.clients[1].get("/v1/devices", headers=old)).status_code == 401

    assert await eventually(refused_elsewhere)
    for token in (call_token, member_token):
        for what in ("", "/heartbeat", "/accept", "/decline", "/leave", "/end"):
            method = "GET" if not what else "POST"
            answer = await tenant.api.request(method, state + what, headers=token)
            assert answer.status_code in {401, 403, 404}, (what, answer.text)
    seen = await tenant.read(call)
    grave = next(m["user_id"] for m in seen["members"] if m["user_id"].startswith("erased~"))
    assert_problem(await tenant.api.get(state, headers=tenant.as_user(grave)), 401, "invalid_token")
    ring = {"caller": {"id": grave}, "callees": ["zoe"]}
    assert_problem(await tenant.api.post("/v1/calls", json=ring), 422, "invalid_user_id")

    async def good_again() -> bool:
        answer = await tenant.api.get("/v1/devices", headers=tenant.as_user("bob"))
        return answer.status_code == 200

    assert await eventually(good_again), "a token that is made afterwards is good"
    assert_problem(await tenant.api.get("/v1/devices", headers=old), 401, "user_erased")


async def test_the_ringing_phone_of_an_erased_user_is_told_to_stop(tenant: Tenant) -> None:
    phone = await tenant.phone("bob")
    await tenant.ring("bob", "carol")
    await tenant.sim.arrived(1, token=phone.voip)
    await eventually(
        lambda: tenant.rows("SELECT 1 FROM pushes WHERE tenant_id = :tenant AND state = 'accepted'")
    )
    assert (await tenant.api.delete("/v1/users/bob")).status_code == 204
    (stop,) = await tenant.sim.arrived(1, token=str(phone.alert))
    assert stop.payload["ring"]["type"] == "stop"

    async def forgotten() -> bool:
        return not await tenant.rows(
            "SELECT 1 FROM pushes WHERE tenant_id = :tenant AND token <> ''"
        )

    assert await eventually(forgotten)


async def test_an_erasure_that_was_cut_short_is_gone_on_with(backend: Tenant) -> None:
    past = await backend.ring("bob", caller="carol")
    await backend.act(past, "end")
    async with backend.runtime.database.transaction() as session:
        await session.execute(
            text("SELECT 1 FROM calls WHERE id = :id FOR UPDATE"), {"id": past["session_id"]}
        )
        erasing_now = asyncio.create_task(erasing.erase(backend.runtime, backend.id, "bob"))
        await erasing_now
        seen = await backend.read(past)
        assert member(seen, "bob")["state"] == "unreachable", "held by somebody: left for later"
    # the user comes anew meanwhile: what follows is not the erased one's
    again = await backend.ring("bob", caller="carol")
    await erasing.sweep(backend.runtime)
    assert {one["user_id"] for one in (await backend.read(past))["members"]} == {
        "carol",
        *(m["user_id"] for m in (await backend.read(past))["members"] if "~" in m["user_id"]),
    }
    assert member(await backend.read(again), "bob")["state"] == "unreachable"
    assert not await backend.rows("SELECT 1 FROM erasures WHERE user_id IS NOT NULL")
    with pytest.raises(NotFound):
        await erasing.erase(backend.runtime, backend.id, "nobody")


async def test_a_stop_that_nobody_sent_in_time_names_no_erased_user_afterwards(
    backend: Tenant,
) -> None:
    await backend.phone("bob")
    call = await backend.ring("bob", caller="carol")
    await backend.execute(
        "UPDATE pushes SET state = 'accepted', is_open = false, attempts = 1 WHERE tenant_id = :tenant",
        tenant=backend.id,
    )
    await backend.act(call, "cancel", "carol")
    await backend.execute(
        "UPDATE pushes SET deadline = now() WHERE tenant_id = :tenant AND purpose = 'stop'",
        tenant=backend.id,
    )
    await erasing.erase(backend.runtime, backend.id, "bob")
    await backend.execute(
        "UPDATE pushes SET state = 'expired', is_open = false WHERE tenant_id = :tenant AND state = 'pending'",
        tenant=backend.id,
    )
    await erasing.sweep(backend.runtime)
    assert await backend.rows("SELECT 1 FROM pushes WHERE tenant_id = :tenant AND purpose = 'stop'")
    assert not await backend.rows(
        "SELECT 1 FROM pushes WHERE tenant_id = :tenant AND user_id = 'bob'"
    )


async def test_a_stop_that_is_taken_while_the_erased_user_is_taken_out_names_them_no_longer(
    backend: Tenant,
) -> None:
    await backend.phone("bob")
    call = await backend.ring("bob", caller="carol")
    state = "UPDATE pushes SET state = :to, is_open = :open, attempts = 1 WHERE tenant_id = :t AND purpose = :of"
    await backend.execute(state, t=backend.id, to="accepted", open=False, of="ring")
    await backend.act(call, "cancel", "carol")
    await backend.execute(state, t=backend.id, to="sending", open=True, of="stop")
    await erasing.erase(backend.runtime, backend.id, "bob")
    # one that was written late, and is held: what takes the user out waits for it
    late = "WHERE tenant_id = :t AND purpose = 'ring'"
    await backend.execute(f"UPDATE pushes SET user_id = 'bob' {late}", t=backend.id)

    async def waits() -> bool:
        return bool(
            await backend.rows(
                "SELECT 1 FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )

    async with backend.runtime.database.transaction() as session:
        await session.execute(text(f"SELECT 1 FROM pushes {late} FOR UPDATE"), {"t": backend.id})
        sweeping = asyncio.create_task(erasing.sweep(backend.runtime))
        await eventually(waits)
        await backend.execute(state, t=backend.id, to="accepted", open=False, of="stop")
    await sweeping
    await erasing.sweep(backend.runtime)
    assert not await backend.rows(
        "SELECT 1 FROM pushes WHERE tenant_id = :tenant AND (token <> '' OR user_id = 'bob')"
    )
    assert not await backend.rows("SELECT 1 FROM erasures WHERE user_id IS NOT NULL")


@pytest.mark.parametrize("known", [False, True], ids=["unknown", "known"])
async def test_who_was_only_ever_added_to_a_live_call_is_erased_too(
    backend: Tenant, *, known: bool
) -> None:
    if known:
        await backend.phone("carol", "d1")
    call = await backend.ring("bob")
    for _ in range(2):  # the second time it is known to live by its process
        answer = await backend.api.post(
            "/v1/calls", json={"id": call["id"], "caller": {"id": "alice"}, "callees": ["carol"]}
        )
        assert answer.status_code == 202, answer.text
    assert {one["user_id"] for one in (await backend.read(call))["members"]} >= {"bob", "carol"}
    assert (await backend.api.delete("/v1/users/carol")).status_code == 204
    named = await backend.rows(
        "SELECT 1 FROM members WHERE tenant_id = :tenant AND user_id = 'carol'"
        " UNION ALL SELECT 1 FROM rings r JOIN calls c ON c.id = r.session_id"
        " WHERE c.tenant_id = :tenant AND r.user_id = 'carol'"
        " UNION ALL SELECT 1 FROM events WHERE tenant_id = :tenant AND data::text LIKE '%carol%'"
    )
    assert named == []


MANY_CALLS = (
    """INSERT INTO calls (id, tenant_id, type, name, caller_id, video, custom, limits, created_at,
           state, reason, ended_at, event_seq, version)
       SELECT gen_random_uuid(), :t, 'default', 'past' || n, 'carol', false, '{}', '{}',
           now() - interval '1 day', 'ended', 'missed', now() - interval '1 day', 0, 1
       FROM generate_series(1, 400) n""",
    """INSERT INTO members (session_id, user_id, tenant_id, role, state, monitored)
       SELECT id, 'bob', tenant_id, 'callee', 'missed', false FROM calls
       WHERE tenant_id = :t AND name LIKE 'past%'""",
)


async def test_who_has_very_many_calls_is_erased_in_turns_and_nobody_waits(
    backend: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request ends in its time, and so does each round of the sweep: rings that end, of all
    tenants, come after it. Two that go on with it at once are none in the other's way."""
    await backend.phone("bob")
    for rows in MANY_CALLS:
        await backend.execute(rows, t=backend.id)
    monkeypatch.setattr(erasing, "AT_ONCE", 0.0)
    monkeypatch.setattr(erasing, "STEP", 0.0)
    await erasing.erase(backend.runtime, backend.id, "bob")
    naming = "SELECT count(*) AS n FROM members WHERE tenant_id = :tenant AND user_id = 'bob'"

    async def left() -> int:
        return int((await backend.rows(naming))[0]["n"])

    assert await left() == 400 - erasing.CALLS_AT_ONCE
    await erasing.sweep(backend.runtime)
    assert await left() == 400 - 2 * erasing.CALLS_AT_ONCE
    monkeypatch.setattr(erasing, "STEP", 60.0)
    with capture_logs() as logged:
        await asyncio.gather(*(erasing.sweep(backend.runtime) for _ in range(3)))
        await erasing.sweep(backend.runtime)
    assert not [one for one in logged if one["log_level"] == "error"]
    assert not await left()
    assert not await backend.rows("SELECT 1 FROM erasures WHERE user_id IS NOT NULL")
