"""Keeps the counts by the minute going, in every API process; one of them does the work."""

import asyncio

import structlog
from sqlalchemy.exc import DBAPIError

from app.dashboard import store_counts
from app.infra.db import clock
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks

log = structlog.get_logger(__name__)
EVERY = 20.0
BETWEEN = 0.05


class Counting:
    """Counts settled minutes until it is closed."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._tasks = Tasks("dashboard")

    def start(self) -> None:
        """Begin, on the running loop."""
        self._tasks.supervise("count", self._run)

    async def close(self) -> None:
        """End; what was not counted yet is counted by whoever comes next."""
        await self._tasks.stop()

    async def _run(self) -> None:
        while True:
            try:
                more = await count_once(self._runtime)
            except (DBAPIError, OSError, TimeoutError) as error:
                log.warning("counting_failed", error=type(error).__name__)
                more = False
            await asyncio.sleep(BETWEEN if more else EVERY)


async def count_once(runtime: Runtime) -> bool:
    """Count the next stretch of settled minutes; True when there is more to do."""
    async with runtime.database.transaction() as session:
        return await store_counts.count_on(session, await clock(session))
