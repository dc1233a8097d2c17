"""Many requests of one client at once: the simulator serves the others meanwhile, as the real ones do."""

import asyncio
import itertools
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from devkit.simulator import Conduct, Simulator, serve
from devkit.simulator.push_certificates import voip
from devkit.simulator.server import fast_loop
from tests.devkit.simulator.conftest import BUNDLE, pem_file
from tests.devkit.simulator.raw_client import RawClient, connected

PUSHES = 400
IN_A_TURN = PUSHES // 2
"""Far more than fit what is read in a turn, so that only two and more turns stay below it."""


async def most_in_a_turn(folder: Path) -> int:
    """Of so many pushes that wait in one socket, how many at most were noted in a turn."""
    async with serve(folder, conduct=Conduct(accept_unknown=True)) as server:
        context = ssl.create_default_context(cafile=str(server.apple.ca_file))
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(pem_file(voip(server.apple.authority, BUNDLE), folder))
        counts = [0]
        async with connected(server.production_port, context) as client:
            await client.ready()
            streams = [client.send(secrets.token_hex(32)) for _ in range(PUSHES)]
            while counts[-1] < PUSHES:
                await asyncio.sleep(0)
                counts.append(server.apple.statistics.requests)
            assert {(await client.answer(one)).status for one in streams} == {200}
    return max(after - before for before, after in itertools.pairwise(counts))


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, fast_loop()])
def test_a_burst_of_one_client_leaves_the_others_their_turn(
    loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    with asyncio.Runner(loop_factory=loop) as runner:
        assert runner.run(most_in_a_turn(tmp_path)) < IN_A_TURN


async def test_lists_what_is_json_and_no_more_than_that(
    sim: Simulator, client: RawClient, token: str
) -> None:
    await client.push(token, b'{"half": "\\ud83d", "large": 123456789012345678901}')
    async with httpx.AsyncClient(base_url=sim.control_url, trust_env=False) as control:
        (listed,) = (await control.get("/arrivals")).json()["arrivals"]
    assert listed["payload"] == {"half": "\ud83d", "large": 123456789012345678901}


async def test_a_fault_at_the_headers_strikes_beside_those_at_the_end(
    sim: Simulator, client: RawClient, token: str
) -> None:
    sim.fault(reason="InternalServerError")
    at_headers = sim.fault(on="headers", reason="TooManyRequests")
    assert (await client.push(token)).reason == "TooManyRequests"
    sim.end_fault(at_headers)
    assert (await client.push(token)).reason == "InternalServerError"
