"""What one worker knows of how its credentials fare: breakers and counts of refused tokens."""

import math
from uuid import UUID

from app.core.breaker import Breaker, Phase, TokenRefusals, admit, record
from app.core.reaction import Alert, Reaction
from app.credentials.usable import Usable
from app.infra.observe import BREAKERS_OPEN

Key = tuple[UUID, int, str]
"""A credential's id, its version, and the environment."""

DEVICE_REFUSED = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic"})
SECOND_THOUGHTS = 2.0
"""Seconds for which a stop of ours stands although the database does not know of it (yet)."""


class Breakers:
    """One breaker and one count per credential, version and environment. `now` is loop time."""

    def __init__(self) -> None:
        self._breakers: dict[Key, Breaker] = {}
        self._refusals: dict[Key, TokenRefusals] = {}
        self._stopped_at: dict[Key, float] = {}

    def wait(self, credential: Usable, environment: str, now: float) -> float | None:
        """Seconds until a push may go by this credential; None: now; infinity: it is stopped.

        A stopped one goes on when the database no longer calls it refused: a probe, or a person,
        has found it in order.
        """
        key = (credential.id, credential.version, environment)
        breaker = self._breakers.get(key)
        if breaker is None:
            return None
        if breaker.phase is Phase.STOPPED and environment not in credential.refused:
            if now - self._stopped_at.get(key, -math.inf) < SECOND_THOUGHTS:
                return math.inf
            breaker = Breaker()
        self._breakers[key], seconds = admit(breaker, now)
        return seconds

    def suspicion(self, credential: Usable, environment: str, now: float) -> tuple[bool, bool]:
        """(a burst of refused device tokens, whether a refused one may be believed dead)."""
        refusals = self._refusals.get((credential.id, credential.version, environment))
        if refusals is None:
            return False, False
        return refusals.burst(now), refusals.may_retire(now)

    def note_answer(
        self, credential: Usable, environment: str, code: int, reason: str | None, now: float
    ) -> None:
        """Count an answer, before it is known what it means."""
        if code != 200 and reason not in DEVICE_REFUSED:
            return
        key = (credential.id, credential.version, environment)
        counted = self._refusals.get(key, TokenRefusals())
        self._refusals[key] = counted.note(refused=code != 200, now=now)

    def note_reaction(
        self, credential: Usable, environment: str, reaction: Reaction, now: float
    ) -> Alert | None:
        """Move the breaker; answers an alarm if one is due."""
        key = (credential.id, credential.version, environment)
        before = self._breakers.get(key, Breaker())
        after, alarm = record(before, reaction, now)
        self._breakers[key] = after
        if after.phase is Phase.STOPPED and before.phase is not Phase.STOPPED:
            self._stopped_at[key] = now
        if after.phase is not before.phase:
            shut = (Phase.CLOSED,)
            BREAKERS_OPEN.set(sum(one.phase not in shut for one in self._breakers.values()))
        return alarm
