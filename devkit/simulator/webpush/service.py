"""What the fake push service knows: who is subscribed."""

from devkit.simulator.webpush.answers import Refusal
from devkit.simulator.webpush.subscriber import Subscriber


class PushService:
    """Subscriptions; arrivals and faults are the simulator's."""

    def __init__(self) -> None:
        self._subscribers: dict[str, Subscriber] = {}

    def subscribe(
        self, key: str | None = None, private: str | None = None, auth: str | None = None
    ) -> Subscriber:
        """Make a subscription, with the VAPID key that alone may push to it. See `Subscriber`."""
        made = Subscriber.made(key, private, auth)
        self._subscribers[made.id] = made
        return made

    def known(self, subscription: str) -> Subscriber:
        """Give a subscription; KeyError when there is none."""
        return self._subscribers[subscription]

    def forget(self, subscription: str) -> None:
        """Know a subscription no more: 404. KeyError when there is none."""
        del self._subscribers[subscription]

    def clear(self) -> None:
        """Forget all subscriptions."""
        self._subscribers.clear()

    def find(self, subscription: str) -> Subscriber:
        """Give the subscriber of a push, or raise Refusal."""
        found = self._subscribers.get(subscription)
        if found is None:
            raise Refusal("NotFound")
        if found.gone:
            raise Refusal("Gone")
        return found
