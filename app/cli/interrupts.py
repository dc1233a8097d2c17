"""Ctrl-C before a command has begun: there is nothing to put in order yet, so it ends at once."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

ENDED: Final = 128 + signal.SIGINT
"""The exit status of who was ended by Ctrl-C, as shells have it."""


@contextmanager
def ends_at_once() -> Iterator[None]:
    """While modules are imported: one line on stderr and status 130, wherever the import stands.

    An exception would be drawn as a traceback of modules, or be lost in one of their callbacks.
    Who has been told to ignore Ctrl-C (`nohup`, a job in the background) goes on to ignore it.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end(_number: int, _frame: FrameType | None) -> None:
    os.write(2, b"ringline: stopped before it began\n")
    os._exit(ENDED)
