"""Pushes between a sender and its outcome, and what those of a batch share on their way there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from app.credentials.usable import Usable
from app.infra.sender import Pending, Sender
from app.push.claimed import Claim, ClaimedPush
from app.push.deciding import CredentialSet
from app.push.life import Life
from app.push.results import Result


@dataclass(slots=True, eq=False)
class Course:
    """By what a batch's pushes go that are begun in one stretch: the same for each.

    `request` makes what the sender takes. `deadline` is loop time, `start_by` `boottime()`.
    """

    credential: Usable
    sender: Sender
    request: Callable[[ClaimedPush], Any]
    deadline: float
    start_by: float


@dataclass(slots=True, eq=False)
class InFlight:
    """A push that was handed to a sender and has no outcome yet; `usable` are its credentials.

    `claim` is under what the worker has it. `looked` is when it was last known to be wanted
    (`boottime()`), `deadline` is loop time. `unmarked`: inherited, and not yet noted as having its
    one repeat. `end` is how it ends if it is taken back; None then means that nothing is to be said
    of it, since it is another's.
    """

    claim: Claim
    push: ClaimedPush
    life: Life
    sender: Sender
    pending: Pending
    credential: Usable
    usable: CredentialSet
    deadline: float
    looked: float
    unmarked: bool
    repeated: bool
    end: Result | None = None

    def waits(self) -> bool:
        """Whether no stream has been opened for it."""
        return not self.pending.stream and not self.pending.future.done()

    def is_held_back(self) -> bool:
        """Whether its turn has come, and what is known of it was too old."""
        return self.sender.is_held_back(self.pending)
