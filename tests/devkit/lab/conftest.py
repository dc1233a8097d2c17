"""The lab on a whole Ringline, and a visitor who looks and clicks."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import pytest_asyncio

from devkit.embedded import running_valkey
from devkit.simulator import Simulator
from tests.conftest import DatabaseServer
from tests.e2e.house import NO_TLS, House, eventually, listening, running_house, url_of

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.devkit.lab.page import Standing

PATIENCE = 60.0
Json = dict[str, Any]


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    """The lab's fake Apple."""
    with Simulator.running() as running:
        yield running


@contextlib.contextmanager
def house_with_lab(
    database_server: DatabaseServer, simulator: Simulator, folder: Path
) -> Iterator[House]:
    """An API process that has the lab, and a worker, with a database of their own."""
    listener = listening()
    with (
        database_server.database("lab") as url,
        running_valkey() as valkey,
        running_house(
            url, valkey.url, simulator, folder,
            listener=listener, RINGLINE_PUBLIC_URL=url_of(listener),
            RINGLINE_SIMULATOR_URL=simulator.control_url,
        ) as house,
    ):  # fmt: skip
        yield house


@pytest.fixture(scope="package")
def lab_house(
    database_server: DatabaseServer,
    simulator: Simulator,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """One house for all tests here of a process that do not wear it out; it ends with them."""
    with house_with_lab(database_server, simulator, tmp_path_factory.mktemp("lab")) as house:
        yield house


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def standing(chromium: "Browser", lab_house: House) -> AsyncIterator["Standing"]:
    """The lab's page, for a module whose every test takes it with new phones (`standing.anew()`)."""
    from tests.devkit.lab.page import Standing

    page = Standing(chromium, lab_house.apis[0].url)
    yield page
    await page.close()


@dataclass
class Visitor:
    """Somebody with the page open, without a browser: what the page shows, and its clicks."""

    client: httpx.AsyncClient

    async def state(self) -> Json:
        answer = await self.client.get("/state")
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    async def phone(self, device_id: str) -> Json:
        return phone_of(await self.state(), device_id)

    async def post(self, path: str, **body: Any) -> Json:
        """A click that must work; its answer."""
        answer = await self.client.post(path, json=body)
        assert answer.is_success, (path, answer.text)
        found: Json = answer.json()
        return found

    async def ring(self, *callees: str, **more: Any) -> str:
        """Ring; the id of the call."""
        found: str = (await self.post("/ring", callees=list(callees), **more))["session_id"]
        return found

    async def until(self, true: Callable[[Json], Any], seconds: float = PATIENCE) -> Json:
        """The first state of which this is true."""
        state: Json = {}

        async def found() -> bool:
            nonlocal state
            state = await self.state()
            return bool(true(state))

        try:
            await eventually(found, timeout=seconds)
        except TimeoutError as late:
            raise TimeoutError(f"{late}; the last state: {state}") from None
        return state

    async def until_rings(self, *device_ids: str) -> Json:
        """The state once all of these ring."""
        return await self.until(lambda s: all(rings(phone_of(s, one)) for one in device_ids))

    async def until_over(self, device_id: str) -> Json:
        """The newest of a phone's Recents, once nothing is on its screen."""

        def over(state: Json) -> bool:
            phone = phone_of(state, device_id)
            return not phone["calls"] and bool(phone["recents"])

        found: Json = phone_of(await self.until(over), device_id)["recents"][0]
        return found

    async def until_ended(self, session_id: str, seconds: float = PATIENCE) -> Json:
        """A call once it has ended, as the page tells it."""
        state = await self.until(lambda s: call_of(s, session_id)["state"] == "ended", seconds)
        return call_of(state, session_id)


def phone_of(state: Json, device_id: str) -> Json:
    found: Json = next(one for one in state["phones"] if one["device_id"] == device_id)
    return found


def call_of(state: Json, session_id: str) -> Json:
    found: Json = next(one for one in state["calls"] if one["id"] == session_id)
    return found


def rings(phone: Json) -> bool:
    return any(call["state"] == "ringing" for call in phone["calls"])


def moments(call: Json, what: str) -> dict[str, float]:
    """By phone, the milliseconds of this moment."""
    return {one["phone"]: one["ms"] for one in call["times"] if one["what"] == what}


as_new: set[str] = set()
"""Labs whose phones nobody has touched since they were made: to make them costs a fifth of a second."""


@pytest.fixture(autouse=True)
def _touched_by_others(request: pytest.FixtureRequest) -> None:
    """Who comes to the lab in another way than as its visitor is not looked after."""
    names = set(request.fixturenames)
    if "lab" not in names or names & {"chromium", "whole_chromium", "standing"}:
        as_new.clear()


@pytest.fixture
async def lab(lab_house: House) -> AsyncIterator[Visitor]:
    """A visitor of the lab, whose phones are new."""
    base, touched = lab_house.apis[0].url, False

    async def note(response: httpx.Response) -> None:
        nonlocal touched
        request = response.request
        only_asked = request.method == "GET" or request.url.path.endswith("/verdicts")
        touched |= response.is_success and not only_asked

    async with httpx.AsyncClient(base_url=f"{base}/lab", timeout=30, verify=NO_TLS) as client:
        visitor = Visitor(client)
        if base not in as_new:
            await visitor.post("/reset")
        as_new.discard(base)
        client.event_hooks["response"].append(note)
        yield visitor
    if not touched:
        as_new.add(base)
