"""The senders of one worker: one pool of connections per credential, version and environment."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Any
from uuid import UUID

import structlog

from app.core.push import Environment
from app.credentials.decrypt import decrypt
from app.credentials.usable import Key, Usable
from app.infra.observe import PUSH_CONNECTIONS, PUSH_STREAMS
from app.infra.sender import Sender
from app.infra.settings import Settings
from app.infra.tasks import Tasks
from app.infra.vault import Keyring, VaultError
from app.senders import SERVICES

log = structlog.get_logger(__name__)

GOODBYE = 3.0
"""Seconds that connections which are being opened or closed have when all ends."""

KEPT = 3_600.0
"""Seconds for which connections stay after the last push by them."""

MOST_OPEN = 1_000
"""(Credential, environment) pairs that are kept for having been used: the last used stay."""

TOLD_EVERY = 60.0


class Senders:
    """Opens a sender when it is first wanted; a credential is decrypted here and nowhere else.

    Those that are used stay open, however many credentials are newer.
    """

    def __init__(
        self, settings: Settings, keyring: Keyring, wall_clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._keyring = keyring
        self._wall_clock = wall_clock
        self._senders: dict[Key, Sender] = {}
        self._names: dict[Key, str] = {}
        self._used: dict[Key, float] = {}
        """When a push last went by each, the latest last."""
        self._unfit: dict[Key, str] = {}
        """Why those that were wanted could not be opened: what is sealed will not change."""
        self._warming: set[Key] = set()
        self._told: dict[Key, float] = {}
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks("push.senders")

    def get(self, credential: Usable, environment: Environment) -> Sender:
        """The sender of a push that goes by this credential now.

        Raises ValueError or VaultError when it is unfit.
        """
        key = credential.key(environment)
        self._used.pop(key, None)
        self._used[key] = self._loop.time()
        return self._sender(key, credential)

    def used(self) -> list[Key]:
        """Those that are kept for having been used of late, the latest last."""
        oldest = self._loop.time() - KEPT
        some = list(self._used.items())
        for place, (key, at) in enumerate(some):
            if at < oldest or place < len(some) - MOST_OPEN:
                del self._used[key]
        return list(self._used)

    def _sender(self, key: Key, credential: Usable) -> Sender:
        sender = self._senders.get(key)
        if sender is None:
            sender = self._open(credential, key[2])
            self._senders[key] = sender
            self._names[key] = credential.service.name
        return sender

    def _open(self, credential: Usable, environment: Environment) -> Sender:
        secret = decrypt(self._keyring, credential)
        return credential.service.open(secret, environment, self._settings, self._wall_clock)

    def unopened(self, wanted: Sequence[Key]) -> list[UUID]:
        """The credentials that must be read to open those of these that are not open."""
        known = self._senders.keys() | self._unfit.keys()
        return sorted({key[0] for key in wanted if key not in known})

    async def keep_warm(
        self,
        wanted: Sequence[Key],
        usable: Collection[tuple[UUID, int]],
        found: Sequence[Usable],
    ) -> None:
        """Have a connection ready for each wanted (credential, environment).

        `found`: the `unopened` ones. Those that were used of late stay as they are if their
        (credential, version) is still `usable`; others go.
        """
        keys = {key for key in self.used() if key[:2] in usable} | set(wanted)
        self._open_wanted(wanted, found)
        for key in wanted:
            sender = self._senders.get(key)
            if sender is not None and not sender.stats().connections and key not in self._warming:
                self._later(self._warm(key, sender))
        for key in [key for key in self._senders if key not in keys]:
            sender = self._senders[key]
            if not sender.stats().streams and not sender.stats().waiting:
                del self._senders[key], self._names[key]
                self._told.pop(key, None)
                self._later(sender.close())
        self._measure()

    def _open_wanted(self, wanted: Sequence[Key], found: Sequence[Usable]) -> None:
        by_version = {(one.id, one.version): one for one in found}
        self._unfit = {key: self._unfit[key] for key in wanted if key in self._unfit}
        for key in wanted:
            credential = by_version.get(key[:2])
            if credential is not None:
                try:
                    self._sender(key, credential)
                except (ValueError, VaultError) as error:
                    self._unfit[key] = str(error)
            if key in self._unfit and self._is_news(key):
                log.error("credential_unfit", credential=str(key[0]), why=self._unfit[key])

    async def _warm(self, key: Key, sender: Sender) -> None:
        self._warming.add(key)
        try:
            reached = await sender.warm()
        finally:
            self._warming.discard(key)
        if not reached and self._is_news(key):
            why = sender.stats().last_failure
            log.warning("service_not_reached", credential=str(key[0]), environment=key[2], why=why)

    def _is_news(self, key: Key) -> bool:
        """Once a minute: a service may be away for all, for hours."""
        now = self._loop.time()
        if now < self._told.get(key, -TOLD_EVERY) + TOLD_EVERY:
            return False
        self._told[key] = now
        return True

    def _later(self, work: Any) -> None:
        self._tasks.spawn("connections", work)

    def _measure(self) -> None:
        places = {(one.name, environment) for one in SERVICES for environment in Environment}
        for name, environment in places:
            stats = [
                sender.stats()
                for key, sender in self._senders.items()
                if (self._names[key], key[2]) == (name, environment)
            ]
            PUSH_CONNECTIONS.labels(name, environment).set(sum(one.connections for one in stats))
            PUSH_STREAMS.labels(name, environment).set(sum(one.streams for one in stats))

    async def drain(self, deadline: float) -> None:
        """No new pushes; those in flight may end until `deadline` (loop time)."""
        await asyncio.gather(*(sender.drain(deadline) for sender in self._senders.values()))

    async def close(self) -> None:
        """Close every connection."""
        await asyncio.gather(*(sender.close() for sender in self._senders.values()))
        await self._tasks.stop(GOODBYE)
