"""What PostgreSQL is asked when nothing happens: one API process and several workers."""

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import text

from tests.benchmarks.house import Ready, more_workers

WORKERS = 4
SECONDS = 20.0
CALM = 5.0
"""Seconds until what came before, and the workers' own start, is over."""

ASKED = (b"LOG:  statement: ", b"LOG:  execute ")


async def statements_at_rest(ready: Ready) -> dict[str, Any]:
    """Statements a second, as PostgreSQL's own log has them; BEGIN and COMMIT count too."""
    log = ready.house.postgres_log
    with more_workers(ready.house, WORKERS - 1):
        await asyncio.sleep(CALM)
        await _log_all(ready, on=True)
        before = log.stat().st_size
        await asyncio.sleep(SECONDS)
        asked = _count(log, before)
        await _log_all(ready, on=False)
    return {"rest_statements": round(asked / SECONDS, 1), "rest_workers": WORKERS}


async def _log_all(ready: Ready, *, on: bool) -> None:
    async with ready.runtime.database.autocommit() as session:
        value = "all" if on else "none"
        await session.execute(text(f"ALTER SYSTEM SET log_statement = '{value}'"))
        await session.execute(text("SELECT pg_reload_conf()"))
    await asyncio.sleep(1)  # each session reads it before its next statement


def _count(log: Path, begin: int) -> int:
    with log.open("rb") as lines:
        lines.seek(begin)
        return sum(any(mark in line for mark in ASKED) for line in lines)
