"""The limits of a call: how long it rings, waits and lasts; their defaults and bounds.

A tenant may set each, and again for each call type; a call keeps the limits that it began with.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields
from functools import lru_cache
from typing import Any

from app.core.frozen import frozen, replace


@frozen
class CallLimits:
    """Times in seconds, `members` a count (caller included).

    `presence`: whether members must show life; `tell_suppressed`: whether callers are told that a
    ring is kept from its user. They are settings of the tenant's own, and rest here so that a call
    keeps what it began with.
    """

    ring: float = 45
    unconfirmed: float = 5
    away: float = 30
    removed: float = 120
    alone: float = 60
    length: float = 108_000
    members: int = 350
    devices: int = 25
    presence: bool = True
    tell_suppressed: bool = False

    @property
    def heartbeat_every(self) -> float:
        """Seconds between two signs of life of a device: two may be lost before it is away."""
        return self.away / 3

    def silence(self, *, away: bool) -> float:
        """Seconds of silence after which a member is away, or, if it is, removed (never sooner)."""
        return max(self.away, self.removed) if away else self.away


DEFAULTS = CallLimits()

BOUNDS: Mapping[str, tuple[float, float]] = {
    "ring": (5, 180),
    "unconfirmed": (1, 60),
    "away": (5, 300),
    "removed": (10, 3_600),
    "alone": (0, 3_600),
    "length": (10, 108_000),
    "members": (2, 1_000),
    "devices": (1, 100),
}

NAMES = tuple(BOUNDS)
_ALL = tuple(field.name for field in fields(CallLimits))


def outside_bounds(values: Mapping[str, float]) -> list[tuple[str, str]]:
    """(name, sentence) for each value that is unknown or outside its bounds."""
    found = []
    for name, value in values.items():
        if name not in BOUNDS:
            found.append((name, f"is not a limit; known are {', '.join(NAMES)}"))
        elif not BOUNDS[name][0] <= value <= BOUNDS[name][1]:
            low, high = BOUNDS[name]
            found.append((name, f"must be from {low:g} to {high:g}"))
    return found


SAID = "away"
"""The one of which a statement asks rows (`app.calls.queries`)."""
UNSAID = CallLimits(45, 5, 30, 120, 60, 108_000, 350, 25, True, False)
"""What a row means by what it does not say: never changed, whatever the defaults become."""


@lru_cache(maxsize=1024)
def to_json(limits: CallLimits) -> dict[str, float]:
    """The limits as they rest in a call's row: those that are not as UNSAID has them, and SAID.

    Not to be changed, since they are made once.
    """
    return {
        name: value
        for name, value in asdict(limits).items()
        if name == SAID or value != getattr(UNSAID, name)
    }


def resolve(
    tenant: Mapping[str, float], call_types: Mapping[str, Mapping[str, float]], call_type: str
) -> CallLimits:
    """Defaults, then the tenant's limits, then those of the call type."""
    values: dict[str, Any] = {**tenant, **call_types.get(call_type, {})}
    return CallLimits(**values) if values else DEFAULTS


def from_json(values: Mapping[str, float]) -> CallLimits:
    """The limits of a call's row."""
    said = {name: values[name] for name in _ALL if name in values}
    return replace(UNSAID, **said)  # type: ignore[arg-type]
