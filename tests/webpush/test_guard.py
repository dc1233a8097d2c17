"""Names of push services: whoever subscribed has chosen them, and whose name server answers."""

import asyncio
import threading

from app.infra.addresses import Names
from app.webpush.guard import GuardedEndpoint
from tests.apns.rig import until


async def test_a_name_that_hangs_keeps_no_other_push_service_waiting() -> None:
    answer = threading.Event()

    def look_up(host: str, _port: int) -> list[str] | OSError:
        if host == "hangs.example":
            answer.wait(30.0)
        return ["192.0.2.1"]

    names, loop = Names(look_up), asyncio.get_running_loop()
    slow = GuardedEndpoint("https://hangs.example", names, lambda _: True)
    waiting = [asyncio.create_task(slow.addresses(loop)) for _ in range(8)]
    try:
        await until(lambda: len(names._shares) == 1)
        other = GuardedEndpoint("https://push.example", names, lambda _: True)
        async with asyncio.timeout(20.0):
            assert len(await other.addresses(loop)) == 1
        assert not any(task.done() for task in waiting)
        waiting.pop().cancel()  # one that has no place yet
    finally:
        answer.set()
    assert {len(found) for found in await asyncio.gather(*waiting)} == {1}
    await until(lambda: not names._shares)
