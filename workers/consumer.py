"""Celery's consumer, started again after whatever ends it: anybody may put a message in a queue.

Celery itself starts it again when the connection is lost; anything else, such as a message that is
no JSON, would end the worker, and with it the loop on which pushes are sent and time is kept.
"""

import json
import time
from typing import Any, ClassVar

from celery.worker.consumer import Consumer

from app.infra.supervision import STEADY, Health, pause, registry

LONGEST = 1.0
"""Seconds of rest at most: what waits in the queue may be fine."""


class EnduringConsumer(Consumer):  # type: ignore[misc]
    """Consumes until the worker is to stop; in the registry of what runs as long as its process."""

    name = "worker.consume"

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]
        """Without what Celery declares at a broker with quorum queues for tasks with a time."""

        default_steps: ClassVar = [
            step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step
        ]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.restarts = 0
        self.running = False
        self.health = Health(self.name)

    def fail(self, error: Exception) -> None:
        """Have its work fail with `error`: a drill. From any thread."""

        def fails() -> None:
            raise error

        self.hub.call_soon(fails)

    def start(self) -> None:
        """Consume; returns when the worker stops. SystemExit, by which Celery stops, passes."""
        registry.add(self)
        try:
            while not self._consume():
                self.restarts += 1
        finally:
            registry.discard(self)

    def _consume(self) -> bool:
        """Whether the worker is to stop; if not, it has failed and may begin anew."""
        begun, self.running = time.monotonic(), True
        try:
            super().start()
        except Exception as error:  # noqa: BLE001  (counted, told, begun anew)
            self.running = False
            if time.monotonic() > begun + STEADY:
                self.health.well()
            self.health.failed(error)
            time.sleep(min(LONGEST, pause(self.health)))
            try:
                self._begin_anew(error)
            except Exception as another:  # noqa: BLE001  (what is left of it is tried all the same)
                self.health.failed(another)
            return False
        return True

    def _begin_anew(self, error: Exception) -> None:
        """What Celery does when a connection is lost (`Consumer.start`)."""
        if self.connection:
            self.on_connection_error_after_connected(error)
        self._forget_unreadable()
        self.on_close()
        self._cancel_connection_timer_entries()
        self.blueprint.restart(self)

    def _forget_unreadable(self) -> None:
        """Take out of what was not acknowledged whatever can never be delivered again.

        A message in the queue is taken from it before it is read; one that is to be given back is
        read first, and would end every consumer to come. RabbitMQ keeps what it gives back itself.
        """
        try:
            with self.app.connection_for_write() as connection:
                if connection.transport.driver_type != "redis":
                    return
                channel = connection.default_channel
                for tag, stored in channel.client.hscan_iter(channel.unacked_key, count=1_000):
                    if not _readable(stored):
                        channel.client.hdel(channel.unacked_key, tag)
                        channel.client.zrem(channel.unacked_index_key, tag)
        except Exception as error:  # noqa: BLE001  (the broker may be away: the next time, then)
            self.health.failed(error)


def _readable(stored: bytes) -> bool:
    """Whether this is what kombu keeps of a message: itself, an exchange and a routing key."""
    try:
        message, _exchange, _key = json.loads(stored)
    except (ValueError, TypeError, RecursionError):
        return False
    return isinstance(message, dict) and isinstance(message.get("properties"), dict)
