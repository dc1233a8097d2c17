"""The live stream: server-sent events (HTML Standard, 9.2), resumed until there is no more use."""

import asyncio
import json
import random
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from ringline_client.errors import StreamEnded, Unauthorized, error_of
from ringline_client.requests import MAYBE_DONE, NOTHING_DONE

SILENCE = 40.0
"""Seconds without a byte after which a stream is dead: the server says something every 15."""
LONGEST_WAIT = 30.0
FOR_GOOD = frozenset({"user_erased"})
"""Reasons after which connecting again is of no use."""
OF_TOKEN = frozenset({"token_expired", "token_revoked", "unauthorized"})
"""Reasons after which a new token is needed."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One message. `id`: where to resume after it; `body`: all of it, with `session_id` and `data`
    for an event of a call, `calls` for a `snapshot`, `reason` for a `reset`."""

    id: int | None
    type: str
    body: Mapping[str, Any]

    @property
    def data(self) -> Mapping[str, Any]:
        """What the event says; {} where it says nothing."""
        found: Mapping[str, Any] = self.body.get("data") or {}
        return found


END_OF_LINE = re.compile(r"\r\n|\n|\r(?=[^\n])")
"""Of no other character: `str.splitlines` and httpx's lines would cut a text at U+2028."""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()  # `²` is a digit, and no number


@dataclass(slots=True)
class Lines:
    """Puts messages together from text. `retry`: seconds that the server asks to wait."""

    retry: float = 1.0
    _rest: str = ""
    _id: int | None = None
    _event: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, text: str) -> list[StreamEvent]:
        """Take text as it comes; gives the messages that are whole."""
        *lines, self._rest = END_OF_LINE.split(self._rest + text)
        return [event for line in lines if (event := self._line(line)) is not None]

    def _line(self, line: str) -> StreamEvent | None:
        if line == "":
            return self._message()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and _is_number(value):
            self._id = int(value)
        elif name == "retry" and _is_number(value):
            self.retry = int(value) / 1000
        return None

    def _message(self) -> StreamEvent | None:
        text, event, number = "\n".join(self._data), self._event or "message", self._id
        self._data, self._event, self._id = [], "", None
        if not text:
            return None
        body = json.loads(text)
        return StreamEvent(number, event, body if isinstance(body, dict) else {})


@dataclass(slots=True)
class Position:
    """Where a reader is. `after`: the number of the last message that was given."""

    after: int | None

    def takes(self, event: StreamEvent) -> bool:
        """Whether a message is new; moves on if it is."""
        if event.type == "reset":
            self.after = None
            return True
        if event.type == "snapshot":
            self.after = event.id
            return True
        if event.id is not None:
            if self.after is not None and event.id <= self.after:
                return False
            self.after = event.id
        return True


class Ended(Exception):
    """The server has ended this connection, for a reason that connecting again mends."""


class TokenAway(Exception):
    """No token could be had; the cause is what the function that gives them raised."""


Open = Callable[[Mapping[str, str]], Awaitable[httpx.Response]]


async def follow(
    open_stream: Open, after: int | None, renew: Callable[[], bool]
) -> AsyncIterator[StreamEvent]:
    """Messages of one connection after the other. Raises ApiError or StreamEnded, and what the
    function that gives tokens raises before anything was heard; later it is asked again.
    """
    position, lines, failures, refused, wait = Position(after), Lines(), 0, False, 0.0
    heard = False
    while True:
        let_in: float | None = None
        try:
            async for event in _connection(open_stream, position, lines):
                refused, heard = False, True
                if event is None:
                    let_in = time.monotonic()
                else:
                    failures = 0
                    yield event
        except Unauthorized:
            if refused or not renew():
                raise
            refused = True
            continue
        except TokenAway as away:
            if not heard:
                raise (away.__cause__ or away) from None
        except (httpx.HTTPError, Ended):
            pass
        if let_in is not None and time.monotonic() - let_in >= wait:
            failures = 0  # it has stood for as long as was waited for it: proxies cut what is quiet
        failures += 1
        refused = False  # the new token may have run out while nothing could be reached
        wait = min(lines.retry * 2 ** (failures - 1), LONGEST_WAIT)
        await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311  (spreads the work)


async def _connection(
    open_stream: Open, position: Position, lines: Lines
) -> AsyncIterator[StreamEvent | None]:
    """Messages that are new; first None, once the server has let us in."""
    headers = {"Accept": "text/event-stream"}
    if position.after is not None:
        headers["Last-Event-ID"] = str(position.after)
    response = await open_stream(headers)
    try:
        await _let_in(response)
        yield None
        fresh = Lines(retry=lines.retry)  # what an earlier connection left half said is gone
        async for text in response.aiter_text():
            for event in fresh.feed(text):
                if event.type == "closing":
                    _closed(str(event.body.get("reason")))
                if position.takes(event):
                    yield event
            lines.retry = fresh.retry
    finally:
        await response.aclose()


async def _let_in(response: httpx.Response) -> None:
    """Raises ApiError where asking again is of no use, Ended where it is."""
    if response.is_success:
        if response.headers.get("Content-Type", "").startswith("text/event-stream"):
            return
        raise Ended  # a network's own page in the server's place: it may be gone the next time
    if response.status_code in NOTHING_DONE | MAYBE_DONE:
        raise Ended
    try:
        body = json.loads(await response.aread())
    except ValueError:
        body = None
    raise error_of(response.status_code, body)


def _closed(reason: str) -> None:
    if reason in FOR_GOOD:
        raise StreamEnded(reason)
    if reason in OF_TOKEN:
        raise Unauthorized(401, {"code": reason, "detail": "the stream's token is good no more"})
    raise Ended
