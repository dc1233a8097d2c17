"""A tenant that asks to ring as often as it is answered: `python -m tests.chaos.flood PORTS KEY N`."""

import asyncio
import contextlib
import sys

import orjson
import uvloop

from tests.benchmarks.load import post_one


async def one(port: int, key: str, number: int) -> None:
    """One connection, request after request; opened again when it breaks."""
    body = orjson.dumps(
        {"caller": {"id": f"f{number % 4}"}, "callees": [f"f{4 + number % 4}"], "ring_time": 5}
    )
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.closing(writer):
                while True:
                    if await post_one(reader, writer, "/v1/calls", key, body) != 202:
                        await asyncio.sleep(0.01)  # it does not wait as long as it is told to
        except (OSError, EOFError, ValueError):
            await asyncio.sleep(0.1)


async def main(ports: list[int], key: str, connections: int) -> None:
    await asyncio.gather(*(one(ports[n % len(ports)], key, n) for n in range(connections)))


if __name__ == "__main__":
    uvloop.run(main([int(port) for port in sys.argv[1].split(",")], sys.argv[2], int(sys.argv[3])))
