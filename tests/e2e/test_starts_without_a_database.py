"""Processes that start while the database is away: their logs are few lines, and hold no secret."""

import contextlib
import os
import re
import secrets
import socket
import time
from pathlib import Path

import pytest

from tests.e2e.house import SECRET_KEY, Process

PASSWORD = f"pw{secrets.token_hex(12)}"
COMMANDS = {
    "api": ["app.cli", "api", "--port", "0"],
    "worker": ["app.cli", "worker"],
    "uvicorn": ["uvicorn", "--factory", "app.main:create_app", "--port", "0"],
    "celery": ["celery", "-A", "workers.main", "worker", "--without-gossip"],
}


def kept_alive(api: Process) -> bytes:
    """All that comes by a connection that is kept after a request, to its end: after 1 s."""
    while not (found := re.search(r"running on http://127.0.0.1:(\d+)", api.output())):
        time.sleep(0.05)
    kept = socket.socket()
    with contextlib.closing(kept):
        kept.settimeout(30)
        while kept.connect_ex(("127.0.0.1", int(found[1]))):  # it is bound before it listens
            time.sleep(0.05)
        kept.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n")
        answer = b""
        while more := kept.recv(65_536):
            answer += more
        return answer


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
            "RINGLINE_KEEP_ALIVE": "1",
        }
        levels = {"debug": COMMANDS, "info": COMMANDS, "error": {"celery": COMMANDS["celery"]}}
        started = {
            (level, name): Process(
                f"{name} {level}",
                command,
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
            answer = kept_alive(started["info", "api"])
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" not in answer.lower()
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
            assert [line for line in written.splitlines() if line[:1] not in {"{", ""}] == []
            assert '"worker_stops"' in written or name in {"api", "uvicorn"} or level == "error"
