"""A stretch: claimed pushes that are begun in one turn of the loop, and what they share."""

from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

from app.core.push import Purpose
from app.infra.boottime import boottime
from app.push.claimed import Batch, ClaimedPlace, ClaimedPush
from app.push.deciding import CredentialSet
from app.push.life import Life
from app.push.moments import Moment, Unix
from app.push.preparing import Preparing

AT_A_STRETCH = 50
FIRST_STRETCH = 10
"""Pushes that are made before the loop gets its turn, and of a large claim at first."""


class Stretch:
    """Pushes that are begun in one go, and what is the same for all of them.

    `read` is when the claim's statement began (`boottime()`), `now` loop time.
    """

    __slots__ = (
        "_ahead", "_start_by", "_until", "life", "moment", "now", "preparing", "read", "usable",
    )  # fmt: skip

    def __init__(
        self,
        life: Life,
        read: float,
        preparing: Preparing,
        usable: CredentialSet,
        now: float,
        unix: float,
    ) -> None:
        self.life, self.read, self.preparing, self.usable = life, read, preparing, usable
        self.now = now
        self.moment = Moment(unix)
        self._until = Unix()
        self._start_by = life.start_by(read)
        self._ahead = boottime() - now

    def deadline(self, at: datetime) -> float:
        """A wall time on the loop's clock."""
        return self.now - self.moment.unix + self._until.of(at)

    def start_by(self, deadline: float) -> float:
        """Until when (`boottime()`) what was read is good enough to begin with."""
        return min(self._start_by, self._ahead + deadline)


def first_stretch(claimed: int) -> int:
    """How many of so many pushes are made before the first leave.

    The first few of a large claim are soon away; what is made in one stretch is one write, since
    each wakes whoever reads it, which costs as much as some pushes do.
    """
    return AT_A_STRETCH if claimed < AT_A_STRETCH else FIRST_STRETCH


def runs(pushes: Sequence[ClaimedPush]) -> Iterator[tuple[Batch | None, list[ClaimedPush]]]:
    """Those in their order, as far as they come one after another in one batch, or in none."""
    for batch, run in groupby(pushes, _batch_of):
        yield batch, list(run)


def _batch_of(push: ClaimedPush) -> Batch | None:
    return push.batch if isinstance(push, ClaimedPlace) else None


def in_turn(claimed: Sequence[ClaimedPush]) -> tuple[deque[ClaimedPush], list[ClaimedPush]]:
    """Who has not been tried yet goes before those that are tried again; what was missed last."""
    missed = [push for push in claimed if push.purpose is Purpose.MISSED]
    if missed or any(push.tried for push in claimed):
        claimed = sorted(claimed, key=lambda push: bool(push.tried))
        missed = [push for push in claimed if push.purpose is Purpose.MISSED]
    return deque(push for push in claimed if push.purpose is not Purpose.MISSED), missed
