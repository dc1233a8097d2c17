"""A body that is too large: a clear answer to whoever reads it, and no connection left behind."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request

from app.http import problems
from app.http.body_limit import BodyLimit

LIMIT = 1_000


@pytest.fixture
async def server() -> AsyncIterator[uvicorn.Server]:
    app = FastAPI()
    problems.install(app)

    @app.post("/")
    async def take(request: Request) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    app.add_middleware(BodyLimit, limit_of=lambda _path: LIMIT)
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    task = asyncio.create_task(running.serve())
    while not running.started:
        await asyncio.sleep(0.01)
    yield running
    running.should_exit = True
    await asyncio.wait_for(task, 10)  # a connection that nobody reads would hold it up for ever


def url(server: uvicorn.Server) -> str:
    port = server.servers[0].sockets[0].getsockname()[1]
    return f"http://127.0.0.1:{port}/"


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 10_000):
        yield b"x" * 10_000


@pytest.mark.parametrize("size", [LIMIT + 1, 10_000_000, 40_000_000])
async def test_a_body_that_says_its_size_is_refused(server: uvicorn.Server, size: int) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.post(url(server), content=b"x" * size)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "body_too_large"
        assert (await client.post(url(server), content=b"x" * LIMIT)).json() == {"bytes": LIMIT}


@pytest.mark.parametrize("size", [20_000, 10_000_000])
async def test_a_body_of_unknown_size_is_refused(server: uvicorn.Server, size: int) -> None:
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.post(url(server), content=chunks(size))
        assert answer.status_code == 413
        assert (await client.post(url(server), content=chunks(0))).json() == {"bytes": 0}


async def test_who_goes_away_in_the_middle_leaves_no_connection(server: uvicorn.Server) -> None:
    port = server.servers[0].sockets[0].getsockname()[1]
    for _ in range(5):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000\r\n\r\n" + b"x" * 500_000
        )
        with contextlib.suppress(OSError):
            await asyncio.wait_for(writer.drain(), 0.2)
        writer.close()
    for _ in range(100):
        if not server.server_state.connections:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("connections are left behind")
