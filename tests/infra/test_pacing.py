"""On a loop that falls behind the tenant that uses the most waits, and no other does."""

import asyncio
from uuid import uuid4

from app.core.fair_pace import LEFT
from app.infra.pacing import Pacer
from tests.virtual_time import in_virtual_time, work

FLOODS, OTHER = uuid4(), uuid4()
NONE = 1e-6
"""Seconds: what sums of times may differ by."""


async def begins_after(pacer: Pacer, tenant: object, count: int, batch: float = 0.01) -> float:
    """How long a batch waited that keeps the loop busy for `batch` seconds."""
    now = asyncio.get_running_loop().time
    begun = now()
    async with pacer.turn(tenant, count):  # type: ignore[arg-type]
        waited = now() - begun
        work(batch)
    return waited


async def fall_behind() -> None:
    for _ in range(12):
        work(0.04)
        await asyncio.sleep(0.001)


async def only_the_flood_waits(pacer: Pacer) -> None:
    await begins_after(pacer, FLOODS, 200)
    await fall_behind()
    waited, other = await asyncio.gather(
        begins_after(pacer, FLOODS, 200), begins_after(pacer, OTHER, 1)
    )
    assert waited > 0.15, "the pause is many times what its batch took"
    assert other < NONE


def test_who_floods_waits_and_the_other_does_not() -> None:
    async def act() -> None:
        pacer = Pacer()
        await begins_after(pacer, OTHER, 2)
        await only_the_flood_waits(pacer)

    in_virtual_time(act())


def test_what_one_used_alone_is_forgotten_when_another_comes() -> None:
    async def act() -> None:
        pacer = Pacer()
        await begins_after(pacer, OTHER, 300)
        await asyncio.sleep(1.5)
        await only_the_flood_waits(pacer)

    in_virtual_time(act())


def test_who_floods_waits_when_batches_take_longer_than_usual() -> None:
    """The loop is never late here: it is the database, or the machine, that has fallen behind."""

    async def act() -> None:
        pacer = Pacer()
        now = asyncio.get_running_loop().time

        async def turn(tenant: object, count: int, seconds: float) -> float:
            begun = now()
            async with pacer.turn(tenant, count):  # type: ignore[arg-type]
                waited = now() - begun
                await asyncio.sleep(seconds)
            return waited

        for _ in range(20):
            await turn(OTHER, 1, 0.005)
        for _ in range(10):
            await asyncio.gather(turn(OTHER, 1, 0.1), turn(FLOODS, 20, 0.1))
        waited, other = await asyncio.gather(turn(FLOODS, 20, 0.1), turn(OTHER, 1, 0.1))
        assert waited > 0.1
        assert waited < 20 / LEFT + NONE, "something is left to it"
        assert other < NONE

    in_virtual_time(act())


def test_alone_nobody_waits_however_late_the_loop_is() -> None:
    async def act() -> None:
        pacer = Pacer()
        await begins_after(pacer, FLOODS, 200)
        await fall_behind()
        assert await begins_after(pacer, FLOODS, 200) < NONE

    in_virtual_time(act())


def test_it_is_over_when_the_loop_keeps_up() -> None:
    async def act() -> None:
        pacer = Pacer()
        await begins_after(pacer, OTHER, 2)
        await begins_after(pacer, FLOODS, 200)
        await fall_behind()
        assert await begins_after(pacer, FLOODS, 1, batch=0.001) > NONE, "it has begun"
        async with asyncio.timeout(60):
            while await begins_after(pacer, FLOODS, 1, batch=0.001) > NONE:
                await asyncio.sleep(0.05)

    in_virtual_time(act())
