"""The senders of one worker: one pool of connections per credential, version and environment."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import structlog

from app.apns import Sender
from app.credentials.decrypt import decrypt
from app.credentials.store import Usable
from app.infra.observe import APNS_CONNECTIONS, APNS_STREAMS
from app.infra.settings import Settings
from app.infra.tasks import Tasks
from app.infra.vault import Keyring, VaultError

log = structlog.get_logger(__name__)

GOODBYE = 3.0
"""Seconds that connections which are being opened or closed have when all ends."""

Key = tuple[UUID, int, str]
"""A credential's id, its version, and the environment."""


class Senders:
    """Opens a sender when it is first wanted; a credential is decrypted here and nowhere else."""

    def __init__(
        self, settings: Settings, keyring: Keyring, wall_clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._keyring = keyring
        self._wall_clock = wall_clock
        self._senders: dict[Key, Sender] = {}
        self._tasks = Tasks("push.senders")

    def get(self, credential: Usable, environment: str) -> Sender:
        """The sender of this credential. Raises ValueError or VaultError when it is unfit."""
        key = (credential.id, credential.version, environment)
        sender = self._senders.get(key)
        if sender is None:
            sender = self._open(credential, environment)
            self._senders[key] = sender
        return sender

    def _open(self, credential: Usable, environment: str) -> Sender:
        settings = self._settings
        sandbox = environment == "sandbox"
        return Sender(
            decrypt(self._keyring, credential),
            settings.apns_sandbox_url if sandbox else settings.apns_production_url,
            ca_file=settings.apns_ca_file,
            max_connections=settings.apns_connections,
            wall_clock=self._wall_clock,
        )

    async def keep_warm(self, wanted: Iterable[tuple[Usable, str]]) -> None:
        """Have a connection ready for each wanted (credential, environment); let others go."""
        keys: set[Key] = set()
        for credential, environment in wanted:
            keys.add((credential.id, credential.version, environment))
            try:
                sender = self.get(credential, environment)
            except (ValueError, VaultError) as error:
                log.error("credential_unfit", credential=str(credential.id), why=str(error))  # noqa: TRY400
                continue
            if not sender.stats().connections:
                self._later(_warm(sender, credential, environment))
        for key in [key for key in self._senders if key not in keys]:
            sender = self._senders[key]
            if not sender.stats().streams and not sender.stats().waiting:
                del self._senders[key]
                self._later(sender.close())
        self._measure()

    def _later(self, work: Any) -> None:
        self._tasks.spawn("connections", work)

    def _measure(self) -> None:
        for environment in ("production", "sandbox"):
            stats = [s.stats() for key, s in self._senders.items() if key[2] == environment]
            APNS_CONNECTIONS.labels(environment).set(sum(one.connections for one in stats))
            APNS_STREAMS.labels(environment).set(sum(one.streams for one in stats))

    async def drain(self, deadline: float) -> None:
        """No new pushes; those in flight may end until `deadline` (loop time)."""
        await asyncio.gather(*(sender.drain(deadline) for sender in self._senders.values()))

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(sender.close() for sender in self._senders.values()))
        await self._tasks.stop(GOODBYE)


async def _warm(sender: Sender, credential: Usable, environment: str) -> None:
    if not await sender.warm():
        log.warning(
            "apns_not_reached",
            credential=str(credential.id),
            environment=environment,
            why=sender.stats().last_failure,
        )
