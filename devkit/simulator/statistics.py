"""Counts of what the simulator saw and did."""

from collections import Counter, deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Statistics:
    """Counters since the start or the last clearing.

    `handshakes` are TLS handshakes that were completed with ALPN h2, `handshakes_failed` the
    others; `answers` counts by reason, with `200` for successes; `refused_streams` were above the
    stream limit, `limit_violations` those of them whose client had acknowledged that limit;
    `violations` are the newest breaches of HTTP/2 by clients.
    """

    tcp_connections: int = 0
    handshakes: int = 0
    handshakes_failed: int = 0
    requests: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    resets_received: int = 0
    resets_sent: int = 0
    goaways_sent: int = 0
    refused_streams: int = 0
    limit_violations: int = 0
    pings_received: int = 0
    pings_acknowledged: int = 0
    handshake_errors: deque[str] = field(default_factory=lambda: deque(maxlen=100))
    violations: deque[str] = field(default_factory=lambda: deque(maxlen=100))

    def as_dict(self) -> dict[str, object]:
        """Give the counters as the control API shows them."""
        return {
            "tcp_connections": self.tcp_connections,
            "handshakes": self.handshakes,
            "handshakes_failed": self.handshakes_failed,
            "requests": self.requests,
            "answers": dict(self.answers),
            "resets_received": self.resets_received,
            "resets_sent": self.resets_sent,
            "goaways_sent": self.goaways_sent,
            "refused_streams": self.refused_streams,
            "limit_violations": self.limit_violations,
            "pings_received": self.pings_received,
            "pings_acknowledged": self.pings_acknowledged,
            "handshake_errors": list(self.handshake_errors),
            "violations": list(self.violations),
        }
