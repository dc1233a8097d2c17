"""What can be made to go wrong, as values. `fault_book` picks them, `acting` acts them out.

A `ConnectionFault` says how a new connection behaves, a `RequestFault` what becomes of a request.
Both say where they strike (all conditions given must hold) and how often: the first `skip` matches
are let pass, then `times` are struck (None: all).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from devkit.simulator.devices import Environment
from devkit.simulator.frames import ErrorCode, Setting

CloseHow = Literal["tls", "fin", "rst"]
"""`tls`: close_notify, then FIN. `fin`: FIN alone. `rst`: a TCP reset."""


def error_code(value: str | int) -> int:
    """Read an HTTP/2 error code by name or number; ValueError for an unknown name."""
    if isinstance(value, int):
        return value
    try:
        return ErrorCode[value.upper()]
    except KeyError:
        raise ValueError(f"no HTTP/2 error code is called {value!r}") from None


def named_settings(values: dict[str, int]) -> dict[Setting, int]:
    """Read SETTINGS by name (`max_concurrent_streams`); ValueError for an unknown name."""
    try:
        return {Setting[name.upper()]: value for name, value in values.items()}
    except KeyError as error:
        raise ValueError(f"no HTTP/2 setting is called {error.args[0].lower()!r}") from None


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Goaway(_Checked):
    """A GOAWAY frame.

    `covering`: the stream at hand is at or below the last stream id, so that it will be answered;
    otherwise it lies above and was not processed. `last_stream_id` overrides. `reason` is sent as
    Apple's JSON. `close` ends the connection: `drain` when the open streams are answered, `now` at
    once, `never` leaves that to the client.
    """

    covering: bool = True
    last_stream_id: int | None = None
    code: str | int = "NO_ERROR"
    reason: str | None = None
    close: Literal["drain", "now", "never"] = "drain"

    @field_validator("code")
    @classmethod
    def _known(cls, value: str | int) -> str | int:
        error_code(value)
        return value


class _Where(_Checked):
    environment: Environment | None = None
    connection: int | None = Field(default=None, description="number of the connection, from 1")
    skip: int = Field(default=0, ge=0)
    times: int | None = Field(default=None, ge=1)


class ConnectionFault(_Where):
    """How a new connection behaves.

    Before TLS: `refuse` (the port is closed while the fault stands: ECONNREFUSED), `reset` (accept,
    then a TCP reset), `hold` (accept, but do not begin TLS until the fault is released: a barrier).
    In TLS: `certificate` (what the server shows), `alpn` false (none is agreed), `http1` (HTTP/1.1
    is agreed on even if h2 is offered, by Google and by the push service of browsers).
    With `fingerprint` all that follows strikes only a client with this certificate (SHA-256, hex).
    After TLS: `close`, `silent` (not even SETTINGS are sent, nothing is answered), `goaway`.
    In HTTP/2: `settings` in the first SETTINGS frame, windows that are never refilled, PINGs and
    SETTINGS that are not acknowledged, `record_size` (everything is written in TLS records of so
    many bytes), `stop_reading` after so many requests.
    """

    refuse: bool = False
    reset: bool = False
    hold: bool = False
    certificate: Literal["valid", "expired", "wrong_name", "untrusted"] = "valid"
    alpn: bool = True
    http1: bool = False
    fingerprint: str | None = None
    close: CloseHow | None = None
    silent: bool = False
    goaway: Goaway | None = None
    settings: dict[str, int] = Field(default_factory=dict)
    refill_connection_window: bool = True
    refill_stream_windows: bool = True
    answer_pings: bool = True
    acknowledge_settings: bool = True
    record_size: int | None = Field(default=None, ge=1)
    stop_reading: int | None = Field(default=None, ge=0)

    @field_validator("settings")
    @classmethod
    def _known_settings(cls, value: dict[str, int]) -> dict[str, int]:
        named_settings(value)
        return value


class RequestFault(_Where):
    """What becomes of a request.

    Where: `token`, `topic`, `apns_id`. When: as soon as its headers are there
    (`on="headers"`, for `reset`, `close`, `silence` and `goaway`) or when it is complete.

    First, in this order: `settings` are sent, `delay` seconds pass, `hold` waits for release,
    `raw` bytes (hex) are sent as they are, `goaway` is sent. Then it ends in one of: `silence`,
    `reset` (RST_STREAM with this code), `close`, or an answer. `cut` lets `silence`, `reset` or
    `close` strike inside the answer: after its headers, or half-way through its body.

    The answer is what the rules say, but for: `status` (by default the
    reason's), `reason`, `timestamp` (ms), `retry_after`
    (s), `headers`, `body` (text; "" is empty), `body_size` (padded to so many bytes), `pieces` (the
    body in so many DATA frames) with `pause` seconds between, `apns_id_header`.

    `delivered` says whether the device gets the push; by default it does if the answer is 200.
    A request that met REFUSED_STREAM or a GOAWAY that does not cover it was not processed at all.
    """

    token: str | None = None
    topic: str | None = None
    apns_id: str | None = None
    on: Literal["headers", "request"] = "request"
    settings: dict[str, int] = Field(default_factory=dict)
    delay: float = Field(default=0, ge=0)
    hold: bool = False
    raw: str | None = None
    goaway: Goaway | None = None
    silence: bool = False
    reset: str | int | None = None
    close: CloseHow | None = None
    cut: Literal["headers", "body"] | None = None
    status: int | None = Field(default=None, ge=100, le=999)
    reason: str | None = None
    timestamp: int | None = None
    retry_after: int | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    body: str | None = None
    body_size: int | None = Field(default=None, ge=0)
    pieces: int = Field(default=1, ge=1)
    pause: float = Field(default=0, ge=0)
    apns_id_header: Literal["echo", "missing", "uppercase", "other"] = "echo"
    delivered: bool | None = None

    @field_validator("token")
    @classmethod
    def _lower(cls, value: str | None) -> str | None:
        return None if value is None else value.lower()

    @field_validator("reset")
    @classmethod
    def _known_code(cls, value: str | int | None) -> str | int | None:
        if value is not None:
            error_code(value)
        return value

    @field_validator("raw")
    @classmethod
    def _hex(cls, value: str | None) -> str | None:
        if value is not None:
            bytes.fromhex(value)
        return value

    @field_validator("settings")
    @classmethod
    def _known_settings(cls, value: dict[str, int]) -> dict[str, int]:
        named_settings(value)
        return value

    @property
    def unprocessed(self) -> bool:
        """Tell whether APNs never looks at the request, so that it is safe to send again."""
        if self.goaway is not None and not self.goaway.covering:
            return True
        return self.reset is not None and error_code(self.reset) == ErrorCode.REFUSED_STREAM
