"""A push request as it came in, and what was made of it."""

import json
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from devkit.simulator.devices import Environment
from devkit.simulator.streams import Stream

Outcome = Literal["pending", "answered", "reset", "silent", "closed", "goaway", "abandoned"]
"""What became of a request.

`pending`: not answered yet; `answered`; `reset`: we sent RST_STREAM; `silent`: never to be
answered; `closed`: the connection ended first; `goaway`: above the last stream id of a GOAWAY;
`abandoned`: the client reset the stream.
"""


@dataclass(slots=True, eq=False)
class Arrival:
    """One request that arrived whole.

    `number` counts up from 1 over all requests; `received_ns` is wall-clock time in nanoseconds,
    taken when its last byte had been read; `token` is in lower case and empty when the path has
    none; `apns_id` is the request's, or the one that was made for it; `client` says who sent it.
    `status`, `reason` and `answered_ns` are None until an answer has been sent. `verdict` is what
    the rules said, whatever a fault made of it. `delivered` is whether the device has been given
    it; `stored` whether it is kept for a device that is not online, until `expires` (unix seconds).
    """

    number: int
    received_ns: int
    environment: Environment
    connection: int
    stream_id: int
    method: str
    path: str
    token: str
    apns_id: str
    topic: str
    headers: list[tuple[str, str]]
    raw: bytes
    size: int
    client: dict[str, object]
    outcome: Outcome = "pending"
    status: int | None = None
    reason: str | None = None
    verdict: str | None = None
    answered_ns: int | None = None
    delivered: bool = False
    stored: bool = False
    expires: int = 0
    fault: int | None = None
    error_code: str | None = None

    @property
    def payload(self) -> Any:
        """Give the payload parsed, or None when it is not JSON."""
        try:
            return json.loads(self.raw)
        except ValueError:
            return None

    def header(self, name: str) -> str | None:
        """Give the first value of a header field."""
        return next((value for key, value in self.headers if key == name), None)

    def settle(
        self, outcome: Outcome, *, status: int | None = None, reason: str | None = None
    ) -> None:
        """Note what became of the request; the first word stands."""
        if self.outcome != "pending":
            return
        self.outcome = outcome
        self.status, self.reason = status, reason
        if outcome == "answered":
            self.answered_ns = time.time_ns()

    def as_dict(self) -> dict[str, object]:
        """Give the request as the control API lists it."""
        return {
            "number": self.number,
            "received_ns": self.received_ns,
            "environment": self.environment,
            "connection": self.connection,
            "stream_id": self.stream_id,
            "method": self.method,
            "path": self.path,
            "token": self.token,
            "apns_id": self.apns_id,
            "topic": self.topic,
            "headers": dict(self.headers),
            "payload": self.payload,
            "size": self.size,
            "client": self.client,
            "outcome": self.outcome,
            "status": self.status,
            "reason": self.reason,
            "verdict": self.verdict,
            "answered_ns": self.answered_ns,
            "delivered": self.delivered,
            "stored": self.stored,
            "fault": self.fault,
            "error_code": self.error_code,
        }


@dataclass(slots=True)
class PushRequest:
    """A request's fields, as the rules look at them."""

    method: str
    path: str
    fields: dict[str, str]
    repeated: bool
    body: bytes
    size: int
    token: str = ""
    topic: str = ""
    apns_id: str = ""
    expiration: int | None = None
    pairs: list[tuple[str, str]] = field(default_factory=list)


def read_request(stream: Stream) -> PushRequest:
    """Read a stream's header fields; a field that is there twice is noted as repeated."""
    fields: dict[str, str] = {}
    repeated = False
    for name, value in stream.headers:
        if name in fields and name != "cookie":
            repeated = True
        fields[name] = value
    path = fields.get(":path", "")
    token = path.rpartition("/")[2].lower() if path.startswith("/3/device/") else ""
    return PushRequest(
        method=fields.get(":method", ""),
        path=path,
        fields=fields,
        repeated=repeated,
        body=bytes(stream.body),
        size=stream.body_size,
        token=token,
        topic=fields.get("apns-topic", ""),
        apns_id=fields.get("apns-id", ""),
        pairs=stream.headers,
    )
