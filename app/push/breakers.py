"""What one worker knows of how its credentials fare: breakers and counts of refused tokens."""

import math
from uuid import UUID

from app.core.breaker import (
    Breaker,
    Phase,
    TokenRefusals,
    admit,
    is_failing,
    is_untroubled,
    record,
    same_minute,
    try_failing,
)
from app.core.frozen import frozen
from app.core.push import Environment
from app.core.push_policy import Alert, CredentialAction, Reaction, Signal
from app.credentials.usable import Key, Usable
from app.infra.observe import BREAKERS_OPEN

CLOCK_STEP = 0.005
SECOND_THOUGHTS = 2.0
"""Seconds for which a stop of ours stands although the database does not know of it (yet)."""


TURNS_KEPT = 10_000
NEW = Breaker()
NONE_REFUSED = TokenRefusals()


@frozen
class Try:
    """What breakers need to know of a push: whose it is, and whether it has been tried before."""

    push_id: UUID
    token: str
    first: bool


class Breakers:
    """One breaker and one count per credential, version and environment. `now` is loop time."""

    def __init__(self) -> None:
        self._breakers: dict[Key, Breaker] = {}
        self._refusals: dict[Key, TokenRefusals] = {}
        self._good: dict[Key, list[float]] = {}
        """(When the first was, how many) of those accepted since `_refusals` were last counted."""
        self._last_good: tuple[Usable, Environment, float, list[float]] | None = None
        """By what the last push was simply taken, when, and its count; None: more came since."""
        self._stopped_at: dict[Key, float] = {}
        self._turns: dict[tuple[Key, UUID], float] = {}

    def is_failing(self, credential: Usable, environment: Environment, now: float) -> bool:
        """Whether another credential that serves the app should go first."""
        key = credential.key(environment)
        breaker = self._breakers.get(key)
        if breaker is None or self._is_mended(breaker, credential, environment, now):
            return False
        return is_failing(breaker, now)

    def _is_mended(
        self, breaker: Breaker, credential: Usable, environment: Environment, now: float
    ) -> bool:
        """Whether one that this worker has stopped is no longer called refused by the database."""
        if breaker.phase is not Phase.STOPPED or environment in credential.refused:
            return False
        key = credential.key(environment)
        return now - self._stopped_at.get(key, -math.inf) >= SECOND_THOUGHTS

    def wait(
        self, credential: Usable, environment: Environment, now: float, one: Try
    ) -> float | None:
        """Seconds until a push may go by this credential; None: now; infinity: it is stopped.

        A stopped one goes on when the database no longer calls it refused: a probe, or a person,
        has found it in order. A first attempt that has to wait is given a turn of its own.
        """
        if self.lets_all_pass(credential, environment):
            return None
        key = credential.key(environment)
        breaker = self._breakers[key]
        if self._is_mended(breaker, credential, environment, now):
            breaker = Breaker()
        its_turn = self._turns.pop((key, one.push_id), now + 1) <= now + CLOCK_STEP
        after, seconds = admit(
            try_failing(breaker, now), now, subject=one.token, first=one.first, its_turn=its_turn
        )
        self._breakers[key] = after
        if one.first and seconds is not None and not math.isinf(seconds):
            self._turns[key, one.push_id] = now + seconds
            if len(self._turns) > TURNS_KEPT:
                del self._turns[next(iter(self._turns))]
        return seconds

    def lets_all_pass(self, credential: Usable, environment: Environment) -> bool:
        """Whether every push may go by this credential now, and none changes anything by that."""
        breaker = self._breakers.get(credential.key(environment))
        return breaker is None or (not self._turns and is_untroubled(breaker))

    def suspicion(
        self, credential: Usable, environment: Environment, now: float
    ) -> tuple[bool, bool]:
        """(a burst of refused device tokens, whether a refused one may be believed dead)."""
        refusals = self._counted(credential.key(environment))
        return refusals.burst(now), refusals.may_retire(now)

    def note_answer(
        self,
        credential: Usable,
        environment: Environment,
        code: int,
        reason: str | None,
        now: float,
    ) -> None:
        """Count an answer, before it is known what it means."""
        refused = not 200 <= code < 300
        if refused and reason not in credential.service.device_refusals:
            return
        key = credential.key(environment)
        if refused:
            self._refusals[key] = self._counted(key).note(refused=True, now=now)
        else:
            self._count_good(key, now)

    def note_taken(self, credential: Usable, environment: Environment, now: float) -> bool:
        """Count a push that was simply taken; whether its reaction changes nothing beside."""
        last = self._last_good
        if last is not None and last[0] is credential and last[1] is environment and last[2] == now:
            last[3][1] += 1
            return True
        key = credential.key(environment)
        self._count_good(key, now)
        breaker = self._breakers.get(key)
        if breaker is not None and not is_untroubled(breaker):
            return False
        self._last_good = credential, environment, now, self._good[key]
        return True

    def _count_good(self, key: Key, now: float) -> None:
        """As `TokenRefusals.note` would, but by the minute: they are many, and seldom asked for."""
        good = self._good.get(key)
        if good is not None and same_minute(good[0], now):
            good[1] += 1
            return
        self._counted(key)
        self._good[key] = [now, 1]

    def _counted(self, key: Key) -> TokenRefusals:
        """All that is known of a key's refused and accepted pushes."""
        self._last_good = None
        counted = self._refusals.get(key, NONE_REFUSED)
        good = self._good.pop(key, None)
        if good is not None:
            counted = counted.note(refused=False, now=good[0], pushes=int(good[1]))
            self._refusals[key] = counted
        return counted

    def note_reaction(
        self,
        credential: Usable,
        environment: Environment,
        reaction: Reaction,
        now: float,
        subject: str,
    ) -> Alert | None:
        """Move the breaker; returns an alarm if one is due. `subject`: who was in this attempt."""
        key = credential.key(environment)
        before = self._breakers.get(key, NEW)
        if is_plain_good(reaction) and is_untroubled(before):
            return None
        after, alarm = record(before, reaction, now, subject=subject)
        self._breakers[key], self._last_good = after, None
        if after.phase is Phase.STOPPED and before.phase is not Phase.STOPPED:
            self._stopped_at[key] = now
        if after.phase is not before.phase:
            shut = (Phase.CLOSED,)
            BREAKERS_OPEN.set(sum(one.phase not in shut for one in self._breakers.values()))
        return alarm


def is_plain_good(reaction: Reaction) -> bool:
    """Whether it says no more than that the service works and knows the credential."""
    return (
        reaction.signal is Signal.GOOD
        and reaction.alert is None
        and reaction.credential is CredentialAction.KEEP
    )
