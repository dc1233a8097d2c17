"""A load of HTTP requests that costs little: keep-alive connections, no parsing beyond the status."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Load:
    """How a load went: seconds for each request, in order of asking, and what was answered."""

    seconds: float
    latencies: list[float]
    statuses: dict[int, int]


async def post_all(
    host: str, port: int, path: str, key: str, bodies: Sequence[bytes], *, connections: int
) -> Load:
    """POST every body, so many connections at a time, each one request after another."""
    waiting = iter(enumerate(bodies))
    latencies = [0.0] * len(bodies)
    statuses: dict[int, int] = {}

    async def one_connection() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for number, body in waiting:
            begun = time.perf_counter()
            status = await post_one(reader, writer, path, key, body)
            latencies[number] = time.perf_counter() - begun
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()

    begun = time.perf_counter()
    await asyncio.gather(*(one_connection() for _ in range(connections)))
    return Load(time.perf_counter() - begun, latencies, statuses)


async def post_one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, key: str, body: bytes
) -> int:
    """POST one body on an open connection; returns the status."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    return await _answer(reader)


async def _answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        await reader.readuntil(b"0\r\n\r\n")
    else:
        start = lowered.index(b"content-length:") + 15
        await reader.readexactly(int(lowered[start : lowered.index(b"\r\n", start)]))
    return int(head[9:12])
