"""What happens to a request as it comes in: it is noted, judged, and made ready to deliver."""

import time
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from devkit.simulator.answers import Answer, Refusal
from devkit.simulator.devices import Device
from devkit.simulator.requests import Arrival, PushRequest
from devkit.simulator.rules import judge
from devkit.simulator.streams import Stream

if TYPE_CHECKING:
    from devkit.simulator.connection import ApnsConnection


def record(connection: "ApnsConnection", stream: Stream, request: PushRequest) -> Arrival:
    """Note a request among the arrivals, with the time of now."""
    apple = connection.apple
    apple.statistics.requests += 1
    arrival = Arrival(
        number=apple.arrivals.next_number(),
        received_ns=time.time_ns(),
        environment=connection.environment,
        connection=connection.number,
        stream_id=stream.number,
        method=request.method,
        path=request.path,
        token=request.token,
        apns_id=request.apns_id,
        topic=request.topic,
        headers=request.pairs,
        raw=request.body,
        size=request.size,
        client=connection.client,
    )
    apple.arrivals.add(arrival)
    return arrival


def judged(
    connection: "ApnsConnection", request: PushRequest, arrival: Arrival
) -> tuple[Answer, Callable[[], None]]:
    """Apply the rules; give their answer, and what delivers the push.

    The arrival learns what the rules filled in.
    """
    answer, device = Answer(), None
    try:
        device = judge(request, connection, connection.apple.find_device)
        arrival.verdict = "200"
        if connection.environment == "sandbox":
            answer.unique_id = str(uuid.uuid4())
    except Refusal as refusal:
        arrival.verdict = refusal.reason
        answer = Answer(refusal.status, refusal.reason, refusal.timestamp)
        if refusal.reason in ("BadMessageId", "DuplicateHeaders"):
            request.apns_id = str(uuid.uuid4()).upper()
    answer.apns_id = request.apns_id
    arrival.apns_id, arrival.topic = request.apns_id, request.topic
    arrival.client = connection.client
    known = device or Device(request.token, environment=None)

    def deliver() -> None:
        connection.apple.hand_over(arrival, known, request.expiration)

    return answer, deliver
