"""The task that sends pushes: it hands ids to the loop and returns; it never waits."""

from celery import Celery

from app.infra.push_hints import read_hint
from app.infra.queue import SEND
from workers.loop import Loop


def register(app: Celery, loop: Loop) -> None:
    """Give this app the task."""

    def send(told: list[str]) -> None:
        hints = [read_hint(one) for one in told]
        loop.submit(lambda dispatcher: dispatcher.send(hints))

    app.task(name=SEND)(send)
