"""What a hint to those who push says: of which row, and what there is of it to send.

An id's text says both, in forms that whoever knows no kinds (the release before) reads as the same
id; and what such a one tells is of any kind.
"""

from enum import Enum, auto
from uuid import UUID

from app.core.frozen import frozen


class HintOf(Enum):
    """What is to be sent; each is found by a claim of its own."""

    RING = auto()
    """Pushes of a ring, due now; the id is the ring's."""
    STOP = auto()
    """That a ring is over, due now; the id is the ring's."""
    LATER = auto()
    """The same, due a moment after the commit."""
    BATCH = auto()
    """Pushes in batches, due now; the id is the call's."""
    ANY = auto()
    """Any of these."""


@frozen
class PushHint:
    """A hint; its text is what goes in a message."""

    of: HintOf
    id: UUID

    def __str__(self) -> str:
        match self.of:
            case HintOf.RING:
                return self.id.hex
            case HintOf.STOP:
                return f"{{{self.id}}}"
            case HintOf.LATER:
                return f"{{{self.id.hex}}}"
            case HintOf.BATCH:
                return self.id.urn
            case HintOf.ANY:
                return str(self.id)


def read_hint(text: str) -> PushHint:
    """The hint that this text is. Raises ValueError, TypeError or AttributeError for none."""
    of = HintOf.ANY if "-" in text else HintOf.RING
    if text.startswith("urn:"):
        of = HintOf.BATCH
    elif text.startswith("{"):
        of = HintOf.STOP if "-" in text else HintOf.LATER
    return PushHint(of, UUID(text))
