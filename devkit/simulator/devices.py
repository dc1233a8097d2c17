"""Which device tokens Apple knows, and what it knows of them.

Source: "Handling notification responses from APNs" (BadDeviceToken, DeviceTokenNotForTopic,
Unregistered, ExpiredToken).
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from devkit.simulator.answers import Refusal

Environment = Literal["production", "sandbox", "fcm", "webpush"]
"""The door that a push comes by: Apple has two of them, Google one, the browsers' service one."""
GoneReason = Literal["Unregistered", "ExpiredToken"]


@dataclass(frozen=True, slots=True)
class Device:
    """One token.

    `topics` None means any; `environment` None means both. `gone_since` is in milliseconds since
    1970. A device that is not `online` gets nothing now: what may be stored is kept for it.
    """

    token: str
    topics: frozenset[str] | None = None
    environment: Environment | None = "production"
    gone_since: int | None = None
    gone_reason: GoneReason = "Unregistered"
    online: bool = True

    def as_dict(self) -> dict[str, object]:
        """Give the device as the control API lists it."""
        return {
            "token": self.token,
            "topics": None if self.topics is None else sorted(self.topics),
            "environment": self.environment,
            "gone_since": self.gone_since,
            "gone_reason": self.gone_reason if self.gone_since is not None else None,
            "online": self.online,
        }


class Devices:
    """All tokens, keyed in lower case."""

    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}

    def live(
        self,
        tokens: Iterable[str],
        *,
        topics: Iterable[str] | None = None,
        environment: Environment | None = "production",
    ) -> None:
        """Make tokens live for some topics (None: any) in one environment (None: both)."""
        allowed = None if topics is None else frozenset(topics)
        for token in tokens:
            key = token.lower()
            self._devices[key] = Device(key, allowed, environment)

    def gone(
        self, token: str, *, since: int | None = None, reason: GoneReason = "Unregistered"
    ) -> None:
        """Let a token be gone since a time in milliseconds since 1970 (default: now)."""
        known = self._devices.get(token.lower(), Device(token.lower(), environment=None))
        moment = int(time.time() * 1000) if since is None else since
        self._devices[known.token] = replace(known, gone_since=moment, gone_reason=reason)

    def set_online(self, token: str, *, online: bool) -> None:
        """Switch a device on or off; KeyError when the token is not known."""
        known = self._devices[token.lower()]
        self._devices[known.token] = replace(known, online=online)

    def forget(self, token: str) -> None:
        """Make a token unknown."""
        self._devices.pop(token.lower(), None)

    def clear(self) -> None:
        """Make all tokens unknown."""
        self._devices.clear()

    def all(self) -> list[Device]:
        """Give every known device."""
        return list(self._devices.values())

    def find(
        self, token: str, topic: str, environment: Environment, *, accept_unknown: bool
    ) -> Device:
        """Give the device that a push is for; Refusal as APNs would.

        A token of the other environment is BadDeviceToken, as is one that nobody knows, unless
        unknown tokens are accepted.
        """
        device = self._devices.get(token)
        if device is None:
            if accept_unknown:
                return Device(token, environment=None)
            raise Refusal("BadDeviceToken")
        if device.environment not in (None, environment):
            raise Refusal("BadDeviceToken")
        if device.topics is not None and topic not in device.topics:
            raise Refusal("DeviceTokenNotForTopic")
        if device.gone_since is not None:
            raise Refusal(device.gone_reason, timestamp=device.gone_since)
        return device
