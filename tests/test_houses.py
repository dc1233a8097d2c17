"""Houses that stand for all tests of a process go once none of the next tests needs them; and what
their processes may log."""

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from tests.e2e.house import Process
from tests.houses import NEAR, STANDING, not_needed


def using(*names: str) -> Any:
    """A test, as far as it is asked what it uses."""
    return SimpleNamespace(fixturenames=["tmp_path", *names])


def test_a_house_is_needed_by_whoever_comes_soon() -> None:
    order = [using("shared_house", "tenant"), *[using() for _ in range(NEAR)], using("quiet_house")]
    assert not_needed(order, 0) == STANDING - {"shared_house"}
    assert not_needed(order, 1) == STANDING
    assert not_needed(order, 2) == STANDING - {"quiet_house"}
    assert not_needed(order, len(order) - 1) == STANDING - {"quiet_house"}


def test_who_was_frozen_may_say_what_the_frost_has_ended_and_nobody_else(tmp_path: Path) -> None:
    one, other = (
        Process(name, ["tests.ending", "well"], os.environ, tmp_path / name)
        for name in ("one", "other")
    )
    for process in (one, other):
        process.stop()
        with process.log.open("a") as log:
            log.write('{"event": "sweep_step_failed"}\n{"event": "push_failed"}\n')
    one.freeze()
    assert one.troubles(set()) == ['{"event": "push_failed"}']
    assert len(other.troubles(set())) == 2
    assert other.troubles({"sweep_step_failed"}) == one.troubles(set())


async def test_a_statement_that_is_new_may_be_ended_before_it_is_run(postgres_url: str) -> None:
    """By its `statement_timeout`, while its client is frozen: the server's time goes on from what
    asyncpg sends to prepare it."""
    url = postgres_url.replace("postgresql+asyncpg", "postgresql")
    client = await asyncpg.connect(url, server_settings={"statement_timeout": "20"})
    try:
        prepared = await client.prepare("SELECT 1")
        await asyncio.sleep(0.1)
        with pytest.raises(asyncpg.QueryCanceledError, match="statement timeout"):
            await prepared.fetch()
    finally:
        await client.close()
