"""A group's pushes go by the fifty in one row, and whatever is out of the ordinary leaves it."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from tests.e2e.house import Phone, eventually
from tests.push.conftest import Bench
from tests.push.test_inheriting import alive, all_attempts, condemn, new_life, without_sweep
from workers.loop import Loop, Round
from workers.sweep import sweep

GROUP = 12
LOCKED = "SELECT id FROM push_batches WHERE tenant_id = :tenant FOR NO KEY UPDATE"
STATES = "SELECT user_id, state FROM targets WHERE tenant_id = :tenant"


async def group(bench: Bench, swept: Round = sweep) -> tuple[Loop, list[Phone]]:
    """A worker that lives, and the phones of a group."""
    worker = bench.start_worker(swept)
    phones = await bench.tenant.phones(*(f"u{n}" for n in range(GROUP)))
    await eventually(lambda: alive(bench, worker))
    return worker, phones


async def ring(bench: Bench, phones: list[Phone], *, soon: bool = True) -> dict[str, Any]:
    users = [phone.user for phone in phones]
    return await (bench.ring(*users) if soon else bench.tenant.ring(*users, ring_time=60))


async def hold(bench: Bench, phones: list[Phone]) -> list[int]:
    """Ring them; Apple has them all, and answers when it is let."""
    faults = [bench.sim.fault(token=one.voip, hold=True, times=1) for one in phones]
    await ring(bench, phones)
    for phone in phones:
        await bench.sim.arrived(1, token=phone.voip)
    return faults


async def of_their_own(bench: Bench) -> dict[str, dict[str, Any]]:
    """The pushes that have left their batches, by user."""
    rows = await bench.tenant.rows(
        "SELECT * FROM pushes WHERE tenant_id = :tenant AND purpose = 'ring'"
    )
    return {row["user_id"]: row for row in rows}


async def batches(bench: Bench) -> list[dict[str, Any]]:
    return await bench.tenant.rows("SELECT * FROM push_batches WHERE tenant_id = :tenant")


async def test_a_group_is_one_row_in_which_all_are_taken(bench: Bench) -> None:
    _, phones = await group(bench)
    await ring(bench, phones)
    rows = await bench.all_in("accepted")
    assert {(row["fence"], row["attempts"], row["status"]) for row in rows} == {(1, 1, 200)}
    assert all(row["created_at"] <= row["sent_at"] <= row["answered_at"] for row in rows)
    assert bench.sends(phones) == [1] * GROUP
    assert not await of_their_own(bench)
    (batch,) = await batches(bench)
    assert (batch["open_bits"], batch["done_at"] is None) == (0, False)
    assert not await all_attempts(bench, 1)


async def test_what_is_not_taken_at_once_leaves_and_the_others_stay(bench: Bench) -> None:
    """Gone, silent once, silent for ever, refused once and tried again."""
    _, phones = await group(bench)
    gone, once, silent, busy, *others = phones
    bench.sim.fault(token=gone.voip, status=410, reason="Unregistered", timestamp=4 * 10**12)
    bench.sim.fault(token=once.voip, reset="INTERNAL_ERROR", times=1)
    bench.sim.fault(token=silent.voip, reset="INTERNAL_ERROR")
    bench.sim.fault(token=busy.voip, status=503, reason="ServiceUnavailable", times=1)
    await ring(bench, phones)
    await bench.all_in("accepted", "refused", "expired")
    left = await of_their_own(bench)
    assert {user: (row["state"], row["reason"]) for user, row in left.items()} == {
        gone.user: ("refused", "Unregistered"), once.user: ("accepted", None),
        silent.user: ("expired", "unknown"), busy.user: ("accepted", None),
    }  # fmt: skip
    assert bench.sends([gone, once, silent, busy]) == [1, 2, 2, 2]
    assert bench.sends(others) == [1] * len(others)
    (batch,) = await batches(bench)
    assert batch["accepted_bits"].bit_count() == len(others)
    tried = {row["push_id"] for row in await all_attempts(bench, 7)}
    assert tried == {row["id"] for row in left.values()}


async def test_what_a_condemned_worker_had_is_repeated_once(bench: Bench) -> None:
    worker, phones = await group(bench)
    old = bench.life(worker)
    faults = await hold(bench, phones)
    await condemn(bench, worker)
    await eventually(lambda: new_life(bench, worker, old))
    rows = await bench.all_in("accepted")
    assert {(row["fence"], row["inherited"], row["repeated"]) for row in rows} == {(2, True, True)}
    bench.release(faults)
    await all_attempts(bench, 2 * GROUP)
    assert bench.sends(phones) == [2] * GROUP
    assert await bench.pushes() == rows


async def test_a_ring_that_settles_or_a_token_that_moves_while_queued_is_not_sent(
    bench: Bench,
) -> None:
    worker, phones = await group(bench, without_sweep)
    accepts, moves, *others = phones
    call = await ring(bench, phones, soon=False)
    assert (await bench.tenant.act(call, "accept", accepts.user, accepts.device_id)).is_success
    assert (await bench.tenant.register(Phone("eve", "e", moves.voip, None))).is_success
    left = await of_their_own(bench)
    assert {user: row["reason"] for user, row in left.items()} == {
        accepts.user: "ring_settled", moves.user: "token_moved",
    }  # fmt: skip
    worker.submit(lambda dispatcher: dispatcher.sweeping.send_due())
    await bench.all_in("accepted", "dropped")
    assert bench.sends([accepts, moves]) == [0, 0]
    assert bench.sends(others) == [1] * len(others)


async def test_a_token_that_moved_unseen_is_found_by_the_claim(bench: Bench) -> None:
    worker, phones = await group(bench, without_sweep)
    await ring(bench, phones, soon=False)
    await bench.tenant.execute("UPDATE tokens SET user_id = 'eve' WHERE token = :token",
                               token=phones[0].voip)  # fmt: skip
    worker.submit(lambda dispatcher: dispatcher.sweeping.send_due())
    rows = {row["user_id"]: row for row in await bench.all_in("accepted", "dropped")}
    assert rows["u0"]["reason"] == "token_moved"
    assert bench.sends(phones) == [0] + [1] * (GROUP - 1)


async def test_a_claim_that_a_crash_took_back_is_taken_back_with_its_record(bench: Bench) -> None:
    _, phones = await group(bench)
    faults = await hold(bench, phones)
    await bench.tenant.execute(
        "UPDATE push_batches SET claimed_by = NULL, fence = 0, due_at = due_at + interval '20 s' "
        "WHERE tenant_id = :tenant",
        tenant=bench.tenant.id,
    )
    bench.release(faults)
    rows = await bench.all_in("accepted")
    assert {row["fence"] for row in rows} == {1}
    assert bench.sends(phones) == [1] * GROUP


async def test_a_claim_whose_answer_never_came_is_claimed_again(bench: Bench) -> None:
    worker, phones = await group(bench, without_sweep)
    await ring(bench, phones, soon=False)
    await bench.tenant.execute(
        "UPDATE push_batches SET claimed_by = :worker, fence = 1 WHERE tenant_id = :tenant",
        worker=bench.life(worker).id, tenant=bench.tenant.id,
    )  # fmt: skip
    rows = await bench.all_in("accepted")
    assert {row["fence"] for row in rows} == {2}
    assert bench.sends(phones) == [1] * GROUP


async def test_a_locked_batch_is_written_when_it_is_free(bench: Bench) -> None:
    _, phones = await group(bench)
    faults = await hold(bench, phones)
    alone = await bench.tenant.phone("bob", alert=False)
    faults.append(bench.sim.fault(token=alone.voip, hold=True, times=1))
    await bench.ring("bob")
    await bench.sim.arrived(1, token=alone.voip)
    async with bench.tenant.runtime.database.transaction() as session:
        await session.execute(text(LOCKED), {"tenant": bench.tenant.id})
        bench.release(faults)

        async def bobs_is_written() -> bool:  # asked by who holds the lock, who so is never idle
            states = (await session.execute(text(STATES), {"tenant": bench.tenant.id})).all()
            assert {state for user, state in states if user != "bob"} == {"sending"}
            return ("bob", "accepted") in states

        await eventually(bobs_is_written)
    await bench.all_in("accepted")
    assert bench.sends([*phones, alone]) == [1] * (GROUP + 1)


async def test_answers_outlive_every_connection(bench: Bench) -> None:
    """All sessions end, and there are no new ones until the answers are in hand."""
    worker, phones = await group(bench)
    faults = await hold(bench, phones)
    bench.alter("ALLOW_CONNECTIONS false")
    try:
        bench.end_sessions()
        bench.release(faults)
        await eventually(lambda: answers_in_hand(worker))
    finally:
        bench.alter("ALLOW_CONNECTIONS true")
    rows = await bench.all_in("accepted")
    assert {row["fence"] for row in rows} == {1}
    assert bench.sends(phones) == [1] * GROUP


async def test_what_nobody_claimed_in_time_expires(bench: Bench) -> None:
    worker, phones = await group(bench, without_sweep)
    await ring(bench, phones, soon=False)
    await bench.tenant.execute(
        "UPDATE push_batches SET deadline = clock_timestamp() WHERE tenant_id = :tenant",
        tenant=bench.tenant.id,
    )
    worker.submit(lambda dispatcher: dispatcher.sweeping.send_due())
    worker.submit(lambda dispatcher: dispatcher.sweeping.expire())
    rows = await bench.all_in("expired")
    assert {row["reason"] for row in rows} == {"deadline"}
    assert bench.sends(phones) == [0] * GROUP


async def test_a_report_before_the_record_and_one_after_it(bench: Bench) -> None:
    _, phones = await group(bench)
    early, late, *_ = phones
    faults = await hold(bench, phones)
    (call,) = await bench.tenant.rows("SELECT id FROM calls WHERE tenant_id = :tenant")
    assert (await reported(bench, call, early)) == 204
    bench.release(faults)
    await bench.all_in("accepted")
    for _ in range(2):
        assert (await reported(bench, call, late)) == 204
    left = await of_their_own(bench)
    assert {user: (row["state"], row["attempts"]) for user, row in left.items()} == {
        early.user: ("accepted", 1), late.user: ("accepted", 1),
    }  # fmt: skip
    assert all(row["delivered_at"] and row["sent_at"] for row in left.values())
    assert bench.sends(phones) == [1] * GROUP


async def test_a_late_device_of_a_group_is_rung_and_no_other_again(bench: Bench) -> None:
    worker, phones = await group(bench)
    await ring(bench, phones)
    await bench.all_in("accepted")
    late = await bench.tenant.phone("u0", alert=False)
    worker.submit(lambda dispatcher: dispatcher.sweeping.send_due())
    await bench.sim.arrived(1, token=late.voip)
    await bench.all_in("accepted")
    assert set(await of_their_own(bench)) == {"u0"}
    assert bench.sends([*phones, late]) == [1] * (GROUP + 1)


async def test_an_erased_user_leaves_no_trace_in_a_batch(bench: Bench) -> None:
    _, phones = await group(bench)
    await ring(bench, phones)
    await bench.all_in("accepted")
    assert (await bench.tenant.api.delete("/v1/users/u3")).status_code == 204
    (batch,) = await batches(bench)
    assert "u3" not in batch["users"]
    assert phones[3].voip not in batch["tokens"]
    assert min(batch["tokens"]) == ""
    assert len(batch["users"]) == GROUP


async def test_none_is_written_while_a_worker_lives_that_takes_none(bench: Bench) -> None:
    worker, phones = await group(bench)
    await bench.tenant.execute(
        "UPDATE workers SET batches = false WHERE id = :id", id=bench.life(worker).id
    )
    await ring(bench, phones)
    await bench.all_in("accepted")
    assert len(await of_their_own(bench)) == GROUP
    assert not await batches(bench)


async def reported(bench: Bench, call: dict[str, UUID], phone: Phone) -> int:
    answer = await bench.tenant.api.post(
        f"/v1/calls/{call['id']}/report",
        json={"status": "delivered", "user_id": phone.user, "device_id": phone.device_id},
    )
    return answer.status_code


async def answers_in_hand(worker: Loop) -> bool:
    assert worker.dispatcher is not None
    return worker.dispatcher._recorder.kept() == GROUP
