"""What may have been handed over is repeated once, and never a third time; nothing is forgotten."""

import secrets
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.infra.push_hints import HintOf, PushHint
from app.push.life import FRESH, Life
from tests.e2e.android import registration_token
from tests.e2e.house import BUNDLE, Phone, eventually
from tests.push.conftest import Bench
from workers.loop import Loop


async def condemn(bench: Bench, worker: Loop) -> None:
    """As another would that has not seen it renew in time."""
    assert worker.dispatcher is not None
    await bench.tenant.execute(
        "UPDATE workers SET dead_at = clock_timestamp() WHERE id = :id",
        id=worker.dispatcher.life.id,
    )


async def without_sweep(*_: Any) -> None:
    """What a worker does each second where another does it."""


async def new_life(bench: Bench, worker: Loop, old: Life) -> bool:
    return bench.life(worker) is not old and bench.life(worker).is_alive()


async def test_a_condemned_worker_begins_anew_and_its_late_answer_changes_nothing(
    bench: Bench,
) -> None:
    """Its push is repeated once by whoever takes it over: here by itself, in its next life."""
    worker = bench.start_worker()
    phones = await bench.phones(3)
    old = bench.life(worker)
    faults = await bench.hold(phones)
    await condemn(bench, worker)
    await eventually(lambda: new_life(bench, worker, old))
    rows = await bench.all_in("accepted")
    assert bench.sends(phones) == [2, 2, 2]
    assert {(row["fence"], row["inherited"], row["repeated"]) for row in rows} == {(2, True, True)}
    bench.release(faults)
    attempts = await eventually(lambda: all_attempts(bench, 6))
    assert {row["worker_id"] for row in attempts} == {old.id, bench.life(worker).id}
    assert await bench.pushes() == rows


async def test_what_has_had_its_repeat_ends_unknown_when_it_is_lost_again(bench: Bench) -> None:
    worker = bench.start_worker()
    (phone,) = await bench.phones(1)
    bench.sim.fault(token=phone.voip, silence=True)
    await bench.ring("bob")
    for sends in (1, 2):
        await bench.sim.arrived(sends, token=phone.voip)
        old = bench.life(worker)
        await condemn(bench, worker)
        await eventually(lambda old=old: new_life(bench, worker, old))  # type: ignore[misc]
    (row,) = await bench.all_in("expired")
    assert (row["reason"], row["repeated"]) == ("unknown", True)
    assert bench.sends([phone]) == [2]


async def test_a_phone_whose_refusal_was_lost_is_rung_by_its_next_address(bench: Bench) -> None:
    """The worker died with Apple's word that the token is dead: it is heard again, and goes on."""
    worker = bench.start_worker()
    phone = Phone("bob", "d1", secrets.token_hex(32), None)
    bench.sim.live(phone.voip, topic=f"{BUNDLE}.voip")
    answer = await bench.tenant.api.post(
        "/v1/devices",
        json={
            "user_id": "bob",
            "device_id": phone.device_id,
            "tokens": [
                {"kind": "voip", "token": phone.voip, "app_id": BUNDLE},
                {"kind": "fcm", "token": registration_token(), "app_id": "com.example.app"},
            ],
        },
    )
    assert answer.status_code == 200, answer.text
    old = bench.life(worker)
    await bench.hold([phone])
    bench.sim.gone(phone.voip)
    await condemn(bench, worker)
    await eventually(lambda: new_life(bench, worker, old))

    async def gone_on() -> bool:
        kinds = {row["kind"]: row["state"] for row in await bench.pushes()}
        return kinds.get("voip") == "refused" and "fcm" in kinds

    await eventually(gone_on)
    assert bench.sends([phone]) == [2]


async def test_a_silent_try_is_repeated_once(bench: Bench) -> None:
    bench.start_worker()
    always, once = await bench.phones(2)
    bench.sim.fault(token=always.voip, reset="INTERNAL_ERROR")
    bench.sim.fault(token=once.voip, reset="INTERNAL_ERROR", times=1)
    await bench.ring("bob")
    rows = {row["token"]: row for row in await bench.all_in("expired", "accepted")}
    assert rows[once.voip]["state"] == "accepted"
    assert (rows[always.voip]["state"], rows[always.voip]["reason"]) == ("expired", "unknown")
    assert bench.sends([always, once]) == [2, 2]


async def test_a_repeat_that_never_left_its_worker_is_made_by_the_next(bench: Bench) -> None:
    """A silent try was to be repeated, and whoever had claimed that died while it had no connection."""
    worker = bench.start_worker()
    phones = await bench.phones(1)
    await bench.hold(phones)
    barrier = bench.sim.connection_fault(hold=True)
    bench.sim.close_connections(how="rst")
    await eventually(lambda: claimed_again(bench), every=0.01)
    old = bench.life(worker)
    await condemn(bench, worker)
    await eventually(lambda: new_life(bench, worker, old))
    bench.sim.end_fault(barrier)
    (row,) = await bench.all_in("accepted", "expired")
    assert (row["state"], row["repeated"]) == ("accepted", True)
    assert bench.sends(phones) == [2]


async def claimed_again(bench: Bench) -> bool:
    (row,) = await bench.pushes()
    return bool(row["state"] == "sending" and row["inherited"])


async def test_a_refusal_between_does_not_give_another_repeat(bench: Bench) -> None:
    bench.start_worker()
    (phone,) = await bench.phones(1)
    bench.sim.fault(token=phone.voip, reset="INTERNAL_ERROR", times=1)
    bench.sim.fault(token=phone.voip, status=503, reason="ServiceUnavailable", times=1)
    bench.sim.fault(token=phone.voip, reset="INTERNAL_ERROR", times=1)
    await bench.ring("bob")
    (row,) = await bench.all_in("expired")
    assert row["reason"] == "unknown"
    assert [one.status for one in bench.sim.arrivals(phone.voip)][1] == 503
    assert bench.sends([phone]) == [3]


async def test_what_should_happen_once_happens_once_over_all_attempts(bench: Bench) -> None:
    """429 without a body, and 429 and 503 in turn: counted by row of the table, heirs included."""
    bench.start_worker()
    bare, in_turn = await bench.phones(2)
    bench.sim.fault(token=bare.voip, status=429, body="")
    for _ in range(6):
        bench.sim.fault(token=in_turn.voip, status=429, reason="TooManyRequests", times=1)
        bench.sim.fault(token=in_turn.voip, status=503, reason="ServiceUnavailable", times=1)
    await bench.ring("bob")
    rows = await bench.all_in("refused")
    assert {row["status"] for row in rows} == {429}
    assert bench.sends([bare, in_turn]) == [2, 3]


async def test_a_claim_of_mine_that_i_do_not_know_is_claimed_again_or_ends(bench: Bench) -> None:
    worker = bench.start_worker()
    await eventually(lambda: alive(bench, worker))
    ringing, over = await bench.phones(1), await bench.phones(1, user="carol")
    claimed = """
        UPDATE pushes SET state = 'sending', fence = 1, claimed_by = :worker, attempts = 1,
            deadline = CASE WHEN user_id = 'carol' THEN clock_timestamp() ELSE deadline END
        WHERE tenant_id = :tenant
    """
    async with bench.tenant.runtime.database.transaction() as session:
        await bench.unsent(session, "bob", "carol")
        await bench.run(session, claimed, worker=bench.life(worker).id)
    rows = {row["user_id"]: row for row in await bench.all_in("accepted", "expired")}
    assert (rows["bob"]["state"], rows["bob"]["fence"]) == ("accepted", 2)
    assert (rows["carol"]["state"], rows["carol"]["reason"]) == ("expired", "unknown")
    assert bench.sends([*ringing, *over]) == [1, 0]


async def test_a_claim_whose_answer_is_still_to_come_is_not_claimed_again(bench: Bench) -> None:
    """The claim takes longer than two looks for what was lost."""
    bench.start_worker()
    phones = await bench.phones(1)
    async with bench.failing("slow"):
        await bench.ring("bob")
        await bench.sim.arrived(1, token=phones[0].voip)
    (row,) = await bench.all_in("accepted")
    assert row["fence"] == 1
    assert bench.sends(phones) == [1]


async def test_a_claim_that_began_during_a_look_for_lost_ones_is_not_claimed_again(
    bench: Bench,
) -> None:
    """The database says that it is claimed, and the worker still reads how it was tried before."""
    worker = bench.start_worker(without_sweep)
    (phone,) = await bench.phones(1)
    bench.sim.fault(token=phone.voip, status=503, reason="Shutdown", retry_after=40, times=1)
    await bench.ring("bob")
    (push,) = await eventually(lambda: tried_once(bench))
    async with AsyncExitStack() as looking, AsyncExitStack() as reading:
        await lock(bench, looking, "push_batches")
        worker.submit(lambda dispatcher: dispatcher.send_lost())
        await eventually(lambda: waiting(bench, 1), every=0.01)
        await lock(bench, reading, "attempts")
        await bench.tenant.execute(
            "UPDATE pushes SET due_at = clock_timestamp() WHERE id = :id", id=push["id"]
        )
        worker.submit(lambda dispatcher: dispatcher.sweeping.claim([push["id"]]))
        await eventually(lambda: waiting(bench, 1, of="%FROM attempts%"), every=0.01)
        await looking.aclose()
        await eventually(lambda: waiting(bench, 0, of="%push_batches%"), every=0.01)
    (row,) = await bench.all_in("accepted")
    assert (row["fence"], bench.sends([phone])) == (2, [2])


async def tried_once(bench: Bench) -> list[dict[str, Any]]:
    return [one for one in await bench.pushes() if one["state"] == "pending" and one["attempts"]]


async def lock(bench: Bench, until: AsyncExitStack, table: str) -> None:
    session = await until.enter_async_context(bench.tenant.runtime.database.transaction())
    await session.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))


async def waiting(bench: Bench, count: int, of: str = "%") -> bool:
    """Whether so many statements, or more, wait for a lock; with 0, whether none does."""
    rows = await bench.tenant.rows(
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database() AND query LIKE :of",
        of=of,
    )
    return len(rows) >= count if count else not rows


@pytest.mark.parametrize(
    "kinds", [(HintOf.LATER, HintOf.RING), (HintOf.ANY, HintOf.ANY)], ids=["told", "not told"]
)
async def test_the_stop_of_a_push_in_a_workers_hands_comes_when_it_cannot_be_handed_over(
    bench: Bench, kinds: tuple[HintOf, HintOf]
) -> None:
    """Also if the hint of it comes with that of another ring, and nobody sweeps."""
    worker = bench.start_worker(without_sweep)
    phone, other = await bench.tenant.phone("bob"), await bench.tenant.phone("carol")
    fault = bench.sim.fault(token=phone.voip, hold=True)
    call = await bench.ring("bob")
    await bench.sim.arrived(1, token=phone.voip)
    await bench.tenant.ring("carol")
    rings = await bench.tenant.rows(
        "SELECT uuid, user_id FROM rings WHERE tenant_id = :tenant ORDER BY user_id"
    )
    await bench.tenant.act(call, "cancel")
    hints = [PushHint(of, row["uuid"]) for of, row in zip(kinds, rings, strict=True)]
    worker.submit(lambda dispatcher: dispatcher.send(hints))
    await bench.sim.arrived(1, token=other.voip)
    (stop,) = await bench.tenant.rows(
        "SELECT * FROM pushes WHERE tenant_id = :tenant AND purpose = 'stop'"
    )
    assert stop["due_at"] - stop["created_at"] > timedelta(seconds=FRESH)
    bench.sim.release(fault)
    await bench.sim.arrived(1, token=phone.alert)


async def alive(bench: Bench, worker: Loop) -> bool:
    return bench.life(worker).is_alive()


async def all_attempts(bench: Bench, count: int) -> list[dict[str, Any]]:
    rows = await bench.tenant.rows(
        "SELECT a.* FROM attempts a JOIN targets p ON p.id = a.push_id WHERE p.tenant_id = :tenant"
    )
    return rows if len(rows) >= count else []
