"""The queue: one Celery app, its routes, and `enqueue(task, ids)`.

A hint is a hint: the rows say what is to be done and the sweep finds what no hint told of.
Publishing blocks for about a millisecond, and for seconds when the broker freezes; so it happens on
a thread of its own, which merges what has gathered into one message per task.
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import structlog
from celery import Celery

from app.infra.server_urls import RedisUrl
from app.infra.settings import Settings
from app.infra.supervision import SupervisedThread

log = structlog.get_logger(__name__)

SEND = "push.send"
"""Send the pushes of these rings."""

DELIVER = "webhook.deliver"
"""Send what is due to these webhooks."""

QUEUE = "ringline"
OF_WEBHOOKS = "ringline.webhooks"
"""A queue of its own: who sends webhooks only, or all but webhooks, takes no other's hints."""

QUEUES = {None: (QUEUE, OF_WEBHOOKS), "pushes": (QUEUE,), "webhooks": (OF_WEBHOOKS,)}
"""Which queues a worker takes hints from, by what it does only."""

MOST_IDS = 1_000
"""Ids in one message at most: a larger batch would keep one worker busy while others rest."""

PAUSE_FOR_EACH = 0.004
LONGEST_PAUSE = 0.1
"""Seconds before the next message, for each id in the last: a lone hint makes the next one wait for
no time that shows; above some 250 rings a second hints gather, for a message costs both ends ten
times what an id in it does."""

MOST_WAITING = 100_000
"""Ids that wait for the broker at most; beyond this the oldest are left to the sweep."""


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
        self._waiting: deque[tuple[str, str]] = deque(maxlen=MOST_WAITING)
        self._wake = threading.Condition()
        self._closing = False
        self._busy = False
        self._publisher: SupervisedThread | None = None

    def enqueue(self, task: str, ids: Iterable[UUID]) -> None:
        """Tell the workers that `task` has work to do on the rows `ids`."""
        self._enqueue([(task, str(one)) for one in ids])

    def _enqueue(self, items: list[tuple[str, str]]) -> None:
        with self._wake:
            self._waiting.extend(items)
            if self._publisher is None:
                self._publisher = SupervisedThread("queue.publish", self._run, self._notify)
            self._wake.notify()

    def warm(self) -> None:
        """Publish a message that names no rows: connects to the broker before a ring needs it."""
        self._enqueue([(SEND, "")])

    def close(self, timeout: float = 2.0) -> None:
        """Publish what waits, for at most `timeout` seconds, and stop."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        if self._publisher is not None:
            self._publisher.join(timeout)
        with contextlib.suppress(Exception):
            self.celery.close()

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify()

    def _run(self) -> None:
        not_before = 0.0
        while True:
            with self._wake:
                while not self._waiting and not self._closing:
                    self._wake.wait()
                    if self._publisher is not None:
                        self._publisher.check()
                if not self._waiting:
                    return
            time.sleep(max(0.0, not_before - time.monotonic()))
            with self._wake:
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IDS))]
            pause = min(LONGEST_PAUSE, PAUSE_FOR_EACH * len(batch))
            not_before = time.monotonic() + pause
            for task in dict.fromkeys(name for name, _ in batch):
                ids = dict.fromkeys(one for name, one in batch if name == task and one)
                self._publish(task, list(ids))

    def _publish(self, task: str, ids: list[str]) -> None:
        try:
            self.celery.send_task(task, args=(ids,), retry=False)
        except Exception as error:  # noqa: BLE001  (a hint that fails is logged: the sweep has the rows)
            log.warning("enqueue_failed", task=task, ids=len(ids), error=type(error).__name__)
