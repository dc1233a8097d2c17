"""One client's connection: TLS, HTTP/2 and Apple's rules put together."""

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from app.simulator import acting, frames
from app.simulator.answers import Answer, Refusal, reason_json
from app.simulator.devices import Device, Environment
from app.simulator.fault_book import Scripted
from app.simulator.faults import ConnectionFault, Goaway, error_code, named_settings
from app.simulator.frames import Setting, error_name
from app.simulator.http2 import Habits, Http2
from app.simulator.identity import CertificateIdentity, read_certificate
from app.simulator.provider_tokens import Binding
from app.simulator.requests import Arrival, PushRequest, read_request
from app.simulator.rules import judge
from app.simulator.streams import ConnectionViolation, Stream, StreamViolation
from app.simulator.tls import TlsStream

if TYPE_CHECKING:
    from app.simulator.apple import Apple

_NO_FAULT = ConnectionFault()


class ApnsConnection:
    """A connection to one environment; `number` counts connections from 1."""

    def __init__(self, apple: "Apple", environment: Environment) -> None:
        self.apple = apple
        self.environment: Environment = environment
        self.identity: CertificateIdentity | None = None
        self.stream = TlsStream(self)
        self.number = 0
        self.established = False
        self.requests = 0
        self.client: dict[str, object] = {"kind": "none"}
        self._fault = _NO_FAULT
        self._scripted: Scripted[ConnectionFault] | None = None
        self._http2: Http2 | None = None
        self._binding: Binding | None = None
        self._open: dict[int, Arrival] = {}
        self._draining = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._pings: dict[bytes, asyncio.Future[None]] = {}

    # What TLS tells.

    def tcp_opened(self) -> None:
        apple = self.apple
        apple.last_connection += 1
        self.number = apple.last_connection
        apple.connections[self.number] = self
        apple.statistics.tcp_connections += 1
        self._scripted = apple.faults.for_connection(self.environment, self.number)
        if self._scripted is not None:
            self._fault = self._scripted.fault
        if self._fault.reset:
            self.stream.close("rst")
        elif self._scripted is not None and self._fault.hold:
            self.spawn(self._begin_when_released(self._scripted))
        else:
            self._begin_tls()

    async def _begin_when_released(self, scripted: Scripted[ConnectionFault]) -> None:
        await scripted.wait_released()
        self._begin_tls()

    def _begin_tls(self) -> None:
        fault = self._fault
        self.stream.start(self.apple.contexts.get(fault.certificate, alpn=fault.alpn))

    def tls_failed(self, reason: str) -> None:
        self.apple.statistics.handshakes_failed += 1
        self.apple.statistics.handshake_errors.append(reason)

    def tls_opened(self) -> None:
        if self.stream.alpn != b"h2" and self._fault.alpn:
            self.tls_failed("the client does not offer ALPN h2")
            self.stream.close("tls")
            return
        self.apple.statistics.handshakes += 1
        self.established = True
        certificate = self.stream.peer_certificate
        if certificate is not None:
            identity = read_certificate(certificate, trusted=self.stream.trusted)
            if identity.fingerprint in self.apple.revoked:
                identity = replace(identity, usable=False)
            self.identity = identity
            self.client = self.identity.as_dict()
        if self._fault.close is not None:
            self.stream.close(self._fault.close)
        elif not self._fault.silent:
            self._begin_http2()

    def _begin_http2(self) -> None:
        fault = self._fault
        self.stream.record_size = fault.record_size
        habits = Habits(
            refill_connection_window=fault.refill_connection_window,
            refill_stream_windows=fault.refill_stream_windows,
            answer_pings=fault.answer_pings,
            acknowledge_settings=fault.acknowledge_settings,
        )
        self._http2 = Http2(self, habits)
        # Source: "Establishing a token-based connection to APNs": one stream until the first valid
        # token, which a client with a certificate does not need.
        streams = 1 if self.identity is None else self.apple.conduct.max_concurrent_streams
        initial = {Setting.MAX_CONCURRENT_STREAMS: streams, Setting.MAX_HEADER_LIST_SIZE: 8000}
        self._http2.send_settings({**initial, **named_settings(fault.settings)})
        if fault.goaway is not None:
            self.goaway(fault.goaway, above=1)
        self.flush()
        if fault.stop_reading == 0:
            self.stream.pause_reading()

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
        self.established = False
        self.apple.connections.pop(self.number, None)
        for arrival in self._open.values():
            arrival.settle("closed")
        self._open.clear()
        self._cancel_tasks()
        for waiter in self._pings.values():
            waiter.cancel()

    # What HTTP/2 tells.

    def on_headers(self, stream: Stream) -> None:
        if not self.apple.faults.any_for_requests:
            return
        request = read_request(stream)
        scripted = acting.pick(self, request, "headers")
        if scripted is not None:
            arrival = self._record(stream, request)
            acting.act(self, stream, arrival, Answer(apns_id=request.apns_id or None), scripted)

    def on_request(self, stream: Stream) -> None:
        if stream.number in self._open:
            return  # A fault has dealt with it at its headers.
        request = read_request(stream)
        scripted = None
        if self.apple.faults.any_for_requests:
            scripted = acting.pick(self, request, "request")
        arrival = self._record(stream, request)
        if scripted is not None and scripted.fault.unprocessed:
            acting.act(self, stream, arrival, Answer(), scripted)
            return
        answer, device = self._judge(request, arrival)
        deliver = self._deliverer(arrival, device, request)
        if scripted is None:
            self.answer(stream, answer, deliver)
        else:
            acting.act(self, stream, arrival, answer, scripted, deliver)
        if self._fault.stop_reading == self.requests:
            self.stream.pause_reading()

    def _record(self, stream: Stream, request: PushRequest) -> Arrival:
        self.requests += 1
        self.apple.statistics.requests += 1
        arrival = Arrival(
            number=self.apple.arrivals.next_number(),
            received_ns=time.time_ns(),
            environment=self.environment,
            connection=self.number,
            stream_id=stream.number,
            method=request.method,
            path=request.path,
            token=request.token,
            apns_id=request.apns_id,
            topic=request.topic,
            headers=request.pairs,
            raw=request.body,
            size=request.size,
            client=self.client,
        )
        self._open[stream.number] = arrival
        self.apple.arrivals.add(arrival)
        return arrival

    def _judge(self, request: PushRequest, arrival: Arrival) -> tuple[Answer, Device | None]:
        """Apply the rules; the arrival learns what they filled in."""
        answer, device = Answer(), None
        try:
            device = judge(request, self, self.apple.find_device)
            arrival.verdict = "200"
            if self.environment == "sandbox":
                answer.unique_id = str(uuid.uuid4())
        except Refusal as refusal:
            arrival.verdict = refusal.reason
            answer = Answer(refusal.status, refusal.reason, refusal.timestamp)
            if refusal.reason in ("BadMessageId", "DuplicateHeaders"):
                request.apns_id = str(uuid.uuid4()).upper()
        answer.apns_id = request.apns_id
        arrival.apns_id, arrival.topic = request.apns_id, request.topic
        arrival.client = self.client
        return answer, device

    def _deliverer(
        self, arrival: Arrival, device: Device | None, request: PushRequest
    ) -> Callable[[], None]:
        def deliver() -> None:
            known = device or Device(request.token, environment=None)
            self.apple.hand_over(arrival, known, request.expiration)

        return deliver

    def authenticate_token(self, authorization: str | None) -> frozenset[str] | None:
        """Check a provider token; the first good one binds the connection and opens it up."""
        first = self._binding is None
        self._binding = self.apple.tokens.authenticate(
            authorization, self._binding, self.environment, self.apple.now()
        )
        key = self._binding.key
        if first:
            self.client = {"kind": "token", "team_id": key.team_id, "key_id": key.key_id}
            if "max_concurrent_streams" not in self._fault.settings:
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
        waiter = self._pings.pop(data, None)
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

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
        if answer.status == 200 and deliver is not None:
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
            http2.output.forget(http2.streams.pop(number))
            arrival = self._open.pop(number, None)
            if arrival is not None:
                arrival.settle("goaway")
        if order.close == "now":
            self.flush()
            self.close("tls")
        self._draining = order.close == "drain"

    async def ping(self, timeout: float) -> float | None:
        """Send PING; give the seconds until it was acknowledged, None if it was not in time."""
        data = os.urandom(8)
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pings[data] = waiter
        began = time.perf_counter()
        self.http2.output.raw(frames.ping(data))
        self.flush()
        try:
            await asyncio.wait((waiter,), timeout=timeout)
            answered = waiter.done() and not waiter.cancelled()
            return time.perf_counter() - began if answered else None
        finally:
            self._pings.pop(data, None)

    def flush(self) -> None:
        """Write what is queued; a draining connection ends with its last stream."""
        if self._http2 is None:
            return
        self.stream.write(self._http2.output.take())
        if self._draining and not self._http2.streams:
            self.close("tls")

    def close(self, how: Any) -> None:
        """End the connection: `tls`, `fin` or `rst`."""
        for arrival in self._open.values():
            arrival.settle("closed")
        self._open.clear()
        self._cancel_tasks()
        self.stream.close(how)

    def _cancel_tasks(self) -> None:
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that waits, for as long as the connection lives."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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
