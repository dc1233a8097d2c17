"""One client's connection: TLS, HTTP/2 and Apple's rules put together."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from devkit.simulator import acting, frames, intake
from devkit.simulator.answers import Answer, reason_json
from devkit.simulator.devices import Environment
from devkit.simulator.faults import CloseHow, Goaway, error_code, named_settings
from devkit.simulator.frames import Setting, error_name
from devkit.simulator.http2 import Habits, Http2
from devkit.simulator.opening import Opening
from devkit.simulator.pings import Pings
from devkit.simulator.provider_tokens import Binding
from devkit.simulator.requests import Arrival, PushRequest, read_request
from devkit.simulator.streams import ConnectionViolation, Stream, StreamViolation

if TYPE_CHECKING:
    from devkit.simulator.apple import Apple


class ApnsConnection(Opening):
    """A connection that speaks HTTP/2, with Apple's rules on top."""

    def __init__(self, apple: "Apple", environment: Environment) -> None:
        super().__init__(apple, environment)
        self.requests = 0
        self._http2: Http2 | None = None
        self._binding: Binding | None = None
        self._open: dict[int, Arrival] = {}
        self._draining = False
        self._to_flush = False
        self._pings = Pings()

    # What TLS tells.

    def tcp_opened(self) -> None:
        self.number = self.apple.admit(self)
        if self.apple.stopping:  # or the loop would wait for it without end
            self.stream.abort()
            return
        super().tcp_opened()

    def begin_http2(self) -> None:
        fault = self.fault
        self.stream.record_size = fault.record_size
        habits = Habits(
            refill_connection_window=fault.refill_connection_window,
            refill_stream_windows=fault.refill_stream_windows,
            answer_pings=fault.answer_pings,
            acknowledge_settings=fault.acknowledge_settings,
        )
        self._http2 = Http2(self, habits)
        initial = {
            Setting.MAX_CONCURRENT_STREAMS: self.first_streams(),
            Setting.MAX_HEADER_LIST_SIZE: 8000,
        }
        self._http2.send_settings({**initial, **named_settings(fault.settings)})
        if fault.goaway is not None:
            self.goaway(fault.goaway, above=1)
        self.flush()
        if fault.stop_reading == 0:
            self.stream.pause_reading()

    def first_streams(self) -> int:
        """Give how many streams a new client may open.

        Source: "Establishing a token-based connection to APNs": one until the first valid token,
        which a client with a certificate does not need.
        """
        return 1 if self.identity is None else self.apple.conduct.max_concurrent_streams

    def read(self, stream: Stream) -> PushRequest:
        """Read a request as this service sees it."""
        return read_request(stream)

    def judged(self, request: PushRequest, arrival: Arrival) -> tuple[Answer, Callable[[], None]]:
        """Apply the service's rules; give their answer, and what delivers the push."""
        return intake.judged(self, request, arrival)

    def unjudged(self, request: PushRequest) -> Answer:
        """Give an answer for a fault to shape."""
        return Answer(apns_id=request.apns_id or None)

    def received(self, data: bytes) -> None:
        if self._http2 is None or self.stream.closing:
            return
        try:
            self._http2.receive(data)
        except ConnectionViolation as violation:
            self.on_violation(violation)
            self._http2.output.raw(
                frames.goaway(self._http2.last_stream_id, violation.code, str(violation).encode())
            )
            self.flush()
            self.close("tls")

    def read_done(self) -> None:
        self.flush()

    def closed(self) -> None:
        super().closed()
        self.apple.connections.pop(self.number, None)
        for arrival in self._open.values():
            arrival.settle("closed")
        self._open.clear()
        self._pings.abandon()

    # What HTTP/2 tells.

    def on_headers(self, stream: Stream) -> None:
        if not self.apple.faults.any_at_headers:
            return
        request = self.read(stream)
        scripted = acting.pick(self, request, "headers")
        if scripted is not None:
            stream.dealt_with = True
            arrival = self._record(stream, request)
            acting.act(self, stream, arrival, self.unjudged(request), scripted)

    def on_request(self, stream: Stream) -> None:
        if stream.dealt_with:
            return  # by a fault, at its headers
        request = self.read(stream)
        scripted = None
        if self.apple.faults.any_for_requests:
            scripted = acting.pick(self, request, "request")
        arrival = self._record(stream, request)
        if scripted is not None and scripted.fault.unprocessed:
            acting.act(self, stream, arrival, self.unjudged(request), scripted)
            return
        answer, deliver = self.judged(request, arrival)
        if scripted is None:
            self.answer(stream, answer, deliver)
        else:
            acting.act(self, stream, arrival, answer, scripted, deliver)
        if self.fault.stop_reading == self.requests:
            self.stream.pause_reading()

    def _record(self, stream: Stream, request: PushRequest) -> Arrival:
        self.requests += 1
        arrival = intake.record(self, stream, request)
        self._open[stream.number] = arrival
        return arrival

    def authenticate_token(self, authorization: str | None) -> frozenset[str] | None:
        """Check a provider token; the first good one binds the connection and opens it up."""
        first = self._binding is None
        self._binding = self.apple.tokens.authenticate(
            authorization, self._binding, self.environment, self.apple.now()
        )
        key = self._binding.key
        if first:
            self.client = {"kind": "token", "team_id": key.team_id, "key_id": key.key_id}
            if "max_concurrent_streams" not in self.fault.settings:
                limit = self.apple.conduct.max_concurrent_streams
                self.send_settings({Setting.MAX_CONCURRENT_STREAMS: limit})
        return key.topics

    def on_peer_reset(self, stream: Stream, code: int) -> None:
        self.apple.statistics.resets_received += 1
        arrival = self._open.pop(stream.number, None)
        if arrival is not None:
            arrival.error_code = error_name(code)
            arrival.settle("abandoned")

    def on_refused(self, *, limit_known: bool) -> None:
        self.apple.statistics.refused_streams += 1
        self.apple.statistics.resets_sent += 1
        if limit_known:
            self.apple.statistics.limit_violations += 1

    def on_ping(self, *, ack: bool, data: bytes) -> None:
        if not ack:
            self.apple.statistics.pings_received += 1
            return
        self.apple.statistics.pings_acknowledged += 1
        self._pings.acknowledged(data)

    def on_violation(self, violation: ConnectionViolation | StreamViolation) -> None:
        code = error_name(violation.code)
        self.apple.statistics.violations.append(f"connection {self.number}: {code}: {violation}")

    # What the simulator does.

    @property
    def open_streams(self) -> int:
        return 0 if self._http2 is None else len(self._http2.streams)

    @property
    def speaks(self) -> bool:
        """Tell whether HTTP/2 has begun."""
        return self._http2 is not None

    @property
    def http2(self) -> Http2:
        """Give the HTTP/2 half; ConnectionError when there is none (yet, or any more)."""
        if self._http2 is None:
            raise ConnectionError(f"connection {self.number} does not speak HTTP/2")
        return self._http2

    def is_open(self, stream: Stream) -> bool:
        """Tell whether a stream can still be answered."""
        return (
            self._http2 is not None
            and not self.stream.closing
            and self._http2.streams.get(stream.number) is stream
        )

    def answer(self, stream: Stream, answer: Answer, deliver: Callable[[], None] | None) -> None:
        """Send a whole answer; a success delivers the push first."""
        arrival = self._open.pop(stream.number)
        if answer.success and deliver is not None:
            deliver()
        arrival.settle("answered", status=answer.status, reason=answer.reason)
        self.apple.statistics.answers[answer.reason or str(answer.status)] += 1
        body = answer.body_bytes()
        output = self.http2.output
        output.headers(stream, answer.header_fields(), end=not body)
        if body:
            output.data(stream, body, end=True)
        self.http2.finish(stream)

    def settle(self, stream: Stream) -> Arrival | None:
        """Take a stream's request off the list of open ones."""
        return self._open.pop(stream.number, None)

    def reset_stream(self, stream: Stream, code: int) -> None:
        """Send RST_STREAM."""
        arrival = self._open.pop(stream.number, None)
        if arrival is not None:
            arrival.error_code = error_name(code)
            arrival.settle("reset")
        self.apple.statistics.resets_sent += 1
        self.http2.reset(stream.number, code)

    def send_settings(self, values: Mapping[Setting, int]) -> None:
        """Send SETTINGS now."""
        self.http2.send_settings(values)

    def goaway(self, order: Goaway, *, above: int) -> None:
        """Send GOAWAY; `above` is the first stream that one that is not covering leaves out."""
        http2 = self.http2
        last = http2.last_stream_id if order.covering else max(above - 2, 0)
        if order.last_stream_id is not None:
            last = order.last_stream_id
        http2.refuse_above = last
        debug = b"" if order.reason is None else reason_json(order.reason)
        http2.output.raw(frames.goaway(last, error_code(order.code), debug))
        self.apple.statistics.goaways_sent += 1
        for number in [n for n in http2.streams if n > last]:
            http2.drop(number)
            arrival = self._open.pop(number, None)
            if arrival is not None:
                arrival.settle("goaway")
        if order.close == "now":
            self.flush()
            self.close("tls")
        self._draining = order.close == "drain"

    async def ping(self, timeout: float) -> float | None:
        """Send PING; give the seconds until it was acknowledged, None if it was not in time."""

        def send(data: bytes) -> None:
            self.http2.output.raw(frames.ping(data))
            self.flush()

        return await self._pings.exchange(send, timeout)

    def flush_soon(self) -> None:
        """Write what is queued by the end of this turn: many answers are one record, one write."""
        if not self._to_flush:
            self._to_flush = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what is queued; a draining connection ends with its last stream."""
        self._to_flush = False
        if self._http2 is None:
            return
        self.stream.write(self._http2.output.take())
        if self._draining and not self._http2.streams:
            self.close("tls")

    def close(self, how: CloseHow) -> None:
        """End the connection: `tls`, `fin` or `rst`."""
        for arrival in self._open.values():
            arrival.settle("closed")
        self._open.clear()
        self.cancel_tasks()
        self.stream.close(how)

    def as_dict(self) -> dict[str, object]:
        """Give the connection as the control API lists it."""
        return {
            "number": self.number,
            "environment": self.environment,
            "established": self.established,
            "tls": self.stream.version if self.established else None,
            "client": self.client,
            "requests": self.requests,
            "open_streams": self.open_streams,
        }
