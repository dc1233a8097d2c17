"""The Celery that a ring's latency is held against: a task that does nothing, all by default.

celery -A tests.benchmarks.bare_celery worker, with BARE_CELERY_BROKER set
"""

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("bare", broker=os.environ.get("BARE_CELERY_BROKER"), set_as_current=False)
app.conf.update(task_ignore_result=True, worker_hijack_root_logger=False)


@app.task(name="bare")
def bare(published: float, note: str) -> None:
    """Note when it was published and when it started (seconds of the monotonic clock)."""
    started = time.monotonic()
    with Path(note).open("a") as file:
        file.write(f"{published} {started}\n")
