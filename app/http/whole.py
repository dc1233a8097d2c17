"""A request that came whole, answered past the server's messages: no task, no event, no context.

What a server does so that any app may read and answer by parts is dear beside what a ring itself
costs. An app that has a `door` is handed such a request at once, and answers it when it can.
"""

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from starlette.types import ASGIApp

from app.core.frozen import frozen

if TYPE_CHECKING:
    from app.http.connection import BoundedConnection


@frozen
class Door:
    """Where requests of one path may be handed in.

    `take`: whether the app answers this one, now or later, by `answer` or `go_on`; otherwise it
    goes by messages, as any other. It raises nothing.

    `turns_away`: whether who comes now, for any path but those `aside`, is told to come again: to
    begin what cannot be ended soon keeps all else waiting.
    """

    path: bytes
    take: "Callable[[Whole], bool]"
    turns_away: Callable[[], bool]
    aside: Collection[bytes]


class _Nobody:
    """The event that the server sets for whoever waits for more of a body."""

    def set(self) -> None:
        """Nobody waits."""


class Whole:
    """A POST without a query, of a kept connection, whose body was there with its head.

    To the server it is a cycle of request and answer like any other.
    """

    __slots__ = (
        "_connection", "_path", "_scope", "body", "disconnected", "headers", "keep_alive",
        "response_complete", "response_started",
    )  # fmt: skip
    message_event: Final = _Nobody()

    def __init__(
        self, connection: "BoundedConnection", scope: Any, path: bytes, body: bytes
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._path = path
        self.headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self.body = body
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False

    def answer(self, head: bytes, body: bytes) -> bool:
        """Write all of an answer, its head but for what the server adds; who has gone gets none.

        False: it has to go by messages, being the connection's last one or to a slow reader.
        """
        return self._connection.write_whole(self, head, body)

    def go_on(self, app: ASGIApp) -> None:
        """Have `app` answer by messages after all."""
        scope, path = self._scope, self._path
        scope["method"], scope["query_string"] = "POST", b""
        scope["path"], scope["raw_path"] = path.decode("ascii"), path
        self._connection.begin_by_messages(self, scope, app)
