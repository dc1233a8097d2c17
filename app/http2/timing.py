"""Time limits of connections and exchanges, all in seconds."""

from app.core.frozen import frozen


@frozen
class Timing:
    """Defaults are for Apple; tests make them small.

    connect: resolving, TCP, TLS and the server's first SETTINGS together.
    ping_idle: quiet after which an idle connection is asked for a sign of life.
    ping_busy: the same while answers are owed. ping_timeout: how long a PONG may take.
    answer: how long an answer may take once a request is whole; then its stream is reset.
    stall: how long a request may wait without any stream being opened, its body for a window, or a
    connection be left without streams or window, before all this is taken for dead.
    body: how long the rest of an answer may take once its status is here.
    backoff_first, backoff_most: between failed connects.
    backoff_waiting: the longest such pause while a request waits for a connection.
    rest: how long a connection that answered 500 or 503 is spared when there is another.
    proven: a connection without answers counts as a success after this long.
    send: the deadline of `send_notification` without one.
    """

    connect: float = 5.0
    ping_idle: float = 60.0
    ping_busy: float = 1.0
    ping_timeout: float = 2.0
    answer: float = 3.0
    stall: float = 2.0
    body: float = 2.0
    backoff_first: float = 0.1
    backoff_most: float = 30.0
    backoff_waiting: float = 2.0
    rest: float = 1.0
    proven: float = 10.0
    send: float = 30.0
