"""Live streams of both clients when things break: nothing is missing, out of order, or told twice."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.chance import LONG
from tests.clients.cable import Cable
from tests.clients.processes import SOCKETS, node, python
from tests.e2e.house import Api, Tenant, eventually
from tests.serving import serving
from tests.telling import tell_users

pytestmark = pytest.mark.timeout(900 if LONG else 300)
SILENCE = 2.0
LIFE = 4
CUTS = (40, 130) if LONG else (0,)
"""Seconds for which the network is away, beside the time in which 25 messages are written."""


class Writer:
    """Tells both users something fifty times a second; `count`: how often it has."""

    def __init__(self, tenant: Tenant, users: list[str]) -> None:
        self.count = 0
        self._tenant = tenant
        self._users = users
        self._stop = asyncio.Event()

    async def run(self) -> None:
        runtime = self._tenant.runtime
        while not self._stop.is_set():
            body = {"type": "test", "what": self.count}
            at = datetime.now(UTC)
            told = [(self._tenant.id, user, at, body) for user in self._users]
            async with runtime.database.transaction() as session:
                runtime.news.tell(await tell_users(session, told))
            self.count += 1
            await asyncio.sleep(0.02)

    async def more(self, many: int = 10) -> None:
        """Wait until so many more have been told."""
        goal = self.count + many
        await eventually(lambda: self._beyond(goal), timeout=30)

    async def _beyond(self, goal: int) -> bool:
        return self.count >= goal

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.run())
        try:
            yield
        finally:
            self._stop.set()
            await task


async def test_nothing_is_missing_out_of_order_or_told_twice(
    tenant: Tenant, typescript_project: Path, tmp_path: Path
) -> None:
    """The network is cut, bytes vanish, the API is killed and another starts, tokens expire; the
    clock of one is an hour fast, that of another an hour slow."""
    writer = Writer(tenant, ["bob", "carol", "dave"])
    api = Api(90, tenant.house.env, tmp_path)
    try:
        api.wait_ready()
        async with (
            Cable(api.url).laid() as cable,
            python("stream.py", **env(tenant, cable, "bob", SKEW="-3600")) as first,
            node(
                typescript_project, "stream.mjs", **env(tenant, cable, "carol", SKEW="3600")
            ) as second,
            node(
                typescript_project,
                "stream.mjs",
                NODE_OPTIONS=SOCKETS,
                **env(tenant, cable, "dave", TRANSPORT="websocket"),
            ) as third,
        ):
            readers = (first, second, third)

            async def all_of(wanted: Callable[[list[Any]], Any]) -> None:
                await asyncio.gather(*(one.wait_for(wanted, 60) for one in readers))

            async def caught_up() -> None:
                """All have been told of what is written now."""
                last = writer.count
                await all_of(lambda said: len(whats(said)) > last)

            await all_of(bool)
            async with writer.writing():
                await writer.more()
                for seconds in CUTS:
                    cable.cut()
                    await writer.more(25)
                    await asyncio.sleep(seconds)
                    cable.mend(api.url)
                    await caught_up()
                cable.mute()
                await caught_up()
                api.kill()
                api = Api(91, tenant.house.env, tmp_path)
                cable.mend(api.url)
                await caught_up()
                await all_of(lambda said: said[-1]["tokens"] > 2)
                await caught_up()
            everything = list(range(writer.count))
            await all_of(lambda said: len(whats(said)) >= writer.count)
            for reader in readers:
                assert whats(reader.said) == everything
                assert "reset" not in {one["type"] for one in reader.said}
    finally:
        api.stop()


async def test_a_quiet_stream_that_a_proxy_cuts_again_and_again_is_soon_back(
    tenant: Tenant, typescript_project: Path
) -> None:
    """Nothing is told on it: what it waits for must not grow, for it is deaf meanwhile."""
    came = Counter[bytes]()

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        came[head.partition(b"user-agent: ")[2][:4]] += 1
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        writer.write(b"Connection: close\r\n\r\nretry: 20\n\n: still here\n\n")
        await asyncio.sleep(0.3)
        writer.close()

    async def often() -> bool:
        return len(came) == 2 and min(came.values()) >= 14

    async with serving(cut) as port:
        here = Cable("")
        here.url = f"http://127.0.0.1:{port}"
        async with (
            python("stream.py", **env(tenant, here, "bob", EXPIRES="3600", SILENCE="20")),
            node(
                typescript_project,
                "stream.mjs",
                **env(tenant, here, "carol", EXPIRES="3600", SILENCE="20"),
            ),
        ):
            await eventually(often, timeout=60)  # with waits that double: 80 s at least


def env(tenant: Tenant, cable: Cable, user: str, **more: str) -> dict[str, str]:
    """For a script that follows this user's stream."""
    return {
        "API": cable.url, "SECRET": tenant.secret, "KID": tenant.kid, "USER": user,
        "EXPIRES": str(LIFE), "SILENCE": str(SILENCE), "SKEW": "0", **more,
    }  # fmt: skip


def whats(said: list[dict[str, Any]]) -> list[int]:
    """What a reader was told, in its order."""
    return [one["what"] for one in said if one["type"] == "test"]
