"""What workers ask of the database when there is nothing to do: little, and not more for each."""

import time
from collections import Counter
from typing import Any

from sqlalchemy import event

from app.calls.store import DUE
from app.push.worker_store import RENEW
from tests.e2e.house import eventually
from tests.push.conftest import Bench

RENEWALS = 12
"""Six seconds of each worker."""

A_WORKER, FOR_ALL = 5, 13
"""Statements a second, renewals left out: of each worker, and of the sweep, which one does for all.
"""


async def test_two_workers_at_rest_ask_little_and_sweep_once_for_both(bench: Bench) -> None:
    workers = [bench.start_worker(), bench.start_worker()]
    begun = time.monotonic()
    asked: list[Counter[str]] = []
    for worker in workers:
        assert worker.runtime is not None
        asked.append(_count(worker.runtime.database))

    async def enough() -> bool:
        return all(_of(RENEW, counter) >= RENEWALS for counter in asked)

    await eventually(enough)
    found = [counter.copy() for counter in asked]
    renewals = sum(_of(RENEW, counter) for counter in found)
    others = sum(counter.total() for counter in found) - renewals
    seconds = time.monotonic() - begun + 1  # and not by the renewals: a busy machine makes fewer
    assert others <= seconds * (A_WORKER * len(workers) + FOR_ALL), found
    assert 1 <= sum(_of(DUE, counter) for counter in found) <= seconds * 1.2, found


def _count(database: Any) -> Counter[str]:
    counts: Counter[str] = Counter()

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        counts[" ".join(statement.split())[:70]] += 1

    for engine in (database.engine, database.vital.engine):
        event.listen(engine.sync_engine, "before_cursor_execute", note)
    return counts


def _of(statement: Any, counts: Counter[str]) -> int:
    return counts[" ".join(str(statement).split())[:70]]
