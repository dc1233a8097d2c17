"""One simulator per module of tests; a sender per test, checked for what it leaves behind."""

from collections.abc import AsyncIterator, Iterator

import pytest

from devkit.simulator import Simulator
from tests.apns.rig import Rig, provider_key, rig_on


@pytest.fixture(scope="module")
def running_sim() -> Iterator[Simulator]:
    with Simulator.running() as sim:
        yield sim


@pytest.fixture
def sim(running_sim: Simulator) -> Simulator:
    running_sim.clear()
    running_sim.set_conduct(
        accept_unknown=False,
        clock_offset=0.0,
        max_concurrent_streams=1000,
        provider_token_scope="connection",
    )
    return running_sim


@pytest.fixture
async def rig(sim: Simulator) -> AsyncIterator[Rig]:
    """With a certificate."""
    async with rig_on(sim) as made:
        await made.warm()
        yield made


@pytest.fixture
async def key_rig(sim: Simulator) -> AsyncIterator[Rig]:
    """With a .p8 key."""
    async with rig_on(sim, provider_key(sim)) as made:
        yield made
