"""The engine's entry point, under aioapns's own name for it."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from random import random as random_float

from aioapns import APNs
from aioapns.common import NotificationRequest

from app.apns.connect import Endpoint
from app.apns.credential import Credential, Identity
from app.apns.flight import Flight
from app.apns.outcome import PushOutcome
from app.apns.pool import ApnsPool
from app.apns.request import PushRequest
from app.apns.timing import Timing
from app.core.frozen import frozen
from app.infra import clock


@frozen
class SenderStats:
    """A sender at one moment. `streams` are pushes owed an answer, `waiting` those without a slot.

    `connections` take pushes, `leaving` only finish what they have. `handshakes` and
    `connect_failures` count since the start; `last_failure` is the latest cause in words.
    """

    connections: int
    leaving: int
    streams: int
    waiting: int
    slots: int
    handshakes: int
    connect_failures: int
    last_failure: str | None


class Sender(APNs):
    """Pushes of one credential to one environment, over connections that stay open.

    `url` is `https://host[:port]`; `ca_file` a PEM of trust anchors, None for the system's.
    `wall_clock` gives unix seconds for provider tokens and Retry-After; `random` a float in
    [0, 1) for jitter. Make it on a running event loop and use it there only. Raises ValueError,
    in a sentence, for a credential or URL that cannot be used; connects to nothing yet.
    """

    def __init__(
        self,
        credential: Credential,
        url: str,
        *,
        ca_file: str | Path | None = None,
        topic: str | None = None,
        max_connections: int = 4,
        warm_connections: int = 1,
        streams_per_connection: int = 1_000,
        timing: Timing | None = None,
        wall_clock: Callable[[], float] = clock.unix,
        random: Callable[[], float] = random_float,
        first_stream: int = 1,
    ) -> None:
        # Not aioapns's own __init__, which would make one of its pools.
        self.err_func = None
        self._timing = timing or Timing()
        self._ca_file = ca_file
        self._wall_clock = wall_clock
        self._topic = topic
        self.pool: ApnsPool = ApnsPool(
            endpoint=Endpoint(url),
            identity=Identity(credential, ca_file, wall_clock),
            max_connections=max(max_connections, warm_connections),
            warm_connections=warm_connections,
            streams_per_connection=streams_per_connection,
            timing=self._timing,
            wall_clock=wall_clock,
            random=random,
            first_stream=first_stream,
        )

    async def send(self, request: PushRequest, deadline: float) -> PushOutcome:
        """Send one push; `deadline` is a `loop.time()`. The outcome comes before it.

        Never raises but CancelledError, upon which the stream is reset and its slot returned.
        """
        flight = self.pool.submit(request, deadline)
        try:
            return await flight.future
        except asyncio.CancelledError:
            self.pool.withdraw(flight)
            raise

    async def send_notification(self, request: NotificationRequest) -> PushOutcome:
        """aioapns's entry point: `send` with the request's own deadline, else 30 s from now."""
        if not isinstance(request, PushRequest):
            request = PushRequest.of(request, now=self._wall_clock(), topic=self._topic)
        deadline = request.deadline
        if deadline is None:
            deadline = self.pool.loop.time() + self._timing.send
        return await self.send(request, deadline)

    def start(self, request: PushRequest, deadline: float, start_by: float = math.inf) -> Flight:
        """`send` without a task: the flight's `future` gets the outcome. For many at once.

        No stream is opened for it from `start_by` on (`boottime()`), since what is known of the
        push is too old by then: it waits until `renew` says how long it may begin. Whoever loses
        interest calls `abandon`; cancelling the future alone keeps its slot busy until its
        deadline.
        """
        return self.pool.submit(request, deadline, start_by)

    def renew(self, flight: Flight, start_by: float) -> None:
        """A push that has no stream yet may begin until `start_by`; no harm if it has ended."""
        self.pool.renew(flight, start_by)

    def is_held_back(self, flight: Flight) -> bool:
        """Whether a push had its turn after its `start_by`, and waits to be renewed."""
        return flight in self.pool.stale

    def abandon(self, flight: Flight) -> None:
        """Reset the stream of a push that was begun with `start`; no harm if it has ended."""
        flight.future.cancel()
        self.pool.withdraw(flight)

    async def warm(self, within: float = 10.0) -> bool:
        """Have the warm connections ready; False after `within` seconds, see `stats()`."""
        return await self.pool.keeper.warm(within)

    def replace_credential(self, credential: Credential) -> None:
        """Push with this credential from now on; raises ValueError and changes nothing if unfit.

        Old connections serve until one with the new credential is ready, then finish and close.
        """
        self.pool.keeper.replace_identity(Identity(credential, self._ca_file, self._wall_clock))

    async def drain(self, deadline: float) -> None:
        """Stop: no new streams, open ones may end until `deadline` (`loop.time()`), then close."""
        await self.pool.drain(deadline)

    async def close(self) -> None:
        """Stop at once: pushes in flight end as lost, waiting ones as never sent."""
        await self.pool.aclose()

    def stats(self) -> SenderStats:
        """The sender at this moment."""
        keeper = self.pool.keeper
        return SenderStats(
            connections=len(keeper.connections),
            leaving=sum(x.retired is not None for x in keeper.sockets),
            streams=sum(len(x.streams) for x in keeper.sockets),
            waiting=len(self.pool.waiting) + len(self.pool.stale),
            slots=sum(x.slots for x in keeper.connections),
            handshakes=keeper.handshakes,
            connect_failures=keeper.failures,
            last_failure=keeper.last_failure,
        )
