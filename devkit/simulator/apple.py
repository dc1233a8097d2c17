"""The whole state of the fake Apple, and every operation on it.

The control API and the Python handle are two doors to this one object. All of it belongs to the
simulator's event loop: from elsewhere use the handle.
"""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from devkit.simulator.arrivals import Arrivals
from devkit.simulator.certificates import Authority
from devkit.simulator.devices import Device, Devices, Environment, GoneReason
from devkit.simulator.fault_book import FaultBook
from devkit.simulator.google.service import Google
from devkit.simulator.provider_tokens import ProviderTokens, UpdateScope
from devkit.simulator.requests import Arrival
from devkit.simulator.statistics import Statistics
from devkit.simulator.tls import Contexts
from devkit.simulator.webpush.service import PushService

if TYPE_CHECKING:
    from devkit.simulator.connection import ApnsConnection

STORED_FOR = 30 * 24 * 3600
"""Seconds for which a push without apns-expiration is kept: Apple names no figure, this is its old
one ("up to 30 days")."""


@dataclass(slots=True)
class Conduct:
    """How the simulator behaves apart from faults; may be changed while it runs.

    `accept_unknown`: an unknown device token is taken for live (else 400 BadDeviceToken).
    `max_concurrent_streams`: announced to clients that have authenticated.
    `clock_offset`: seconds by which Apple's clock differs from this machine's.
    `provider_token_scope`: whether the 20-minute rule holds for each connection (Apple's words),
    for each key over all connections, or not at all.
    """

    accept_unknown: bool = False
    max_concurrent_streams: int = 1000
    clock_offset: float = 0.0
    provider_token_scope: UpdateScope = "connection"  # noqa: S105 - the name of a rule


class Apple:
    """Tokens, keys, faults, what arrived, and the open connections."""

    def __init__(self, folder: Path, conduct: Conduct, keep: int) -> None:
        self.authority = Authority.open(folder)
        self.ca_file = folder / "ca.pem"
        self.contexts = Contexts(self.authority, self.ca_file)
        self.conduct = conduct
        self.devices = Devices()
        self.tokens = ProviderTokens(update_scope=conduct.provider_token_scope)
        self.arrivals = Arrivals(keep)
        self.faults = FaultBook()
        self.statistics = Statistics()
        self.google = Google()
        self.push_service = PushService()
        self.connections: dict[int, ApnsConnection] = {}
        self.last_connection = 0
        self.stopping = False
        self.revoked: set[str] = set()

    def now(self) -> float:
        """Give Apple's time in seconds since 1970."""
        return time.time() + self.conduct.clock_offset

    def change_conduct(self, changes: dict[str, object]) -> None:
        """Change some of the conduct; AttributeError for a name that it does not have."""
        for name, value in changes.items():
            setattr(self.conduct, name, value)
        self.tokens.update_scope = self.conduct.provider_token_scope

    def find_device(self, token: str, topic: str, environment: Environment) -> Device:
        """Give the device for a push, or raise Refusal."""
        return self.devices.find(
            token, topic, environment, accept_unknown=self.conduct.accept_unknown
        )

    def live(
        self,
        tokens: Iterable[str],
        *,
        topics: Iterable[str] | None = None,
        environment: Environment | None = "production",
    ) -> None:
        """Make tokens live."""
        self.devices.live(tokens, topics=topics, environment=environment)

    def gone(
        self, token: str, *, since: int | None = None, reason: GoneReason = "Unregistered"
    ) -> None:
        """Let a token be gone."""
        self.devices.gone(token, since=since, reason=reason)

    def hand_over(self, arrival: Arrival, device: Device, expiration: int | None) -> None:
        """Bring an accepted push to its device.

        To one that is not online nothing goes now; the newest push per topic is kept for it if its
        apns-expiration lies ahead (0 or the past: tried once, then dropped). Without that header
        Apple stores it by a policy of its own ("Sending notification requests to APNs").
        """
        if device.online:
            self.arrivals.deliver(arrival)
            return
        if expiration is None:
            expiration = int(self.now()) + STORED_FOR
        if expiration <= self.now():
            return
        for earlier in self.arrivals.stored(device.token):
            if earlier.topic == arrival.topic:
                earlier.stored = False
        arrival.stored = True
        arrival.expires = expiration

    def set_online(self, token: str, *, online: bool) -> None:
        """Switch a device on or off; what was kept for it is delivered unless it has expired."""
        self.devices.set_online(token, online=online)
        self._bring_stored(token, online=online)

    def set_registration_online(self, token: str, *, online: bool) -> None:
        """The same for a phone that FCM reaches."""
        self.google.set_online(token, online=online)
        self._bring_stored(token, online=online)

    def set_subscriber_online(self, subscription: str, *, online: bool) -> None:
        """The same for a browser; KeyError when there is no such subscription."""
        self.push_service.known(subscription).online = online
        self._bring_stored(subscription, online=online)

    def _bring_stored(self, token: str, *, online: bool) -> None:
        if not online:
            return
        for arrival in self.arrivals.stored(token):
            arrival.stored = False
            if arrival.expires > self.now():
                self.arrivals.deliver(arrival)

    def admit(self, connection: "ApnsConnection") -> int:
        """List a new connection; give its number."""
        self.last_connection += 1
        self.connections[self.last_connection] = connection
        return self.last_connection

    def stop(self) -> None:
        """Drop every connection, and each that was accepted and is told of only now."""
        self.stopping = True
        for connection in list(self.connections.values()):
            connection.stream.abort()

    def established(self, number: int | None = None) -> "list[ApnsConnection]":
        """Give one connection that speaks HTTP/2 (KeyError if there is none), or all."""
        if number is not None:
            return [self.connections[number]]
        return [c for c in self.connections.values() if c.established and c.speaks]

    def revoke_certificate(self, certificate: x509.Certificate) -> None:
        """Refuse a certificate with BadCertificate on connections to come."""
        self.revoked.add(certificate.fingerprint(hashes.SHA256()).hex())

    def status(self) -> dict[str, object]:
        """Give the statistics and what is open now."""
        open_now = [c for c in self.connections.values() if c.established]
        return {
            **self.statistics.as_dict(),
            "open_connections": len(open_now),
            "open_streams": sum(c.open_streams for c in open_now),
            "kept": len(self.arrivals.select()),
        }

    def clear(self) -> None:
        """Forget arrivals, faults, tokens and counts; keys, conduct and connections stay."""
        self.faults.remove()
        self.arrivals.clear()
        self.devices.clear()
        self.google.clear()
        self.push_service.clear()
        self.tokens.forget_history()
        self.revoked.clear()
        self.statistics = Statistics()
