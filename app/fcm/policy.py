"""What Google's answer to a message, or the lack of one, means: what to do now, as a value."""

from typing import Final

from app.core.answer_rows import DEVICE, STOPPED, follow
from app.core.push_policy import Alert, Attempt, Known, Reaction, TokenAction, Verdict
from app.fcm import answer_table as table

DEVICE_REFUSALS: Final = frozenset({table.BAD_TOKEN, table.MISMATCH})
"""What is said of one device's token alone; of token after token it means a wrong credential."""

row_of_stored: Final = table.TABLE.row_of_stored


def react(attempt: Attempt, known: Known, random: float) -> Reaction:
    """What to do about the end of one attempt to push; `random` in [0, 1) is for jitter."""
    row = table.TABLE.row_of(attempt)
    if row is table.OF_ANOTHER_PROJECT and known.burst:
        row = table.WRONG_PROJECT
    if row is DEVICE:
        return _device_refused(known)
    if row is table.UNAUTHENTICATED and known.earlier.get(row.name):
        row = STOPPED  # a token that was just fetched is refused as well
    return follow(row, attempt, known, random)


def _device_refused(known: Known) -> Reaction:
    """Google cannot read the token: believed of a credential that has been seen to work."""
    name = DEVICE.name
    if known.burst:
        return Reaction(Verdict.REFUSED, name, alert=Alert.BAD_TOKEN_BURST)
    proven = known.may_retire and known.token_unchanged
    return Reaction(Verdict.REFUSED, name, token=TokenAction.RETIRE if proven else TokenAction.KEEP)
