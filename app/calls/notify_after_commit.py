"""After the commit: hints to those who look at the rows anyway, and counts of what happened."""

import asyncio
from collections import Counter
from functools import partial

from app.calls.apply import Applied
from app.infra.observe import CALL_EVENTS, RING_TO_PHONE
from app.infra.queue import DELIVER, SEND
from app.infra.runtime import Runtime


def notify_after_commit(runtime: Runtime, applied: Applied) -> None:
    """Tell the workers, wake the live streams. Neither waits nor fails."""
    if applied.hints:
        by_queue = partial(runtime.queue.enqueue, SEND, applied.hints, applied.tenant)
        runtime.hints.tell(applied.hints, by_queue, applied.tenant)
    if applied.webhooks:
        runtime.queue.enqueue(DELIVER, applied.webhooks)
    runtime.news.tell(applied.news)
    # in the next turn: what is told leaves with this one
    asyncio.get_running_loop().call_soon(_count, applied)


def _count(applied: Applied) -> None:
    for kind, count in Counter(kind for kind, _ in applied.events).items():
        CALL_EVENTS.labels(kind.value).inc(count)
    for _, seconds in applied.events:
        if seconds is not None:
            RING_TO_PHONE.observe(seconds)
