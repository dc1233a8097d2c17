"""A push as it goes to a push service. Source: RFC 8030 section 5."""

from functools import lru_cache
from typing import Final

from app.core.frozen import frozen
from app.core.push import Purpose
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
    """Seal a push. All that is pushed of a ring has one topic: what a browser that was away gets is
    the last of it. A ring is kept for it until it is over, and that a call was missed for a day.

    Raises ValueError for a token that is no subscription.
    """
    topic = push.ring.replace("-", "").encode()
    to = Subscription.of(push.token)
    until = push.shown_until if push.purpose is Purpose.MISSED else push.deadline
    return message_to(to, push.payload, ttl=until - push.now, topic=topic)


def message_to(to: Subscription, payload: bytes, *, ttl: float, topic: bytes) -> WebPushMessage:
    """A message to a subscription; `ttl` in seconds. Raises ValueError."""
    origin, path = _parts(to.endpoint)
    seconds = min(max(int(ttl), 0), LONGEST_TTL)
    body = sealed(payload, to.p256dh, to.auth)
    return WebPushMessage(origin, path.encode(), b"%d" % seconds, topic, body)


def _parts(endpoint: str) -> tuple[str, str]:
    """Origin and path of an address that was read whole when it came in."""
    end = endpoint.find("/", len("https://"))
    if end < 0 or "?" in endpoint[:end]:
        url = http_url(endpoint, schemes=("https",))
        return url.origin_header, url.target
    return _origin(endpoint[:end]), endpoint[end:]


@lru_cache(maxsize=1_024)
def _origin(text: str) -> str:
    return http_url(text, schemes=("https",)).origin_header
