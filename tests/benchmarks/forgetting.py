"""Rings at rest while old events, pushes and calls are deleted beside them.

python -m tests.benchmarks.forgetting: forget by the settings of the environment, until it is ended.
"""

import asyncio
import os
import statistics
import subprocess
import sys
from typing import Any

from app.infra.runtime import open_runtime
from app.infra.settings import Settings
from tests.benchmarks.house import Ready
from tests.benchmarks.ring_latency import ring_latencies
from workers.retention import forget

KEPT = "events", "calls", "pushes", "attempts"
KEEPER = """INSERT INTO tenants (id, name, settings)
    VALUES (gen_random_uuid(), 'keeper', '{"keep_events_days": 90}')"""


async def rings_while_forgetting(ready: Ready, rings: int, users: int) -> dict[str, Any]:
    """p50 and p99 of a ring while events older than a day leave, and while calls do.

    There must be much that is old. Fails if the forgetting was over before the rings were.
    """
    found: dict[str, Any] = {}
    # who keeps events the longest has them go with their week: by the batch go those of others
    await ready.sql(KEEPER)
    for what, events, calls in (("nothing", 90, 90), ("events", 1, 90), ("calls", 90, 1)):
        await _keep_days(ready, events, calls)
        found |= await _rings_beside(ready, what, rings, users)
    await _keep_days(ready, 90, 90)
    return found


async def _rings_beside(ready: Ready, what: str, rings: int, users: int) -> dict[str, Any]:
    before = await _rows(ready)
    command = [sys.executable, "-m", "tests.benchmarks.forgetting"]
    with subprocess.Popen(command, env=os.environ | ready.house.environment) as forgetter:
        try:
            await asyncio.sleep(2)  # until it has started
            seconds = sorted(await ring_latencies(ready, f"beside-{what}", rings, users))
            over = forgetter.poll() is not None
            assert over == (what == "nothing"), f"forgetting {what}: over is {over}"
        finally:
            forgetter.kill()
    after = await _rows(ready)
    return {
        f"forget_{what}_p50_ms": round(statistics.median(seconds) * 1e3, 2),
        f"forget_{what}_p99_ms": round(seconds[int(rings * 0.99)] * 1e3, 2),
        f"forget_{what}_gone": sum(before[name] - after[name] for name in KEPT),
    }


async def _keep_days(ready: Ready, events: int, calls: int) -> None:
    await ready.sql(
        f"""UPDATE tenants SET settings = settings ||
                '{{"keep_events_days": {events}, "keep_calls_days": {calls}}}' WHERE id = :t"""
    )


async def _rows(ready: Ready) -> dict[str, int]:
    return {name: (await ready.sql(f"SELECT count(*) FROM {name}"))[0][0] for name in KEPT}


async def _forget() -> None:
    runtime = open_runtime(Settings())
    try:
        await forget(runtime)
    finally:
        await runtime.close()


if __name__ == "__main__":
    asyncio.run(_forget())
