"""An answer in hand is kept until it is written: nothing is sent again for want of a commit."""

import math

import pytest
from sqlalchemy import text

from app.infra.boottime import boottime
from app.infra.supervision import LongLived, supervised
from app.push.life import LEASE, Life
from tests.e2e.house import Phone, eventually
from tests.push.conftest import Bench

NOT_THE_ROWS_FAULT = ("25006", "40P01", "53100", "53300", "55P03", "57014", "XX000")


async def test_answers_are_kept_while_the_database_cannot_write_them(bench: Bench) -> None:
    bench.start_worker()
    phones = await bench.phones(10)
    faults = await bench.hold(phones)
    async with bench.failing(NOT_THE_ROWS_FAULT[0]) as tried:
        bench.release(faults)
        for sqlstate in NOT_THE_ROWS_FAULT:  # there is one at every moment
            await bench.tenant.execute("UPDATE fault SET sqlstate = :code", code=sqlstate)
            await tried()
            assert {row["state"] for row in await bench.pushes()} == {"sending"}
    rows = await bench.all_in("accepted")
    assert {row["status"] for row in rows} == {200}
    assert bench.heard_sends(phones) == [1] * 10


async def test_only_the_row_that_is_at_fault_is_written_otherwise(bench: Bench) -> None:
    """Found by halves: the others are recorded as they are, and nothing is sent again."""
    bench.start_worker()
    phones = await bench.phones(9)
    odd = phones[4]
    bench.sim.fault(token=odd.voip, status=400, reason="Überfüllt", times=1)
    async with bench.failing("22021", reason="%ü%"):
        await bench.ring("bob")
        rows = await bench.all_in("accepted", "refused")
    refused = [(row["token"], row["reason"]) for row in rows if row["state"] == "refused"]
    assert refused == [(odd.voip, "?berf?llt")]
    assert bench.heard_sends(phones) == [1] * 9


async def test_a_row_that_cannot_be_written_for_now_keeps_no_other(bench: Bench) -> None:
    """A broken page, say: its answer is kept until it is written, and no other waits for it."""
    bench.start_worker()
    phones = await bench.phones(5)
    odd, *others = phones
    busy = bench.sim.fault(token=odd.voip, hold=True, times=1, status=503, reason="Shutdown")
    faults = await bench.hold(others)
    await bench.sim.arrived(1, token=odd.voip)
    async with bench.failing("XX001", reason="Shutdown"):
        bench.release([*faults, busy])
        await eventually(lambda: _states(bench, ["accepted"] * 4 + ["sending"]))
    await bench.all_in("accepted")
    assert bench.heard_sends(others) == [1] * 4


async def _states(bench: Bench, states: list[str]) -> bool:
    return sorted(row["state"] for row in await bench.pushes()) == states


async def test_what_apple_says_with_nul_is_recorded_and_sent_once(bench: Bench) -> None:
    bench.start_worker()
    phones = await bench.phones(6)
    for n, status in enumerate((200, 400, 410)):
        bench.sim.fault(token=phones[n].voip, status=status, body='{"reason":"a\\u0000b"}')
        bench.sim.fault(token=phones[n + 3].voip, status=status, headers={"apns-unique-id": "a\0b"})
    await bench.ring("bob")
    rows = await bench.all_in("accepted", "refused")
    assert sorted(row["status"] for row in rows) == [200, 200, 400, 400, 410, 410]
    assert bench.heard_sends(phones) == [1] * 6


async def test_answers_are_kept_while_the_table_or_a_row_is_locked(bench: Bench) -> None:
    bench.start_worker()
    phones = await bench.phones(4)
    faults = await bench.hold(phones)
    async with bench.tenant.runtime.database.transaction() as session:
        await session.execute(text("LOCK TABLE pushes IN ACCESS EXCLUSIVE MODE"))
        bench.release(faults)
        await eventually(lambda: _waits_for_a_lock(bench))
    await bench.all_in("accepted")
    assert bench.heard_sends(phones) == [1] * 4


async def test_a_locked_row_holds_up_no_other(bench: Bench) -> None:
    bench.start_worker()
    phones = await bench.phones(4)
    faults = await bench.hold(phones)
    async with bench.tenant.runtime.database.transaction() as session:
        locked = "SELECT id FROM pushes WHERE token = :token FOR NO KEY UPDATE"
        await session.execute(text(locked), {"token": phones[0].voip})
        bench.release(faults)
        await eventually(lambda: _accepted(bench, phones[1:]))
        assert not await _accepted(bench, phones[:1])
    await bench.all_in("accepted")
    assert bench.heard_sends(phones) == [1] * 4


async def test_a_locked_token_holds_up_no_other_tenants_answers(bench: Bench) -> None:
    """A 410 retires its token, which somebody holds: the other pushes are recorded meanwhile."""
    bench.start_worker()
    gone, *phones = await bench.phones(4)
    bench.sim.fault(token=gone.voip, status=410, reason="Unregistered", timestamp=4 * 10**12)
    async with bench.tenant.runtime.database.transaction() as session:
        locked = "SELECT id FROM tokens WHERE token = :token FOR UPDATE"
        await session.execute(text(locked), {"token": gone.voip})
        await bench.ring("bob")
        await eventually(lambda: _accepted(bench, phones))
        await eventually(lambda: _waits_for_a_lock(bench))
    await bench.all_in("accepted", "refused")
    (token,) = await bench.tenant.rows("SELECT * FROM tokens WHERE token = :token", token=gone.voip)
    assert token["retired_at"] is not None
    assert bench.heard_sends([gone, *phones]) == [1] * 4


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("SET default_transaction_read_only = on", "RESET default_transaction_read_only"),
        ("ALLOW_CONNECTIONS false", "ALLOW_CONNECTIONS true"),
    ],
    ids=["read-only", "refusing"],
)
async def test_answers_outlive_every_connection_and_nobody_is_judged(
    bench: Bench, begin: str, end: str
) -> None:
    """All sessions end, and new ones cannot write, or there are none, until all leases are over."""
    workers = [bench.start_worker(), bench.start_worker()]
    phones = await bench.phones(10)
    faults = await bench.hold(phones)
    await bench.tenant.season_workers()
    lives = [bench.life(worker) for worker in workers]
    bench.alter(begin)
    try:
        bench.end_sessions()
        bench.release(faults)
        await eventually(lambda: _all_leases_over(lives))
    finally:
        bench.alter(end)
        bench.end_sessions()
    await bench.all_in("accepted")
    assert bench.heard_sends(phones) == [1] * 10
    assert [bench.life(worker) for worker in workers] == lives


async def test_a_claim_that_a_crash_took_back_is_taken_back_with_its_record(bench: Bench) -> None:
    """Claims are committed asynchronously: the row is as before, its answer is in hand."""
    bench.start_worker()
    phones = await bench.phones(2)
    faults = await bench.hold(phones)
    await bench.tenant.execute(
        "UPDATE pushes SET state = 'pending', is_open = true, claimed_by = NULL, fence = 0, attempts = 0, "
        "due_at = due_at + interval '20 seconds' WHERE tenant_id = :tenant",
        tenant=bench.tenant.id,
    )
    bench.release(faults)
    rows = await bench.all_in("accepted")
    assert [row["fence"] for row in rows] == [1, 1]
    assert bench.heard_sends(phones) == [1, 1]


async def test_a_recorder_that_fails_loses_no_answer(bench: Bench) -> None:
    """A bug in the middle of a write: its task begins anew, with all that was in hand."""
    bench.start_worker()
    phones = await bench.phones(4)
    faults = await bench.hold(phones)
    async with bench.failing("53100") as tried:
        bench.release(faults)
        await tried()
        recorders = [task for task in supervised() if task.name == "push.record"]
        for task in recorders:
            bench.on_loops(lambda task=task: task.fail(RuntimeError("a drill")))  # type: ignore[misc]
        await eventually(lambda: _restarted(recorders))
    await bench.all_in("accepted")
    assert bench.heard_sends(phones) == [1] * 4


async def _restarted(tasks: list[LongLived]) -> bool:
    return bool(tasks) and all(task.restarts and task.running for task in tasks)


async def _accepted(bench: Bench, phones: list[Phone]) -> bool:
    rows = await bench.tenant.rows(
        "SELECT state FROM pushes WHERE token = ANY(:tokens)", tokens=[one.voip for one in phones]
    )
    return bool(rows) and all(row["state"] == "accepted" for row in rows)


async def _all_leases_over(lives: list[Life]) -> bool:
    return all(boottime() > life.start_by(math.inf) + LEASE / 4 for life in lives)


async def _waits_for_a_lock(bench: Bench) -> bool:
    return bool(
        await bench.tenant.rows(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND datname = current_database()"
        )
    )
