"""The queue: one Celery app, its routes, and `enqueue(task, ids)`.

A hint is a hint: the rows say what is to be done and the sweep finds what no hint told of.
Publishing blocks for about a millisecond, and for seconds when the broker freezes; so it happens on
a thread of its own, which merges what has gathered (`hint_lanes`).
"""

import contextlib
import threading
import time
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from celery import Celery

from app.infra.blocking_hints import BlockingHints
from app.infra.hint_lanes import NEVER, HintLanes
from app.infra.push_hints import PushHint
from app.infra.repeats import Seldom
from app.infra.server_urls import RedisUrl
from app.infra.settings import Settings
from app.infra.supervision import SupervisedThread

log = structlog.get_logger(__name__)

SEND = "push.send"
"""Send the pushes that these hints are of."""

DELIVER = "webhook.deliver"
"""Send what is due to these webhooks."""

QUEUE = "ringline"
OF_WEBHOOKS = "ringline.webhooks"
"""A queue of its own: who sends webhooks only, or all but webhooks, takes no other's hints."""

QUEUES = {None: (QUEUE, OF_WEBHOOKS), "pushes": (QUEUE,), "webhooks": (OF_WEBHOOKS,)}
"""Which queues a worker takes hints from, by what it does only."""


def make_celery(settings: Settings) -> Celery:
    """The Celery app that publishes and works; why these options: docs/architecture.md."""
    app = Celery("ringline", set_as_current=False)
    rabbitmq = settings.rabbitmq
    declared = {} if rabbitmq is None else {"queue_arguments": {"x-queue-type": "quorum"}}
    app.conf.update(
        task_default_queue=QUEUE,
        task_queues={name: {"exchange": name, **declared} for name in QUEUES[settings.worker_only]},
        task_routes={DELIVER: {"queue": OF_WEBHOOKS}},
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_publish_retry=False,
        worker_consumer="workers.consumer:EnduringConsumer",
        worker_pool="threads",
        worker_concurrency=2,
        worker_prefetch_multiplier=16,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=2,
    )
    app.conf.update(_by_redis(settings.redis) if rabbitmq is None else rabbitmq.broker)
    return app


def _by_redis(url: RedisUrl) -> dict[str, Any]:
    return url.broker | {
        "broker_connection_timeout": 2,
        "broker_transport_options": {
            **url.transport_options,
            "visibility_timeout": 30,
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            "socket_timeout": 2,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "queue_order_strategy": "round_robin",
        },
    }


class Queue:
    """Publishes hints from one thread. `enqueue` never blocks and never raises."""

    def __init__(self, settings: Settings) -> None:
        self.celery = make_celery(settings)
        self._direct = BlockingHints(settings) if settings.direct_hints else None
        self._waiting = HintLanes()
        self._failures = Seldom()
        self._wake = threading.Condition()
        self._wakes = 0.0
        """When the thread looks again by itself."""
        self._closing = False
        self._publisher: SupervisedThread | None = None

    def enqueue(
        self, task: str, ids: Iterable[UUID | PushHint], tenant: UUID | None = None
    ) -> None:
        """Tell the workers that `task` has work to do on the rows `ids`.

        `tenant`: whose they are; nobody else's hints wait for what many of one tenant take.
        """
        self._enqueue(task, tenant, [str(one) for one in ids])

    def _enqueue(self, task: str, tenant: UUID | None, ids: list[str]) -> None:
        with self._wake:
            due = self._waiting.add(task, tenant, ids)
            if self._publisher is None:
                self._publisher = SupervisedThread("queue.publish", self._run, self._notify)
            if due < self._wakes:
                self._wakes = due
                self._wake.notify()

    def warm(self) -> None:
        """Publish a message that names no rows: connects to the broker before a ring needs it."""
        self._enqueue(SEND, None, [""])

    def close(self, timeout: float = 2.0) -> None:
        """Publish what waits, for at most `timeout` seconds, and stop."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._publisher is not None:
            self._publisher.join(timeout)
        with contextlib.suppress(Exception):
            self.celery.close()
        if self._direct is not None:
            self._direct.close()

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                self._await_due()
                if self._closing and not self._waiting:
                    return
                messages = self._waiting.take(NEVER if self._closing else time.monotonic())
            for task, ids in messages:
                self._publish(task, [one for one in ids if one])

    def _await_due(self) -> None:
        while not self._closing:
            self._wakes = self._waiting.next_due()
            rest = self._wakes - time.monotonic()
            if rest <= 0:
                return
            self._wake.wait(None if self._wakes == NEVER else rest)
            if self._publisher is not None:
                self._publisher.check()

    def _publish(self, task: str, ids: list[str]) -> None:
        if task == SEND and ids and self._direct is not None and self._direct.taken(ids):
            return
        try:
            self.celery.send_task(task, args=(ids,), retry=False)
        except Exception as error:  # noqa: BLE001  (a hint that fails is logged: the sweep has the rows)
            if failed := self._failures.failed():
                name = type(error).__name__
                log.warning("enqueue_failed", task=task, ids=len(ids), error=name, failures=failed)
