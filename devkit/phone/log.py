"""What a phone did, in order, with times, and whoever wants to be told."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final


class Step(StrEnum):
    """Every kind of transition."""

    REGISTERED = "registered"
    REGISTRATION_FAILED = "registration_failed"
    UNREGISTERED = "unregistered"
    CONDITIONS = "conditions"
    # Pushes
    PUSH_ARRIVED = "push_arrived"
    PUSH_HELD = "push_held"
    PUSH_NOT_WOKEN = "push_not_woken"
    PUSH_IGNORED = "push_ignored"
    # The app's process
    INSTALLED = "installed"
    LAUNCHED = "launched"
    CRASHED = "crashed"
    NOT_REPORTED = "not_reported"
    KILLED = "killed"
    # CallKit
    REPORTED = "reported"
    RINGING = "ringing"
    ALREADY_RINGING = "already_ringing"
    SILENCED = "silenced"
    ANSWER_TAPPED = "answer_tapped"
    END_TAPPED = "end_tapped"
    IOS_GAVE_UP = "ios_gave_up"
    ACTIVE = "active"
    ENDED = "ended"
    # The server
    STATE_READ = "state_read"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    DECLINED = "declined"
    REPORT_SENT = "report_sent"
    HEARTBEAT = "heartbeat"
    LEFT = "left"
    ENDED_FOR_ALL = "ended_for_all"
    UNREACHABLE = "unreachable"
    STREAM_OPEN = "stream_open"
    STREAM_LOST = "stream_lost"
    STREAM_ABSENT = "stream_absent"
    EVENT = "event"
    RINGS_THERE = "rings_there"
    STOP_LEARNED = "stop_learned"
    FAULT = "fault"


class Clock:
    """Both clocks of a phone; give another object with these two methods to move time."""

    def monotonic(self) -> float:
        """Seconds, for intervals."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Unix milliseconds, for deadlines of the server and for showing."""
        return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Transition:
    """One thing that happened. `at` in monotonic seconds, `at_ms` in Unix milliseconds."""

    number: int
    at: float
    at_ms: int
    step: Step
    uuid: str | None = None
    detail: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for a page that draws it."""
        return {
            "number": self.number,
            "at_ms": self.at_ms,
            "step": self.step.value,
            "uuid": self.uuid,
            "detail": dict(self.detail),
        }


# A phone that beats for a day must not fill the memory.
_KEPT: Final = 5_000

Observer = Callable[[Transition], None]


class Log:
    """All transitions of one phone. Observers are called at once, in the order of their coming."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._transitions: deque[Transition] = deque(maxlen=_KEPT)
        self._count = 0
        self._observers: list[Observer] = []
        self._grown = asyncio.Event()

    def note(self, step: Step, uuid: str | None = None, **detail: Any) -> Transition:
        """Record a transition and tell the observers."""
        self._count += 1
        transition = Transition(
            self._count,
            self.clock.monotonic(),
            self.clock.wall_ms(),
            step,
            uuid,
            MappingProxyType(detail),
        )
        self._transitions.append(transition)
        self._grown.set()
        self._grown = asyncio.Event()
        for observer in tuple(self._observers):
            observer(transition)
        return transition

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Tell `observer` of every transition from now on; what is returned ends that."""
        self._observers.append(observer)
        return lambda: self._observers.remove(observer)

    def __iter__(self) -> Iterator[Transition]:
        return iter(tuple(self._transitions))

    def __len__(self) -> int:
        return len(self._transitions)

    def of(self, *steps: Step, uuid: str | None = None) -> list[Transition]:
        """Transitions of these steps (and this call), oldest first."""
        return [
            transition
            for transition in self._transitions
            if transition.step in steps and uuid in (None, transition.uuid)
        ]

    async def wait_for(
        self, *steps: Step, uuid: str | None = None, after: int = 0, seconds: float = 5.0
    ) -> Transition:
        """The first such transition with a number above `after`, past or to come.

        Raises TimeoutError with what did happen.
        """
        try:
            async with asyncio.timeout(seconds):
                while True:
                    grown = self._grown
                    for transition in self.of(*steps, uuid=uuid):
                        if transition.number > after:
                            return transition
                    await grown.wait()
        except TimeoutError:
            happened = ", ".join(transition.step.value for transition in self._transitions)
            raise TimeoutError(
                f"no {' or '.join(steps)} within {seconds} s; there was: {happened or 'nothing'}"
            ) from None
