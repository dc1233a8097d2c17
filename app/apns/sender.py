"""The engine's entry point: a push in, an outcome out."""

import asyncio
import math
from collections.abc import Callable
from pathlib import Path
from random import random as random_float

from aioapns.common import NotificationRequest

from app.apns.credential import Credential, Identity
from app.apns.listener import ApnsListener
from app.apns.outcome import PushOutcome
from app.apns.pending import PendingPush
from app.apns.request import PushRequest
from app.core.frozen import frozen
from app.http2.connect import Endpoint
from app.http2.pool import Pool
from app.http2.timing import Timing
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


class Sender:
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
        self._timing = timing or Timing()
        self._ca_file = ca_file
        self._wall_clock = wall_clock
        self._topic = topic
        listener = ApnsListener()
        self.pool = listener.pool = Pool(
            listener,
            endpoint=Endpoint(url),
            identity=Identity(credential, ca_file, wall_clock),
            max_connections=max_connections,
            warm_connections=warm_connections,
            streams_per_connection=streams_per_connection,
            timing=self._timing,
            random=random,
            first_stream=first_stream,
        )

    async def send(self, request: PushRequest, deadline: float) -> PushOutcome:
        """Send one push; `deadline` is a `loop.time()`. The outcome comes before it.

        Never raises but CancelledError, upon which the stream is reset and its slot returned.
        """
        pending = self.start(request, deadline)
        try:
            return await pending.future
        except asyncio.CancelledError:
            self.pool.withdraw(pending)
            raise

    async def send_notification(self, request: NotificationRequest) -> PushOutcome:
        """aioapns's entry point: `send` with the request's own deadline, else 30 s from now."""
        if not isinstance(request, PushRequest):
            request = PushRequest.of(request, now=self._wall_clock(), topic=self._topic)
        deadline = request.deadline
        if deadline is None:
            deadline = self.pool.loop.time() + self._timing.send
        return await self.send(request, deadline)

    def start(
        self, request: PushRequest, deadline: float, start_by: float = math.inf
    ) -> PendingPush:
        """`send` without a task: its `future` gets the outcome. For many at once.

        No stream is opened for it from `start_by` on (`boottime()`), since what is known of the
        push is too old by then: it waits until `renew` says how long it may begin. Whoever loses
        interest calls `abandon`; cancelling the future alone keeps its slot busy until its
        deadline.
        """
        loop = self.pool.loop
        pending = PendingPush(
            request, deadline, loop.time(), loop.create_future(), self._wall_clock, start_by
        )
        self.pool.submit(pending)
        return pending

    def renew(self, pending: PendingPush, start_by: float) -> None:
        """A push that has no stream yet may begin until `start_by`; no harm if it has ended."""
        self.pool.renew(pending, start_by)

    def is_held_back(self, pending: PendingPush) -> bool:
        """Whether a push had its turn after its `start_by`, and waits to be renewed."""
        return pending in self.pool.stale

    def abandon(self, pending: PendingPush) -> None:
        """Reset the stream of a push that was begun with `start`; no harm if it has ended."""
        pending.future.cancel()
        self.pool.withdraw(pending)

    async def warm(self, within: float = 10.0) -> bool:
        """Have the warm connections ready; False after `within` seconds, see `stats()`."""
        return await self.pool.manager.warm(within)

    def replace_credential(self, credential: Credential) -> None:
        """Push with this credential from now on; raises ValueError and changes nothing if unfit.

        Old connections serve until one with the new credential is ready, then finish and close.
        """
        identity = Identity(credential, self._ca_file, self._wall_clock)
        self.pool.manager.replace_identity(identity)

    async def drain(self, deadline: float) -> None:
        """Stop: no new streams, open ones may end until `deadline` (`loop.time()`), then close."""
        await self.pool.drain(deadline)

    async def close(self) -> None:
        """Stop at once: pushes in pending end as lost, waiting ones as never sent."""
        await self.pool.close()

    def stats(self) -> SenderStats:
        """The sender at this moment."""
        manager = self.pool.manager
        return SenderStats(
            connections=len(manager.connections),
            leaving=sum(x.retired is not None for x in manager.sockets),
            streams=sum(len(x.streams.open) for x in manager.sockets),
            waiting=len(self.pool.waiting) + len(self.pool.stale),
            slots=sum(x.slots for x in manager.connections),
            handshakes=manager.handshakes,
            connect_failures=manager.failures,
            last_failure=manager.last_failure,
        )
