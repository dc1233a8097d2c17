"""Keeps the counts by the minute going, in every API process; one of them does the work."""

import asyncio

from app.dashboard import store_counts
from app.infra.db import clock
from app.infra.outage import is_transient
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks

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
            except Exception as error:
                if not is_transient(error):
                    raise
                more = False
            await asyncio.sleep(BETWEEN if more else EVERY)


async def count_once(runtime: Runtime) -> bool:
    """Count the next stretch of settled minutes; True when there is more to do."""
    async with runtime.database.patient.transaction() as session:
        return await store_counts.count_on(session, await clock(session))
