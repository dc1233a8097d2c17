"""Which request a fault picks, and that wrong scripts are refused."""

import asyncio
import secrets
import time

import pytest
from pydantic import ValidationError

from devkit.simulator import Simulator
from devkit.simulator.fault_book import FaultBook
from devkit.simulator.faults import ConnectionFault, RequestFault
from tests.devkit.simulator.raw_client import TOPIC, RawClient


async def test_picked_by_token_topic_id_connection_and_environment(
    sim: Simulator, client: RawClient, token: str
) -> None:
    other = secrets.token_hex(32)
    sim.live(other)
    (listed,) = sim.connections()
    identifier = "abcdefab-1234-4123-8123-abcdefabcdef"
    cases = [
        ({"token": token.upper()}, {}, True),
        ({"token": other}, {}, False),
        ({"topic": TOPIC}, {}, True),
        ({"topic": "com.example.app"}, {}, False),
        ({"apns_id": identifier}, {"apns_id": identifier}, True),
        ({"apns_id": identifier}, {}, False),
        ({"connection": listed["number"]}, {}, True),
        ({"connection": listed["number"] + 1}, {}, False),
        ({"environment": "production"}, {}, True),
        ({"environment": "sandbox"}, {}, False),
    ]
    for where, request, strikes in cases:
        fault = sim.fault(status=500, **where)
        answer = await client.push(token, **request)
        assert (answer.status == 500) == strikes, where
        assert sim.struck(fault) == int(strikes)
        sim.end_fault(fault)


async def test_picked_by_count(sim: Simulator, client: RawClient, token: str) -> None:
    sim.fault(status=500, skip=2, times=2)
    seen = [(await client.push(token)).status for _ in range(6)]
    assert seen == [200, 200, 500, 500, 200, 200]


async def test_the_first_scripted_strikes_and_a_spent_one_gives_way(
    sim: Simulator, client: RawClient, token: str
) -> None:
    sim.fault(status=500, times=1)
    sim.fault(status=503, times=1)
    assert [(await client.push(token)).status for _ in range(3)] == [500, 503, 200]


async def test_many_faults_by_token_cost_nothing(
    sim: Simulator, client: RawClient, token: str
) -> None:
    for _ in range(2000):
        sim.fault(token=secrets.token_hex(32), status=500, times=1)
    began = time.process_time()  # both sides are in this process
    for _ in range(100):
        assert (await client.push(token)).status == 200
    assert time.process_time() - began < 1


def test_wrong_scripts_are_refused(sim: Simulator) -> None:
    for wrong in (
        {"rest": "CANCEL"},
        {"reset": "NO_SUCH_CODE"},
        {"settings": {"no_such_setting": 1}},
        {"raw": "xyz"},
        {"times": 0},
        {"delay": -1},
        {"goaway": {"code": "NO_SUCH_CODE"}},
    ):
        with pytest.raises((ValidationError, ValueError)):
            sim.fault(**wrong)
    with pytest.raises(KeyError):
        sim.end_fault(10**9)
    with pytest.raises(ValueError, match="no_such"):
        sim.send_settings(no_such=1)


@pytest.mark.parametrize("how", ["one", "all"])
async def test_whom_a_fault_struck_as_it_ended_it_does_not_hold(how: str) -> None:
    """It is held a turn of the loop later: it was for ever."""
    book = FaultBook()
    of_connections = book.add_connection(ConnectionFault(hold=True))
    of_requests = book.add_request(RequestFault(hold=True))
    struck = [
        book.for_connection("production", 1),
        book.for_request(
            on="request", environment="production", connection=1, token="", topic="", apns_id=""
        ),
    ]
    for number in (of_connections.number, of_requests.number) if how == "one" else [None]:
        book.remove(number)
    assert struck == [of_connections, of_requests]
    await asyncio.wait_for(asyncio.gather(*(one.wait_released() for one in struck)), 60)
    assert not any(one.held for one in struck)
