"""What load balancers and Prometheus ask: is it alive, is it ready, what has been counted.

Ready is who can serve a ring to its end: the database answers in time and has the tables that this
code needs (newer ones are fine: that is a rolling upgrade), the key is the database's, at least one
worker lives, and this process is not about to stop. The database is asked at most once a second,
however often others ask.
"""

import asyncio
import hmac
import time
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.models import says
from app.api.models.server import AliveOut, ReadyOut
from app.credentials import health, key_check
from app.infra import clock, schema
from app.infra.errors import AppError, Unauthorized, Unavailable
from app.infra.exposition import exposition
from app.infra.observe import OLDEST_DUE, WORKERS
from app.infra.outage import is_transient, refuses_writes
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks
from app.push import worker_store

TRUE_FOR: Final = 1.0
"""Seconds for which an answer is given again."""

WITHIN: Final = 2.0
"""Seconds for the database to answer."""

CREDENTIALS_EVERY: Final = 60.0
CREDENTIALS_WITHIN: Final = 30.0

READ_ONLY: Final = (
    "the database takes no writes: it is a standby, or was told to take none; name the one that "
    "does in RINGLINE_DATABASE_URL"
)

MEASURE_EVERY: Final = 5.0
MEASURE_WITHIN: Final = 5.0

NOT_MIGRATED: Final = "database_not_migrated"


class Health:
    """Of one API process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._stopping = False
        self._known: tuple[float, dict[str, Any] | AppError] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._tasks = Tasks("health")
        self._credentials = (b"", b"")

    def start(self) -> None:
        """Begin to read what metrics tell of rows: a scrape needs no database."""
        schema.head_revision()  # reads the migrations now, and in no request
        self._tasks.every(
            "credentials", CREDENTIALS_EVERY, self._read_credentials, within=CREDENTIALS_WITHIN
        )
        self._tasks.every("measure", MEASURE_EVERY, self._measure, within=MEASURE_WITHIN)

    def stop_soon(self) -> None:
        """Be unready from now on."""
        self._stopping = True

    async def close(self) -> None:
        """End what was started."""
        await self._tasks.stop()

    async def ready(self) -> dict[str, Any]:
        """What `/readyz` says. Raises Unavailable with what is missing."""
        if self._stopping:
            raise Unavailable("stopping", "this process is about to stop")
        if self._known is None or time.monotonic() > self._known[0] + TRUE_FOR:
            if self._asking is None:
                self._asking = self._tasks.spawn("ask", self._ask(), of_all=True)
            await asyncio.shield(self._asking)
        assert self._known is not None
        if isinstance(self._known[1], AppError):
            raise self._known[1]
        return self._known[1]

    async def unmigrated(self) -> AppError | None:
        """What a request is told that found no table of ours, or another: these are yet to be made.

        None where they are as they should be: then it is a fault of ours.
        """
        try:
            await self.ready()
        except AppError as error:
            return error if error.code == NOT_MIGRATED else None
        return None

    async def _ask(self) -> None:
        found: dict[str, Any] | AppError
        try:
            async with asyncio.timeout(WITHIN):
                found = await self._look()
        except AppError as error:
            found = error
        except TimeoutError:
            found = Unavailable("database_unavailable", "the database does not answer in time")
        except Exception as error:
            if not is_transient(error):
                raise
            found = Unavailable("database_unavailable", "the database does not answer")
        finally:
            self._asking = None
        self._known = (time.monotonic(), found)

    async def _look(self) -> dict[str, Any]:
        database = self._runtime.database.vital  # to have much to do is to be ready
        stands = schema.standing(await schema.revision_of(database))
        if stands in {schema.Standing.NONE, schema.Standing.OLDER}:
            raise Unavailable(
                NOT_MIGRATED,
                "run `ringline migrate`: the database is older than this version",
            )
        try:
            await key_check.check(database, self._runtime.keyring)
        except key_check.WrongSecretKey as error:
            raise Unavailable("wrong_secret_key", str(error)) from error
        async with database.autocommit() as session:
            read_only = await refuses_writes(session)
            workers = await worker_store.live_workers(session)
        if read_only:
            raise Unavailable("database_read_only", READ_ONLY)
        if not workers:
            raise Unavailable("no_worker", "no worker is alive: start one with `ringline worker`")
        skew = round(clock.skew(), 1)
        warnings = [f"this host's clock is {skew:+} s off"] if abs(skew) > clock.NOTEWORTHY else []
        return {
            "status": "ready",
            "workers": workers,
            "clock_skew_seconds": skew,
            "warnings": warnings,
        }

    def metrics(self, authorization: str | None) -> bytes:
        """Prometheus's text; names of tenants and apps only to who has the token. Raises 401."""
        token = self._runtime.settings.metrics_token
        if token is None:
            return exposition() + self._credentials[0]
        given = (authorization or "").removeprefix("Bearer ").encode()
        if not hmac.compare_digest(given, token.get_secret_value().encode()):
            raise Unauthorized("invalid_token", "send `Authorization: Bearer` with the token")
        return exposition() + self._credentials[1]

    async def _measure(self) -> None:
        """What tells of workers, read by who lives when none of them does."""
        async with self._runtime.database.vital.autocommit() as session:
            workers, oldest_due = await worker_store.standing(session)
        WORKERS.labels("alive").set(workers)
        OLDEST_DUE.labels("pushes").set(oldest_due)

    async def _read_credentials(self) -> None:
        self._credentials = await health.expiry_expositions(self._runtime)


def install(app: FastAPI) -> None:
    """Add the routes; `app.state.health` is made when the process starts."""
    app.add_api_route(
        "/healthz", _alive, methods=["GET"], tags=["health"], **says("is_alive", AliveOut)
    )
    app.add_api_route(
        "/readyz", _ready, methods=["GET"], tags=["health"], **says("is_ready", ReadyOut)
    )
    app.add_api_route("/metrics", _metrics, methods=["GET"], include_in_schema=False)


async def _alive() -> dict[str, str]:
    """This process runs."""
    return {"status": "ok"}


async def _ready(request: Request) -> dict[str, Any]:
    """This process can serve: database, tables, key and a worker are there. Else 503 says why."""
    found: dict[str, Any] = await request.app.state.health.ready()
    return found


async def _metrics(request: Request) -> Response:
    text = request.app.state.health.metrics(request.headers.get("authorization"))
    return Response(text, media_type=CONTENT_TYPE_LATEST)
