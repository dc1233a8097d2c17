"""The product's statements do to rows what the model's steps do, along random walks through it."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from sqlalchemy import text

from app.infra.db import Database
from tests.chance import dice, often
from tests.outbox import sweeping, working
from tests.outbox.explore import ALL, steps_from
from tests.outbox.replay import TENANT, Replay
from tests.outbox.rules import WORLDS
from tests.outbox.state import Model, State

SINGLE = ("settled", "killed twice", "frozen and killed", "answer lost", "away and killed",
          "crashed", "moved late", "silent", "once only", "two phones")  # fmt: skip
"""Worlds of rows with one target: what a push is today."""

WORKS = {working.claim, working.claim_again, working.look, working.record, working.opens,
         sweeping.take_over}  # fmt: skip


@asynccontextmanager
async def closing(url: str) -> AsyncIterator[Database]:
    db = Database(url, pool=1)
    try:
        yield db
    finally:
        await db.close()


async def walk(replay: Replay, chance: random.Random) -> list[str]:
    """One way through the world, to its end or to the deadline; raises where code and model part."""
    m, state, names = replay.model, State(replay.model.world), []
    while steps := [one for one in steps_from(m, state) if one.act is not sweeping.ends]:
        weights = [3 if one.act in WORKS else 2 if one.fault else 1 for one in steps]
        (step,) = chance.choices(steps, weights)
        names.append(step.name)
        try:
            await replay.do(state, step)
        except AssertionError as error:
            raise AssertionError("\n".join([*names, str(error)])) from error
        state = step.state
        if len(names) > 60:
            break
    return names


async def test_the_code_does_to_rows_what_the_model_does(database: str) -> None:
    chance, steps = dice(), 0
    async with closing(database) as db, db.autocommit() as session:
        tenant = {"tenant": TENANT}
        await session.execute(text("INSERT INTO tenants (id, name) VALUES (:tenant, 't')"), tenant)
        for world in [world for world in WORLDS if world.name in SINGLE] * often(8, 60):
            replay = Replay(session, Model(world, ALL), datetime(2026, 1, 1, tzinfo=UTC))
            steps += len(await walk(replay, chance))
    assert steps > 400
