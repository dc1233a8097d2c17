"""The queue's thread: hints that cannot be published."""

import time

from structlog.testing import capture_logs

from app.infra.ids import uuid7
from app.infra.queue import DELIVER, Queue
from app.infra.settings import Settings


def test_hints_that_cannot_be_published_are_told_of_once_a_minute() -> None:
    """Of a broker that refuses each at once, as a full one does: a line for each ring of all."""
    settings = Settings(
        environment="development",
        database_url="postgresql://nobody@127.0.0.1/none",
        redis_url="redis://127.0.0.1:1/0",
    )
    queue = Queue(settings)
    with capture_logs() as logs:
        for _ in range(5):
            queue.enqueue(DELIVER, [uuid7()])
            end = time.monotonic() + 20
            while queue._waiting and time.monotonic() < end:
                time.sleep(0.005)
        queue.close(20)
    failed = [line for line in logs if line["event"] == "enqueue_failed"]
    assert [(line["task"], line["failures"]) for line in failed] == [(DELIVER, 1)]
