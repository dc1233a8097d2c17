"""What senders over HTTP/2 share: a pool of connections for one credential, and its life."""

import asyncio
import math
from collections.abc import Callable, Collection, Sequence
from random import random as random_float
from typing import Any, Final, Generic, TypeVar

from app.core.frozen import frozen
from app.core.outcome import Ended
from app.core.push_policy import NoAnswer
from app.http2.connect import Endpoint
from app.http2.exchange import Exchange
from app.http2.manager import Identity
from app.http2.pool import Listener, Pool
from app.http2.timing import Timing


class Pending(Exchange):
    """An exchange whose end is awaited: `future` gets the outcome."""

    __slots__ = ("future",)

    def __init__(
        self,
        payload: bytes,
        deadline: float,
        loop: asyncio.AbstractEventLoop,
        start_by: float = math.inf,
    ) -> None:
        super().__init__(payload, deadline, loop.time(), start_by)
        self.future: asyncio.Future[Any] = loop.create_future()

    def unanswered(
        self,
        kind: NoAnswer,
        cause: str,
        *,
        now: float,
        may_have_reached: bool = False,
        reason: str | None = None,
    ) -> None:
        self.end(
            self.outcome(
                now, no_answer=kind, cause=cause, reason=reason, may_have_reached=may_have_reached
            )
        )

    def outcome(self, now: float, **said: Any) -> object:
        """How it ended at `now`, as its sender says it: with these fields of an Outcome."""
        return Ended(self.started, now, **said)

    def end(self, outcome: object) -> None:
        """Say how it ended, unless nobody wants to know."""
        if not self.future.done():
            self.future.set_result(outcome)


P = TypeVar("P", bound=Pending)


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


def stats_of(pools: Collection[Pool]) -> SenderStats:
    """A sender of these pools at this moment."""
    managers = [pool.manager for pool in pools]
    failures = [one.last_failure for one in managers if one.last_failure is not None]
    return SenderStats(
        connections=sum(len(one.connections) for one in managers),
        leaving=sum(x.retired is not None for one in managers for x in one.sockets),
        streams=sum(len(x.streams.open) for one in managers for x in one.sockets),
        waiting=sum(len(pool.waiting) + len(pool.stale) for pool in pools),
        slots=sum(x.slots for one in managers for x in one.connections),
        handshakes=sum(one.handshakes for one in managers),
        connect_failures=sum(one.failures for one in managers),
        last_failure=failures[-1] if failures else None,
    )


class PooledSender(Generic[P]):
    """Pushes of one identity to one address, over connections that stay open.

    `url` is `https://host[:port]`; `random` a float in [0, 1) for jitter. Made and used on one
    running event loop. Raises ValueError, in a sentence, for a URL that cannot be used; connects to
    nothing yet.
    """

    def __init__(
        self,
        listener: Listener,
        identity: Identity,
        url: str,
        *,
        max_connections: int = 4,
        warm_connections: int = 1,
        streams_per_connection: int = 1_000,
        timing: Timing | None = None,
        random: Callable[[], float] = random_float,
        first_stream: int = 1,
    ) -> None:
        self.timing: Final = timing or Timing()
        self.pool: Final = Pool(
            listener,
            endpoint=Endpoint(url),
            identity=identity,
            max_connections=max_connections,
            warm_connections=warm_connections,
            streams_per_connection=streams_per_connection,
            timing=self.timing,
            random=random,
            first_stream=first_stream,
        )

    def start(self, request: Any, deadline: float, start_by: float = math.inf) -> P:
        """Have this sent before `deadline` (`loop.time()`): its `future` gets the outcome.

        No stream is opened for it from `start_by` on (`boottime()`), since what is known of the
        push is too old by then: it waits until `renew` says how long it may begin. Whoever loses
        interest calls `abandon`; cancelling the future alone keeps its slot busy until its
        deadline.
        """
        raise NotImplementedError

    def start_all(
        self, requests: Sequence[Any], deadline: float, start_by: float = math.inf
    ) -> list[P]:
        """`start` of each, in their order."""
        return [self.start(one, deadline, start_by) for one in requests]

    async def send(self, request: Any, deadline: float) -> Any:
        """Send one push; the outcome comes before the deadline.

        Never raises but CancelledError, upon which the stream is reset and its slot returned.
        """
        pending = self.start(request, deadline)
        try:
            return await pending.future
        except asyncio.CancelledError:
            self.pool.withdraw(pending)
            raise

    def renew(self, pending: P, start_by: float) -> None:
        """A push that has no stream yet may begin until `start_by`; no harm if it has ended."""
        self.pool.renew(pending, start_by)

    def is_held_back(self, pending: P) -> bool:
        """Whether a push had its turn after its `start_by`, and waits to be renewed."""
        return pending in self.pool.stale

    def abandon(self, pending: P) -> None:
        """Reset the stream of a push that was begun; no harm if it has ended."""
        pending.future.cancel()
        self.pool.withdraw(pending)

    async def warm(self, within: float = 10.0) -> bool:
        """Have the warm connections ready; False after `within` seconds, see `stats()`."""
        return await self.pool.manager.warm(within)

    async def drain(self, deadline: float) -> None:
        """Stop: no new streams, open ones may end until `deadline` (`loop.time()`), then close."""
        await self.pool.drain(deadline)

    async def close(self) -> None:
        """Stop at once: pushes in flight end as lost, waiting ones as never sent."""
        await self.pool.close()

    def stats(self) -> SenderStats:
        """The sender at this moment."""
        return stats_of((self.pool,))
