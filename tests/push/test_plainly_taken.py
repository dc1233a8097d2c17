"""What is plainly taken is written by a statement of its own, as by the one for all results."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from app.core.outcome import Ended
from app.core.push import PushState
from app.infra.db import Connection, Database
from app.push import claims, records, worker_store
from app.push.claims import MOST_AT_ONCE, RINGS_AT_ONCE, rings_together
from app.push.results import Result, is_plainly_taken
from tests.chance import dice, often
from tests.push.test_claims_in_place import USERS, make_phones, ring_each
from tests.push.values import claimed

CHANGES = {
    "mine": None,
    "taken back by a crash": "state = 'pending', claimed_by = NULL, fence = fence - 1",
    "taken over": "claimed_by = :other, fence = fence + 1",
    "claimed anew": "fence = fence + 1",
    "over": "state = 'dropped', is_open = false",
    "written before": "state = 'accepted', is_open = false, status = 200",
    "sent before": "sent_at = now() - interval '1 second'",
}
ALL = text("SELECT * FROM pushes ORDER BY id")
OUTCOME = Ended(1.0, 2.0, code=200)
SENT = datetime(2026, 11, 27, 12, 0, 0, 123_457, UTC)


def end(push: records.TakenPush, worker: UUID) -> records.PushEnd:
    """The same for the statement for all results."""
    number, fence, status, sent, answered = push
    return {
        "id": number, "worker": worker, "fence": fence, "state": PushState.ACCEPTED,
        "environment": "production", "healed": False, "silent": False, "due_at": None,
        "status": status, "reason": None, "sent_at": datetime.fromtimestamp(sent, UTC),
        "answered_at": datetime.fromtimestamp(answered, UTC), "next_id": None, "try_id": None,
    }  # type: ignore[typeddict-item]  # fmt: skip


async def written(
    session: Connection, worker: UUID, pushes: Sequence[records.TakenPush], *, apart: bool
) -> tuple[set[UUID], list[Any]]:
    """Which are accepted by this writing, and all rows after it; it is rolled back."""
    async with session.begin_nested() as nested:
        if apart:
            accepted = await records.record_taken(session, worker, pushes)
        else:
            states = await records.record(session, [end(one, worker) for one in pushes], [])
            accepted = {push for push, state in states.items() if state is PushState.ACCEPTED}
        rows = [tuple(row) for row in await session.execute(ALL)]
        await nested.rollback()
    return accepted, rows


async def test_both_statements_write_the_same(database: str) -> None:
    db, worker, chance = Database(database), uuid4(), dice()
    async with db.transaction() as session:
        await make_phones(session)
        await worker_store.enter_worker(session, worker, host="h", pid=1, only=None, lease=99)
        rings = await ring_each(session, [f"u{n}" for n in range(1, USERS + 1)])
        pushes = await claims.claim_rings(session, worker, rings, 500)
        assert len(pushes) == USERS
        at = SENT.timestamp()
        taken = [(one.id, one.fence, 200, at + n, at + n + 0.25) for n, one in enumerate(pushes)]
        for _ in range(often(5, 50)):
            async with session.begin_nested() as nested:
                fates = await changed(session, chance, [one.id for one in pushes])
                apart = await written(session, worker, taken, apart=True)
                assert apart == await written(session, worker, taken, apart=False)
                mine = {"mine", "taken back by a crash", "sent before"}
                assert apart[0] == {push for push, fate in fates.items() if fate in mine}
                await nested.rollback()
    await db.close()


async def changed(
    session: Connection, chance: random.Random, pushes: Sequence[UUID]
) -> dict[UUID, str]:
    """What has happened to each meanwhile."""
    fates = {push: chance.choice(list(CHANGES)) for push in pushes}
    for fate, sql in CHANGES.items():
        if sql is not None:
            values: dict[str, Any] = {"ids": [one for one in pushes if fates[one] == fate]}
            values |= {"other": uuid4()} if ":other" in sql else {}
            await session.execute(text(f"UPDATE pushes SET {sql} WHERE id = ANY(:ids)"), values)
    return fates


async def test_a_locked_row_is_left_out_and_not_waited_for(database: str) -> None:
    db, worker = Database(database), uuid4()
    async with db.transaction() as session:
        await make_phones(session)
        await worker_store.enter_worker(session, worker, host="h", pid=1, only=None, lease=99)
        rings = await ring_each(session, ["u1", "u2"])
        first, second = await claims.claim_rings(session, worker, rings, 500)
    taken = [(one.id, one.fence, 200, 1.0, 2.0) for one in (first, second)]
    async with db.transaction() as holding:
        await holding.execute(
            text("SELECT FROM pushes WHERE id = :id FOR UPDATE"), {"id": first.id}
        )
        async with db.autocommit() as session:
            assert await records.record_taken(session, worker, taken) == {second.id}
    async with db.autocommit() as session:
        assert await records.record_taken(session, worker, taken) == {first.id}
    await db.close()


@pytest.mark.parametrize(
    ("fields", "of_push"),
    [
        ({"state": PushState.REFUSED}, {}),
        ({"reason": "Odd"}, {}),
        ({"silent": True}, {}),
        ({"outcome": None}, {}),
        ({}, {"healed": True}),
        ({}, {"attempts": 2}),
    ],
)
def test_of_what_more_is_to_be_said_it_is_not_asked(
    fields: dict[str, Any], of_push: dict[str, Any]
) -> None:
    plain: dict[str, Any] = {"state": PushState.ACCEPTED, "reason": None, "outcome": OUTCOME}
    assert is_plainly_taken(Result(claimed(), **plain))
    assert not is_plainly_taken(Result(claimed(**of_push), **plain | fields))


def test_a_crowd_goes_in_two_claims_of_no_more_than_there_may_be() -> None:
    for count in range(1, 2_000):
        together = rings_together(count)
        assert together <= MOST_AT_ONCE
        assert count <= RINGS_AT_ONCE or -(-count // together) >= 2, "two claims take turns"
        assert count > 2 * MOST_AT_ONCE or -(-count // together) <= 2
