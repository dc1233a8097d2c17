"""The one clock: the database's time, whatever the host's clock says."""

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.infra import clock
from app.infra.boottime import boottime
from app.infra.clock import Clock
from app.infra.db import Database
from app.infra.ids import uuid7
from app.infra.settings import Settings
from tests.apps import app_of

ROOT = Path(__file__).resolve().parents[2]
THEN = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOUR = 3_600.0


def off_by(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The host's clock is wrong from now on."""
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + seconds)


def test_until_it_has_learned_it_believes_the_host() -> None:
    assert abs(Clock().unix() - time.time()) < 1
    assert Clock().skew() == pytest.approx(0, abs=0.1)


def test_it_goes_by_what_it_has_learned() -> None:
    one = Clock()
    one.learn(THEN, boottime())
    assert abs((one.now() - THEN).total_seconds()) < 1
    assert one.skew() == pytest.approx(time.time() - THEN.timestamp(), abs=1)


def test_the_host_may_be_set_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Clock()
    one.learn(THEN, boottime())
    off_by(monkeypatch, HOUR)
    assert abs((one.now() - THEN).total_seconds()) < 1
    assert one.skew() == pytest.approx(time.time() - THEN.timestamp(), abs=1)


def test_a_slow_answer_does_not_worsen_it_and_a_contradiction_is_believed() -> None:
    one = Clock()
    one.learn(THEN, boottime())
    one.learn(THEN - timedelta(seconds=1), boottime() - 4)  # somewhere within four seconds
    assert abs((one.now() - THEN).total_seconds()) < 1
    one.learn(THEN + timedelta(hours=1), boottime() - 4)  # another server, another clock
    assert abs((one.now() - THEN).total_seconds() - HOUR) < 5


@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
async def test_a_process_with_a_wrong_clock_goes_by_the_databases(
    database: str, redis: str, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    right = time.time
    off_by(monkeypatch, seconds)
    monkeypatch.setattr(clock._clock, "_known", None)
    settings = Settings(
        environment="development",
        database_url=database.replace("postgresql+asyncpg", "postgresql"),
        redis_url=redis,
    )
    app = app_of(settings)
    async with app.router.lifespan_context(app):
        assert abs(clock.unix() - right()) < 2
        assert abs((uuid7().int >> 80) / 1000 - right()) < 2
        assert clock.skew() == pytest.approx(seconds, abs=2)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            metrics = (await client.get("/metrics")).text
        told = re.search(r"^ringline_clock_skew_seconds (\S+)$", metrics, re.MULTILINE)
        assert told is not None
        assert float(told[1]) == pytest.approx(seconds, abs=2)


async def test_asking_the_database_teaches(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    off_by(monkeypatch, HOUR)
    monkeypatch.setattr(clock._clock, "_known", None)
    made = Database(database, pool=1)
    await made.learn_time()
    assert clock.skew() == pytest.approx(HOUR, abs=2)
    await made.close()


def test_nobody_else_asks_the_host_for_the_time() -> None:
    asks = re.compile(
        r"time\.time(_ns)?\b|from time import|datetime\.(now|today|utcnow)|date\.today"
        r"|time\.(gmtime|localtime|strftime)|CLOCK_REALTIME"
    )
    found = {
        str(path.relative_to(ROOT))
        for room in ("app", "workers")
        for path in ROOT.glob(f"{room}/**/*.py")
        if asks.search(path.read_text())
    }
    assert found == {"app/infra/clock.py"}
