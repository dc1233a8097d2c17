"""The product's statements do to rows what the model's steps do, along random walks through it."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from app.infra.db import Database
from tests.chance import dice, often
from tests.outbox import sweeping, working
from tests.outbox.explore import ALL, steps_from
from tests.outbox.replay import TENANT, Replay
from tests.outbox.rules import WORLDS
from tests.outbox.state import Model, State, Step

IN_ROWS = ("settled", "killed twice", "frozen and killed", "answer lost", "away and killed",
           "crashed", "moved late", "silent", "once only", "two phones")  # fmt: skip
"""Worlds of rows with one target: what a push is today."""

IN_BATCHES = (*IN_ROWS[:-1], "a batch killed", "a batch frozen", "a batch, away",
              "a batch crashed", "a batch, one leaves", "a batch, one silent",
              "a batch, accepted", "a batch, moved", "an abandoned record")  # fmt: skip
"""Worlds of which each row is a batch at first."""

WORKS = {working.claim, working.claim_again, working.look, working.record, working.opens,
         working.answered, working.abandon, working.runs_after_all, sweeping.take_over}  # fmt: skip
SELDOM = {sweeping.ends: 0.2, working.come_back: 0.2, sweeping.fresh_passes: 0.4}
LEAVES = 0.15
"""How often a place leaves its batch for nothing."""


@asynccontextmanager
async def closing(url: str) -> AsyncIterator[Database]:
    db = Database(url, pool=1)
    try:
        yield db
    finally:
        await db.close()


async def walk(replay: Replay, chance: random.Random) -> list[str]:
    """One way through the world, to its end; raises where code and model part.

    A place of a batch may leave it at any moment, which changes nothing.
    """
    m, state, names = replay.model, State(replay.model.world), []
    while (steps := steps_from(m, state)) and len(names) < 90:
        (step,) = chance.choices(steps, [weight(one) for one in steps])
        names.append(step.name)
        try:
            await replay.do(state, step)
            if replay.may_leave(step.state) and chance.random() < LEAVES:
                target = chance.randrange(len(replay.ids))
                names.append(f"target {target} leaves its batch")
                await replay.leaves(target)
                await replay.compare(step.state)
        except AssertionError as error:
            raise AssertionError("\n".join([*names, str(error)])) from error
        state = step.state
    return names


def weight(step: Step) -> float:
    """How often it is taken: more is done before the deadline, and before a claim is said again."""
    return SELDOM.get(step.act) or (3 if step.act in WORKS else 2 if step.fault else 1)


@pytest.mark.parametrize(("worlds", "batched"), [(IN_ROWS, False), (IN_BATCHES, True)])
async def test_the_code_does_to_rows_what_the_model_does(
    database: str, worlds: tuple[str, ...], batched: bool
) -> None:
    chance, steps = dice(), 0
    async with closing(database) as db, db.autocommit() as session:
        tenant = {"tenant": TENANT}
        await session.execute(text("INSERT INTO tenants (id, name) VALUES (:tenant, 't')"), tenant)
        for world in [world for world in WORLDS if world.name in worlds] * often(2, 30):
            replay = Replay(session, Model(world, ALL), batched=batched)
            steps += len(await walk(replay, chance))
    assert steps > 60
