"""One thread for work that computes for seconds, on which tenants take turns."""

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from app.infra.errors import TooMany

T = TypeVar("T")
MOST_WAITING: Final = 8
"""Files of one tenant that may wait at once: more would wait for longer than anyone does."""
PAUSE: Final = 5.0
"""Seconds after which to try again."""

_Job = tuple[Callable[[], Any], Future[Any]]


class Turns:
    """Runs work one at a time; of those who wait, each in turn has one thing done."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        self._lock = threading.Lock()
        self._waiting: OrderedDict[Hashable, deque[_Job]] = OrderedDict()

    def take(self, who: Hashable, work: Callable[[], T]) -> Future[T]:
        """The result of `work` to come. Raises TooMany (429) when `who` has too much waiting."""
        future: Future[T] = Future()
        with self._lock:
            mine = self._waiting.setdefault(who, deque())
            if len(mine) >= MOST_WAITING:
                raise TooMany(
                    "too_many_files",
                    f"{MOST_WAITING} files of this tenant wait to be read; try again later",
                    retry_after=PAUSE,
                )
            mine.append((work, future))
        self._thread.submit(self._next)
        return future

    def _next(self) -> None:
        """Do one thing for whoever has waited longest since they last had a turn."""
        with self._lock:
            who, mine = self._waiting.popitem(last=False)
            work, future = mine.popleft()
            if mine:
                self._waiting[who] = mine
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  (whatever it is, it is who waits that is told)
            future.set_exception(error)
