"""Processes that start while the database is away: their logs are few lines, and hold no secret."""

import os
import secrets
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.house import SECRET_KEY, Process

PASSWORD = f"pw{secrets.token_hex(12)}"
COMMANDS = {
    "api": ["-m", "app.cli", "api", "--port", "0"],
    "worker": ["-m", "app.cli", "worker"],
    "uvicorn": ["-m", "uvicorn", "--factory", "app.main:create_app", "--port", "0"],
    "celery": ["-m", "celery", "-A", "workers.main", "worker", "--without-gossip"],
}


@pytest.mark.timeout(180)
def test_no_start_writes_a_secret_at_any_level(tmp_path: Path, redis: str) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and not listening: refused at once
        port = nobody.getsockname()[1]
        url = f"postgresql://ringline:{PASSWORD}@127.0.0.1:{port}/ringline"
        env = {k: v for k, v in os.environ.items() if not k.startswith("RINGLINE_")} | {
            "RINGLINE_DATABASE_URL": url,
            "RINGLINE_REDIS_URL": redis,
            "RINGLINE_SECRET_KEY": SECRET_KEY,
            "RINGLINE_STOP_DELAY": "0",
        }
        levels = {"debug": COMMANDS, "info": COMMANDS, "error": {"celery": COMMANDS["celery"]}}
        started = {
            (level, name): Process(
                f"{name} {level}",
                [sys.executable, *command],
                env | {"RINGLINE_LOG_LEVEL": level},
                tmp_path / f"{name}-{level}.log",
            )
            for level, commands in levels.items()
            for name, command in commands.items()
        }
        try:
            for process in started.values():
                end = time.monotonic() + 100
                while '"server_away"' not in process.output():
                    assert time.monotonic() < end, process.output()[-2000:]
                    time.sleep(0.05)
        finally:
            for process in started.values():
                process.stop()
    for (level, name), process in started.items():
        written = process.output()
        for secret in (PASSWORD, SECRET_KEY):
            assert secret not in written, (level, name)
        # a command looks once by itself before it serves
        assert written.count('"server_away"') <= 2, (level, name)
        if level != "debug":
            assert "Traceback" not in written, [
                line[:160] for line in written.splitlines() if "Traceback" in line
            ]
            # Celery says that it stops past all logging, as its last words
            drawn = [line for line in written.splitlines() if line[:1] not in {"{", ""}]
            assert [line for line in drawn if not line.startswith("worker: Warm shutdown")] == []
