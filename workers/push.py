"""The task that sends pushes: it hands ids to the loop and returns; it never waits."""

from uuid import UUID

from celery import Celery

from app.infra.queue import SEND
from workers.loop import Loop


def register(app: Celery, loop: Loop) -> None:
    """Give this app the task."""

    def send(rings: list[str]) -> None:
        ids = [UUID(one) for one in rings]
        loop.submit(lambda dispatcher: dispatcher.send(ids))

    app.task(name=SEND)(send)
