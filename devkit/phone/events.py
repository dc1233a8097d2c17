"""The live stream: server-sent events, read as `fetch` reads them, with an Authorization header.

Source: HTML Standard, "Server-sent events" (9.2.6, interpreting an event stream).
"""

import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx


class StreamAbsent(Exception):
    """The server has no such stream, or does not let us in: asking again is of no use."""


class StreamLost(Exception):
    """The stream could not be opened now, or broke."""


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event. `data` is {} when it is not a JSON object."""

    id: str | None
    event: str
    data: Mapping[str, Any]


@dataclass(slots=True)
class Lines:
    """Puts events together from lines; keeps the last id, as the standard has it."""

    last_id: str | None = None
    _event: str = ""
    _data: list[str] = field(default_factory=list)

    def feed(self, line: str) -> ServerEvent | None:
        """Take a line without its end; gives an event at an empty line."""
        if line == "":
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self.last_id = value
        return None

    def _dispatch(self) -> ServerEvent | None:
        text, event = "\n".join(self._data), self._event or "message"
        had_data = bool(self._data)
        self._data, self._event = [], ""
        if not had_data:
            return None
        try:
            data = json.loads(text)
        except ValueError:
            data = {}
        return ServerEvent(self.last_id, event, data if isinstance(data, dict) else {})


END_OF_LINE: Final = re.compile(r"\r\n|\n|\r(?=[^\n])")
"""Of no other character: httpx's lines would end at U+2028 in somebody's text, too."""


async def events_of(response: httpx.Response, lines: Lines) -> AsyncGenerator[ServerEvent, None]:
    """What a body holds, as it comes."""
    rest = ""
    async for text in response.aiter_text():
        *whole, rest = END_OF_LINE.split(rest + text)
        for line in whole:
            event = lines.feed(line)
            if event is not None:
                yield event


async def follow(
    client: httpx.AsyncClient, url: str, token: str, lines: Lines
) -> AsyncGenerator[ServerEvent | None, None]:
    """Events of one connection; the first thing given is None, once the stream is open.

    Resumes after `lines.last_id`. Raises StreamAbsent or StreamLost; ends when the server ends it.
    """
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    if lines.last_id is not None:
        headers["Last-Event-ID"] = lines.last_id
    # A quiet stream is no dead one: only connecting is timed.
    timeout = httpx.Timeout(5.0, read=None)
    try:
        async with client.stream("GET", url, headers=headers, timeout=timeout) as response:
            if 400 <= response.status_code < 500 and response.status_code != 429:
                raise StreamAbsent(f"{response.status_code} at {url}")
            if response.status_code != 200:
                raise StreamLost(f"{response.status_code} at {url}")
            yield None
            async for event in events_of(response, lines):
                yield event
    except httpx.HTTPError as error:
        raise StreamLost(f"{type(error).__name__}: {error}") from error
