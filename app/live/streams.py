"""Live streams of one process: who is listening, who has news, and what they read.

The rows are the truth. A stream knows the number of the last event that it has given; it is woken
by a hint (this process has committed something, or another says so), and every two seconds one
query compares the numbers of all users who listen: that holds when Redis is away. What woken
streams want to read is gathered into one query for all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.claims import is_revoked
from app.core.event import rfc3339
from app.infra import horizon
from app.infra.batching import Batcher
from app.infra.db import Connection, clock, dump_json
from app.infra.errors import TooMany, Unavailable
from app.infra.news import Item
from app.infra.observe import STREAM_ENDS, STREAMS
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks
from app.live import feeds
from app.live.feeds import Key, Page

MOST_GATHERED = 500
COMPARE_WITHIN = 20.0

LiveCalls = Callable[[Connection, Sequence[Key]], Awaitable[dict[Key, list[dict[str, Any]]]]]
KeepPresent = Callable[[Sequence[tuple[UUID, str, str]]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Of the streams of one process; times in seconds.

    `compare`: between two looks at whether anybody has news that no hint told of. `keep_alive`: of
    silence, after which a stream says that it is there. `recognise`: after which a credential is
    looked at again, as it may have been revoked. `send_within`: for which a reader may take nothing
    while its buffers are full. `hello_within`: for a WebSocket's first message.
    """

    streams: int = 10_000
    of_one_user: int = 200
    compare: float = 2.0
    keep_alive: float = 15.0
    recognise: float = 60.0
    send_within: float = 10.0
    hello_within: float = 5.0


class Ending(StrEnum):
    """Why the server ends a stream. After each a client may connect again, but for what it says."""

    SHUTDOWN = "server_shutdown"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    UNAUTHORIZED = "unauthorized"
    SLOW_READER = "slow_reader"
    USER_ERASED = "user_erased"
    REVOKED = "token_revoked"
    UNAVAILABLE = "temporarily_unavailable"
    CLIENT_LEFT = "client_left"


@dataclass(eq=False, slots=True)
class Stream:
    """One open stream. `position`: the last number given, None before the snapshot.

    `of_user`: opened with a user token, which was issued then (Unix seconds) if it says so.
    """

    tenant_id: UUID
    user_id: str
    device_id: str | None = None
    expires: float | None = None
    of_user: bool = False
    issued: float | None = None
    position: int | None = None
    known: int = -1
    renew: bool = False
    begun: list[dict[str, Any]] | None = None
    ending: Ending | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def key(self) -> Key:
        return self.tenant_id, self.user_id

    def end(self, why: Ending) -> None:
        """Say that it is over; the first reason counts."""
        self.ending = self.ending or why
        self.wake.set()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a stream begins with: the user's live calls, as they are after event `seq`."""

    seq: int
    calls: list[dict[str, Any]]
    at: datetime
    new: bool

    def body(self) -> str:
        """JSON as clients get it."""
        what = {"type": "snapshot", "seq": self.seq, "at": rfc3339(self.at), "calls": self.calls}
        return dump_json(what)


class Streams:
    """Every open stream of this process. Belongs to one event loop."""

    def __init__(
        self,
        runtime: Runtime,
        live_calls: LiveCalls,
        keep_present: KeepPresent,
        limits: Limits | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._runtime = runtime
        self._live_calls = live_calls
        self._keep_present = keep_present
        self._open: dict[Key, set[Stream]] = {}
        self._count = 0
        self._closing = False
        self._pages = Batcher(self._read_pages, MOST_GATHERED)
        self._snapshots = Batcher(self._read_snapshots, MOST_GATHERED)
        self._tasks = Tasks("streams")
        runtime.news.listen(self._heard)

    def start(self) -> None:
        """Begin to listen and to compare."""
        self._tasks.supervise("hear", self._runtime.news.hear)
        self._tasks.every("compare", self.limits.compare, self._look, within=COMPARE_WITHIN)

    def end_all(self) -> None:
        """The server goes: every stream ends, and no new one begins."""
        self._closing = True
        for streams in self._open.values():
            for stream in streams:
                stream.end(Ending.SHUTDOWN)

    async def close(self) -> None:
        """End what is still open, and stop listening."""
        self.end_all()
        await self._tasks.stop()

    @property
    def count(self) -> int:
        """How many are open."""
        return self._count

    # --- coming and going ----------------------------------------------------------------------

    def open(self, stream: Stream) -> None:
        """Count this stream in. Raises Unavailable (503) or TooMany (429)."""
        if self._closing:
            raise Unavailable("shutting_down", "this server is stopping; connect again")
        if self._count >= self.limits.streams:
            raise Unavailable(
                "too_many_streams", "this server has all the streams that it can hold"
            )
        of_user = self._open.setdefault(stream.key, set())
        if len(of_user) >= self.limits.of_one_user:
            raise TooMany(
                "too_many_streams",
                f"a user may have {self.limits.of_one_user} streams open",
                retry_after=5,
            )
        of_user.add(stream)
        self._count += 1
        STREAMS.inc()

    def leave(self, stream: Stream) -> None:
        """This stream has ended."""
        of_user = self._open.get(stream.key, set())
        if stream in of_user:
            of_user.discard(stream)
            self._count -= 1
            STREAMS.dec()
            STREAM_ENDS.labels((stream.ending or Ending.CLIENT_LEFT).value).inc()
        if not of_user:
            self._open.pop(stream.key, None)

    def revoked(self, tenant_id: UUID, user_id: str, at: float) -> None:
        """A user's tokens were taken back then (Unix seconds): streams opened with them end."""
        for stream in self._open.get((tenant_id, user_id), ()):
            if stream.of_user and is_revoked(stream.issued, at):
                stream.end(Ending.REVOKED)

    def closed(self, tenant_id: UUID) -> None:
        """A tenant was deleted: its streams end, whoever has opened them."""
        for (tenant, _), streams in self._open.items():
            for stream in streams if tenant == tenant_id else ():
                stream.end(Ending.UNAUTHORIZED)

    # --- reading -------------------------------------------------------------------------------

    async def page(self, stream: Stream, after: int) -> Page:
        """What follows event `after`, read together with what other streams want."""
        return await self._pages.submit((*stream.key, after))

    async def snapshot(self, stream: Stream) -> Snapshot:
        """The user's live calls and the number of the feed, of one moment."""
        found = await self._snapshots.submit(stream.key)
        if found.new and stream.position is None:
            self._tasks.spawn("renew", self._renew_later(stream), of_all=True)
        return found

    async def _read_pages(self, wanted: Sequence[Item]) -> list[Page]:
        distinct = list(dict.fromkeys(wanted))
        async with self._runtime.database.autocommit() as session:
            pages = await feeds.pages(session, distinct)
        by_item = dict(zip(distinct, pages, strict=True))
        return [by_item[item] for item in wanted]

    async def _read_snapshots(self, wanted: Sequence[Key]) -> list[Snapshot]:
        keys = sorted(set(wanted))
        async with self._runtime.database.transaction() as session:
            new = await feeds.open_feeds(session, keys)
        async with self._runtime.database.transaction() as session:
            # numbers and calls of one moment: an event is either in the calls or still to come
            await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
            seqs = await feeds.seqs_of(session, keys)
            calls = await self._live_calls(session, keys)
            at = await clock(session)
        return [Snapshot(seqs[key], calls.get(key, []), at, key in new) for key in wanted]

    async def _renew_later(self, stream: Stream) -> None:
        """Give a second snapshot to the first stream that this user has ever opened.

        A transaction that was under way when the feed was made may not have seen it, and tells
        this user nothing: once all those have ended their calls are in the tables.
        """
        async with self._runtime.database.autocommit() as session:
            until = await horizon.next_transaction(session)
        while stream.ending is None:
            async with self._runtime.database.autocommit() as session:
                if await horizon.oldest_transaction(session) >= until:
                    break
            await asyncio.sleep(0.1)
        stream.renew = True
        stream.wake.set()

    # --- news ----------------------------------------------------------------------------------

    def _heard(self, items: Iterable[Item]) -> None:
        for tenant, user, seq in items:
            for stream in self._open.get((tenant, user), ()):
                if stream.position is not None and seq > max(stream.position, stream.known):
                    stream.known = seq
                    stream.wake.set()

    async def _look(self) -> None:
        await self._compare()
        await self._show_presence()

    async def _compare(self) -> None:
        """With one query: which users that listen have news, or are no more."""
        seqs = {
            key: min(positions)
            for key, streams in self._open.items()
            if (positions := [one.position for one in streams if one.position is not None])
        }
        if not seqs:
            return
        async with self._runtime.database.transaction() as session:
            moved = await feeds.moved(session, seqs)
            await feeds.still_open(session, list(seqs))
        for key, seq in moved.items():
            for stream in self._open.get(key, ()):
                if seq is None:
                    stream.end(Ending.USER_ERASED)
                elif stream.position is not None and seq != stream.position:
                    stream.known = seq
                    stream.wake.set()

    async def _show_presence(self) -> None:
        """An open stream is a sign of life of the device that opened it."""
        devices = {
            (stream.tenant_id, stream.user_id, stream.device_id)
            for streams in self._open.values()
            for stream in streams
            if stream.device_id is not None and stream.ending is None
        }
        if devices:
            await self._keep_present(sorted(devices))
