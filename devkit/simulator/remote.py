"""Doing something with a simulator on its own event loop, from any other thread or loop."""

import asyncio
import concurrent.futures
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from devkit.simulator.apple import Apple
from devkit.simulator.server import Server

T = TypeVar("T")


class Remote:
    """Carries work over to the simulator's loop, and its result or error back."""

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop

    def _do(self, work: Callable[[Apple], T]) -> T:
        done: concurrent.futures.Future[T] = concurrent.futures.Future()

        def call() -> None:
            try:
                done.set_result(work(self._server.apple))
            except Exception as error:  # noqa: BLE001 - it is raised where it was called from
                done.set_exception(error)

        self._loop.call_soon_threadsafe(call)
        return done.result()

    def _run(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        return asyncio.run_coroutine_threadsafe(work, self._loop)
