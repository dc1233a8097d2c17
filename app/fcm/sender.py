"""FCM's entry point: a message in, an outcome out."""

import math
import ssl
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from app.core.push_policy import ConnectionAction
from app.fcm.account import ServiceAccount
from app.fcm.answer_table import TABLE
from app.fcm.message import FcmMessage
from app.fcm.oauth import AccessTokens
from app.fcm.pending import PendingMessage
from app.http2.connection import Connection
from app.http2.exchange import Exchange
from app.http2.hpack import FieldTable, text
from app.http2.pool import Pool
from app.http2.sender import PooledSender
from app.http2.tls import TrustingContext
from app.infra.safe_http import SafeHttp

_METHOD_POST_SCHEME_HTTPS: Final = b"\x83\x87"
_AUTHORIZATION_NEVER_INDEXED: Final = b"\x1f\x08"
_PROVES: Final = frozenset((200, 400, 404))
"""Statuses that show that the connection works, and that its access token is accepted."""


class HeaderWriter:
    """Header blocks for one connection: all alike, but for the access token of the moment."""

    def __init__(self, authority: str, path: str, tokens: AccessTokens) -> None:
        self._fields = (
            (b":authority", authority.encode("ascii")),
            (b":path", path.encode("ascii")),
            (b"content-type", b"application/json"),
        )
        self._tokens = tokens
        self._table = FieldTable()
        self._token: bytes | None = None  # b"": it has just been refused; Google says so again
        self._block = b""

    def set_table_size(self, size: int) -> None:
        """Follow the server's SETTINGS_HEADER_TABLE_SIZE."""
        self._table.set_size(size)
        self._token = None

    def block(self, message: PendingMessage) -> bytes:
        """The header block of one message, which learns which access token it goes with."""
        token = message.carried = self._tokens.token
        if token == self._token:
            return self._block
        table, entries = self._table, len(self._table)
        resize = table.take_resize()
        common = b"".join(table.field(name, value) for name, value in self._fields)
        authorization = _AUTHORIZATION_NEVER_INDEXED + text(b"Bearer " + token) if token else b""
        block = resize + _METHOD_POST_SCHEME_HTTPS + common + authorization
        if not resize and entries == len(table):  # no entry was made: good for the next one
            self._token, self._block = token, block
        return block


class Identity:
    """A service account made ready. Raises ValueError for a key that cannot sign."""

    one_stream_first: Final = False

    def __init__(
        self, account: ServiceAccount, ca_file: str | Path | None, tokens: AccessTokens
    ) -> None:
        self.tls: Final = TrustingContext(ca_file)
        self._tls_of_tokens = _trust(ca_file)
        self.tokens: Final = tokens
        self._path = f"/v1/projects/{account.project_id}/messages:send"

    @property
    def context(self) -> ssl.SSLContext:
        return self.tls.context

    async def prepare(self) -> None:
        """Have trust anchors and an access token: no connection is of use without."""
        await self.tls.load()
        await self._tls_of_tokens.load()
        await self.tokens.ensure()

    def header_writer(self, authority: str) -> HeaderWriter:
        """For a new connection."""
        return HeaderWriter(authority, self._path, self.tokens)


class FcmListener:
    """Hears the answers of a pool; `pool` is set once that is made."""

    pool: Pool

    def __init__(self, tokens: AccessTokens) -> None:
        self._tokens = tokens

    def on_answer(self, connection: Connection, exchange: Exchange) -> None:
        """Who is told that an access token is no good fetches another, before it connects anew."""
        assert isinstance(exchange, PendingMessage)
        if exchange.code in _PROVES:
            connection.prove()
        if exchange.code == 200:
            return
        action = TABLE.row_for(exchange.code, exchange.reason, None).connection
        if action is ConnectionAction.SPARE:
            self.pool.rest(connection)
        elif action is ConnectionAction.REPLACE and exchange.carried == self._tokens.token:
            self._tokens.refused(exchange.carried)
            for one in list(self.pool.connections):
                one.retire("the access token is not accepted", ours=True)

    def reason_of(self, debug: bytes) -> str | None:  # noqa: ARG002 - a Listener's
        """Google gives no reason of its own when it goes away."""
        return None


@lru_cache(maxsize=4)
def _trust(ca_file: str | Path | None) -> TrustingContext:
    """For the token endpoint, which is asked by HTTP/1.1: one for all senders of a process."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):  # as `ssl.create_default_context` has it there
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return TrustingContext(ca_file, context)


class FcmSender(PooledSender[PendingMessage]):
    """Messages of one service account. `url` is FCM's, `token_url` that of Google's token endpoint.

    `ca_file` is a PEM of trust anchors for both, None for the system's; `wall_clock` gives unix
    seconds. Raises ValueError, in a sentence, for an account that cannot be used.
    """

    def __init__(
        self,
        account: ServiceAccount,
        url: str,
        token_url: str,
        *,
        ca_file: str | Path | None = None,
        wall_clock: Callable[[], float],
        **of_pool: Any,
    ) -> None:
        self._wall_clock = wall_clock
        # The operator says where Google is; a tenant does not, so its file's address counts not.
        self._http = SafeHttp(allow_private=True, trust=_trust(ca_file).context, within=5.0)
        self._tokens = AccessTokens(account, token_url, self._http, wall_clock)
        listener = FcmListener(self._tokens)
        super().__init__(listener, Identity(account, ca_file, self._tokens), url, **of_pool)
        listener.pool = self.pool

    def start(
        self, request: FcmMessage, deadline: float, start_by: float = math.inf
    ) -> PendingMessage:
        pending = PendingMessage(request, deadline, self.pool.loop, self._wall_clock, start_by)
        self.pool.submit(pending)
        return pending

    async def close(self) -> None:
        """Stop at once, and fetch no more access tokens."""
        await super().close()
        await self._tokens.close()
        await self._http.close()
