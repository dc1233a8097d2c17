"""When a credential should push no more for a while, or at all, and who is to hear of it.

Pure: states are values, every function gives a new one, `now` is seconds of any one clock. One
`Breaker` and one `TokenRefusals` belong to a credential (its version) in an environment; a
`STOP_TOPIC` belongs to the pair of credential and topic, and has a breaker of its own.

Trouble is counted over distinct subjects (device tokens): what befalls one phone again and again is
that phone's. A push's first attempt always passes, at a limited rate, so that whoever has not been
tried yet is never held back by those that fail; only retries wait for the pause to be over.
"""

from enum import StrEnum
from typing import Final

from app.core.frozen import frozen, replace
from app.core.push_policy import Alert, CredentialAction, Reaction, Signal

TROUBLES: Final = 20
"""Trouble with so many subjects, with no good answer between, opens the breaker."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0
"""Seconds. A ring lives 45 s: a longer pause would lose what a retry could still save."""

FIRST_ATTEMPTS_EVERY: Final = 0.05
"""Seconds between first attempts that pass an open breaker."""

PROBES: Final = 3
"""Retries of so many subjects may probe at once: one bad phone's would prove nothing."""

FAILING: Final = 3
"""So many subjects in a row without an answer, or refused without a known reason, and the
credential is failing: another that serves the app goes before it."""

FAILING_FOR: Final = 30.0
"""Seconds after which a failing credential is tried again though another would do."""

ALARM_AGAIN: Final = 3_600.0
"""Seconds after which a trouble that goes on is worth another alarm."""


class Phase(StrEnum):
    """CLOSED: pushes pass. OPEN: retries wait. PROBING: some try. STOPPED: until a person acts."""

    CLOSED = "closed"
    OPEN = "open"
    PROBING = "probing"
    STOPPED = "stopped"


@frozen
class Breaker:
    """`Breaker()` is a new one: for a new credential, or when a person says that all is mended.

    `troubled` are the latest subjects in trouble. `until` is when an OPEN one lets probes pass, or
    a PROBING one gives them up; `probes` are their subjects, `failed` those of them that failed.
    `turn` is when the next first attempt may pass. `unexplained` are the latest subjects whose
    attempts ended without an answer or a known reason, and `doubted_until` is when a failing
    credential may be tried again.
    """

    phase: Phase = Phase.CLOSED
    troubled: tuple[str, ...] = ()
    until: float = 0.0
    pause: float = 0.0
    probes: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    turn: float = 0.0
    unexplained: tuple[str, ...] = ()
    doubted_until: float = 0.0
    alarms: tuple[tuple[Alert, float], ...] = ()


def admit(
    breaker: Breaker, now: float, *, subject: str, first: bool, its_turn: bool = False
) -> tuple[Breaker, float | None]:
    """Whether a push may go: (the new state, None), or (the state, seconds to wait).

    Infinity for a stopped one. `first`: the push has not been tried yet; made to wait, it has a
    turn of its own then, and comes back with `its_turn`.
    """
    if breaker.phase is Phase.CLOSED:
        return breaker, None
    if breaker.phase is Phase.STOPPED:
        return breaker, float("inf")
    if first:
        if its_turn:
            return breaker, None
        turn = max(breaker.turn, now)
        after = replace(breaker, turn=turn + FIRST_ATTEMPTS_EVERY)
        return after, None if turn <= now else turn - now
    if now < breaker.until:
        probes = breaker.probes
        if breaker.phase is Phase.PROBING and len(probes) < PROBES and subject not in probes:
            return replace(breaker, probes=(*probes, subject)), None
        return breaker, breaker.until - now
    pause = _longer(breaker.pause) if breaker.failed else max(breaker.pause, FIRST_PAUSE)
    probing = replace(
        breaker,
        phase=Phase.PROBING,
        pause=pause,
        until=now + pause,
        probes=(subject,),
        failed=(),
    )
    return probing, None


def is_untroubled(breaker: Breaker) -> bool:
    """Whether every push may go, and one that goes well changes nothing."""
    return breaker.phase is Phase.CLOSED and not breaker.troubled and not breaker.unexplained


def is_failing(breaker: Breaker, now: float) -> bool:
    """Whether another credential that serves the app should go before this one."""
    if breaker.phase is Phase.STOPPED:
        return True
    return len(breaker.unexplained) >= FAILING and now < breaker.doubted_until


def try_failing(breaker: Breaker, now: float) -> Breaker:
    """A push goes by a credential that was failing, to see whether it still does."""
    if len(breaker.unexplained) < FAILING:
        return breaker
    return replace(breaker, doubted_until=now + FAILING_FOR)


def record(
    breaker: Breaker, reaction: Reaction, now: float, *, subject: str
) -> tuple[Breaker, Alert | None]:
    """Take an attempt's end into account: the new state, and an alarm to raise, if one is due.

    An alarm of a kind is raised once, and again when it still holds an hour later.
    """
    after = _explained(_moved(breaker, reaction, now, subject), reaction, now, subject)
    alert = reaction.alert
    if alert is None and reaction.signal is Signal.UNEXPLAINED and is_failing(after, now):
        alert = Alert.CREDENTIAL_FAILING
    if alert is None:
        return after, None
    raised = dict(after.alarms)
    if now - raised.get(alert, float("-inf")) < ALARM_AGAIN:
        return after, None
    raised[alert] = now
    return replace(after, alarms=tuple(raised.items())), alert


def _moved(breaker: Breaker, reaction: Reaction, now: float, subject: str) -> Breaker:
    if reaction.credential is not CredentialAction.KEEP:
        return replace(breaker, phase=Phase.STOPPED)
    if breaker.phase is Phase.STOPPED or reaction.signal in (Signal.NOTHING, Signal.REFUSED):
        return breaker
    if reaction.signal is Signal.GOOD:
        if breaker.phase is Phase.CLOSED and not breaker.troubled:
            return breaker
        return Breaker(alarms=breaker.alarms)
    troubled = _latest(breaker.troubled, subject, TROUBLES)
    if breaker.phase is Phase.CLOSED and len(troubled) >= TROUBLES:
        return replace(
            breaker,
            phase=Phase.OPEN,
            troubled=troubled,
            until=now + FIRST_PAUSE,
            pause=FIRST_PAUSE,
        )
    if breaker.phase is Phase.PROBING and subject in breaker.probes:
        failed = _latest(breaker.failed, subject, PROBES)
        if len(failed) >= PROBES:
            pause = _longer(breaker.pause)
            return replace(
                breaker,
                phase=Phase.OPEN,
                troubled=troubled,
                until=now + pause,
                pause=pause,
                probes=(),
                failed=(),
            )
        return replace(breaker, troubled=troubled, failed=failed)
    return replace(breaker, troubled=troubled)


def _explained(breaker: Breaker, reaction: Reaction, now: float, subject: str) -> Breaker:
    """Count what ends without a reason; any other answer shows that the way is open."""
    if reaction.signal is not Signal.UNEXPLAINED:
        return replace(breaker, unexplained=()) if breaker.unexplained else breaker
    unexplained = _latest(breaker.unexplained, subject, FAILING)
    failing = len(unexplained) >= FAILING
    return replace(
        breaker,
        unexplained=unexplained,
        doubted_until=now + FAILING_FOR if failing else breaker.doubted_until,
    )


def _latest(subjects: tuple[str, ...], subject: str, most: int) -> tuple[str, ...]:
    others = tuple(one for one in subjects if one != subject)
    return (*others, subject)[-most:]


def _longer(pause: float) -> float:
    return min(pause * 2, LONGEST_PAUSE) if pause else FIRST_PAUSE


WINDOW: Final = 600
"""Seconds over which refusals of device tokens are counted."""

_SLICE: Final = 60


def same_minute(one: float, other: float) -> bool:
    """Whether `TokenRefusals` counts what happens at these times together."""
    return one // _SLICE == other // _SLICE


BURST: Final = 5
"""So many refused device tokens, and more of them than accepted, mean a wrong credential."""


@frozen
class TokenRefusals:
    """How a credential's pushes fared of late: (minute, tokens refused, pushes accepted)."""

    slices: tuple[tuple[int, int, int], ...] = ()

    def note(self, *, refused: bool, now: float, pushes: int = 1) -> "TokenRefusals":
        """Count pushes: `refused` for BadDeviceToken and DeviceTokenNotForTopic, else accepted.

        Of a push that was tried in both environments, count each answer with its credential.
        """
        minute = int(now // _SLICE)
        kept = self.slices
        if kept and kept[-1][0] == minute:  # what is too old went when this minute began
            _, bad, good = kept[-1]
            counted = (minute, bad + refused * pushes, good + (not refused) * pushes)
            return TokenRefusals((*kept[:-1], counted))
        kept = tuple(x for x in kept if x[0] > minute - WINDOW // _SLICE)
        return TokenRefusals((*kept, (minute, refused * pushes, (not refused) * pushes)))

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
