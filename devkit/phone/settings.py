"""What a phone is, and how fast its model's time-outs run."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from devkit.phone.callkit import RING_LIMIT_MS
from devkit.phone.pushkit import WATCHDOG_SECONDS

_DAYS_180: Final = 15_552_000


@dataclass(frozen=True, slots=True)
class Identity:
    """A phone and whose it is. Tokens are made up, 32 bytes in hex, as Apple's are today.

    `user_token` None is an app that nobody has logged in to: it can still ring, answer and decline
    with the call token of a push, but not register.
    """

    user_id: str
    user_token: str | None
    name: str = "iPhone"
    device_id: str = field(default_factory=lambda: f"dev-{secrets.token_hex(8)}")
    app_id: str = "com.example.app"
    environment: str = "sandbox"
    profile: str = "ringline"
    voip_token: str = field(default_factory=lambda: secrets.token_hex(32))
    alert_token: str | None = field(default_factory=lambda: secrets.token_hex(32))
    expires_in: int = _DAYS_180

    @property
    def addresses(self) -> Mapping[str, str]:
        """Its push tokens by their kind, the best first."""
        return {"voip": self.voip_token} | ({"alert": self.alert_token} if self.alert_token else {})

    @property
    def tokens(self) -> tuple[str, ...]:
        """The push tokens, the best first."""
        return tuple(self.addresses.values())


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, of the model's own clocks; the defaults are a real phone's.

    `poll`: how often the state URL is read while it rings, None for never (an app with a live
    stream has no need). `grace`: how long after its deadline a ring waits for the server's word
    before the app ends it by itself.
    """

    watchdog: float = WATCHDOG_SECONDS
    ios_ring_limit: float = RING_LIMIT_MS / 1000
    poll: float | None = None
    grace: float = 1.0
    heartbeat: float = 10.0
    http: float = 5.0
    retry: float = 0.25
    reconnect: float = 0.25
    reorder: float = 2.0
