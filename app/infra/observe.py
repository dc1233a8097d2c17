"""Logging with redaction, and the names of all metrics."""

import asyncio
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import nullcontext, suppress
from functools import lru_cache
from typing import Any, TextIO

import orjson
import structlog
from prometheus_client import Counter, Gauge, Histogram
from structlog.contextvars import get_contextvars

from app.core.text import escaped, escaped_json
from app.infra.repeats import Repeats

SECRET_WORDS = ("authorization", "password", "secret", "private", "pem", "p8", "sealed", "api_key")
SECRET_SHAPES = re.compile(
    r"rl_(?:sk|ct|mt)_[A-Za-z0-9_\-]+"  # our own keys and tokens
    r"|(?<![A-Za-z0-9_\-])eyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+"  # a JWT
    r"|\b[0-9a-fA-F]{64,200}\b"  # a push token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)",
    re.DOTALL,
)
SHORTEST_BARE = 64
"""Characters of what is a secret without beginning as one: a push token."""

REDACTED = "[redacted]"
NOISY = (
    "alembic.runtime.plugins",
    "aioapns", "httpx", "httpcore", "uvicorn.access", "asyncio", "kombu", "amqp",
    # two lines for each task, of which the push itself tells more
    "celery.app.trace", "celery.worker.strategy",
)  # fmt: skip


_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of a log line: by name of the field, and by the shape of the text."""
    for name, value in event.items():
        if _is_secret(name):
            event[name] = REDACTED
            continue
        if isinstance(value, str):
            text = value
        elif isinstance(value, (dict, list, tuple)):
            text = event[name] = repr(value)
        else:
            continue
        # what is short and has no beginning of a shape fits none: most texts need no closer look
        if len(text) >= SHORTEST_BARE or "rl_" in text or "eyJ" in text or "-----BEGIN " in text:
            event[name] = SECRET_SHAPES.sub(REDACTED, text)
    return event


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return any(word in name.lower() for word in SECRET_WORDS)


class Lines(logging.StreamHandler[TextIO]):
    """Our handler: takes lines of `logging`, and of ours what its `renderer` has made of them."""

    def __init__(self, stream: TextIO, renderer: Any) -> None:
        super().__init__(stream)
        self.renderer = renderer  # here, since a logger keeps what it was first configured with
        self._soon: list[str] = []
        self._stamp = ""

    def write(self, line: str) -> None:
        """Write a line; what cannot be written is nobody's fault who has something to say."""
        with self.lock or nullcontext(), suppress(Exception):
            self.stream.write(line + self.terminator)
            self.stream.flush()

    def stamp(self) -> str:
        """The time of a line that is written soon: all of a turn have the first one's."""
        if not self._soon:
            self._stamp = _STAMP(None, "", {})["timestamp"]
        return self._stamp

    def write_soon(self, line: str) -> None:
        """Write a line with the others of this turn of the loop.

        A call of the system for each would cost as much as the line.
        """
        with self.lock or nullcontext():
            if not self._soon:
                asyncio.get_running_loop().call_soon(self.flush)
            self._soon.append(line)

    def flush(self) -> None:
        """Write what waits for the end of this turn."""
        with self.lock or nullcontext():
            lines, self._soon = self._soon, []
            if lines:
                self.write(self.terminator.join(lines))
        super().flush()


def set_up_logging(level: str = "info", style: str = "json") -> None:
    """Send our lines and those of every library through one redaction to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _STAMP,
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(serializer=_json)
        if style == "json"
        else _on_a_terminal(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()))
    )
    handler = Lines(sys.stderr, renderer)
    handler.addFilter(Repeats())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            _straight,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                redact,
                renderer,
            ],
        )
    )
    logging.captureWarnings(True)  # a warning is a line like any other
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for server in ("uvicorn", "uvicorn.error", "uvicorn.access"):  # they bring their own handlers
        logging.getLogger(server).handlers.clear()
        logging.getLogger(server).propagate = True
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(max(logging.WARNING, root.level))


def _straight(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Write a line of ours past `logging`, where nothing but our handler would have it.

    A record of it, and its way through there, is two thirds of what a line costs.
    """
    handlers = logging.root.handlers
    if len(handlers) != 1 or not isinstance(handlers[0], Lines):
        return event
    try:
        line = handlers[0].renderer(logger, method, redact(logger, method, event))
    except Exception:  # noqa: BLE001  (`logging` tells of what cannot be written, and raises nothing)
        return event
    handlers[0].write(line)
    raise structlog.DropEvent


def write_soon(
    logger: str,
    level: int,
    said: str,
    fields: dict[str, Any],
    bound: Mapping[str, Any] | None = None,
) -> bool:
    """Write a line as a logger of ours does at this level, at the end of this turn of the loop.

    `bound`: what else it says, instead of what this context does. False where somebody else
    listens, who is to be told by a logger.
    """
    handlers = logging.root.handlers
    if len(handlers) != 1 or not isinstance(handlers[0], Lines):
        return False
    method = _method(level)
    event = {**fields, "event": said}
    if bound is None:
        bound = get_contextvars()
    event = {**event, **bound, **event, "level": method, "logger": logger}
    event["timestamp"] = handlers[0].stamp()
    try:
        line = handlers[0].renderer(None, method, redact(None, method, event))
    except Exception:  # noqa: BLE001  (`logging` tells of what cannot be written, and raises nothing)
        return False
    handlers[0].write_soon(line)
    return True


@lru_cache(maxsize=16)
def _method(level: int) -> str:
    return logging.getLevelName(level).lower()


def _json(event: Any, **_options: Any) -> str:
    line = orjson.dumps(event, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    return escaped_json(line)


LINES = ("exception", "stack")
"""What a line says in several lines."""


def _on_a_terminal(renderer: Any) -> Any:
    """A renderer for people, whose terminal obeys nothing of what others have sent."""

    def render(logger: Any, method: str, event: Mapping[str, Any]) -> Any:
        shown = {
            name: escaped(value, line=name not in LINES) if isinstance(value, str) else value
            for name, value in event.items()
        }
        return renderer(logger, method, shown)

    return render


PUSHES = Counter(
    "ringline_pushes_total",
    "Attempts to push, by what they were for, how they ended and the service's reason",
    ("purpose", "outcome", "reason"),
)
RING_TO_ACCEPTED = Histogram(
    "ringline_ring_to_accepted_seconds",
    "From the ring's commit to the service's acceptance of a push",
    buckets=(0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.2, 0.35, 0.5, 1, 2, 5, 10, 30),
)
PUSH_CONNECTIONS = Gauge(
    "ringline_push_connections",
    "Open connections to push services",
    ("sender", "environment"),
    multiprocess_mode="livesum",
)
PUSH_STREAMS = Gauge(
    "ringline_push_streams",
    "Pushes in flight",
    ("sender", "environment"),
    multiprocess_mode="livesum",
)
BREAKERS_OPEN = Gauge(
    "ringline_breakers_open",
    "Credentials that their service refuses, or cannot serve",
    multiprocess_mode="livesum",
)
RINGS = Counter("ringline_rings_total", "Calls rung, by how the request ended", ("outcome",))
RINGS_TAKEN = RINGS.labels("taken")
SUPPRESSED = Counter(
    "ringline_rings_suppressed_total",
    "Rings that were kept from a user by preferences, blocks or devices that are off, by why",
    ("reason",),
)
RATE_LIMITED = Counter(
    "ringline_rate_limited_total",
    "Requests refused by a rate limit (429), by which",
    ("limit",),
)
LIMITED_FOR_LONG = Gauge(
    "ringline_rate_limited_tenants",
    "Tenants of whom a rate limit has refused requests for ten minutes without a pause, by which",
    ("limit",),
    multiprocess_mode="livemax",
)
STRAIN = Gauge(
    "ringline_strain",
    "How long those tenants that ring the most are held back; 0: nobody is",
    multiprocess_mode="livemax",
)
STREAMS = Gauge("ringline_streams", "Live streams that are open", multiprocess_mode="livesum")
STREAM_ENDS = Counter("ringline_stream_ends_total", "Live streams that ended, by why", ("reason",))
DELIVERIES = Counter(
    "ringline_webhook_deliveries_total", "Tries at webhooks, by how they ended", ("state", "error")
)
DELIVERIES_UNDER_WAY = Gauge(
    "ringline_webhook_deliveries_under_way",
    "Deliveries to webhooks that are claimed and not recorded, to endpoints quick or slow",
    ("endpoints",),
    multiprocess_mode="livesum",
)
OLDEST_DELIVERY = Gauge(
    "ringline_webhook_oldest_due_seconds",
    "How long the oldest due delivery waits, to endpoints that are well and to those that fail",
    ("endpoints",),
    multiprocess_mode="livemax",
)
SWEEP_FAILURES = Counter(
    "ringline_sweep_failures_total", "Steps of the sweep that failed as a whole", ("step",)
)
SWEEP_FAILING = Gauge(
    "ringline_sweep_failing",
    "1 while a step of the sweep fails: somebody should look",
    ("step",),
    multiprocess_mode="livemax",
)
ROWS_FAILED = Counter(
    "ringline_sweep_rows_failed_total", "Times that a row failed alone in a step", ("step",)
)
ROWS_ASIDE = Gauge(
    "ringline_sweep_rows_left_aside",
    "Rows that a step passes over, having failed alone",
    ("step",),
    multiprocess_mode="livesum",
)
TASKS = Gauge(
    "ringline_tasks",
    "Short-lived background tasks under way",
    ("task",),
    multiprocess_mode="livesum",
)
TASK_FAILURES = Counter(
    "ringline_task_failures_total", "Failures of background tasks, each started again", ("task",)
)
TASKS_FAILING = Gauge(
    "ringline_tasks_failing",
    "1 for a background task whose last round or run has failed",
    ("task",),
    multiprocess_mode="livemax",
)
CLOCK_SKEW = Gauge(
    "ringline_clock_skew_seconds",
    "By how much this host's clock is ahead of the database's",
    multiprocess_mode="livemostrecent",
)
AWAY = Gauge(
    "ringline_away",
    "1 for a server (database, redis) that does not serve us",
    ("what",),
    multiprocess_mode="livemax",
)
CALL_EVENTS = Counter(
    "ringline_call_events_total", "What has happened in calls, by the type of event", ("type",)
)
RING_TO_PHONE = Histogram(
    "ringline_ring_to_phone_seconds",
    "From the ring's commit to a device's word that it is on its screen",
    buckets=(0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20, 45),
)
OLDEST_DUE = Gauge(
    "ringline_oldest_due_seconds",
    "How long the oldest row of an outbox (pushes) waits for a worker, as an API process reads it",
    ("outbox",),
    multiprocess_mode="livemax",
)
WORKERS = Gauge(
    "ringline_workers",
    "Workers that have shown life within their lease (alive), as an API process reads it",
    ("state",),  # with no label every worker would say 0
    multiprocess_mode="livemin",
)
RESPONSES = Counter(
    "ringline_http_responses_total", "HTTP requests answered, by status", ("status",)
)
PARTITIONS_AHEAD = Gauge(
    "ringline_partitions_ahead_seconds",
    "For how long to come a table's partitions are made",
    ("table",),
    multiprocess_mode="livemin",
)
DEFAULT_ROWS = Gauge(
    "ringline_default_partition_rows",
    "Rows in the default partition, for want of their week's; up to 100,001 are counted",
    ("table",),
    multiprocess_mode="livemax",
)
TENANT_ROWS_REMOVED = Counter(
    "ringline_tenant_rows_removed_total", "Rows of tenants that were deleted, as they are removed"
)
DATABASE_WAIT = Histogram(
    "ringline_database_wait_seconds",
    "How long work waits for one of its pool's connections to the database",
    buckets=(0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2, 5),
)
DATABASE_CROWDED = Counter(
    "ringline_database_crowded_total",
    "Requests that a process of the API refused, as others had waited for its connections to the "
    "database for seconds without a break",
)
