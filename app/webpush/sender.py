"""Web Push's entry point: a message in, an outcome out. Each push service has its own pool."""

import asyncio
import math
import ssl
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import random
from typing import Final

from app.core.push_policy import ConnectionAction, NoAnswer
from app.http2.connection import Connection
from app.http2.exchange import Exchange
from app.http2.http1 import Fallback
from app.http2.pool import Pool
from app.http2.sender import SenderStats, stats_of
from app.http2.timing import Timing
from app.http2.tls import TrustingContext, client_context
from app.infra.addresses import Names, is_public
from app.infra.tasks import Tasks
from app.webpush.answer_table import TABLE
from app.webpush.guard import GuardedEndpoint
from app.webpush.headers import HeaderWriter, http1_request
from app.webpush.message import WebPushMessage
from app.webpush.pending import PendingMessage
from app.webpush.vapid import VapidKey, VapidTokens

MOST_ORIGINS: Final = 64
"""Push services that one key has connections to: a browser's maker has one, UnifiedPush many."""


class Identity:
    """A VAPID key made ready for one push service."""

    one_stream_first: Final = False

    def __init__(self, tls: TrustingContext, authorization: Callable[[], bytes]) -> None:
        self._tls = tls
        self._authorization = authorization

    @property
    def context(self) -> ssl.SSLContext:
        return self._tls.context

    async def prepare(self) -> None:
        """Have trust anchors."""
        await self._tls.load()

    def header_writer(self, authority: str) -> HeaderWriter:
        """For a new connection."""
        return HeaderWriter(authority, self._authorization)


class WebPushListener:
    """Hears the answers of one push service; `pool` is set once that is made."""

    pool: Pool

    def on_answer(self, connection: Connection, exchange: Exchange) -> None:
        """Any answer but trouble shows that the connection works."""
        if TABLE.row_for(exchange.code, None, None).connection is ConnectionAction.SPARE:
            self.pool.rest(connection)
        else:
            connection.prove()

    def reason_of(self, debug: bytes) -> str | None:  # noqa: ARG002 - a Listener's
        """A push service gives no reason when it goes away."""
        return None


class WebPushSender:
    """Pushes of one VAPID key, over connections that stay open while they are used.

    `ca_file` is a PEM of trust anchors, None for the system's; `wall_clock` gives unix seconds;
    `judge` says which addresses may be reached. Made and used on one running event loop. Raises
    ValueError, in a sentence, for a key that cannot be used; connects to nothing yet.
    """

    def __init__(
        self,
        key: VapidKey,
        *,
        ca_file: str | Path | None = None,
        wall_clock: Callable[[], float],
        judge: Callable[[str], bool] = is_public,
        max_connections: int = 2,
        timing: Timing | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._vapid = VapidTokens(key, wall_clock)
        self._tls = TrustingContext(ca_file, client_context("h2", "http/1.1"))
        self._wall_clock = wall_clock
        self._judge = judge
        self._names = Names()
        self._most = max_connections
        self._timing = timing or Timing()
        self._pools: OrderedDict[str, Pool] = OrderedDict()
        """By push service, the last used last."""
        self._tasks = Tasks("webpush")

    def start(
        self, request: WebPushMessage, deadline: float, start_by: float = math.inf
    ) -> PendingMessage:
        """Send before `deadline` (loop time); its `future` gets the outcome."""
        pending = PendingMessage(request, deadline, self._loop, self._wall_clock, start_by)
        try:
            pending.pool = self._pool(request.origin)
        except ValueError as error:
            now = self._loop.time()
            pending.unanswered(NoAnswer.NEVER_SENT, str(error), now=now)
        else:
            pending.pool.submit(pending)
        return pending

    def start_all(
        self, requests: Sequence[WebPushMessage], deadline: float, start_by: float = math.inf
    ) -> list[PendingMessage]:
        """`start` of each, in their order."""
        return [self.start(one, deadline, start_by) for one in requests]

    async def send(self, request: WebPushMessage, deadline: float) -> object:
        """The same, awaited."""
        pending = self.start(request, deadline)
        try:
            return await pending.future
        except asyncio.CancelledError:
            self.abandon(pending)
            raise

    def renew(self, pending: PendingMessage, start_by: float) -> None:
        """One that has no stream yet may begin until `start_by`; no harm if it has ended."""
        if pending.pool is not None:
            pending.pool.renew(pending, start_by)

    def is_held_back(self, pending: PendingMessage) -> bool:
        """Whether one had its turn after its `start_by`, and waits to be renewed."""
        return pending.pool is not None and pending in pending.pool.stale

    def abandon(self, pending: PendingMessage) -> None:
        """Nobody wants its outcome any more."""
        pending.future.cancel()
        if pending.pool is not None:
            pending.pool.withdraw(pending)

    async def warm(self, within: float = 0.0) -> bool:  # noqa: ARG002 - a Sender's
        """Ready at any time: where pushes go is known when there is one."""
        return True

    async def drain(self, deadline: float) -> None:
        """Begin nothing more; what has begun may end until `deadline` (loop time)."""
        await asyncio.gather(*(pool.drain(deadline) for pool in self._pools.values()))
        await self._tasks.stop(1.0)

    async def close(self) -> None:
        """End everything now."""
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        await self._tasks.stop(1.0)

    def stats(self) -> SenderStats:
        """All push services together."""
        return stats_of(self._pools.values())

    def _pool(self, origin: str) -> Pool:
        """The connections to a push service. Raises ValueError when there are too many at once."""
        pool = self._pools.get(origin)
        if pool is None:
            self._make_room()
            pool = self._pools[origin] = self._open(origin)
        else:
            self._pools.move_to_end(origin)
        return pool

    def _make_room(self) -> None:
        """Let go of the push service that has not been wanted for longest, and owes nothing.

        If all do, of one that has answered nothing yet: whoever subscribes could name services that
        are silent, until none is left for the others.
        """
        if len(self._pools) < MOST_ORIGINS:
            return
        pools = self._pools.items()
        silent = (name for name, pool in pools if not pool.has_worked())
        going = next((name for name, pool in pools if not pool.in_flight), None) or next(
            silent, None
        )
        if going is None:
            raise ValueError(f"{MOST_ORIGINS} push services are busy at once")
        cause = "the push service was silent while others were wanted"
        self._tasks.spawn("leave", self._pools.pop(going).close(cause))

    def _open(self, origin: str) -> Pool:
        listener = WebPushListener()
        endpoint = GuardedEndpoint(origin, self._names, self._judge)
        authorization = partial(self._vapid.authorization, origin)
        listener.pool = Pool(
            listener,
            endpoint=endpoint,
            identity=Identity(self._tls, authorization),
            max_connections=self._most,
            warm_connections=0,
            streams_per_connection=1_000,
            timing=self._timing,
            random=random,
            fallback=Fallback(partial(http1_request, endpoint.authority, authorization)),
        )
        return listener.pool
