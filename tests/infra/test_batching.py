"""Group commit: what arrives while one batch runs goes into the next, and one bad harms no other."""

import asyncio
from collections.abc import Sequence

import pytest

from app.infra.batching import Batcher


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
