"""One life of a worker: as long as the database knows it, and nobody has condemned it."""

import math
from datetime import datetime
from uuid import UUID

from app.infra.boottime import boottime
from app.infra.ids import uuid7
from app.push.claims import ALWAYS
from app.push.worker_store import Renewal

LEASE = 2.0
"""Seconds for which a claim outlives its worker's last sign of life (renewed every 0.5 s)."""

FRESH = 0.25
"""Seconds for which what was read of a push is good enough to begin with: no longer than that
after a settle or a token's move has committed is anything handed over."""


class Life:
    """Under one id from its first sign of life on. Times are `boottime()`."""

    def __init__(self) -> None:
        self.id: UUID = uuid7()
        self.entered = False
        self.ended = False
        self.since: datetime = ALWAYS
        """Rows made before may be in another's hands, though the database does not say so."""
        self._renewed = -math.inf
        self._born: datetime | None = None

    def renewed(self, begun: float, renewal: Renewal) -> bool:
        """Take a sign of life that began then; whether there was a gap: the database was away.

        A crash of the database may have taken claims back, so until this worker has been unbroken
        for a lease it claims nothing older than the gap: whoever holds it will have said so.
        """
        gap = self.entered and begun > self._renewed + LEASE
        self._born = self._born or renewal.unbroken_since
        self._renewed, self.entered = begun, True
        unbroken = (renewal.now - renewal.unbroken_since).total_seconds()
        broken = renewal.unbroken_since != self._born and unbroken < LEASE
        self.since = renewal.unbroken_since if broken else ALWAYS
        return gap

    def is_alive(self) -> bool:
        """Whether nobody can have taken over its claims, with some time to spare."""
        return not self.ended and boottime() < self._renewed + 0.75 * LEASE

    def start_by(self, read: float) -> float:
        """Until when a push may begin of which the last was read at `read`."""
        if self.ended:
            return -math.inf
        return min(read + FRESH, self._renewed + 0.75 * LEASE)
