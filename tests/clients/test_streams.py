"""Live streams of both clients when things break: nothing is missing, out of order, or told twice."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

from ringline_client import AsyncRingline, StreamEvent, sign_user_token

from tests.clients.cable import Cable
from tests.clients.node_process import node
from tests.e2e.house import Api, Tenant, eventually
from tests.telling import tell_users

SILENCE = 2.0
LIFE = 4


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
    """The network is cut, bytes vanish, the API is killed and another starts, tokens expire."""
    heard: list[StreamEvent] = []
    given: list[str] = []

    def token() -> str:
        given.append(sign_user_token(tenant.secret, tenant.kid, "bob", expires_in=LIFE))
        return given[-1]

    async def listen(ringline: AsyncRingline) -> None:
        async for event in ringline.events(silence=SILENCE):
            heard.append(event)

    api = Api(90, tenant.house.env, tmp_path)
    env = {
        "SECRET": tenant.secret, "KID": tenant.kid, "USER": "carol",
        "EXPIRES": str(LIFE), "SILENCE": str(SILENCE),
    }  # fmt: skip
    writer = Writer(tenant, ["bob", "carol"])
    try:
        api.wait_ready()
        async with (
            Cable(api.url).laid() as cable,
            AsyncRingline(cable.url, token) as ringline,
            node(typescript_project, "stream.mjs", API=cable.url, **env) as other,
        ):
            listening = asyncio.create_task(listen(ringline))
            await other.wait_for(lambda said: said)
            await eventually(lambda: _true(heard))

            async def caught_up() -> None:
                """Both have been told of what is written now."""
                last = writer.count
                await eventually(lambda: _true(_whats(heard)[last:]), timeout=40)
                await other.wait_for(lambda said: len(_told(said)) > last, 40)

            async with writer.writing():
                await writer.more()
                cable.cut()
                await writer.more(25)
                cable.mend(api.url)
                await caught_up()
                cable.mute()
                await caught_up()
                api.kill()
                api = Api(91, tenant.house.env, tmp_path)
                cable.mend(api.url)
                await caught_up()
                await other.wait_for(lambda said: said[-1]["tokens"] > 1)
                await eventually(lambda: _true(len(given) > 1), timeout=30)
                await caught_up()
            everything = list(range(writer.count))
            await eventually(lambda: _true(len(_whats(heard)) >= writer.count), timeout=30)
            await other.wait_for(lambda said: len(_told(said)) >= writer.count)
            assert _whats(heard) == everything
            assert _told(other.said) == everything
            kinds = [event.type for event in heard] + [one["type"] for one in other.said]
            assert "reset" not in kinds
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    finally:
        api.stop()


async def _true(found: object) -> object:
    return found


def _whats(heard: list[StreamEvent]) -> list[int]:
    return [event.body["what"] for event in heard if event.type == "test"]


def _told(said: list[dict[str, object]]) -> list[object]:
    return [one["what"] for one in said if one["type"] == "test"]
