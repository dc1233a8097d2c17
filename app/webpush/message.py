"""A push as it goes to a push service. Source: RFC 8030 section 5."""

from typing import Final
from uuid import UUID

from app.core.frozen import frozen
from app.infra.sender import OutgoingPush
from app.infra.urls import http_url
from app.webpush.encryption import sealed
from app.webpush.subscription import Subscription

LONGEST_TTL: Final = 28 * 24 * 3_600


@frozen
class WebPushMessage:
    """`origin` is the push service, `https://host[:port]`, `path` the subscription there.

    `topic` names what a later push takes the place of while nobody has fetched it.
    """

    origin: str
    path: bytes
    ttl: bytes
    topic: bytes
    body: bytes


def message_of(push: OutgoingPush) -> WebPushMessage:
    """Seal a push. A ring and its stop have one topic: what a browser that was away gets is the
    last of them, and a ring is kept for it until it is over.

    Raises ValueError for a token that is no subscription.
    """
    to = Subscription.of(push.token)
    return message_to(
        to, push.payload, ttl=push.deadline - push.now, topic=UUID(push.ring).hex.encode()
    )


def message_to(to: Subscription, payload: bytes, *, ttl: float, topic: bytes) -> WebPushMessage:
    """A message to a subscription; `ttl` in seconds. Raises ValueError."""
    url = http_url(to.endpoint, schemes=("https",))
    seconds = min(max(int(ttl), 0), LONGEST_TTL)
    body = sealed(payload, to.p256dh, to.auth)
    return WebPushMessage(url.origin_header, url.target.encode(), b"%d" % seconds, topic, body)
