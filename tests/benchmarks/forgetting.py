"""Rings at rest while old events, pushes and calls are deleted beside them.

python -m tests.benchmarks.forgetting: forget by the settings of the environment, until it is ended.
"""

import asyncio
import os
import statistics
import subprocess
import sys
from typing import Any

from app.events.service import forget
from app.runtime import open_runtime
from app.settings import Settings
from tests.benchmarks.house import Ready
from tests.benchmarks.ring_latency import ring_latencies

KEPT = "events", "calls", "pushes", "attempts"


async def rings_while_forgetting(ready: Ready, rings: int, users: int) -> dict[str, Any]:
    """p50 and p99 of a ring while what is older than a day leaves, over those just before.

    There must be much that is old. Fails if the forgetting was over before the rings were.
    """
    alone = sorted(await ring_latencies(ready, "remembering", rings, users))
    await _keep_days(ready, 1)
    before = await _rows(ready)
    command = [sys.executable, "-m", "tests.benchmarks.forgetting"]
    with subprocess.Popen(command, env=os.environ | ready.house.environment) as forgetter:
        try:
            await asyncio.sleep(2)  # until it has started
            beside = sorted(await ring_latencies(ready, "forgetting", rings, users))
            assert forgetter.poll() is None, "there was not enough to forget"
        finally:
            forgetter.kill()
    after = await _rows(ready)
    await _keep_days(ready, 90)
    p99 = int(rings * 0.99)
    return {
        "forget_p50_over_alone": round(statistics.median(beside) / statistics.median(alone), 3),
        "forget_p99_over_alone": round(beside[p99] / alone[p99], 3),
        "forget_p50_ms": round(statistics.median(beside) * 1e3, 2),
        "forget_p99_ms": round(beside[p99] * 1e3, 2),
        "forget_rows_gone": {name: before[name] - after[name] for name in KEPT},
    }


async def _keep_days(ready: Ready, days: int) -> None:
    await ready.sql(
        f"""UPDATE tenants SET settings = settings ||
                '{{"keep_events_days": {days}, "keep_calls_days": {days}}}' WHERE id = :t"""
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
