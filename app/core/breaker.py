"""When a credential should push no more for a while, or at all, and who is to hear of it.

Pure: states are values, every function gives a new one, `now` is seconds of any one clock. One
`Breaker` and one `TokenRefusals` belong to a credential (its version) in an environment; a
`STOP_TOPIC` belongs to the pair of credential and topic, and has a breaker of its own.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Final

from app.core.frozen import frozen
from app.core.reaction import Alert, CredentialAction, Reaction, Signal

TROUBLES: Final = 20
"""So many answers of trouble in a row, with no good one between, open the breaker."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0
"""Seconds. A ring lives 45 s: a longer pause would lose what a retry could still save."""

ALARM_AGAIN: Final = 3_600.0
"""Seconds after which a trouble that goes on is worth another alarm."""


class Phase(StrEnum):
    """CLOSED: pushes pass. OPEN: they wait. PROBING: one tries. STOPPED: until a person acts."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"
    STOPPED = "stopped"


@frozen
class Breaker:
    """`Breaker()` is a new one: for a new credential, or when a person says that all is mended.

    `until` is when an OPEN one lets a probe pass, or a PROBING one gives its probe up."""

    phase: Phase = Phase.CLOSED
    troubles: int = 0
    until: float = 0.0
    pause: float = 0.0
    alarms: tuple[tuple[Alert, float], ...] = ()


def admit(breaker: Breaker, now: float) -> tuple[Breaker, float | None]:
    """Whether a push may go: (the new state, None), or (the state, seconds to wait).

    Infinity for a stopped one. While OPEN, the first to come after `until` is the probe.
    """
    if breaker.phase is Phase.CLOSED:
        return breaker, None
    if breaker.phase is Phase.STOPPED:
        return breaker, float("inf")
    if now < breaker.until:
        return breaker, breaker.until - now
    return replace(breaker, phase=Phase.PROBING, until=now + max(breaker.pause, FIRST_PAUSE)), None


def record(breaker: Breaker, reaction: Reaction, now: float) -> tuple[Breaker, Alert | None]:
    """Take a push's end into account: the new state, and an alarm to raise, if one is due.

    An alarm of a kind is raised once, and again when it still holds an hour later.
    """
    after = _moved(breaker, reaction, now)
    if reaction.alert is None:
        return after, None
    raised = dict(after.alarms)
    if now - raised.get(reaction.alert, float("-inf")) < ALARM_AGAIN:
        return after, None
    raised[reaction.alert] = now
    return replace(after, alarms=tuple(raised.items())), reaction.alert


def _moved(breaker: Breaker, reaction: Reaction, now: float) -> Breaker:
    if reaction.credential is not CredentialAction.KEEP:
        return replace(breaker, phase=Phase.STOPPED)
    if breaker.phase is Phase.STOPPED or reaction.signal in (Signal.NOTHING, Signal.REFUSED):
        return breaker
    if reaction.signal is Signal.GOOD:
        if breaker.phase is Phase.CLOSED and not breaker.troubles:
            return breaker
        return replace(breaker, phase=Phase.CLOSED, troubles=0, until=0.0, pause=0.0)
    troubles = breaker.troubles + 1
    if breaker.phase is Phase.PROBING or (breaker.phase is Phase.CLOSED and troubles >= TROUBLES):
        pause = min(breaker.pause * 2, LONGEST_PAUSE) if breaker.pause else FIRST_PAUSE
        return replace(breaker, phase=Phase.OPEN, troubles=troubles, until=now + pause, pause=pause)
    return replace(breaker, troubles=troubles)


WINDOW: Final = 600
"""Seconds over which refusals of device tokens are counted."""

_SLICE: Final = 60
BURST: Final = 5
"""So many refused device tokens, and more of them than accepted, mean a wrong credential."""


@frozen
class TokenRefusals:
    """How a credential's pushes fared of late: (minute, tokens refused, pushes accepted)."""

    slices: tuple[tuple[int, int, int], ...] = ()

    def note(self, *, refused: bool, now: float) -> "TokenRefusals":
        """Count one push: `refused` for BadDeviceToken and DeviceTokenNotForTopic, else accepted.

        Of a push that was tried in both environments, count each answer with its credential.
        """
        minute = int(now // _SLICE)
        kept = tuple(x for x in self.slices if x[0] > minute - WINDOW // _SLICE)
        last = kept[-1] if kept and kept[-1][0] == minute else (minute, 0, 0)
        earlier = kept[:-1] if kept and kept[-1][0] == minute else kept
        counted = (minute, last[1] + refused, last[2] + (not refused))
        return TokenRefusals((*earlier, counted))

    def burst(self, now: float) -> bool:
        """Whether so many tokens are refused that it is the credential that is wrong."""
        refused, accepted = self._counts(now)
        return refused >= BURST and refused > accepted

    def may_retire(self, now: float) -> bool:
        """Whether a refused token may be believed dead: the credential has been seen to work.

        Without an accepted push in the window nobody is retired: the first few refusals of a
        wrong credential look just like dead phones.
        """
        return self._counts(now)[1] > 0 and not self.burst(now)

    def _counts(self, now: float) -> tuple[int, int]:
        oldest = int(now // _SLICE) - WINDOW // _SLICE
        recent = [x for x in self.slices if x[0] > oldest]
        return sum(x[1] for x in recent), sum(x[2] for x in recent)
