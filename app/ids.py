"""Ids: UUIDv7 (RFC 9562, section 5.7), so that rows made together lie together in an index."""

import os
import threading
import time
from uuid import UUID

RANDOM = 10
AT_ONCE = 400
"""Ids for which random bytes are read at a time: a system call for each would be half its cost."""


class _Random(threading.local):
    """Random bytes in store, for each thread its own."""

    def __init__(self) -> None:
        self.store = b""
        self.used = 0
        self.process = 0

    def take(self) -> bytes:
        """The next ten. What a fork has copied is thrown away: two processes share no id."""
        if self.used >= len(self.store) or self.process != os.getpid():
            self.store, self.used, self.process = os.urandom(RANDOM * AT_ONCE), 0, os.getpid()
        self.used += RANDOM
        return self.store[self.used - RANDOM : self.used]


_random = _Random()


def uuid7() -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    value = (milliseconds << 80) | int.from_bytes(_random.take(), "big")
    value = value & ~(0xF000 << 64) | (0x7000 << 64)
    value = value & ~(0xC000 << 48) | (0x8000 << 48)
    return UUID(int=value)
