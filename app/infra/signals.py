"""Hearing that the process is to stop, before the server waits for its connections to end."""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def at_first_signal(work: Callable[[], object]) -> Iterator[None]:
    """Call `work` on the running loop at SIGTERM or SIGINT; whoever handled them still does.

    A server such as uvicorn tells an application that it stops only after the last response has
    ended, and a live stream does not end by itself: it must be told, or the stop takes for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOPPING}

    def heard(number: int, frame: FrameType | None) -> Any:
        loop.call_soon_threadsafe(work)
        earlier = before[signal.Signals(number)]
        if callable(earlier):
            return earlier(number, frame)
        return None

    mine = [number for number, earlier in before.items() if callable(earlier)]
    for number in mine:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number in mine:
            if signal.getsignal(number) is heard:
                signal.signal(number, before[number])
