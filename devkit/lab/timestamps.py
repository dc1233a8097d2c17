"""When what happened to a ring on a phone: moments by ring, on the one clock of this machine.

The phones' log, the simulator's stamp of a push and the lab's own asking are all `time.time_ns()`
of one machine, so their differences are honest milliseconds.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEPT_RINGS: Final = 100
_KEPT_MARKS: Final = 60


@dataclass(frozen=True, slots=True)
class Mark:
    """One moment of a ring on one phone. `reason` is a CXCallEndedReason, where there is one."""

    what: str
    at_ns: int
    reason: int | None = None


def uuids_in(payload: bytes) -> frozenset[str]:
    """Every UUID that a payload names: its ring and its call are among them."""
    return frozenset(_UUID.findall(payload.decode("utf-8", "replace").lower()))


@dataclass(slots=True)
class Marks:
    """The moments of one phone, by ring. A library that makes up a uuid of its own is followed by
    what the push named."""

    _by_key: dict[str, list[Mark]] = field(default_factory=dict)
    _names_of: dict[str, frozenset[str]] = field(default_factory=dict)

    def known_as(self, uuid: str, names: Iterable[str]) -> None:
        """CallKit's `uuid` came of a push that names these."""
        self._names_of[uuid] = frozenset(names) | {uuid}
        _forget_oldest(self._names_of)

    def add(self, names: Iterable[str], mark: Mark) -> None:
        """Keep a moment under each of these."""
        for name in names:
            kept = self._by_key.setdefault(name, [])
            if len(kept) < _KEPT_MARKS:
                kept.append(mark)
        _forget_oldest(self._by_key)

    def names_of(self, uuid: str) -> frozenset[str]:
        """All that a ring is known as."""
        return self._names_of.get(uuid, frozenset({uuid}))

    def of(self, name: str) -> list[Mark]:
        """A ring's moments, in order."""
        return self._by_key.get(name, [])


def _forget_oldest(kept: dict[str, Any]) -> None:
    while len(kept) > _KEPT_RINGS:
        del kept[next(iter(kept))]
