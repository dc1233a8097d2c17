"""A push whose row cannot be claimed, taken over or ended keeps no other one."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.house import eventually
from tests.push.conftest import Bench
from tests.push.test_inheriting import condemn

BAD = """
    CREATE OR REPLACE FUNCTION bad_row() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'a bad row' USING ERRCODE = 'XX000'; END $$
"""


@pytest.fixture
async def bad(bench: Bench) -> AsyncIterator[Any]:
    """Make every change of one phone's pushes fail."""

    async def make(token: str, when: str = "true") -> None:
        await bench.tenant.execute(BAD)
        await bench.tenant.execute(
            f"CREATE TRIGGER bad_row BEFORE UPDATE ON pushes FOR EACH ROW "
            f"WHEN (OLD.token = '{token}' AND {when}) EXECUTE FUNCTION bad_row()"
        )

    yield make
    await mend(bench)


async def mend(bench: Bench) -> None:
    await bench.tenant.execute("DROP TRIGGER IF EXISTS bad_row ON pushes")


async def states(bench: Bench, states: list[str]) -> bool:
    return sorted(row["state"] for row in await bench.pushes()) == sorted(states)


async def test_a_push_that_cannot_be_claimed_keeps_no_other_one(bench: Bench, bad: Any) -> None:
    phones = await bench.phones(3)
    await bad(phones[1].voip)
    bench.start_worker()
    await bench.ring("bob")
    await eventually(lambda: states(bench, ["accepted", "pending", "accepted"]))
    await mend(bench)
    await bench.all_in("accepted")


@pytest.mark.parametrize("when", ["true", "NEW.repeated AND NOT OLD.repeated"])
async def test_one_that_cannot_be_taken_over_or_looked_at_keeps_no_other_one(
    bench: Bench, bad: Any, when: str
) -> None:
    phones = await bench.phones(3)
    dead = bench.start_worker()
    faults = await bench.hold(phones)
    await bad(phones[1].voip, when)
    await condemn(bench, dead)
    await eventually(lambda: states(bench, ["accepted", "sending", "accepted"]))
    await mend(bench)
    await bench.all_in("accepted")
    assert bench.sends(phones) == [2, 2, 2]
    bench.release(faults)
