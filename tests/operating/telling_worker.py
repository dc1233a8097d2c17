"""Celery's `-A`: the workers' own app, which also says each message that its broker has given it."""

import sys
from typing import Any

from celery.signals import task_received

from workers.main import app

__all__ = ["app"]


def _tell(request: Any, **_: Any) -> None:
    sys.stderr.write(f"given {request.name}\n")


task_received.connect(_tell, weak=False)
