"""Between Apple and the app: flight mode, copies and wrong order, all on command.

No I/O and no clock. `arrive` says which pushes reach the app now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from devkit.phone.pushkit import Conditions

PushKind = Literal["voip", "background", "alert", "fcm"]


@dataclass(frozen=True, slots=True)
class Push:
    """One push as the phone gets it. `received_ms`: when the simulator had it, Unix ms;
    `received_ns` is the same in nanoseconds, 0 where the source does not know it so exactly."""

    kind: PushKind
    payload: bytes
    received_ms: int
    headers: Mapping[str, str] = field(default_factory=dict)
    received_ns: int = 0

    @property
    def expiration(self) -> int:
        """`apns-expiration`, Unix seconds; 0 means now or never."""
        text = self.headers.get("apns-expiration", "0")
        return int(text) if text.isdigit() else 0

    @property
    def is_ring(self) -> bool:
        """Whether it is to wake a phone, as a ring does and a stop does not."""
        urgent = self.kind == "alert" and b'"interruption-level":"time-sensitive"' in self.payload
        return self.kind == "voip" or urgent or self.headers.get("priority") == "HIGH"

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for a panel that shows the raw push."""
        return {
            "kind": self.kind,
            "payload": self.payload.decode("utf-8", "replace"),
            "size": len(self.payload),
            "received_ms": self.received_ms,
            "headers": dict(self.headers),
        }


@dataclass(slots=True)
class Delivery:
    """The way of pushes to one phone. `duplicate`, `reorder` and `delay` (seconds) are used up by
    the next push; `delayed` is how many are on their way because of a delay."""

    conditions: Conditions
    duplicate: int = 0
    reorder: bool = False
    delay: float = 0.0
    delayed: int = 0
    _stored: list[Push] = field(default_factory=list)
    _overtaken: Push | None = None

    def use_delay(self) -> float:
        """How many seconds the push that comes now is to be late."""
        seconds, self.delay = self.delay, 0.0
        return seconds

    def arrive(self, push: Push) -> list[Push]:
        """What the app gets now: the push, copies of it, nothing yet, or an older one after it."""
        if self.conditions.flight_mode:
            self._stored.append(push)
            return []
        if self.reorder:
            self.reorder = False
            self._overtaken = push
            return []
        copies = [push] * (1 + self.duplicate)
        self.duplicate = 0
        if self._overtaken is not None:
            copies.append(self._overtaken)
            self._overtaken = None
        return copies

    def leave_flight_mode(self, now_ms: int) -> list[Push]:
        """What comes when the network is back: of each kind the newest, as Apple keeps one per app;
        only those that may still be delivered, unless the model is told to be late on purpose."""
        newest = {push.kind: push for push in self._stored}
        self._stored.clear()
        return [
            push
            for push in newest.values()
            if self.conditions.late_delivery or push.expiration * 1000 > now_ms
        ]

    def flush(self) -> list[Push]:
        """The push that waited to be overtaken, if none came."""
        held, self._overtaken = self._overtaken, None
        return [] if held is None else [held]

    @property
    def held(self) -> int:
        """How many pushes wait."""
        return len(self._stored) + (self._overtaken is not None) + self.delayed
