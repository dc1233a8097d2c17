"""A script in Node or Python that talks by lines of JSON."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from tests.contract.node import environment

HERE = Path(__file__).resolve().parent
SOCKETS = "--experimental-websocket"
"""Node 20 has a WebSocket behind this; later ones have it anyway."""


class Process:
    """`said`: what it has said so far."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child
        self.said: list[Any] = []
        self._news = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._child.stdout is not None
        async for line in self._child.stdout:
            self.said.append(json.loads(line))
            self._news.set()

    def tell(self, does: str, *rest: Any) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps({"does": does, "with": rest}).encode() + b"\n")

    def freeze(self) -> None:
        """As a page sleeps: nothing runs, and it is not told."""
        self._child.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._child.send_signal(signal.SIGCONT)

    async def wait_for(self, wanted: Callable[[list[Any]], Any], timeout: float = 30) -> Any:
        """What `wanted` finds in all that was said, as soon as that is true."""
        async with asyncio.timeout(timeout):
            while not (found := wanted(self.said)):
                assert not self._reading.done(), "the process has ended"
                self._news.clear()
                await self._news.wait()
        return found

    async def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.thaw()
            self._child.kill()
        await self._child.wait()
        await self._reading
        self._child._transport.close()  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def node(project: Path, script: str, **env: str) -> AsyncIterator[Process]:
    """A script of this folder, run in a project."""
    shutil.copy(HERE / script, project)
    async with _running("node", script, cwd=project, **environment(), **env) as running:
        yield running


@contextlib.asynccontextmanager
async def python(script: str, **env: str) -> AsyncIterator[Process]:
    """A script of this folder, with the Python client as it stands in the tree."""
    source = str(HERE.parents[1] / "clients" / "python" / "src")
    around = {**os.environ, "PYTHONPATH": source, **env}
    async with _running(sys.executable, str(HERE / script), cwd=HERE, **around) as running:
        yield running


@contextlib.asynccontextmanager
async def _running(*command: str, cwd: Path, **env: str) -> AsyncIterator[Process]:
    child = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    running = Process(child)
    try:
        yield running
    finally:
        await running.end()
