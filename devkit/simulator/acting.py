"""Acts out a request fault on its stream."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from devkit.simulator.answers import Answer
from devkit.simulator.fault_book import Scripted
from devkit.simulator.faults import RequestFault, error_code, named_settings
from devkit.simulator.requests import Arrival, PushRequest
from devkit.simulator.streams import Stream

if TYPE_CHECKING:
    from devkit.simulator.connection import ApnsConnection

Deliver = Callable[[], None]
_OTHER_ID = "00000000-0000-4000-8000-000000000000"


def pick(
    connection: "ApnsConnection", request: PushRequest, on: Literal["headers", "request"]
) -> Scripted[RequestFault] | None:
    """Give the fault that strikes a request, if one does."""
    return connection.apple.faults.for_request(
        on=on,
        environment=connection.environment,
        connection=connection.number,
        token=request.token,
        topic=request.topic,
        apns_id=request.apns_id,
    )


def act(
    connection: "ApnsConnection",
    stream: Stream,
    arrival: Arrival,
    answer: Answer,
    scripted: Scripted[RequestFault],
    deliver: Deliver | None = None,
) -> None:
    """Act a fault out: at once, or later if it waits."""
    fault = scripted.fault
    arrival.fault = scripted.number
    if fault.delivered and deliver is not None:
        deliver()
    if fault.delivered is not None:
        deliver = None  # It has been delivered, or never will be.
    if fault.settings:
        connection.send_settings(named_settings(fault.settings))
    shaped = shape(answer, fault)
    if fault.delay or fault.hold:
        connection.flush()
        connection.spawn(_later(connection, stream, arrival, shaped, scripted, deliver))
    else:
        _finish(connection, stream, arrival, shaped, fault, deliver)


async def waited(scripted: Scripted[RequestFault]) -> None:
    """The fault's delay, and its hold until it is let go of."""
    if scripted.fault.delay:  # else held from the next turn on: who hears of it may let go of it
        await asyncio.sleep(scripted.fault.delay)
    if scripted.fault.hold:
        await scripted.wait_released()


async def _later(
    connection: "ApnsConnection",
    stream: Stream,
    arrival: Arrival,
    answer: Answer,
    scripted: Scripted[RequestFault],
    deliver: Deliver | None,
) -> None:
    await waited(scripted)
    if connection.is_open(stream):
        _finish(connection, stream, arrival, answer, scripted.fault, deliver)
        connection.flush_soon()


def _finish(
    connection: "ApnsConnection",
    stream: Stream,
    arrival: Arrival,
    answer: Answer,
    fault: RequestFault,
    deliver: Deliver | None,
) -> None:
    if fault.raw is not None:
        connection.http2.output.raw(bytes.fromhex(fault.raw))
    if fault.goaway is not None:
        connection.goaway(fault.goaway, above=stream.number)
        if not connection.is_open(stream):
            return
    if fault.cut is not None:
        _begin_answer(connection, stream, answer, fault)
    if fault.silence:
        arrival.settle("silent")
    elif fault.reset is not None:
        connection.reset_stream(stream, error_code(fault.reset))
    elif fault.close is not None:
        connection.flush()
        connection.close(fault.close)
    elif fault.pieces > 1 or fault.pause:
        connection.spawn(_answer_in_pieces(connection, stream, answer, fault, deliver))
    else:
        connection.answer(stream, answer, deliver)


def _begin_answer(
    connection: "ApnsConnection", stream: Stream, answer: Answer, fault: RequestFault
) -> None:
    """Send the head of an answer that will not be whole, and perhaps half of its body."""
    output = connection.http2.output
    output.headers(stream, answer.header_fields(), end=False)
    body = answer.body_bytes()
    if fault.cut == "body" and body:
        output.data(stream, body[: max(len(body) // 2, 1)], end=False)


async def _answer_in_pieces(
    connection: "ApnsConnection",
    stream: Stream,
    answer: Answer,
    fault: RequestFault,
    deliver: Deliver | None,
) -> None:
    """Send headers, then the body in DATA frames, with a pause before each."""
    body = answer.body_bytes()
    size = max(-(-len(body) // fault.pieces), 1)
    pieces = [body[start : start + size] for start in range(0, len(body), size)] or [b""]
    output = connection.http2.output
    output.headers(stream, answer.header_fields(), end=False)
    connection.flush()
    for number, piece in enumerate(pieces, start=1):
        await asyncio.sleep(fault.pause)
        if not connection.is_open(stream):
            return
        output.data(stream, piece, end=number == len(pieces))
        connection.flush()
    arrival = connection.settle(stream)
    if arrival is not None:
        if answer.success and deliver is not None:
            deliver()
        arrival.settle("answered", status=answer.status, reason=answer.reason)
        connection.apple.statistics.answers[answer.reason or str(answer.status)] += 1
    connection.http2.finish(stream)
    connection.flush()


def shape(answer: Answer, fault: RequestFault) -> Answer:
    """Change the rules' answer into the fault's."""
    if fault.status is not None or fault.reason is not None:
        answer = answer.refused(fault.status, fault.reason)
    if fault.timestamp is not None:
        answer = replace(answer, timestamp=fault.timestamp)
    if fault.body is not None:
        answer = replace(answer, body=fault.body.encode())
    if fault.body_size is not None:
        # JSON allows white space after it, so a padded answer can still be read.
        answer = replace(answer, body=answer.body_bytes().ljust(fault.body_size))
    extra = tuple(fault.headers.items())
    if fault.retry_after is not None:
        extra += (("retry-after", str(fault.retry_after)),)
    identifier = answer.apns_id or ""
    identifiers = {
        "echo": answer.apns_id,
        "missing": None,
        "uppercase": identifier.upper(),
        "other": _OTHER_ID,
    }
    return replace(answer, extra=extra, apns_id=identifiers[fault.apns_id_header])
