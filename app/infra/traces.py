"""Traces by OpenTelemetry (the extra `otel`): what one ring went through, in all processes.

The context of the span in which a call began stands in the call's row, as W3C Trace Context writes
it (`traceparent`); whoever does something for the call later makes a span under it. Spans are kept
in a bounded queue and sent by a thread of the SDK's own: what cannot be sent is dropped, and
nothing waits for it. Without traces there is no object of these, and nothing of the SDK is loaded.
"""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal

import structlog

from app.infra import clock
from app.infra.ids import uuid7
from app.infra.settings import wants_traces

log = structlog.get_logger(__name__)

FLUSH_WITHIN: Final = 2.0
"""Seconds for which a process that ends waits for its last spans to be sent."""

Kind = Literal["INTERNAL", "SERVER", "CLIENT", "CONSUMER"]
Attributes = Mapping[str, str | int | bool]
"""Of a span: never a secret, a token or what tells a user."""


class Span:
    """Something that was begun. One that is never ended is never sent."""

    def __init__(self, span: Any, traceparent: str) -> None:
        self._span = span
        self.traceparent = traceparent
        """Its context, for what happens under it."""

    def set(self, attributes: Attributes) -> None:
        """Say more of it."""
        self._span.set_attributes(attributes)

    def rename(self, name: str) -> None:
        """Call it by what is known by now."""
        self._span.update_name(name)

    def link(self, traceparent: str) -> None:
        """Say that it has to do with that span, of another trace perhaps."""
        context = _span_context(traceparent)
        if context.is_valid:
            self._span.add_link(context)

    def end(self, *, failed: bool = False, at: float | None = None) -> None:
        """It is over now, or was `at` (Unix seconds)."""
        from opentelemetry.trace import Status, StatusCode  # noqa: PLC0415  (an extra)

        if failed:
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end(_nanoseconds(clock.unix() if at is None else at))


@dataclass(slots=True)
class TracedRequest:
    """An HTTP request under way: its span begins when it is known of which trace it is."""

    begun: float
    traceparent: str | None
    span: Span | None = None
    over: bool = False


REQUEST: Final[ContextVar[TracedRequest | None]] = ContextVar("traced_request", default=None)


class Traces:
    """Makes the spans of one process."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("ringline")

    def start(
        self,
        name: str,
        kind: Kind,
        under: str | None = None,
        attributes: Attributes | None = None,
        *,
        at: float | None = None,
    ) -> Span:
        """Begin a span, now or `at` (Unix seconds), under a `traceparent`; without one a trace."""
        from opentelemetry.trace import SpanKind  # noqa: PLC0415  (an extra)

        span = self._tracer.start_span(
            name,
            context=_context(under),
            kind=SpanKind[kind],
            attributes=attributes,
            start_time=_nanoseconds(clock.unix() if at is None else at),
        )
        return Span(span, _traceparent(span))

    @contextmanager
    def ringing(self) -> Iterator[Span]:
        """The span of a ring that is asked for: the request's own, or one under it."""
        request = REQUEST.get()
        if request is not None and request.span is None:
            request.span = self.start("request", "SERVER", request.traceparent, at=request.begun)
            yield request.span  # ends with the request
            return
        above = None if request is None or request.span is None else request.span.traceparent
        span = self.start("ring", "INTERNAL", above)
        try:
            yield span
        except BaseException:
            span.end(failed=True)
            raise
        span.end()

    def acted(self, traceparent: str | None) -> None:
        """The request under way has done something to a call that has this context."""
        request = REQUEST.get()
        if request is None or request.over or traceparent is None:
            return
        if request.span is not None:
            if request.span.traceparent != traceparent:  # else it began the call itself
                request.span.link(traceparent)
            return
        given = request.traceparent
        if given is not None and _trace_of(given) == _trace_of(traceparent):
            traceparent = given  # the phone goes on with what its push has told it
        request.span = self.start("request", "SERVER", traceparent, at=request.begun)
        if given is not None and given is not traceparent:
            request.span.link(given)

    async def close(self) -> None:
        """Send what waits, for a bounded time."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, FLUSH_WITHIN)


def open_traces(service: str) -> Traces | None:
    """The traces of this process, where the environment (`OTEL_…`) says where they go.

    `service`: its `service.name`, unless the environment has one.
    """
    if not wants_traces():
        return None
    try:
        return Traces(_provider(service))
    except ImportError:
        why = "the extra is not installed: pip install 'ringline[otel]'"
    except ValueError as error:  # of the SDK, about what a variable says
        why = str(error)
    log.warning("traces_absent", why=why)  # no reason not to ring
    return None


def _provider(service: str) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  (an extra)
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    own = Resource({"service.name": service, "service.instance.id": uuid7().hex})
    said = OTELResourceDetector().detect()
    resource = Resource.create(dict(own.merge(said).attributes))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def trace_id_of(traceparent: str | None) -> str | None:
    """The id by which a backend of traces finds it."""
    return None if traceparent is None else traceparent.split("-")[1]


def _context(traceparent: str | None) -> Any:
    from opentelemetry.context import Context  # noqa: PLC0415  (an extra)
    from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415
        TraceContextTextMapPropagator,
    )

    if traceparent is None:
        return Context()
    return TraceContextTextMapPropagator().extract({"traceparent": traceparent}, Context())


def _span_context(traceparent: str) -> Any:
    from opentelemetry.trace import get_current_span  # noqa: PLC0415  (an extra)

    return get_current_span(_context(traceparent)).get_span_context()


def _trace_of(traceparent: str) -> int:
    return int(_span_context(traceparent).trace_id)


def _traceparent(span: Any) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _nanoseconds(unix: float) -> int:
    return int(unix * 1_000_000_000)
