"""What fails again and again while a server is away, each time by itself: told once a minute."""

import logging
import time
from typing import Final

OF_THE_QUEUE: Final = ("celery", "kombu", "amqp")
"""Whose loops try again each second, and say so each time, most with a traceback."""

MOST: Final = 500
"""Different troubles that are told apart."""

TOLD_EVERY: Final = 60.0


class Seldom:
    """Whether to tell of what may fail at any rate: of the first, and then once a minute."""

    def __init__(self) -> None:
        self._told = -TOLD_EVERY
        self._since = 0

    def failed(self) -> int:
        """How many have failed since it was told; 0 while it is too early to tell again."""
        self._since += 1
        now = time.monotonic()
        if now < self._told + TOLD_EVERY:
            return 0
        since, self._since, self._told = self._since, 0, now
        return since


class Repeats(logging.Filter):
    """Passes the first trouble of a kind, and then one a minute, with how many (`failures`).

    A kind is who says it, in which words, and of which error; what differs in each, as how long
    it waits now, is no part of it. Only troubles, and only those of the queue's libraries: whatever
    else is said is said once.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[tuple[str, str, str], Seldom] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this line is to be written."""
        of = record.name.partition(".")[0]
        if of not in OF_THE_QUEUE or record.levelno < logging.WARNING:
            return True
        error = record.exc_info[0] if record.exc_info else None
        kind = (record.name, str(record.msg), getattr(error, "__name__", ""))
        if kind not in self._kinds and len(self._kinds) >= MOST:
            return True
        failed = self._kinds.setdefault(kind, Seldom()).failed()
        if failed > 1:
            record.failures = failed
        return failed > 0
