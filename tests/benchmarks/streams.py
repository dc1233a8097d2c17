"""Streams that are open and listened to, by a process of their own.

    python -m tests.benchmarks.streams PORT KEY PREFIX COUNT

One for each of the users PREFIX1 to PREFIXCOUNT; says `open` when each has had its snapshot, and
ends when its standard input does.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from tests.benchmarks.house import Ready
from tests.benchmarks.told import Listeners

SECOND_SNAPSHOT = 3.0
"""Seconds after which a user's first stream has had its second snapshot."""


@contextlib.asynccontextmanager
async def open_streams(ready: Ready, prefix: str, count: int) -> AsyncIterator[None]:
    """All of them are open when this yields."""
    house, pipe = ready.house, asyncio.subprocess.PIPE
    listening = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(house.port), ready.tenant.api_key, prefix, str(count),
        stdin=pipe, stdout=pipe,
    )  # fmt: skip
    assert listening.stdout
    try:
        async with asyncio.timeout(120):
            assert (await listening.stdout.readline()).strip() == b"open"
        yield
    finally:
        listening.kill()
        await listening.wait()


async def _listen(port: int, key: str, prefix: str, count: int) -> None:
    listeners = Listeners(port, key)
    await listeners.open([(f"{prefix}{n + 1}", 0) for n in range(count)])
    await asyncio.sleep(SECOND_SNAPSHOT)
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_listen(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
