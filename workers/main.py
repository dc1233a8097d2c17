"""`celery -A workers.main worker`, or `ringline worker`: the Celery app that workers run."""

import sys
from typing import Any

import structlog
from celery.apps import worker as celery_worker
from celery.signals import celeryd_init, setup_logging, worker_init, worker_shutdown

from app.infra.observe import set_up_logging
from app.infra.queue import make_celery
from app.infra.settings import get_settings
from workers import health, push, webhook
from workers.loop import Loop
from workers.sweep import sweep

log = structlog.get_logger(__name__)
settings = get_settings()
set_up_logging(settings.log_level, settings.log_format)  # before anything can go wrong
app = make_celery(settings)
loop = Loop(settings, sweep)
push.register(app, loop)
webhook.register(app, loop)


def _logging(**_: Any) -> None:
    set_up_logging(settings.log_level, settings.log_format)


def _start(**_more: Any) -> None:
    # `worker_process_init` never fires for the threads pool; this fires before the broker is met
    loop.start()
    if settings.worker_metrics is not None:
        host, _, port = settings.worker_metrics.rpartition(":")
        try:
            health.serve(host, int(port), alive=loop.stuck, ready=loop.unready)
        except OSError as error:  # it pushes all the same, and an alarm says that nobody answers
            log.error("metrics_absent", at=settings.worker_metrics, why=error.strerror)  # noqa: TRY400


def _stop(**_: Any) -> None:
    log.info("worker_stops")
    loop.stop()


def _no_banner(instance: Any, **_: Any) -> None:
    instance.quiet = True  # no drawing between JSON lines


_safe_say = celery_worker.safe_say


def _say(message: str, f: Any = sys.__stderr__) -> None:
    """What a signal's handler says past all logging: stacks that were asked for, and no more."""
    if f is not sys.__stdout__:
        _safe_say(message, f)


celery_worker.safe_say = _say
celeryd_init.connect(_no_banner, weak=False)
setup_logging.connect(_logging, weak=False)
worker_init.connect(_start, weak=False)
worker_shutdown.connect(_stop, weak=False)
