"""The task that sends what is due to webhooks: it wakes the dispatcher and returns."""

from celery import Celery

from app.infra.queue import DELIVER
from workers.loop import Loop


def register(app: Celery, loop: Loop) -> None:
    """Give this app the task."""

    def deliver(_webhooks: list[str]) -> None:
        loop.deliver()

    app.task(name=DELIVER)(deliver)
