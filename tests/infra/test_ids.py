"""Ids are UUIDv7, in order of time, and no two processes or threads make the same."""

import multiprocessing
import pickle
import re
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

from app.infra import clock
from app.infra.ids import AT_ONCE, ROOM, uuid7, uuid7_hex, uuid7_hexes, uuid7s


def test_an_id_is_a_uuid_of_version_7_made_now() -> None:
    # by the one clock, which may have learned the database's time from a test before
    before = int(clock.unix() * 1_000)
    made = uuid7()
    after = int(clock.unix() * 1_000)
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= after


def test_ids_of_later_milliseconds_are_greater() -> None:
    first = uuid7()
    time.sleep(0.002)
    assert uuid7() > first


def test_no_id_comes_twice_from_many_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: uuid7(), range(AT_ONCE * 20)))
    assert len(set(made)) == len(made)


def _tail(queue) -> None:
    queue.put([uuid7().int & (1 << 62) - 1 for _ in range(10)])


def test_a_forked_process_shares_no_random_bits() -> None:
    uuid7()
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    children = [context.Process(target=_tail, args=(queue,)) for _ in range(2)]
    for child in children:
        child.start()
    tails = [queue.get() for _ in children] + [[uuid7().int & (1 << 62) - 1 for _ in range(10)]]
    for child in children:
        child.join()
    drawn = [tail for tails_of_one in tails for tail in tails_of_one]
    assert len(set(drawn)) == len(drawn)


def test_ids_that_are_made_together_follow_each_other_and_no_others_are_among_them() -> None:
    before, groups, after = uuid7(), [uuid7_hexes(500) for _ in range(50)], uuid7()
    for made in groups:
        numbers = [UUID(one) for one in made]
        assert {(one.version, one.variant) for one in numbers} == {(7, RFC_4122)}
        assert all(before.int >> 80 <= one.int >> 80 <= after.int >> 80 for one in numbers)
        assert [one.int - numbers[0].int for one in numbers] == list(range(500))
    assert len({UUID(made[0]).int & ~ROOM for made in groups}) == 50
    assert len({one for made in groups for one in made}) == 25_000
    assert uuid7_hexes(0) == []


def test_its_digits_alone_are_those_of_an_id() -> None:
    before, made, after = uuid7(), uuid7_hex(), uuid7()
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert before.int >> 80 <= UUID(made).int >> 80 <= after.int >> 80
    assert (UUID(made).version, UUID(made).variant) == (7, RFC_4122)


def test_ids_of_a_group_are_uuids_as_any() -> None:
    made = uuid7s(500)
    assert [one.int - made[0].int for one in made] == list(range(500))
    for one in (made[0], made[-1]):
        known = UUID(int=one.int)
        assert (one, hash(one), str(one), one.is_safe) == (
            known, hash(known), str(known), known.is_safe
        )  # fmt: skip
        assert pickle.loads(pickle.dumps(one)) == known
        assert (one.version, one.variant) == (7, RFC_4122)
    assert uuid7s(0) == []
