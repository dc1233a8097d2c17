"""After the commit: hints to those who look at the rows anyway."""

from app.calls.apply import Applied
from app.infra.queue import DELIVER, SEND
from app.infra.runtime import Runtime


def tell(runtime: Runtime, applied: Applied) -> None:
    """Kick the workers, wake the live streams. Neither waits nor fails."""
    if applied.rings:
        runtime.queue.kick(SEND, applied.rings)
    if applied.webhooks:
        runtime.queue.kick(DELIVER, applied.webhooks)
    runtime.news.tell(applied.news)
