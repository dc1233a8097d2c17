"""The page's feed, and what of the lab must never be seen."""

import asyncio
import contextlib
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from devkit.embedded import running_valkey
from devkit.simulator import Simulator
from tests.devkit.lab.conftest import Json, Visitor, call_of, phone_of, rings
from tests.e2e.house import ROOT, House, listening, running_house, url_of

SECRETS = re.compile(
    r"rl_(ct|mt|sk)_[A-Za-z0-9\-]|eyJ[A-Za-z0-9_\-]{8,}\.|[0-9a-f]{64}|BEGIN [A-Z ]*KEY"
)


@contextlib.asynccontextmanager
async def feed(client: httpx.AsyncClient) -> AsyncIterator[AsyncIterator[Json]]:
    """States as the page gets them."""
    async with client.stream("GET", "/feed", timeout=httpx.Timeout(30)) as response:
        assert response.headers["content-type"].startswith("text/event-stream")

        async def states() -> AsyncIterator[Json]:
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line[6:])

        yield states()


async def test_the_feed_tells_each_change_and_no_more_than_30_a_second(lab: Visitor) -> None:
    async with feed(lab.client) as states:
        first = await anext(states)
        assert first.keys() == (await lab.state()).keys()
        began, count = time.monotonic(), 0
        session_id = await lab.ring("bob", "carol")
        async for state in states:
            count += 1
            if all(rings(phone) for phone in state["phones"]):
                break
        await lab.post(f"/calls/{session_id}/cancel")
        async for state in states:
            count += 1
            call = next(one for one in state["calls"] if one["id"] == session_id)
            if call["state"] == "ended" and not any(phone["calls"] for phone in state["phones"]):
                break
        taken = time.monotonic() - began
        assert count <= taken * 30 + 3
        for phone in state["phones"]:
            assert phone["recents"][0]["recent"] == "missed"


async def test_a_quiet_feed_shows_that_it_lives(lab: Visitor) -> None:
    async with lab.client.stream("GET", "/feed", timeout=httpx.Timeout(30)) as response:
        async for line in response.aiter_lines():
            if line.startswith(":"):
                return
    pytest.fail("the feed ended")


async def test_reset_ends_the_calls_and_the_feed_of_the_old_phones(lab: Visitor) -> None:
    session_id = await lab.ring("bob")
    await lab.until_rings("bob-1")
    async with feed(lab.client) as states:
        await anext(states)
        await lab.post("/reset")
        with contextlib.suppress(StopAsyncIteration):
            async with asyncio.timeout(5):
                while True:
                    await anext(states)
    state = await lab.state()
    assert state["calls"] == []
    assert [phone["recents"] for phone in state["phones"]] == [[]] * 5
    again = await lab.ring("bob")
    assert again != session_id
    await lab.until_rings("bob-1", "bob-2")
    await lab.post(f"/calls/{again}/cancel")


async def test_so_many_pages_and_no_more(lab: Visitor) -> None:
    async with contextlib.AsyncExitStack() as open_pages:
        kept = [await open_pages.enter_async_context(feed(lab.client)) for _ in range(20)]
        for states in kept:
            await anext(states)
        answer = await lab.client.get("/feed")
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_feeds")
    for _ in range(50):
        async with lab.client.stream("GET", "/feed") as response:
            if response.status_code == 200:
                return
        await asyncio.sleep(0.1)
    pytest.fail("pages that were closed are still counted")


async def test_no_secret_is_on_the_page_or_in_the_log(lab: Visitor, lab_house: House) -> None:
    """Every library's payload holds the call token in a place of its own."""
    shown = [(await lab.client.get("/")).text, (await lab.client.get("/traps")).text]
    for profile in (await lab.state())["libraries"]:
        await lab.post("/phones/bob-1/library", profile=profile)
        session_id = await lab.ring("bob")
        state = await lab.until_rings("bob-1", "bob-2")
        assert "not shown" in json.dumps(phone_of(state, "bob-1")["raw_push"]["payload"])
        assert re.fullmatch(
            "/3/device/….{4}", phone_of(state, "bob-1")["raw_push"]["headers"][":path"]
        )
        shown.append(json.dumps(state))
        await lab.post("/phones/bob-1/answer")
        await lab.until(lambda s: phone_of(s, "bob-2")["stop_push"])
        shown.append(json.dumps(await lab.state()))
        await lab.post(f"/calls/{session_id}/end")
        await lab.until_ended(session_id)
    for text in shown:
        assert SECRETS.search(text) is None, SECRETS.search(text)
    log = lab_house.apis[0].output()
    assert SECRETS.search(log) is None, SECRETS.search(log)
    assert "lab_ready" in log


async def test_a_simulator_that_is_started_anew_has_new_phones_that_ring(
    database: str, tmp_path: Path
) -> None:
    listener = listening()
    with contextlib.ExitStack() as first, contextlib.ExitStack() as rest:
        simulator = first.enter_context(Simulator.running())
        ports = {
            "production_port": int(simulator.production_url.rpartition(":")[2]),
            "sandbox_port": int(simulator.sandbox_url.rpartition(":")[2]),
            "fcm_port": int(simulator.fcm_url.rpartition(":")[2]),
            "control_port": int(simulator.control_url.rpartition(":")[2]),
        }
        authority = tmp_path / "apple"
        first.close()
        first.enter_context(Simulator.running(authority, **ports))
        house = rest.enter_context(house_of(database, tmp_path, listener, authority, ports))
        async with httpx.AsyncClient(base_url=f"{house.apis[0].url}/lab", timeout=30) as client:
            visitor = Visitor(client)
            await visitor.ring("bob")
            await visitor.until_rings("bob-1", "bob-2")
            async with feed(client) as states:
                await anext(states)
                first.close()
                async with asyncio.timeout(10):
                    with contextlib.suppress(StopAsyncIteration):
                        while True:
                            await anext(states)
            assert (await client.get("/state")).status_code == 404
            with Simulator.running(authority, **ports):
                end = time.monotonic() + 10
                while (await client.get("/state")).status_code == 404:
                    assert time.monotonic() < end
                    await asyncio.sleep(0.1)
                assert (await visitor.state())["calls"] == []
                session_id = await visitor.ring("bob")
                await visitor.until_rings("bob-1", "bob-2")
                assert call_of(await visitor.state(), session_id)["state"] == "ringing"


@contextlib.contextmanager
def house_of(database, folder, listener, authority, ports):
    """A house whose simulated Apple is whoever answers at these ports."""

    class Addresses:
        production_url = f"https://localhost:{ports['production_port']}"
        sandbox_url = f"https://localhost:{ports['sandbox_port']}"
        fcm_url = f"https://localhost:{ports['fcm_port']}"
        google_token_url = f"{fcm_url}/token"
        ca_file = authority / "ca.pem"

    with (
        running_valkey() as valkey,
        running_house(
            database, valkey.url, Addresses(), folder, listener=listener,  # type: ignore[arg-type]
            RINGLINE_PUBLIC_URL=url_of(listener),
            RINGLINE_SIMULATOR_URL=f"http://127.0.0.1:{ports['control_port']}",
        ) as house,
    ):  # fmt: skip
        yield house


async def test_an_open_page_holds_up_no_stop(
    database: str, redis: str, simulator: Simulator, tmp_path: Path
) -> None:
    listener = listening()
    with running_house(
        database, redis, simulator, tmp_path, listener=listener, workers=1,
        RINGLINE_PUBLIC_URL=url_of(listener), RINGLINE_SIMULATOR_URL=simulator.control_url,
    ) as house:  # fmt: skip
        async with httpx.AsyncClient(base_url=f"{house.apis[0].url}/lab", timeout=30) as client:
            visitor = Visitor(client)
            await visitor.ring("carol")
            await visitor.until_rings("carol-1")
            async with feed(client) as states:
                await anext(states)
                began = time.monotonic()
                house.apis[0].send(signal.SIGTERM)
                with contextlib.suppress(StopAsyncIteration, httpx.HTTPError):
                    while True:
                        await anext(states)
                await asyncio.to_thread(house.apis[0].stop)
                assert time.monotonic() - began < 8


def test_without_the_setting_the_lab_is_not_even_imported() -> None:
    script = (
        "import sys\n"
        "from app.main import create_app\n"
        "from app.infra.settings import Settings\n"
        "create_app(Settings(environment='development'))\n"
        "print([name for name in sys.modules if name.startswith(('devkit.lab', 'devkit.phone'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
