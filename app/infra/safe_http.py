"""HTTP to addresses that tenants name: never to a private network, bounded in time and size.

What a name resolves to is judged when the connection is made, and the connection goes to the very
address that was judged: a name that resolves to something else a moment later (DNS rebinding) gains
nothing. A connection is kept and used again for the same server, so what was judged holds for all
that it carries. Redirects are not followed, no proxy of the environment is used.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from functools import cache, lru_cache, partial

from app.core.delivery import DeliveryError
from app.core.frozen import frozen, replace
from app.core.retry_after import seconds_asked
from app.core.text import storable
from app.core.webhook_retry import Answer
from app.infra.addresses import Judge, Names, Resolver, is_private, is_public
from app.infra.errors import Invalid
from app.infra.http1 import MOST_READ, Connection, Kept, Lost, NotHttp, Reply
from app.infra.http_requests import Headers, Target, request_of, target_of
from app.infra.tasks import Tasks
from app.infra.urls import BadUrl, HttpUrl, http_url
from app.infra.watch import Watch

ANSWER_WITHIN = 10.0
CONNECT_WITHIN = 5.0
MOST_TOLD = 1_000
"""Characters of an answer's body that are told."""

MOST_CONNECTIONS = 512
MOST_RESTING = 256
"""Connections that are kept for the next request to the same server."""

ADDRESSES_TRIED = 3

Told = Callable[[Answer | BaseException], object]
"""Hears once what came of a request: the answer; what was raised by a bug; or CancelledError."""


class PrivateAddress(Exception):
    """A name resolves to nothing but addresses that must not be reached."""


class NotConnected(ConnectionError):
    """None of the addresses that may be reached has taken a connection."""


def check_url(text: str, *, allow_private: bool, field: str = "url") -> str:
    """A tenant's address as it is sent to; what its name resolves to is judged on connecting.

    Raises Invalid, which names the part that is wrong.
    """
    try:
        url = http_url(text)
    except BadUrl as error:
        raise Invalid("invalid_url", f"{field}: {error}") from error
    if url.scheme == "http" and not allow_private:
        raise Invalid("https_required", f"{field}: must begin with https://")
    if not allow_private and is_private(url.host):
        raise Invalid("private_address", f"{field}: leads to a private network")
    return str(url)


def anyone(_address: str) -> bool:
    """A judge that lets every address pass."""
    return True


@cache
def _trust_of_this_machine() -> ssl.SSLContext:
    """Read once a process: it costs 30 ms of CPU."""
    return ssl.create_default_context()


class Asking:
    """One request: under way from when it is begun until it is told of, or withdrawn.

    `now`: what a date in `Retry-After` is compared with. `owner`: whose share of what is scarce
    (look-ups of names) it takes. `kept`: bytes of the answer's body that are told.
    """

    __slots__ = ("again", "connection", "kept", "now", "owner", "placed", "request", "target",
                 "task", "told")  # fmt: skip

    def __init__(self, told: Told, now: datetime, owner: Hashable, kept: int) -> None:
        self.told = told
        self.now = now
        self.owner = owner
        self.kept = kept
        self.target: Target
        self.request = b""
        self.placed = False
        self.again = False
        """Whether it goes once more if it is not answered: it was sent on a kept connection."""
        self.connection: Connection | None = None
        self.task: asyncio.Task[None] | None = None


class SafeHttp:
    """Connections to tenants' endpoints. Belongs to one event loop.

    What is asked may arrive twice: a server may have closed a kept connection at the very moment
    in which it is used, and then the request goes once more, on a new one.
    """

    def __init__(
        self,
        *,
        allow_private: bool,
        resolver: Resolver | None = None,
        judge: Judge = is_public,
        trust: ssl.SSLContext | None = None,
        within: float = ANSWER_WITHIN,
    ) -> None:
        self._resolver = resolver
        self._names = Names()
        self._judge: Judge = anyone if allow_private else judge
        self._tls = trust or _trust_of_this_machine()
        self._tasks = Tasks("http")
        self._under_way: Watch[Asking] = Watch(within, self._late)
        self._new: list[Asking] = []
        self._waiting: deque[Asking] = deque()
        self._in_use = 0
        self._kept = Kept(MOST_RESTING)

    def send(
        self,
        url: str,
        headers: Headers,
        body: bytes,
        told: Told,
        *,
        now: datetime,
        owner: Hashable = None,
    ) -> None:
        """POST once, and return at once; `told` hears what came of it, perhaps before that."""
        self._send("POST", url, headers, body, Asking(told, now, owner, MOST_TOLD))

    async def post(
        self,
        url: str,
        headers: Headers,
        body: bytes,
        *,
        now: datetime,
        owner: Hashable = None,
        kept: int = MOST_TOLD,
    ) -> Answer:
        """POST once; never raises for what the other side does."""
        return await self._ask("POST", url, headers, body, now, owner, kept)

    async def get(self, url: str, *, now: datetime, owner: Hashable = None) -> Answer:
        """GET once, as `post`; the answer's text is whole, or the error is `too_long`."""
        answer = await self._ask("GET", url, {}, b"", now, owner, MOST_READ + 1)
        if len(answer.text or "") > MOST_READ:
            return Answer(answer.status, DeliveryError.TOO_LONG)
        return answer

    async def close(self) -> None:
        """Close every connection. Who waits for an answer has lost it, and is told so at once."""
        self._waiting.clear()
        for one in list(self._under_way):
            self._withdraw(one)
            one.told(asyncio.CancelledError())
        self._under_way.close()
        self._kept.close()
        await self._tasks.stop()

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Headers,
        body: bytes,
        now: datetime,
        owner: Hashable,
        kept: int,
    ) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def told(said: Answer | BaseException) -> None:
            if answer.done():  # who asked has gone
                return
            if isinstance(said, Answer):
                answer.set_result(said)
            elif isinstance(said, asyncio.CancelledError):  # nobody has cancelled who asked
                answer.set_result(Answer(None, DeliveryError.CONNECTION_LOST))
            else:
                answer.set_exception(said)

        one = Asking(told, now, owner, kept)
        self._send(method, url, headers, body, one)
        try:
            return await answer
        finally:
            if one in self._under_way:
                self._withdraw(one)

    # --- one request ---------------------------------------------------------------------------

    def _send(self, method: str, url: str, headers: Headers, body: bytes, one: Asking) -> None:
        try:
            one.target = target_of(method, url)
            one.request = request_of(one.target, headers, body)
        except ValueError as error:
            one.told(_said(error))
            return
        self._under_way.begin(one)
        if not self._new:
            asyncio.get_running_loop().call_soon(self._begin_all)
        self._new.append(one)

    def _begin_all(self) -> None:
        """Write what was asked in one turn of the loop back to back: a server that has gone to
        sleep between two of its requests is dear to wake."""
        new, self._new = self._new, []
        for one in new:
            if one in self._under_way:
                self._begin(one)

    def _begin(self, one: Asking) -> None:
        """Ask by a connection that is kept, or by a new one; later, while there are too many."""
        if self._in_use >= MOST_CONNECTIONS:
            self._waiting.append(one)
            return
        self._in_use += 1
        one.placed = True
        connection = self._kept.take(one.target.origin)
        if connection is None:
            self._begin_anew(one)
        else:
            one.again = True
            self._by(connection, one)

    def _begin_anew(self, one: Asking) -> None:
        one.again = False
        one.task = self._tasks.spawn("connect", self._by_a_new_one(one), of_all=True)

    async def _by_a_new_one(self, one: Asking) -> None:
        try:
            connection = await self._connect(one.target.url, one.owner)
        except Exception as error:  # noqa: BLE001  (whatever it is: who asked hears of it)
            one.task = None
            self._conclude(one, _said(error))
        else:
            one.task = None
            self._by(connection, one)

    def _by(self, connection: Connection, one: Asking) -> None:
        one.connection = connection
        try:
            connection.ask(one.request, partial(self._heard, one))
        except Lost as lost:
            self._heard(one, lost)

    def _heard(self, one: Asking, end: Reply | Exception) -> None:
        connection, one.connection = one.connection, None
        assert connection is not None
        if isinstance(end, Reply):
            self._kept.give(one.target.origin, connection)
            self._leave(one)
            one.told(_answer(end, one.now, one.kept))
            return
        connection.close()
        if one.again and isinstance(end, Lost) and end.unanswered:
            self._begin_anew(one)
        else:
            self._conclude(one, _said(end))

    def _conclude(self, one: Asking, said: Answer | BaseException) -> None:
        self._leave(one)
        one.told(said)

    def _late(self, one: Asking) -> None:
        self._withdraw(one)
        one.told(_said(TimeoutError()))

    def _withdraw(self, one: Asking) -> None:
        """Nobody waits for it any more: its connection ends."""
        if one.task is not None:
            one.task.cancel()
        if one.connection is not None:
            one.connection.give_up()
        self._leave(one)

    def _leave(self, one: Asking) -> None:
        """It is not under way any more, and its place is another's."""
        self._under_way.end(one)
        if one.placed:
            one.placed = False
            self._in_use -= 1
        while self._waiting and self._in_use < MOST_CONNECTIONS:
            following = self._waiting.popleft()
            if following in self._under_way:
                self._begin(following)

    async def _connect(self, address: HttpUrl, owner: Hashable) -> Connection:
        """Connect to the first address that may be reached and answers."""
        host, port = address.host, address.effective_port
        if self._resolver is None:
            found = await self._names.resolve(host, port, owner)
        else:
            found = await self._resolver(host, port)
        allowed = [one for one in found if self._judge(one)]
        if not allowed:
            raise PrivateAddress(host)
        self._kept.shrink(MOST_CONNECTIONS - self._in_use)
        tls, name = (self._tls, host) if address.scheme == "https" else (None, None)
        loop = asyncio.get_running_loop()
        last: OSError = NotConnected(host)
        for one in allowed[:ADDRESSES_TRIED]:
            try:
                async with asyncio.timeout(CONNECT_WITHIN):
                    _, made = await loop.create_connection(
                        Connection, one, port, ssl=tls, server_hostname=name
                    )
            except ssl.SSLError:
                raise
            except TimeoutError as error:
                last = error
            except OSError as error:
                last = NotConnected(host)
                last.__cause__ = error
            else:
                return made
        raise last


def _said(error: Exception) -> Answer | Exception:
    """What is told of an error that the other side has caused; of any other itself."""
    for kind, said in ERRORS.items():
        if isinstance(error, kind):
            return Answer(None, said)
    return error


ERRORS: dict[type[Exception], DeliveryError] = {
    BadUrl: DeliveryError.INVALID_URL,
    PrivateAddress: DeliveryError.PRIVATE_ADDRESS,
    socket.gaierror: DeliveryError.NAME_NOT_RESOLVED,
    TimeoutError: DeliveryError.TIMEOUT,
    ssl.SSLError: DeliveryError.TLS_FAILED,
    NotConnected: DeliveryError.NOT_CONNECTED,
    OSError: DeliveryError.CONNECTION_LOST,
    NotHttp: DeliveryError.NOT_HTTP,
    ValueError: DeliveryError.NOT_HTTP,
}
"""The first that fits."""


@frozen
class Meaning:
    """What a reply says of which so many bytes are told, whenever it comes."""

    keep: int
    answer: Answer


def _answer(reply: Reply, now: datetime, keep: int) -> Answer:
    known = reply.meaning  # what is the same as the answer before is not read again
    if isinstance(known, Meaning) and known.keep == keep:
        return known.answer
    answer = _read(reply.status, reply.body[:keep])
    asked = _retry_after(reply.headers, now)
    if asked is not None:  # it may depend on the time
        return replace(answer, retry_after=asked)
    reply.meaning = Meaning(keep, answer)
    return answer


@lru_cache(maxsize=256)
def _read(status: int, body: bytes) -> Answer:
    """What an answer says but for its headers; most of all servers are alike, and are one value."""
    error = None
    if not 200 <= status < 300:
        error = DeliveryError.REDIRECT if 300 <= status < 400 else DeliveryError.REFUSED
    return Answer(status, error, storable(body.decode("utf-8", "replace")) or None)


def _retry_after(headers: Iterable[tuple[bytes, bytes]], now: datetime) -> float | None:
    value = next((v for name, v in headers if name == b"retry-after"), None)
    return None if value is None else seconds_asked(value.decode("ascii", "replace"), now)
