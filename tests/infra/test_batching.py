"""Group commit: what arrives while one batch runs goes into the next, and one bad harms no other."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace

import asyncpg
import pytest

from app.infra.batching import GATHERING, Batcher, GroupWriter, by_size
from tests.virtual_time import in_virtual_time, virtually


class Work:
    """Work that notes its batches; `bad` items spoil a whole batch, `refused` only themselves."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, items: Sequence[str]) -> list[str | Exception]:
        self.batches.append(list(items))
        await self.gate.wait()
        if "bad" in items:
            raise RuntimeError("the database said no")
        return [ValueError(item) if item == "refused" else item.upper() for item in items]


async def test_a_lone_item_does_not_wait() -> None:
    work = Work()
    gather: Batcher[str, str] = Batcher(work, 10)
    assert await gather.submit("a") == "A"
    assert await gather.submit("b") == "B"
    assert work.batches == [["a"], ["b"]]


async def test_what_arrives_meanwhile_shares_a_batch_up_to_its_size() -> None:
    work = Work()
    work.gate.clear()
    gather: Batcher[str, str] = Batcher(work, 3)
    asked = [asyncio.create_task(gather.submit(name)) for name in "abcdef"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = asyncio.create_task(gather.submit("g"))
    await asyncio.sleep(0)
    work.gate.set()
    assert await asyncio.gather(*asked, late) == list("ABCDEFG")
    assert sum(len(batch) for batch in work.batches) == 7
    assert len(work.batches) <= 4
    assert max(len(batch) for batch in work.batches) == 3


async def test_a_refusal_and_a_spoiler_are_told_to_their_askers_only() -> None:
    gather: Batcher[str, str] = Batcher(Work(), 10)
    asked = [gather.submit(name) for name in ("a", "refused", "bad", "b")]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert (answers[0], answers[3]) == ("A", "B")
    assert isinstance(answers[1], ValueError)
    assert isinstance(answers[2], RuntimeError)


async def test_an_asker_that_goes_away_takes_nobody_along() -> None:
    work = Work()
    work.gate.clear()
    gather: Batcher[str, str] = Batcher(work, 10)
    asked = [asyncio.create_task(gather.submit(name)) for name in "ab"]
    await asyncio.sleep(0.01)
    asked[0].cancel()
    work.gate.set()
    assert await asked[1] == "B"
    with pytest.raises(asyncio.CancelledError):
        await asked[0]


@pytest.mark.parametrize(("crowd", "most"), [(20, 8), (0, 12)])
async def test_a_crowd_that_asks_again_shares_one_batch_and_not_two_in_turn(
    crowd: int, most: int
) -> None:
    sizes, times = list[int](), 6

    async def work(items: Sequence[str]) -> list[str | Exception]:
        sizes.append(len(items))
        await asyncio.sleep(0.002)
        return list(items)

    async def ask(name: str) -> None:
        for _ in range(times):
            assert await gather.submit(name) == name

    gather: Batcher[str, str] = Batcher(work, 100, crowd=crowd)
    first = [asyncio.create_task(ask(f"a{n}")) for n in range(30)]
    await asyncio.sleep(0.001)  # these are at work
    await asyncio.gather(*first, *(ask(f"b{n}") for n in range(30)))
    assert sum(sizes) == 60 * times
    assert len(sizes) <= most
    if not crowd:
        assert len(sizes) == most, "the halves take turns"


async def test_a_crowd_is_waited_for_no_longer_than_a_moment() -> None:
    work = Work()
    gather: Batcher[str, str] = Batcher(work, 100, crowd=2)
    await asyncio.gather(*(gather.submit(name) for name in "abc"))
    begun = time.perf_counter()
    assert await gather.submit("d") == "D"
    assert time.perf_counter() - begun > 0.8 * GATHERING, "those three might ask again"
    assert await gather.submit("e") == "E"
    assert work.batches == [["a", "b", "c"], ["d"], ["e"]]


@virtually
async def test_who_is_alone_is_not_kept_waiting_by_those_who_might_be_a_crowd() -> None:
    work = Work()
    gather: Batcher[str, str] = Batcher(work, 100, crowd=2)
    turns = asyncio.get_running_loop().time()
    for name in "abcdefgh":
        assert await gather.submit(name) == name.upper()
    assert asyncio.get_running_loop().time() - turns < 8 * GATHERING
    assert len(work.batches) == 8


@dataclass(frozen=True)
class Piece:
    key: str
    bare: bool = False

    def laid_bare(self) -> "Piece":
        return replace(self, bare=True)


class Table:
    """Takes what is written, but for what is `locked`, or what it cannot hold if it is not bare."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.locked: set[str] = set()
        self.unfit: set[str] = set()
        self.trouble: list[Exception] = []
        self.told: list[tuple[Piece, str]] = []
        self.lost: list[Piece] = []
        self.expected = 0.0
        self.of = 1_000
        """Seconds to wait for each of so many that has not come."""
        self.writer: GroupWriter[Piece, str] = GroupWriter(
            "table", self.write, lambda some: by_size(some, 10),
            lambda piece, state: self.told.append((piece, state)),
            lambda new: min(0.05, self.expected * max(0, self.of - new)), lost=self.lost.append,
            longest=0.2,
        )  # fmt: skip

    async def write(self, pieces: Sequence[Piece]) -> dict[str, str]:
        self.batches.append([one.key for one in pieces])
        if self.trouble:
            raise self.trouble.pop()
        if any(one.key in self.unfit and not (one.bare and one.key == "odd") for one in pieces):
            raise ValueError("a value that no column holds")
        return {one.key: "written" for one in pieces if one.key not in self.locked}


@contextlib.asynccontextmanager
async def writing() -> AsyncIterator[Table]:
    table = Table()
    task = asyncio.create_task(table.writer.run())
    yield table
    task.cancel()
    await asyncio.wait([task])


async def test_what_is_locked_waits_and_the_others_go_on() -> None:
    async with writing() as table:
        table.locked = {"a"}
        for name in "ab":
            table.writer.add(Piece(name))
        while not table.told:
            await asyncio.sleep(0)
        table.writer.add(Piece("c"))
        while len(table.told) < 2:
            await asyncio.sleep(0)
        assert [piece.key for piece, _ in table.told] == ["b", "c"]
        assert table.writer.kept() == [Piece("a")]
        table.locked.clear()
        table.writer.hurry()
        await table.writer.idle.wait()
        assert table.batches[-1] == ["a"]


async def test_what_no_column_holds_is_found_written_bare_or_given_up() -> None:
    async with writing() as table:
        table.unfit = {"odd", "worse"}
        for name in ("a", "odd", "b", "worse", "c"):
            table.writer.add(Piece(name))
        await table.writer.idle.wait()
        assert sorted(piece.key for piece, _ in table.told) == ["a", "b", "c", "odd"]
        assert [piece.key for piece, _ in table.told if piece.bare] == ["odd"]
        assert table.lost == [Piece("worse", bare=True)]


async def test_what_a_lost_connection_makes_of_a_write_is_no_items_fault() -> None:
    """The driver's own error, and what a loop says of a transport that has just ended."""
    async with writing() as table:
        table.trouble = [
            asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),
            asyncpg.InternalClientError("got result for unknown protocol state 3"),
            RuntimeError("unable to perform operation on <TCPTransport closed=True>"),
        ]
        table.writer.add(Piece("a"))
        for _ in range(20):
            await asyncio.sleep(0)
            table.writer.hurry()
        await table.writer.idle.wait()
        assert (table.told, table.lost) == ([(Piece("a"), "written")], [])


async def test_a_commit_waits_for_what_is_expected_and_no_longer() -> None:
    async with writing() as table:
        table.expected = 60
        table.writer.add(Piece("a"))
        await asyncio.sleep(0.01)
        assert table.batches == []
        table.expected = 0
        table.writer.add(Piece("b"))
        await table.writer.idle.wait()
        assert table.batches == [["a", "b"]]


def test_as_long_as_more_come_a_commit_waits_for_those_that_are_expected() -> None:
    """A group's answers come by and by: its first are not written while the others are sent."""

    async def they_come() -> None:
        async with writing() as table:
            table.expected, table.of = 0.02, 4
            for name in "abcd":
                assert table.batches == []
                table.writer.add(Piece(name))
                await asyncio.sleep(0.015)
            await table.writer.idle.wait()
            assert table.batches == [["a", "b", "c", "d"]]

    in_virtual_time(they_come())


def test_what_comes_no_more_is_waited_for_once_and_what_comes_for_ever_has_its_bound() -> None:
    async def they_come() -> None:
        async with writing() as table:
            table.expected, table.of = 0.02, 2
            begun = asyncio.get_running_loop().time()
            table.writer.add(Piece("a"))
            await table.writer.idle.wait()
            assert asyncio.get_running_loop().time() - begun < 0.1
            table.of = 1_000_000
            for n in range(100):
                table.writer.add(Piece(str(n)))
                await asyncio.sleep(0.01)
                if len(table.batches) > 1:
                    break
            assert n < 30, "0.2 s"

    in_virtual_time(they_come())
