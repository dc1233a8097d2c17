"""`follow(...)`: what one stream says, from its snapshot to its end; SSE and WebSocket read it.

Messages, in order: `snapshot`, unless the client resumes; the user's events, each once and in
order of their numbers; `reset` with a new `snapshot` when what the client missed is not kept any
more; `closing` with a reason when the server ends it. Nothing to say for a while: a keep-alive.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import structlog

from app.infra import clock
from app.infra.db import dump_json
from app.infra.errors import AppError, Unauthorized
from app.infra.outage import is_transient
from app.live.feeds import Page
from app.live.streams import Ending, Snapshot, Stream, Streams
from app.tenants.caller import Caller

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `id`: where to resume after it; `body`: JSON text of an object."""

    id: int | None
    kind: str
    body: str

    def as_sse(self) -> bytes:
        """HTML Standard, "Server-sent events": JSON text holds no line break."""
        head = "" if self.id is None else f"id: {self.id}\n"
        return f"{head}event: {self.kind}\ndata: {self.body}\n\n".encode()

    def as_text(self) -> str:
        """The same in one WebSocket message: `id` is a member of the object."""
        return self.body if self.id is None else f'{{"id": {self.id}, {self.body[1:]}'


Batch = list[Message]
"""Messages to send together; empty for a keep-alive."""

ENDING_OF = {"expired_token": Ending.TOKEN_EXPIRED, "token_revoked": Ending.REVOKED}
"""Why a stream ends whose credential is refused later, by the refusal's code."""

Recognise = Callable[[], Awaitable[Caller]]


async def follow(
    streams: Streams, stream: Stream, after: int | None, recognise: Recognise
) -> AsyncGenerator[Batch, None]:
    """Batches of messages until the stream ends. `after`: the last number that the client has.

    The stream has been opened; whoever reads this takes it out (`Streams.leave`).
    """
    recognised = time.monotonic()
    while stream.ending is None:
        if stream.expires is not None and stream.expires <= clock.unix():
            stream.end(Ending.TOKEN_EXPIRED)
            break
        try:
            batch = await _next(streams, stream, after)
            after = None
        except Exception as error:
            if not is_transient(error):
                raise
            await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311  (spreads the work)
            batch = []
        if batch is not None:
            yield batch
        if time.monotonic() > recognised + streams.limits.recognise:
            recognised = time.monotonic()
            await _recognise_again(stream, recognise)
    yield [closing(stream.ending)]


def closing(why: Ending | None) -> Message:
    """The last message of a stream that the server ends."""
    return Message(None, "closing", dump_json({"type": "closing", "reason": why and why.value}))


def reset(why: str) -> Message:
    """What was missed is not kept any more: forget what you know, a snapshot follows."""
    return Message(None, "reset", dump_json({"type": "reset", "reason": why}))


async def _next(streams: Streams, stream: Stream, after: int | None) -> Batch | None:
    """What there is to say now: [] when nothing was for a while, None to look again."""
    if after is not None:
        return _resumed(stream, await streams.page(stream, after))
    if stream.position is None:
        return _begun(stream, await streams.snapshot(stream))
    if stream.known != stream.position:
        return _read(stream, await streams.page(stream, stream.position))
    if stream.renew:
        return _renewed(stream, await streams.snapshot(stream))
    return None if await _woken(stream, streams.limits.keep_alive) else []


def _begun(stream: Stream, found: Snapshot) -> Batch:
    stream.position = stream.known = found.seq
    stream.begun = found.calls if found.new else None
    return [Message(found.seq, "snapshot", found.body())]


def _renewed(stream: Stream, found: Snapshot) -> Batch | None:
    """The second snapshot of a new feed, if the first one had missed anything."""
    if found.seq != stream.position:
        stream.known = found.seq  # the events first
        return None
    missed, stream.renew, stream.begun = found.calls != stream.begun, False, None
    return [Message(found.seq, "snapshot", found.body())] if missed else None


def _resumed(stream: Stream, page: Page) -> Batch:
    if not page.whole:
        return [reset("too_old")]
    assert page.feed is not None
    stream.position, stream.known = page.after, page.feed
    return _give(stream, page)


def _read(stream: Stream, page: Page) -> Batch | None:
    if page.feed is None:
        stream.end(Ending.USER_ERASED)
        return None
    if not page.whole:
        stream.position = None
        return [reset("gap")]
    stream.known = page.feed
    return _give(stream, page) if page.events else None


def _give(stream: Stream, page: Page) -> Batch:
    if page.events:
        stream.position = page.events[-1].seq
    return [Message(one.seq, one.kind, one.body) for one in page.events]


async def _woken(stream: Stream, keep_alive: float) -> bool:
    """Wait for news, an end, or until it is time for a sign of life (False)."""
    wait = keep_alive * random.uniform(0.8, 1.0)  # noqa: S311  (spreads the work)
    if stream.expires is not None:
        wait = min(wait, max(0.0, stream.expires - clock.unix()))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait):
            await stream.wake.wait()
    woken = stream.wake.is_set()
    stream.wake.clear()
    return woken


async def _recognise_again(stream: Stream, recognise: Recognise) -> None:
    try:
        await recognise()
    except Unauthorized as error:
        stream.end(ENDING_OF.get(error.code, Ending.UNAUTHORIZED))
    except AppError as error:
        log.warning("stream_not_recognised", error=type(error).__name__)
    except Exception as error:
        if not is_transient(error):
            raise
