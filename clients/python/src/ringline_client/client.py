"""`Ringline` waits, `AsyncRingline` is awaited; both ask and repeat by the same rules."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from ringline_client import events, requests
from ringline_client.errors import ApiError, NoToken, Unauthorized, Unreachable, error_of
from ringline_client.events import StreamEvent
from ringline_client.operations import AsyncOperations, Operations
from ringline_client.requests import Request

TIMEOUT = 10.0
EMPTY = 204
NO_JSON = {"code": "no_json", "detail": "the answer is no JSON: is it the server's?"}
"""As the problem that it is, for what stands in the server's place."""
REFUSED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""What goes wrong before anything was sent."""

Credential = str | Callable[[], str]
AsyncCredential = str | Callable[[], str | Awaitable[str]]


class _Clock:
    """By how many seconds the server's clock is ahead of ours, by its last answer."""

    offset = 0.0

    def learn(self, headers: httpx.Headers) -> None:
        told = requests.http_date(headers.get("Date", ""))
        if told is None:
            return
        ahead = told - time.time()
        self.offset = ahead if abs(ahead) > 1 else 0.0  # `Date` has whole seconds


def _answer(request: Request, tries: int, response: httpx.Response) -> Any:
    """An answer's JSON, or None where it has none. Raises ApiError."""
    if not response.is_success:
        if requests.is_done(request, tries, response.status_code):
            return None
        raise error_of(response.status_code, _json(response))
    if response.status_code == EMPTY:
        return None
    try:
        return response.json()
    except ValueError as error:
        raise error_of(response.status_code, NO_JSON) from error


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _token_of(given: object) -> str:
    """What a function gave; an error page, say, is no token, and is not kept. Raises NoToken."""
    text = given.strip() if isinstance(given, str) else ""
    if not (text.isascii() and text.isprintable()) or not text or " " in text:
        raise NoToken("what was given as a token is none")
    return text


def _stale(error: ApiError, credential: object, renewed: bool) -> bool:
    """Whether a new token may help: a refusal of what a callback gave, once."""
    return isinstance(error, Unauthorized) and callable(credential) and not renewed


class Ringline(Operations):
    """A client that waits. Threads may share it.

    `credential` is an API key, or any token of Ringline's, or a function that gives one: it is
    asked again when the server refuses what it gave. `timeout` in seconds, of each try.
    """

    def __init__(self, url: str, credential: Credential, *, timeout: float = TIMEOUT) -> None:
        self._credential = credential
        self._token: str | None = None if callable(credential) else credential
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=timeout)
        self._clock = _Clock()

    @property
    def clock_offset(self) -> float:
        """By how many seconds the server's clock is ahead of this machine's; 0 before an answer."""
        return self._clock.offset

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """A request that this version has no method for; the answer's JSON."""
        return self._send(Request(method, path, method == "GET", query or {}, body))

    def _send(self, request: Request) -> Any:
        request, tries, renewed = request.with_key(), 0, False
        while True:
            tries += 1
            try:
                response = self._ask(request)
            except httpx.HTTPError as error:
                sent = not isinstance(error, REFUSED)
                wait = requests.wait_after_silence(request, tries, sent=sent)
                if wait is None:
                    raise Unreachable(f"{type(error).__name__}: {error}") from error
            else:
                retry_after = response.headers.get("Retry-After")
                wait = requests.wait_after_answer(request, tries, response.status_code, retry_after)
                if wait is None:
                    try:
                        return _answer(request, tries, response)
                    except ApiError as refusal:
                        if not _stale(refusal, self._credential, renewed):
                            raise
                        self._token, renewed, wait = None, True, 0
            time.sleep(wait)

    def _ask(self, request: Request) -> httpx.Response:
        token = self._token  # read once: another thread may forget it at any moment
        if token is None:
            assert callable(self._credential)
            token = self._token = _token_of(self._credential())
        response = self._http.request(
            request.method,
            request.path,
            params=request.sent_query(),
            json=request.sent_body(),
            headers={**request.headers(), "Authorization": f"Bearer {token}"},
        )
        self._clock.learn(response.headers)
        return response

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncRingline(AsyncOperations):
    """The same, awaited; belongs to one event loop. `credential` may be an async function."""

    def __init__(self, url: str, credential: AsyncCredential, *, timeout: float = TIMEOUT) -> None:
        self._credential = credential
        self._token: str | None = None if callable(credential) else credential
        self._http = httpx.AsyncClient(base_url=url.rstrip("/"), timeout=timeout)
        self._clock = _Clock()

    @property
    def clock_offset(self) -> float:
        """By how many seconds the server's clock is ahead of this machine's; 0 before an answer."""
        return self._clock.offset

    async def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """A request that this version has no method for; the answer's JSON."""
        return await self._send(Request(method, path, method == "GET", query or {}, body))

    def events(
        self,
        *,
        user_id: str | None = None,
        device_id: str | None = None,
        last_event_id: int | None = None,
        silence: float = events.SILENCE,
    ) -> AsyncIterator[StreamEvent]:
        """What a user is told, for ever: it connects again and goes on where it was.

        First comes a `snapshot` of the user's live calls, then each event once, in order. `reset`
        says that too much was missed; a new snapshot follows. `user_id` with an API key only; an
        open stream with a `device_id` is that device's sign of life. After so many seconds of
        `silence` a connection is dead: the server speaks every 15. Raises ApiError or StreamEnded
        when connecting again is of no use.
        """
        query = {"user_id": user_id, "device_id": device_id}
        request = Request("GET", "/v1/events", repeatable=True, query=query)

        async def connect(headers: Mapping[str, str]) -> httpx.Response:
            return await self._open(request, headers, silence)

        return events.follow(connect, last_event_id, self._renew)

    async def _send(self, request: Request) -> Any:
        request, tries, renewed = request.with_key(), 0, False
        while True:
            tries += 1
            try:
                response = await self._ask(request)
            except httpx.HTTPError as error:
                sent = not isinstance(error, REFUSED)
                wait = requests.wait_after_silence(request, tries, sent=sent)
                if wait is None:
                    raise Unreachable(f"{type(error).__name__}: {error}") from error
            else:
                retry_after = response.headers.get("Retry-After")
                wait = requests.wait_after_answer(request, tries, response.status_code, retry_after)
                if wait is None:
                    try:
                        return _answer(request, tries, response)
                    except ApiError as refusal:
                        if not _stale(refusal, self._credential, renewed):
                            raise
                        renewed, wait = self._renew(), 0
            await asyncio.sleep(wait)

    async def _ask(self, request: Request) -> httpx.Response:
        response = await self._http.request(
            request.method,
            request.path,
            params=request.sent_query(),
            json=request.sent_body(),
            headers={**request.headers(), **await self._authorization()},
        )
        self._clock.learn(response.headers)
        return response

    async def _open(
        self, request: Request, headers: Mapping[str, str], silence: float
    ) -> httpx.Response:
        """An answer whose body is still to be read; its reader closes it."""
        try:
            authorization = await self._authorization()
        except Exception as error:
            raise events.TokenAway from error
        made = self._http.build_request(
            request.method,
            request.path,
            params=request.sent_query(),
            headers={**headers, **authorization},
            timeout=httpx.Timeout(TIMEOUT, read=silence),
        )
        response = await self._http.send(made, stream=True)
        self._clock.learn(response.headers)
        return response

    async def _authorization(self) -> dict[str, str]:
        token = self._token
        if token is None:
            assert callable(self._credential)
            given = self._credential()
            token = _token_of(await given if inspect.isawaitable(given) else given)
            self._token = token
        return {"Authorization": f"Bearer {token}"}

    def _renew(self) -> bool:
        """Forget the token, so that the next request asks for one; False if nobody can be asked."""
        if not callable(self._credential):
            return False
        self._token = None
        return True

    async def close(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()
