"""Ids: UUIDv7 (RFC 9562, section 5.7), so that rows made together lie together in an index."""

import os
import threading
from datetime import datetime
from typing import Any, Final
from uuid import UUID, SafeUUID

from app.infra import clock

RANDOM = 10
VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
CHANCE = (1 << 80) - 1 & ~(0xF << 76 | 0b11 << 62)
ROOM = 0xFFFF
"""Bits that ids which are made together count in."""
AT_ONCE = 400
"""Ids for which random bytes are read at a time: a system call for each would be half its cost."""


class _Random(threading.local):
    """Random numbers in store, for each thread its own."""

    def __init__(self) -> None:
        self.store: list[int] = []

    def take(self) -> int:
        """The next: all of an id but its time."""
        if not self.store:
            read = os.urandom(RANDOM * AT_ONCE)
            some = (read[at : at + RANDOM] for at in range(0, len(read), RANDOM))
            self.store = [int.from_bytes(one, "big") & CHANCE | VERSION_AND_VARIANT for one in some]
        return self.store.pop()

    def forget(self) -> None:
        """Throw away what a fork has copied: two processes share no id."""
        self.store = []


_FIELDS: Final[Any] = vars(UUID)
_put_number, _put_safety = _FIELDS["int"].__set__, _FIELDS["is_safe"].__set__

_random = _Random()
os.register_at_fork(after_in_child=_random.forget)


def _number(at: float | None = None) -> int:
    return int((clock.unix() if at is None else at) * 1_000) << 80 | _random.take()


def uuid7(at: float | None = None) -> UUID:
    """A new UUIDv7: 48 bits of Unix milliseconds, those of `at` (seconds) or of now, then 74 random
    bits."""
    return UUID(int=_number(at))


def uuid7_hex() -> str:
    """The same as 32 hexadecimal digits."""
    return f"{_number():032x}"


def uuid7_hexes(count: int) -> list[str]:
    """So many, of this moment: a random number and those that follow it (RFC 9562, section 6.2).

    A tenth of what each by itself costs.
    """
    first = _number() & ~ROOM
    head, tail = f"{first >> 64:016x}", first & (1 << 64) - 1
    return [f"{head}{tail + n:016x}" for n in range(count)]


def uuid7s(count: int) -> list[UUID]:
    """The same as UUIDs, for what is made together and named by each: a group's rings."""
    first, made, unknown = _number() & ~ROOM, list[UUID](), SafeUUID.unknown
    new, put_number, put_safety = UUID.__new__, _put_number, _put_safety
    for number in range(first, first + count):
        one = new(UUID)  # past what looks at each of the ways to say one
        put_number(one, number)
        put_safety(one, unknown)
        made.append(one)
    return made


def least_uuid7(at: datetime) -> UUID:
    """The bound below every id that is made from `at` on: rows of a time are found by their key."""
    return UUID(int=max(0, int(at.timestamp() * 1_000)) << 80)
