"""What a push service's answer, or the lack of one, means: what to do now, as a value."""

from dataclasses import replace
from typing import Final

from app.core.answer_rows import ACCEPTED, follow
from app.core.push_policy import Alert, Attempt, Known, Reaction, Signal
from app.webpush import answer_table as table

DEVICE_REFUSALS: Final = frozenset({"vapid_refused"})
"""Said of one subscription, it may be that one's; of one after another, the key's."""

row_of_stored: Final = table.TABLE.row_of_stored


def react(attempt: Attempt, known: Known, random: float) -> Reaction:
    """What to do about the end of one attempt to push; `random` in [0, 1) is for jitter.

    A push service that fails or refuses speaks for itself alone, as it may be anybody's: it moves
    no breaker and stops no credential. Refused by subscription after subscription, that is told.
    """
    row = table.TABLE.row_of(attempt)
    failing = row is table.VAPID_REFUSED and known.burst
    return replace(
        follow(row, attempt, known, random),
        signal=Signal.GOOD if row is ACCEPTED else Signal.NOTHING,
        alert=Alert.CREDENTIAL_FAILING if failing else None,
        other_credential=False,
    )
