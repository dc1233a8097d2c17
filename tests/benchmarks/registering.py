"""Devices that register while others are rung: their tokens are what looks for late devices reads."""

import asyncio
import contextlib
import itertools
import json
import secrets
import time
from collections.abc import AsyncIterator

from tests.benchmarks.fast_server import BUNDLE
from tests.benchmarks.house import Ready
from tests.benchmarks.load import post_one

A_SECOND = 20


@contextlib.asynccontextmanager
async def registering(ready: Ready) -> AsyncIterator[None]:
    """Twenty new devices a second, each of a user of its own, until the block ends."""
    task = asyncio.create_task(_register(ready))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _register(ready: Ready) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", ready.house.port)
    begun = time.monotonic()
    try:
        for n in itertools.count():
            await asyncio.sleep(max(0.0, begun + n / A_SECOND - time.monotonic()))
            name = secrets.token_hex(8)
            status = await post_one(
                reader, writer, "/v1/devices", ready.tenant.api_key, _device(name)
            )
            assert status in {200, 201}, status
    finally:
        writer.close()


def _device(name: str) -> bytes:
    token = {
        "kind": "voip",
        "app_id": BUNDLE,
        "token": secrets.token_hex(32),
        "environment": "production",
    }
    return json.dumps({"user_id": f"x{name}", "device_id": name, "tokens": [token]}).encode()
