"""One request as a value, and the pure rules about it: what is sent, and when it is sent again."""

import random
import time
import uuid
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

TRIES = 5
WAITS = (0.2, 0.5, 1.0, 2.0)
"""Seconds between tries, half to one and a half times."""
LONGEST_WAIT = 30.0
"""A `Retry-After` beyond this is for the caller to wait."""
NOTHING_DONE = frozenset({429})
"""Answers after which nothing has happened, whatever was asked."""
MAYBE_DONE = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask. `keyed`: it carries an idempotency key; `repeatable`: twice does no harm."""

    method: str
    path: str
    repeatable: bool
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    keyed: bool = False
    idempotency_key: str | None = None

    def headers(self) -> dict[str, str]:
        """Its own headers: the same for each try."""
        return {"Idempotency-Key": self.idempotency_key} if self.idempotency_key else {}

    def with_key(self) -> "Request":
        """This request with a key made for it, if it takes one and has none."""
        if not self.keyed or self.idempotency_key:
            return self
        return replace(self, idempotency_key=str(uuid.uuid4()))

    def sent_body(self) -> dict[str, Any] | None:
        """The body without what was not given; None where nothing is sent."""
        if self.body is None:
            return None
        return {name: value for name, value in self.body.items() if value is not None}

    def sent_query(self) -> dict[str, str]:
        """The query without what was not given."""
        given = {name: value for name, value in self.query.items() if value is not None}
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in given.items()
        }


def segment(text: str) -> str:
    """Text as one segment of a path: ids may hold a slash."""
    return quote(text, safe=":@")


def wait_after_answer(
    request: Request, tries: int, status: int, retry_after: str | None
) -> float | None:
    """Seconds to wait before the next try; None: this answer counts. `tries` were made."""
    if tries >= TRIES:
        return None
    again = status in NOTHING_DONE or (status in MAYBE_DONE and request.repeatable)
    if not again:
        return None
    asked = _asked(retry_after or "")
    return None if asked > LONGEST_WAIT else max(asked, _wait(tries))


def _asked(retry_after: str) -> float:
    """What a `Retry-After` asks, in seconds or as a date (RFC 9110, 10.2.3); 0 where nothing."""
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    at = http_date(retry_after)
    return 0.0 if at is None else max(at - time.time(), 0.0)


def http_date(text: str) -> float | None:
    """A date of HTTP's (RFC 9110, 5.6.7) in Unix seconds; None for what is none."""
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def wait_after_silence(request: Request, tries: int, *, sent: bool) -> float | None:
    """The same where no answer came; `sent`: the server may have been told."""
    if tries >= TRIES or (sent and not request.repeatable):
        return None
    return _wait(tries)


def _wait(tries: int) -> float:
    return WAITS[min(tries, len(WAITS)) - 1] * random.uniform(0.5, 1.5)  # noqa: S311  (spreads)


def is_done(request: Request, tries: int, status: int) -> bool:
    """Whether a refusal means that an earlier try, whose answer was lost, had done it."""
    return request.method == "DELETE" and status == 404 and tries > 1


class Sender:
    """What operations stand on, for those who wait."""

    @abstractmethod
    def _send(self, request: Request) -> Any:
        """The answer's JSON. Raises RinglineError."""

    def _pages(self, request: Request, rows: str) -> Iterator[Any]:
        """The rows of all pages; the next page is asked for when it is needed."""
        page = self._send(request)
        yield from page[rows]
        while page.get("next_cursor"):
            page = self._send(
                replace(request, query={**request.query, "cursor": page["next_cursor"]})
            )
            yield from page[rows]


class AsyncSender:
    """The same for those who await."""

    @abstractmethod
    async def _send(self, request: Request) -> Any:
        """The answer's JSON. Raises RinglineError."""

    async def _pages(self, request: Request, rows: str) -> AsyncIterator[Any]:
        """The rows of all pages; the next page is asked for when it is needed."""
        page = await self._send(request)
        for row in page[rows]:
            yield row
        while page.get("next_cursor"):
            query = {**request.query, "cursor": page["next_cursor"]}
            page = await self._send(replace(request, query=query))
            for row in page[rows]:
                yield row
