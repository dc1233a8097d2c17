"""What Apple's answers mean for the connection that brought them, and for the provider token."""

from typing import Final

from app.apns.credential import Identity
from app.apns.outcome import read_body
from app.apns.pending import PendingPush
from app.apns.policy import connection_after
from app.core.push_policy import ConnectionAction
from app.http2.connection import Connection
from app.http2.exchange import Exchange
from app.http2.pool import Pool

_PROVES: Final = frozenset((200, 400, 410))
"""Statuses that show that the connection works, and that its provider token is accepted."""


class ApnsListener:
    """Hears the answers of a pool; `pool` is set once that is made."""

    pool: Pool

    def on_answer(self, connection: Connection, exchange: Exchange) -> None:
        """Apple opens a connection up at its first proof, and may ask for another."""
        assert isinstance(exchange, PendingPush)
        code, reason = exchange.code, exchange.reason
        if code in _PROVES:
            connection.prove()
        if code == 200:
            return
        action = connection_after(code, reason)
        if action is ConnectionAction.SPARE:
            self.pool.rest(connection)
        elif action is ConnectionAction.REPLACE:
            if reason == "ExpiredProviderToken":
                _expired(connection.identity, exchange.issued_at)
            connection.retire(f"the server answered {code} {reason or ''}".rstrip())

    def reason_of(self, debug: bytes) -> str | None:
        """Apple says in JSON why it goes away."""
        return read_body(debug)[0]


def _expired(identity: object, issued_at: int | None) -> None:
    assert isinstance(identity, Identity)
    if identity.tokens is not None and issued_at is not None:
        identity.tokens.refused_as_expired(issued_at)
