"""A model of CallKit: what is on a phone's call screen and in its Recents list.

No I/O and no clock: times are arguments, Unix milliseconds. It is a model and no proof of what iOS
does. Sources: Apple's CXProvider, CXCallEndedReason and CXErrorCodeIncomingCallError pages.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, Final

# iOS itself ends a call that nobody takes after 30 to 60 s; the model takes the longest.
RING_LIMIT_MS: Final = 60_000
# Calls that a phone remembers; a real one keeps 100 in Recents.
_KEPT: Final = 100


class EndedReason(IntEnum):
    """CXCallEndedReason."""

    FAILED = 1
    REMOTE_ENDED = 2
    UNANSWERED = 3
    ANSWERED_ELSEWHERE = 4
    DECLINED_ELSEWHERE = 5

    @classmethod
    def of(cls, number: object) -> "EndedReason | None":
        """The reason of an integer that came over the network; None if it is none."""
        if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= 5:
            return None
        return cls(number)


class IncomingError(IntEnum):
    """CXErrorCodeIncomingCallError: the call was reported, but no screen is shown for it."""

    UUID_ALREADY_EXISTS = 2
    FILTERED_BY_DO_NOT_DISTURB = 3
    FILTERED_BY_BLOCK_LIST = 4


class ScreenState(StrEnum):
    """`answering` is between the tap and the app's fulfil."""

    RINGING = "ringing"
    ANSWERING = "answering"
    ACTIVE = "active"
    ENDED = "ended"


class EndedBy(StrEnum):
    """Who ended a call: the app by a report, the user, iOS by its own limit, or the app's death."""

    REPORT = "report"
    USER = "user"
    SYSTEM = "system"
    APP_DIED = "app_died"


class Recent(StrEnum):
    """How a call is called in Recents."""

    MISSED = "missed"
    COMPLETED = "completed"
    DECLINED = "declined"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    DECLINED_ELSEWHERE = "declined_elsewhere"
    FAILED = "failed"


@dataclass(slots=True)
class Screen:
    """One call as CallKit has it; `reason` is set once the app has reported an end."""

    uuid: str
    caller: str
    handle: str
    video: bool
    reported_ms: int
    state: ScreenState = ScreenState.RINGING
    answered_ms: int | None = None
    ended_ms: int | None = None
    reason: EndedReason | None = None
    ended_by: EndedBy | None = None

    @property
    def live(self) -> bool:
        """Whether there is still something on the screen."""
        return self.state is not ScreenState.ENDED

    @property
    def recent(self) -> Recent | None:
        """The word for it in Recents, once it is over."""
        if self.live:
            return None
        if self.answered_ms is not None:
            failed = self.reason is EndedReason.FAILED or self.ended_by is EndedBy.APP_DIED
            return Recent.FAILED if failed else Recent.COMPLETED
        if self.ended_by is EndedBy.USER and self.reason is None:
            return Recent.DECLINED
        if self.reason is None:
            return Recent.FAILED if self.ended_by is EndedBy.APP_DIED else Recent.MISSED
        return _RECENT_OF[self.reason]

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for a page that draws it."""
        return {
            "uuid": self.uuid,
            "caller": self.caller,
            "handle": self.handle,
            "video": self.video,
            "state": self.state.value,
            "reported_ms": self.reported_ms,
            "answered_ms": self.answered_ms,
            "ended_ms": self.ended_ms,
            "reason": None if self.reason is None else int(self.reason),
            "ended_by": None if self.ended_by is None else self.ended_by.value,
            "recent": None if self.recent is None else self.recent.value,
        }


_RECENT_OF: Final = {
    EndedReason.FAILED: Recent.FAILED,
    # Taken back by the caller before anybody answered: iOS lists it as missed.
    EndedReason.REMOTE_ENDED: Recent.MISSED,
    EndedReason.UNANSWERED: Recent.MISSED,
    EndedReason.ANSWERED_ELSEWHERE: Recent.ANSWERED_ELSEWHERE,
    EndedReason.DECLINED_ELSEWHERE: Recent.DECLINED_ELSEWHERE,
}


class CallKit:
    """The calls of one phone. Every method takes late and repeated orders without harm."""

    def __init__(self, *, ring_limit_ms: int = RING_LIMIT_MS) -> None:
        self._ring_limit_ms = ring_limit_ms
        self._screens: dict[str, Screen] = {}
        self._over: deque[Screen] = deque(maxlen=_KEPT)
        self.do_not_disturb = False
        self.blocked: set[str] = set()

    def report_incoming(
        self, uuid: str, *, caller: str, handle: str, video: bool, now_ms: int
    ) -> IncomingError | None:
        """reportNewIncomingCall. An error counts as reported too: iOS kills for silence only.

        A uuid that is on the screen is refused; one that is over makes a new screen, as on a real
        phone, which is why an app must remember the uuids that it has seen settle.
        """
        known = self._screens.get(uuid)
        if known is not None and known.live:
            return IncomingError.UUID_ALREADY_EXISTS
        screen = Screen(uuid, caller, handle, video, now_ms)
        if handle in self.blocked:
            return IncomingError.FILTERED_BY_BLOCK_LIST
        if self.do_not_disturb:
            # Silenced, but not forgotten: it is in Recents as missed.
            self._finish(screen, now_ms, EndedBy.SYSTEM)
            return IncomingError.FILTERED_BY_DO_NOT_DISTURB
        self._screens.pop(uuid, None)
        self._screens[uuid] = screen
        self._forget_old()
        return None

    def report_ended(self, uuid: str, reason: EndedReason, now_ms: int) -> bool:
        """The app says that a call is over. False if there was nothing to end."""
        screen = self._live(uuid)
        if screen is None:
            return False
        screen.reason = reason
        self._finish(screen, now_ms, EndedBy.REPORT)
        return True

    def tap_answer(self, uuid: str) -> bool:
        """The user takes the call: CXAnswerCallAction goes to the app. False if it cannot."""
        screen = self._live(uuid)
        if screen is None or screen.state is not ScreenState.RINGING:
            return False
        screen.state = ScreenState.ANSWERING
        return True

    def fulfil_answer(self, uuid: str, now_ms: int) -> bool:
        """The app has the call: it is up."""
        screen = self._live(uuid)
        if screen is None or screen.state is not ScreenState.ANSWERING:
            return False
        screen.state, screen.answered_ms = ScreenState.ACTIVE, now_ms
        return True

    def tap_end(self, uuid: str, now_ms: int) -> bool:
        """The user declines or hangs up: CXEndCallAction. False if there was nothing to end."""
        screen = self._live(uuid)
        if screen is None:
            return False
        self._finish(screen, now_ms, EndedBy.USER)
        return True

    def overdue(self, now_ms: int) -> list[str]:
        """Ringing calls past iOS's own limit, taken off the screen; each is a CXEndCallAction."""
        found = [
            screen
            for screen in self._screens.values()
            if screen.state is ScreenState.RINGING
            and now_ms - screen.reported_ms >= self._ring_limit_ms
        ]
        for screen in found:
            self._finish(screen, now_ms, EndedBy.SYSTEM)
        return [screen.uuid for screen in found]

    def app_died(self, now_ms: int) -> list[str]:
        """The app's process is gone, and every call of it with it."""
        lost = list(self.live())
        for screen in lost:
            self._finish(screen, now_ms, EndedBy.APP_DIED)
        return [screen.uuid for screen in lost]

    def screen(self, uuid: str) -> Screen | None:
        """The newest call of this uuid, over or not."""
        return self._screens.get(uuid)

    def live(self) -> Iterable[Screen]:
        """Calls on the screen, oldest first."""
        return [screen for screen in self._screens.values() if screen.live]

    @property
    def on_a_call(self) -> bool:
        """Whether a call has been answered and is up."""
        return any(screen.state is ScreenState.ACTIVE for screen in self._screens.values())

    @property
    def recents(self) -> list[Screen]:
        """Calls that are over, newest first."""
        return list(self._over)[::-1]

    def _forget_old(self) -> None:
        for uuid in list(self._screens)[:-_KEPT]:
            if not self._screens[uuid].live:
                del self._screens[uuid]

    def _live(self, uuid: str) -> Screen | None:
        screen = self._screens.get(uuid)
        return screen if screen is not None and screen.live else None

    def _finish(self, screen: Screen, now_ms: int, by: EndedBy) -> None:
        screen.state, screen.ended_ms, screen.ended_by = ScreenState.ENDED, now_ms, by
        self._over.append(screen)
