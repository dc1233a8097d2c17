"""One client's connection to the fake Google: HTTP/2 or HTTP/1.1, and Google's rules on top."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from devkit.simulator.answers import Answer
from devkit.simulator.google import rules
from devkit.simulator.google.accounts import Denied
from devkit.simulator.google.answers import GoogleAnswer, Refusal
from devkit.simulator.old import OldConnection
from devkit.simulator.requests import Arrival, PushRequest
from devkit.simulator.streams import Stream

if TYPE_CHECKING:
    from devkit.simulator.apple import Apple

TOKEN_PATH = "/token"  # noqa: S105 - a path
OAUTH = "oauth"
"""The topic by which requests of the token endpoint are listed and faulted."""

Deliver = Callable[[], None]


def _nothing() -> None:
    """Nobody is to be told."""


class GoogleConnection(OldConnection):
    """A connection that is listed and faulted as those to Apple are."""

    def __init__(self, apple: "Apple") -> None:
        super().__init__(apple, "fcm")

    def first_streams(self) -> int:
        """Give how many streams a new client may open."""
        return min(self.apple.conduct.max_concurrent_streams, 100)

    # What is asked, and the answer.

    def read(self, stream: Stream) -> PushRequest:
        """Read a request: its topic is the project, or `oauth`; its token is in its body."""
        fields = dict(stream.headers)
        request = PushRequest(
            method=fields.get(":method", ""),
            path=fields.get(":path", ""),
            fields=fields,
            repeated=False,
            body=bytes(stream.body),
            size=stream.body_size,
            pairs=stream.headers,
        )
        found = rules.PATH.fullmatch(request.path)
        if found is not None:
            request.topic = found[1]
            request.token = _token_in(request.body)
        elif request.path == TOKEN_PATH:
            request.topic = OAUTH
        return request

    def unjudged(self, request: PushRequest) -> Answer:  # noqa: ARG002
        """Give an answer for a fault to shape."""
        return GoogleAnswer(content={})

    def judged(self, request: PushRequest, arrival: Arrival) -> tuple[Answer, Deliver]:
        """Apply Google's rules; give their answer, and what delivers the message."""
        answer: Answer
        deliver: Deliver = _nothing
        try:
            if request.method != "POST" or not request.topic:
                answer = GoogleAnswer().refused(None, "NOT_FOUND")
            elif request.topic == OAUTH:
                answer = self._grant(request)
            else:
                answer, deliver = self._send(request, arrival)
        except (Refusal, Denied) as refusal:
            answer = refusal.answer
        arrival.verdict = answer.reason or "200"
        return answer, deliver

    def _grant(self, request: PushRequest) -> GoogleAnswer:
        url = f"https://{request.fields.get(':authority', '')}{TOKEN_PATH}"
        return self.apple.google.accounts.grant(request.body, url, self.apple.now())

    def _send(self, request: PushRequest, arrival: Arrival) -> tuple[GoogleAnswer, Deliver]:
        apple, project = self.apple, request.topic
        account = apple.google.accounts.authenticate(
            request.fields.get("authorization"), project, apple.now()
        )
        self.client = {"kind": "account", "client_email": account.client_email}
        arrival.client = self.client
        message = rules.read(request.body)
        name = f"projects/{project}/messages/0:{arrival.received_ns // 1000}%{secrets.token_hex(8)}"
        if message.target != "token":
            return GoogleAnswer(content={"name": name}), _nothing
        known = apple.google.find(
            message.token, project, accept_unknown=apple.conduct.accept_unknown
        )
        if message.validate_only:
            fake = f"projects/{project}/messages/fake_message_id"
            return GoogleAnswer(content={"name": fake}), _nothing

        def deliver() -> None:
            if known.online:
                apple.arrivals.deliver(arrival)
            elif message.ttl:
                arrival.stored = True
                arrival.expires = int(apple.now()) + message.ttl

        return GoogleAnswer(content={"name": name}), deliver


def _token_in(body: bytes) -> str:
    """The message's token, for the lists; what is no message has none."""
    try:
        return rules.read(body).token.lower()
    except Refusal:
        return ""
