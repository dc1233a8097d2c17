"""One client's connection to the fake push service: HTTP/2 or HTTP/1.1, and the rules on top."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from devkit.simulator.answers import Answer
from devkit.simulator.old import OldConnection
from devkit.simulator.requests import Arrival, PushRequest, read_request
from devkit.simulator.streams import Stream
from devkit.simulator.webpush import rules
from devkit.simulator.webpush.answers import Refusal, WebAnswer

if TYPE_CHECKING:
    from devkit.simulator.apple import Apple


def _nothing() -> None:
    """Nobody is to be told."""


class WebPushConnection(OldConnection):
    """A connection that is listed and faulted as those to Apple are.

    Of an arrival the token is the subscription's id, the topic that of RFC 8030, and the payload
    what the subscriber has opened.
    """

    def __init__(self, apple: "Apple") -> None:
        super().__init__(apple, "webpush")

    def first_streams(self) -> int:
        """Give how many streams a new client may open."""
        return min(self.apple.conduct.max_concurrent_streams, 100)

    def read(self, stream: Stream) -> PushRequest:
        """Read a request."""
        request = read_request(stream)
        found = rules.PATH.fullmatch(request.path)
        request.token = found[1] if found else ""
        request.topic = request.fields.get("topic", "")
        return request

    def unjudged(self, request: PushRequest) -> Answer:  # noqa: ARG002
        """Give an answer for a fault to shape."""
        return WebAnswer()

    def judged(self, request: PushRequest, arrival: Arrival) -> tuple[Answer, Callable[[], None]]:
        """Apply the rules; give their answer, and what delivers the message."""
        answer: Answer
        deliver: Callable[[], None] = _nothing
        try:
            answer, deliver = self._push(request, arrival)
        except Refusal as refusal:
            answer = refusal.answer
        arrival.verdict = answer.reason or str(answer.status)
        return answer, deliver

    def _push(self, request: PushRequest, arrival: Arrival) -> tuple[WebAnswer, Callable[[], None]]:
        apple = self.apple
        if request.method != "POST":
            raise Refusal("BadMethod")
        to = apple.push_service.find(request.token)
        asked = rules.read(request.fields, request.size)
        audience = f"https://{request.fields.get(':authority', '')}"
        key, subject = rules.authenticate(
            request.fields.get("authorization"), audience, apple.now()
        )
        if to.key not in (None, key):
            raise Refusal("WrongKey")
        self.client = {"kind": "vapid", "key": key, "subject": subject}
        arrival.client = self.client
        try:
            arrival.raw = to.open(request.body)
        except ValueError:
            raise Refusal("NotDecrypted") from None

        def deliver() -> None:
            if asked.topic:  # it takes the place of what nobody has fetched (section 5.4)
                for earlier in apple.arrivals.stored(to.id):
                    earlier.stored = earlier.stored and earlier.topic != asked.topic
            if to.online:
                apple.arrivals.deliver(arrival)
            elif asked.ttl:
                arrival.stored = True
                arrival.expires = int(apple.now()) + asked.ttl

        return WebAnswer(location=f"{audience}/message/{arrival.number}"), deliver
