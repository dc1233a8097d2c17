"""Listening so that the server notices when a phone has vanished.

An open live stream counts as a sign of life of its device. A phone whose network is gone says
nothing, and by default TCP goes on hoping for a quarter of an hour.
"""

import socket

UNANSWERED_FOR = 20
"""Seconds for which data may stay unacknowledged, and about which a silent peer is given up."""

PROBE_AFTER = 10
PROBE_EVERY = 5


def notice_the_vanished(listener: socket.socket) -> None:
    """Have connections accepted here end once the peer is gone; Linux hands the options on.

    TCP_USER_TIMEOUT (RFC 5482) bounds unacknowledged data, keep-alive probes an idle connection.
    Where an option is not known it is left out: keep-alive comments then do their best.
    """
    if listener.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", PROBE_AFTER),
        ("TCP_KEEPINTVL", PROBE_EVERY),
        ("TCP_KEEPCNT", (UNANSWERED_FOR - PROBE_AFTER) // PROBE_EVERY),
        ("TCP_USER_TIMEOUT", UNANSWERED_FOR * 1_000),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            listener.setsockopt(socket.IPPROTO_TCP, option, value)
