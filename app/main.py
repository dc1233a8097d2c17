"""`create_app()`: the HTTP API of one process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog
from fastapi import Depends, FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from sqlalchemy.exc import SQLAlchemyError

from app.api import api_keys as api_keys_api
from app.api import audit as audit_api
from app.api import calls as calls_api
from app.api import credentials as credentials_api
from app.api import devices as devices_api
from app.api import docs_page, health, openapi
from app.api import events as events_api
from app.api import histories as histories_api
from app.api import signing_secrets as signing_secrets_api
from app.api import tenants as tenants_api
from app.api import users as users_api
from app.api import webhooks as webhook_api
from app.api.fast_path import FastPath
from app.calls import service as calls
from app.calls.ringer import ringer_of
from app.calls.warmup import rehearse
from app.credentials import key_check
from app.dashboard import routes as dashboard
from app.dashboard.counting import Counting
from app.dashboard.standing import Standings
from app.http import problems
from app.http.auth import gate_of
from app.http.body_limit import BodyLimit
from app.http.encoded_slashes import EncodedSlashes
from app.http.head import HeadAsGet
from app.http.security_headers import SecurityHeaders
from app.http.sockets import NoSuchSocket
from app.http.trusted_proxies import TrustedProxies
from app.http.unread import UnreadHeaders, refuse_unread
from app.infra import clock, process
from app.infra.connections import ASKED
from app.infra.observe import set_up_logging
from app.infra.outage import (
    NOT_MIGRATED,
    DatabaseAway,
    is_transient,
    lacks_schema,
    unavailable,
)
from app.infra.process import at_first_signal
from app.infra.rate_limits import TELL, WITHIN, RateLimiter
from app.infra.repeats import Seldom
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings, get_settings
from app.infra.tasks import Tasks
from app.infra.traces import open_traces
from app.live.streams import Streams
from app.webhooks import limited

if TYPE_CHECKING:
    from devkit.lab.lab import Lab

log = structlog.get_logger(__name__)

BODY_LIMIT = 256 * 1024
CREDENTIAL_LIMIT = 1024 * 1024
ASKED_ACROSS = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID",
    "traceparent", "tracestate", "X-Request-ID",
)  # fmt: skip
"""Headers with which a page of another origin may ask."""
TOLD_ACROSS = ("Date", "ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID")
"""Headers that it may read: by `Date` the client sets its clock, by `Retry-After` it waits."""


class UnsafeSettings(Exception):
    """The settings do not allow to start; the message says what to mend."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API. Raises UnsafeSettings when the settings do not allow to start.

    Without `settings` it is a process of its own, and sets up that process's logging too: what a
    server such as uvicorn sets up shows tracebacks unredacted.
    """
    chosen = settings or get_settings()
    if settings is None:
        set_up_logging(chosen.log_level, chosen.log_format)
    faults = chosen.weaknesses() + chosen.unreadable()
    if faults:
        raise UnsafeSettings("; ".join(faults))

    @asynccontextmanager
    async def lifespan(app: FastPath) -> AsyncIterator[None]:
        async with AsyncExitStack() as ending:  # also of what did not start: a wrong key, say
            runtime = open_runtime(chosen, open_traces("ringline-api"), ASKED)
            app.has_traces = runtime.traces is not None
            ending.push_async_callback(runtime.close)
            app.state.runtime = runtime
            app.state.gate = gate_of(runtime)
            app.state.ringer = ringer_of(runtime)
            await ending.enter_async_context(_keeping(app, runtime))
            await _warm_up(runtime)
            streams = Streams(
                runtime, calls.live_calls, lambda devices: calls.keep_present(runtime, devices)
            )
            app.state.streams = streams
            ending.push_async_callback(streams.close)
            streams.start()
            ending.push_async_callback(app.state.gate.close)
            app.state.gate.start(streams.revoked, streams.closed)
            counting = Counting(runtime)
            ending.push_async_callback(counting.close)
            counting.start()
            if lab is not None:
                ending.push_async_callback(lab.close)
                lab.start(runtime)
            process.settle_memory()
            healthy = app.state.health = health.Health(runtime)
            ending.push_async_callback(healthy.close)
            healthy.start()
            stop_soon = partial(_stop_soon, headers, healthy)
            with at_first_signal(
                stop_soon, partial(_let_go, streams, lab), delay=chosen.stop_delay
            ):
                yield

    app = FastPath(
        title="Ringline",
        description="A self-hosted ring service for apps with native call screens.",
        version="0.1.0",
        lifespan=lifespan,
        responses=problems.RESPONSES,
        dependencies=[Depends(refuse_unread)],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would send the key along, to http:// behind a proxy
    )
    headers = app.security = SecurityHeaders(chosen)
    app.access_log = chosen.access_log
    problems.install(app)
    app.add_exception_handler(SQLAlchemyError, _database_failed)
    app.add_exception_handler(DatabaseAway, _database_failed)
    for api in (
        api_keys_api,
        signing_secrets_api,
        histories_api,
        calls_api,
        events_api,
        devices_api,
        credentials_api,
        audit_api,
        webhook_api,
        tenants_api,
        users_api,
    ):
        app.include_router(api.router)
    openapi.install(app)
    docs_page.install(app)
    dashboard.install(app)
    lab = _lab(app, chosen)
    health.install(app)
    _add_middleware(app, chosen)
    return app


def _add_middleware(app: FastAPI, chosen: Settings) -> None:
    """The last that is added sees a request first."""
    app.add_middleware(UnreadHeaders)
    app.add_middleware(NoSuchSocket)
    app.add_middleware(BodyLimit, limit_of=_limit_of)
    app.add_middleware(EncodedSlashes)
    if chosen.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=chosen.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=list(ASKED_ACROSS),
            expose_headers=list(TOLD_ACROSS),
        )
    app.add_middleware(HeadAsGet)
    app.add_middleware(TrustedProxies, networks=chosen.trusted_proxies)


def _lab(app: FastAPI, settings: Settings) -> "Lab | None":
    """The lab, where a simulated Apple is named. Elsewhere it is not even imported."""
    if settings.simulator_url is None:
        return None
    if not settings.has_lab:
        log.warning("lab_absent", why="RINGLINE_SIMULATOR_URL is set, but pushes go to Apple")
        return None
    from devkit.lab import guard as door  # noqa: PLC0415  (not in production)

    return door.install(app, settings)


@asynccontextmanager
async def _keeping(app: FastAPI, runtime: Runtime) -> AsyncIterator[None]:
    """Learn the database's time; tell other processes what was counted, tenants what refuses.

    And keep what was found of how the server stands.
    """
    limiter = app.state.rate_limiter = RateLimiter(runtime.redis)
    standings = app.state.standings = Standings(runtime)
    tasks = Tasks("api")
    tasks.every("learn_time", clock.REFRESH, runtime.database.learn_time, within=clock.REFRESH)
    tasks.every("tell_counts", TELL, limiter.tell, within=WITHIN)
    tell = partial(limited.tell, runtime.database, limiter)
    tasks.every("tell_limited", limited.EVERY, tell, within=limited.EVERY)
    try:
        yield
    finally:
        await tasks.stop()
        await standings.close()


def _stop_soon(headers: SecurityHeaders, healthy: health.Health) -> None:
    healthy.stop_soon()
    headers.close_connections()


def _let_go(streams: Streams, lab: "Lab | None") -> None:
    streams.end_all()
    if lab is not None:
        lab.end_feeds()


async def _warm_up(runtime: Runtime) -> None:
    """Prepare for the first ring; a server that is away now is no reason not to start.

    Raises WrongSecretKey.
    """
    runtime.queue.warm()
    try:
        await runtime.database.learn_time()
        await key_check.check(runtime.database, runtime.keyring)
        await rehearse(runtime)
    except key_check.WrongSecretKey:
        raise
    except Exception as error:
        if lacks_schema(error):
            log.error("not_migrated", why=NOT_MIGRATED)  # noqa: TRY400  (no fault of ours)
        elif not is_transient(error):
            log.exception("rehearsal_failed")


def _limit_of(path: str) -> int:
    large = path.startswith("/v1/credentials") or (
        path.startswith("/dashboard/") and "/credentials" in path
    )
    return CREDENTIAL_LIMIT if large else BODY_LIMIT


_unmigrated = Seldom()


async def _database_failed(request: Request, error: Exception) -> Response:
    away = unavailable(error)
    if away is None and lacks_schema(error):
        away = await request.app.state.health.unmigrated()
        if away is not None and (failed := _unmigrated.failed()):
            log.error("not_migrated", why=NOT_MIGRATED, failures=failed)
    if away is not None:
        return problems.problem_of(away)
    log.error("database_error", error=type(error).__name__, exc_info=error)
    return problems.problem(
        500, "internal_error", "Ringline failed; the log of the server says why."
    )
