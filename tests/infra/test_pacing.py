"""On a loop that falls behind the tenant that uses the most waits, and no other does."""

import asyncio
import time
from uuid import uuid4

from app.infra.pacing import Pacer

FLOODS, OTHER = uuid4(), uuid4()


async def begins_after(pacer: Pacer, tenant: object, count: int) -> float:
    begun = time.monotonic()
    async with pacer.turn(tenant, count):  # type: ignore[arg-type]
        took = time.monotonic() - begun
        time.sleep(0.01)
    return took


async def fall_behind() -> None:
    for _ in range(12):
        time.sleep(0.04)
        await asyncio.sleep(0.001)


async def only_the_flood_waits(pacer: Pacer) -> None:
    await begins_after(pacer, FLOODS, 200)
    await fall_behind()
    waited, other = await asyncio.gather(
        begins_after(pacer, FLOODS, 200), begins_after(pacer, OTHER, 1)
    )
    assert waited > 0.02
    assert other < waited / 2


async def test_who_floods_waits_and_the_other_does_not() -> None:
    pacer = Pacer()
    await begins_after(pacer, OTHER, 2)
    await only_the_flood_waits(pacer)


async def test_what_one_used_alone_is_forgotten_when_another_comes() -> None:
    pacer = Pacer()
    await begins_after(pacer, OTHER, 300)
    await asyncio.sleep(1.5)
    await only_the_flood_waits(pacer)


async def test_who_floods_waits_when_batches_take_longer_than_usual() -> None:
    """The loop is never late here: it is the database, or the machine, that has fallen behind."""
    pacer = Pacer()

    async def turn(tenant: object, count: int, seconds: float) -> float:
        begun = time.monotonic()
        async with pacer.turn(tenant, count):  # type: ignore[arg-type]
            waited = time.monotonic() - begun
            await asyncio.sleep(seconds)
        return waited

    for _ in range(20):
        await turn(OTHER, 1, 0.005)
    for _ in range(10):
        await asyncio.gather(turn(OTHER, 1, 0.1), turn(FLOODS, 20, 0.1))
    waited, other = await asyncio.gather(turn(FLOODS, 20, 0.1), turn(OTHER, 1, 0.1))
    assert waited > 0.1
    assert other < waited / 2


async def test_alone_nobody_waits_however_late_the_loop_is() -> None:
    pacer = Pacer()
    await begins_after(pacer, FLOODS, 200)
    await fall_behind()
    assert await begins_after(pacer, FLOODS, 200) < 0.01


async def test_it_is_over_when_the_loop_keeps_up() -> None:
    pacer = Pacer()
    await begins_after(pacer, OTHER, 2)
    await begins_after(pacer, FLOODS, 200)
    await fall_behind()
    async with asyncio.timeout(60):
        while await begins_after(pacer, FLOODS, 1) > 0.005:
            await asyncio.sleep(0.05)
