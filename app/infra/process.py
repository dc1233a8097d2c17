"""A process that runs for months: its memory, its stop, and the sockets that it listens on."""

import asyncio
import contextlib
import gc
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

# --- memory ------------------------------------------------------------------------------------

YOUNG = 20_000
"""New objects before the youngest are looked through: a batch of rings makes some thousands, nearly
all of which are freed by counting alone."""


def settle_memory() -> None:
    """Leave what start-up has made out of every collection to come, and collect more seldom.

    Python's own threshold is 700 objects, and a full collection walks all the modules, which takes
    tens of milliseconds in the middle of somebody's ring.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, 20, 20)


# --- stopping ----------------------------------------------------------------------------------

STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def at_first_signal(
    soon: Callable[[], object], work: Callable[[], object], *, delay: float
) -> Iterator[None]:
    """Call `work` on the running loop at SIGTERM or SIGINT; whoever handled them still does.

    A server such as uvicorn tells an application that it stops only after the last response has
    ended, and a live stream does not end by itself: it must be told, or the stop takes for ever.

    The first SIGTERM calls `soon` at once, and all else `delay` seconds later: a balancer that asks
    turns away meanwhile. SIGINT is a person's, and a second signal is meant: neither waits.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in STOPPING}

    signals = 0

    def act(number: int, frame: FrameType | None) -> Any:
        loop.call_soon_threadsafe(work)
        earlier = before[signal.Signals(number)]
        return earlier(number, frame) if callable(earlier) else None

    def heard(number: int, frame: FrameType | None) -> Any:
        nonlocal signals
        signals += 1
        loop.call_soon_threadsafe(soon)
        if number != signal.SIGTERM or not delay or signals > 1:
            return act(number, frame)
        loop.call_soon_threadsafe(loop.call_later, delay, act, number, None)
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


# --- listening ---------------------------------------------------------------------------------
# An open live stream counts as a sign of life of its device. A phone whose network is gone says
# nothing, and by default TCP goes on hoping for a quarter of an hour.

UNANSWERED_FOR = 20
"""Seconds for which data may stay unacknowledged, and about which a silent peer is given up."""

PROBE_AFTER = 10
PROBE_EVERY = 5


TAKEN_A_TURN: Final = 8
"""Connections that are accepted in one turn of the loop at most, by one process."""


def taken_by_the_turn(listener: socket.socket) -> list[socket.socket]:
    """The same socket several times: of each the loop accepts one connection a turn (libuv).

    A turn in which much is done lasts some milliseconds. So a process that is behind would take in
    a few hundred a second, while their clients, and those who ask whether it is well, wait unheard.
    """
    return [listener, *(listener.dup() for _ in range(TAKEN_A_TURN - 1))]


def notice_the_vanished(listener: socket.socket) -> None:
    """Have connections accepted here end once the peer is gone; Linux hands the options on.

    TCP_USER_TIMEOUT (RFC 5482) bounds unacknowledged data, keep-alive probes an idle connection.
    Where an option is not known it is left out: keep-alive comments then do their best. What is
    written leaves at once (TCP_NODELAY): a second answer, or event, would else wait until the peer
    has acknowledged the first.
    """
    if listener.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    # asyncio sets it only where a socket says its protocol, which an accepted one does not
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for name, value in (
        ("TCP_KEEPIDLE", PROBE_AFTER),
        ("TCP_KEEPINTVL", PROBE_EVERY),
        ("TCP_KEEPCNT", (UNANSWERED_FOR - PROBE_AFTER) // PROBE_EVERY),
        ("TCP_USER_TIMEOUT", UNANSWERED_FOR * 1_000),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
