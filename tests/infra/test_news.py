"""News between processes: what anybody publishes on the channel harms no listener."""

import asyncio
from collections.abc import Iterable
from uuid import uuid4

import pytest

from app.infra import redis_client
from app.infra.news import NEWS, Item, News
from app.infra.settings import Settings
from app.infra.tasks import Tasks
from tests.e2e.house import eventually

TENANT = uuid4()
POISON = [
    b"[[null,null,null]]",
    b"not json",
    b"\xff\xfe",
    b"7",
    b"{}",
    b'[["0",1,2,3]]',
    b'[[["0"],"bob",1]]',
    f'[["{TENANT.hex}",["bob"],1]]'.encode(),
    f'[["{TENANT.hex}","bob",null]]'.encode(),
]


@pytest.mark.parametrize("listener_fails", [False, True])
async def test_a_listener_survives_whatever_is_published(redis: str, listener_fails: bool) -> None:
    client = redis_client.connect(Settings(redis_url=redis))
    here, tasks = News(client), Tasks("test")
    heard: list[Item] = []

    def fails(_items: Iterable[Item]) -> None:
        raise RuntimeError("a bug of a listener")

    if listener_fails:
        here.listen(fails)
    here.listen(heard.extend)
    hearing = tasks.supervise("hear", here.hear)

    async def is_subscribed() -> bool:
        return bool((await client.pubsub_numsub(NEWS))[0][1])

    await eventually(is_subscribed)
    for message in POISON:
        await client.publish(NEWS, message)
    there = News(client)
    there.tell([(TENANT, "bob", 7)])

    async def is_heard() -> bool:
        return (TENANT, "bob", 7) in heard

    await eventually(is_heard)
    assert hearing.restarts == 0
    assert await asyncio.wait_for(client.ping(), 5)
    await there.close()
    await tasks.stop()
    await client.aclose()
