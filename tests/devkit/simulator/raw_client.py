"""A bare HTTP/2 client on python-hyper's h2, which shows what a server really sends."""

import asyncio
import contextlib
import json
import ssl
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings

TOPIC = "com.example.app.voip"


class Ended(Exception):
    """The connection ended before the answer."""


class Reset(Exception):
    """The stream was reset; `code` is HTTP/2's."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = int(code)


@dataclass
class Answer:
    """An answer as it came; `frames` are the sizes of its DATA frames."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    frames: list[int] = field(default_factory=list)
    ended: bool = False
    reset: int | None = None

    @property
    def reason(self) -> str | None:
        return json.loads(self.body)["reason"] if self.body else None

    @property
    def timestamp(self) -> int | None:
        return json.loads(self.body).get("timestamp")


class PatientConnection(h2.connection.H2Connection):
    """h2 takes a GOAWAY for the end; answers to streams that it covers still come."""

    def _receive_goaway_frame(self, frame: Any) -> Any:
        received = super()._receive_goaway_frame(frame)
        self.state_machine.state = h2.connection.ConnectionState.CLIENT_OPEN
        return received


class RawClient:
    """One connection; `push` sends and waits, `send` only sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        config = h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False
        )
        self.h2 = PatientConnection(config)
        self.refill = True
        self.answers: dict[int, Answer] = {}
        self.goaway: h2.events.ConnectionTerminated | None = None
        self.pings_acknowledged = 0
        self.settings_acknowledged = 0
        self.closed = False
        self.error: BaseException | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.h2.initiate_connection()
        self.flush()
        self._task = asyncio.create_task(self._read())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        # Not by TLS's farewell: it would wait for an answer that a fault may hold back.
        self.writer.transport.abort()
        with contextlib.suppress(OSError, ssl.SSLError):
            await self.writer.wait_closed()

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(65536):
                for event in self.h2.receive_data(data):
                    self._on(event)
                self.flush()
                self._changed.set()
        except (OSError, ssl.SSLError, h2.exceptions.H2Error) as error:
            self.error = error
        self.closed = True
        self._changed.set()

    def _on(self, event: Any) -> None:
        match event:
            case h2.events.ResponseReceived():
                fields = {k.decode(): v.decode() for k, v in event.headers}
                answer = self.answers.setdefault(event.stream_id, Answer())
                answer.status, answer.headers = int(fields.pop(":status")), fields
            case h2.events.DataReceived():
                answer = self.answers[event.stream_id]
                answer.body += event.data
                answer.frames.append(len(event.data))
                if self.refill and event.flow_controlled_length:
                    self.h2.increment_flow_control_window(event.flow_controlled_length)
            case h2.events.StreamEnded():
                self.answers[event.stream_id].ended = True
            case h2.events.StreamReset():
                answer = self.answers.setdefault(event.stream_id, Answer())
                answer.reset = int(event.error_code)
            case h2.events.ConnectionTerminated():
                self.goaway = event
            case h2.events.PingAckReceived():
                self.pings_acknowledged += 1
            case h2.events.SettingsAcknowledged():
                self.settings_acknowledged += 1

    def flush(self) -> None:
        self.writer.write(self.h2.data_to_send())

    async def until(self, ready: Any, timeout: float = 5) -> None:
        """Wait for something to be so; TimeoutError."""
        async with asyncio.timeout(timeout):
            while not ready():
                self._changed.clear()
                await self._changed.wait()

    @property
    def stream_limit(self) -> int:
        return self.h2.remote_settings.max_concurrent_streams

    async def ready(self) -> None:
        """Wait for the server's first SETTINGS."""
        await self.until(lambda: self.stream_limit < 2**31)

    def send(
        self,
        token: str,
        body: bytes = b'{"aps":{}}',
        *,
        method: str = "POST",
        path: str | None = None,
        topic: str | None = TOPIC,
        push_type: str | None = "voip",
        bearer: str | None = None,
        extra: list[tuple[str, str]] | None = None,
        end: bool = True,
        **headers: str,
    ) -> int:
        """Send a push with keyword headers (`apns_id=...`); give its stream id."""
        stream_id = self.h2.get_next_available_stream_id()
        fields = [
            (":method", method),
            (":scheme", "https"),
            (":path", f"/3/device/{token}" if path is None else path),
            (":authority", "localhost"),
        ]
        headers.setdefault("apns_id", str(uuid.uuid4()))
        named = {"apns-topic": topic, "apns-push-type": push_type}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer is not None:
            named["authorization"] = f"bearer {bearer}"
        fields += [(name, value) for name, value in named.items() if value is not None]
        fields += extra or []
        self.h2.send_headers(stream_id, fields, end_stream=end and not body)
        if body:
            self.h2.send_data(stream_id, body, end_stream=end)
        self.flush()
        return stream_id

    async def answer(self, stream_id: int, timeout: float = 5) -> Answer:
        """Wait for a whole answer; raises Reset, Ended or TimeoutError."""

        def done() -> bool:
            answer = self.answers.get(stream_id)
            return self.closed or (
                answer is not None and (answer.ended or answer.reset is not None)
            )

        await self.until(done, timeout)
        answer = self.answers.get(stream_id)
        if answer is not None and answer.ended:
            return answer
        if answer is not None and answer.reset is not None:
            raise Reset(answer.reset)
        raise Ended(str(self.error or "the connection was closed"))

    async def push(self, token: str, *args: Any, timeout: float = 5, **kwargs: Any) -> Answer:
        return await self.answer(self.send(token, *args, **kwargs), timeout)


@contextlib.asynccontextmanager
async def connected(port: int, context: ssl.SSLContext) -> AsyncIterator[RawClient]:
    """A client with a TLS connection to `port`."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=context, server_hostname="localhost"
    )
    client = RawClient(reader, writer)
    client.start()
    try:
        yield client
    finally:
        await client.close()
