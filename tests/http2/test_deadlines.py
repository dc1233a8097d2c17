"""One timer for all deadlines."""

import asyncio
import tracemalloc
from dataclasses import dataclass

from app.http2.deadlines import Deadlines
from tests.apns.rig import Metronome, until


@dataclass(eq=False)
class Item:
    due: float
    ended: float | None = None


async def test_each_expires_just_before_its_deadline_and_none_is_left() -> None:
    loop = asyncio.get_running_loop()

    def expire(item: Item) -> None:
        item.ended = loop.time()

    deadlines: Deadlines[Item] = Deadlines(loop, expire)
    metronome, now = Metronome(), loop.time()
    items = [Item(now + (n % 50) / 200) for n in range(2_000)]
    for item in items:
        deadlines.add(item)
    removed = items[::2]
    for item in removed:
        deadlines.remove(item)
        deadlines.remove(item)
    assert len(deadlines) == 1_000
    await until(lambda: not len(deadlines))
    metronome.stop()
    assert all(x.ended is None for x in removed)
    late = [x.ended - x.due for x in items[1::2]]
    assert max(late) < 0.05 + metronome.worst
    assert min(late) > -0.03
    assert len(deadlines) == 0
    assert deadlines._order == []


async def test_some_that_fall_due_together_are_watched_as_if_each_had_been_added() -> None:
    loop = asyncio.get_running_loop()
    ended: list[Item] = []
    deadlines: Deadlines[Item] = Deadlines(loop, ended.append)
    due = loop.time() + 0.05
    before, some = Item(due), [Item(due + 9) for _ in range(5)]
    deadlines.add(before)
    deadlines.add_all(some, due)
    assert len(deadlines) == 6
    assert {item.due for item in some} == {due}
    deadlines.remove(some[1])
    await until(lambda: not len(deadlines))
    assert ended == [before, some[0], *some[2:]]
    assert loop.time() < due + 9


async def test_an_earlier_deadline_added_later_is_met() -> None:
    loop = asyncio.get_running_loop()
    ended: list[Item] = []
    deadlines: Deadlines[Item] = Deadlines(loop, ended.append)
    late, soon = Item(loop.time() + 10), Item(loop.time() + 0.03)
    deadlines.add(late)
    deadlines.add(soon)
    await asyncio.sleep(0.1)
    assert ended == [soon]
    deadlines.close()


async def test_expiring_may_add_and_remove_others() -> None:
    loop = asyncio.get_running_loop()
    ended: list[Item] = []
    now = loop.time()
    first, same, after = Item(now + 0.02), Item(now + 0.02), Item(now + 0.05)

    def expire(item: Item) -> None:
        ended.append(item)
        deadlines.remove(same)
        if item is first:
            deadlines.add(after)

    deadlines: Deadlines[Item] = Deadlines(loop, expire)
    deadlines.add(first)
    deadlines.add(same)
    await asyncio.sleep(0.15)
    assert ended[0] is first
    assert ended[-1] is after
    assert len(deadlines) == 0


async def test_deadlines_far_away_keep_no_memory_of_what_has_ended() -> None:
    """A worker that sends 2,000 pushes a second has 30 in a bucket, each for a minute and more."""
    loop = asyncio.get_running_loop()
    deadlines: Deadlines[Item] = Deadlines(loop, lambda item: None)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for second in range(40):
        items = [Item(loop.time() + 60 + second + n / 2_000) for n in range(2_000)]
        for item in items:
            deadlines.add(item)
        for item in items:
            deadlines.remove(item)
    del items, item
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    deadlines.close()
    assert after - before < 40 * 64 * 300, "bytes, for so many empty buckets"
