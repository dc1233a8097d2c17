"""The part of the handle that is about the push service of browsers."""

from typing import Any

from devkit.simulator.remote import Remote


class OfPushService(Remote):
    """Subscriptions; what arrived is listed with all else, by a subscription's id."""

    @property
    def webpush_url(self) -> str:
        """`https://localhost:PORT`; what endpoints begin with."""
        return self._server.webpush_url

    def web_subscribe(
        self, key: str | None = None, private: str | None = None, auth: str | None = None
    ) -> dict[str, Any]:
        """Subscribe with the VAPID key that alone may push; as `PushSubscription.toJSON()`."""
        url = self._server.webpush_url
        return self._do(lambda apple: apple.push_service.subscribe(key, private, auth).as_dict(url))

    def web_gone(self, subscription: str) -> None:
        """Let a subscription (its id) be unsubscribed: 410."""
        self._do(lambda apple: setattr(apple.push_service.known(subscription), "gone", True))

    def web_forget(self, subscription: str) -> None:
        """Know a subscription no more: 404."""
        self._do(lambda apple: apple.push_service.forget(subscription))

    def web_online(self, subscription: str, *, online: bool) -> None:
        """Let a browser run, or not; if not, messages are kept for their TTL."""
        self._do(lambda apple: apple.set_subscriber_online(subscription, online=online))
