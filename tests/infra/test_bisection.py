"""Batches of which some rows are bad: the bad ones alone are left aside."""

import pytest

from app.infra.bisection import MOST_BAD, Aside, by_halves, sweep, sweep_for
from app.infra.outage import DatabaseAway
from tests.chance import dice


class Work:
    """Fails with any bad key in its batch, as a statement would."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.done: set[int] = set()
        self.tries = 0

    async def __call__(self, keys: object) -> None:
        self.tries += 1
        given = set(keys)  # type: ignore[call-overload]
        if given & self.bad:
            raise ValueError(f"bad: {given & self.bad}")
        self.done |= given


async def test_only_the_bad_rows_are_left_aside() -> None:
    chance = dice()
    for _ in range(50):
        keys = chance.sample(range(10_000), chance.randint(1, 200))
        bad = set(chance.sample(keys, min(len(keys), chance.randint(0, MOST_BAD - 1))))
        work, aside = Work(bad), Aside[int]("test")
        await by_halves(keys, work, aside)
        assert work.done == set(keys) - bad
        assert set(aside.keys()) == bad
        assert work.tries <= 1 + len(bad) * 2 * 8


async def test_a_batch_of_bad_rows_keeps_nobody_waiting_for_ever() -> None:
    rows = list(range(500))
    work, aside = Work(set(range(450))), Aside[int]("test")

    async def find(limit: int, passed_over: object) -> list[int]:
        left = [one for one in rows if one not in work.done and one not in set(passed_over)]  # type: ignore[call-overload]
        return left[:limit]

    rounds = 0
    while work.done != set(range(450, 500)):
        rounds += 1
        # 23 where they take less than two seconds; then the first are tried again, ever later
        assert rounds < 1_000
        await sweep(find, work, aside, 200)


async def test_a_database_that_is_away_is_no_rows_fault() -> None:
    aside = Aside[int]("test")

    async def work(_: object) -> None:
        raise DatabaseAway

    with pytest.raises(DatabaseAway):
        await by_halves([1, 2, 3], work, aside)
    assert aside.keys() == []


async def test_a_row_that_is_well_again_is_taken_again() -> None:
    work, aside = Work({2}), Aside[int]("test")
    await by_halves([1, 2, 3], work, aside)
    work.bad.clear()
    await by_halves([2], work, aside)
    assert aside.keys() == []
    assert work.done == {1, 2, 3}


async def test_a_round_of_very_many_rows_ends_and_the_next_goes_on() -> None:
    work, aside = Work(set()), Aside[int]("test")

    async def find(limit: int, _: object) -> list[int]:
        first = max(work.done, default=-1) + 1
        return list(range(first, min(first + limit, 1_000)))

    assert await sweep_for(find, work, aside, 10, seconds=0) == (10, False)
    assert work.done == set(range(10))
    assert await sweep_for(find, work, aside, 10, seconds=60) == (990, True)
    assert work.done == set(range(1_000))
