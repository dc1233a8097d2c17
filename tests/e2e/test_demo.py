"""What a newcomer does first: the demo, and what the README says to type."""

import asyncio
import contextlib
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests import forks
from tests.e2e.house import Tenant
from tests.environment import own_environment

ROOT = Path(__file__).resolve().parent.parent.parent


@contextlib.contextmanager
def taken(*ports: int):
    """Hold these ports, as far as nobody else holds them."""
    with contextlib.ExitStack() as held:
        for port in ports:
            listener = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                listener.bind(("127.0.0.1", port))
                listener.listen()
        yield


def a_servers_environment() -> dict[str, str]:
    """As it is in the shell of who has followed the README: where these lead, nobody answers."""
    return own_environment() | {
        "RINGLINE_DATABASE_URL": "postgresql://127.0.0.1:1/production",
        "RINGLINE_REDIS_URL": "redis://127.0.0.1:1/0",
        "RINGLINE_BROKER_URL": "amqp://127.0.0.1:1/",
        "RINGLINE_SECRET_KEY": "of another server",
        "RINGLINE_WORKER_ONLY": "webhooks",
        "RINGLINE_METRICS_TOKEN": "of another server",
    }


@pytest.mark.long(21)
def test_demo_rings_twice_over_and_leaves_nothing_running(tmp_path: Path) -> None:
    """The first time it ends by itself, the second time it is killed while its page is open.

    The first time the settings of a server are in the environment: it goes by none of them.
    """
    folder = tmp_path / "a folder with spaces"
    with taken(5432, 6379, 8000):
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", "demo", "--once", "--folder", str(folder)],
            env=a_servers_environment(), cwd=ROOT, capture_output=True, text=True, check=False,
            timeout=140,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert "RINGLINE_BROKER_URL, RINGLINE_DATABASE_URL" in done.stdout
        assert "--own-servers takes yours" in done.stdout
        all_right(done.stdout)
        assert "Every step was right." in done.stdout
        assert re.search(r"/lab.*one click", done.stdout)
        # the folder is its owner's alone
        assert folder.stat().st_mode & 0o077 == 0
        assert (folder / "secret_key").stat().st_mode & 0o777 == 0o600
        killed_in_the_middle(folder)


def all_right(said: str) -> None:
    """The demo has rung, by each of its steps: where one is wrong it comes no further."""
    assert "answered elsewhere: 4" in said
    assert re.search(r"median \d+\.\d ms", said)
    assert re.search(
        r"Bob's (second iPhone|iPhone( without CallKit)?|Android phone) rang \d+\.\d ms after one",
        said,
    )


def killed_in_the_middle(folder: Path) -> None:
    """Start it, look at its page, and kill it: nothing runs on."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as out:
        words = ("app.cli", "demo", "--folder", str(folder))
        env, wrong = own_environment(), sys.stderr.fileno()
        process = forks.start(*words, env=env, stdout=out.fileno(), stderr=wrong)
    try:
        with os.fdopen(reading) as lines:
            said = []
            for line in lines:
                said.append(line)
                if "Ctrl-C" in line:
                    break
            all_right("".join(said))
            addresses = [line for line in said if "http" in line and " up " not in line]
            lab = re.search(r"http://127\.0\.0\.1:\d+/lab", addresses[0])
            assert lab is not None, "the lab's is the first address to open"
            assert lab[0] in addresses[-1], "and the last"
            assert httpx.get(lab[0]).status_code == 200
            receives_webhooks_here(lab[0].removesuffix("/lab"), "".join(said))
            a_shell_of_the_demo(said, lab[0].removesuffix("/lab"))
            family = children_of(process.pid)
            assert len(family) >= 4  # PostgreSQL, Valkey, API, worker
    finally:
        process.kill()
        process.wait(10)
    until = time.monotonic() + 20
    while time.monotonic() < until and any(alive(pid) for pid in family):
        time.sleep(0.1)
    assert [pid for pid in family if alive(pid)] == []


def a_shell_of_the_demo(said: list[str], api: str) -> None:
    """The line that it prints makes any shell one of its own; what it reads is its owner's alone."""
    (line,) = [one for one in said if one.startswith(". ")]
    assert Path(shlex.split(line)[1]).stat().st_mode & 0o777 == 0o600
    shown = 'command -v ringline; command -v python3; printf \'%s\n\' "$API" "$KEY" "$RINGLINE_PUBLIC_URL" "$RINGLINE_SECRET_KEY"'
    done = subprocess.run(
        ["sh", "-euc", f"{line}{shown}"],
        env=own_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    program, python, address, key, public, secret = done.stdout.splitlines()
    assert Path(program).parent == Path(python).parent == Path(sys.executable).parent
    assert address == public == api
    assert (
        httpx.get(f"{api}/v1/calls", headers={"Authorization": f"Bearer {key}"}).status_code == 200
    )
    assert secret == Path(shlex.split(line)[1]).with_name("secret_key").read_text()


def receives_webhooks_here(api: str, said: str) -> None:
    """Who tries the demo has no public address with TLS."""
    key = re.search(r"KEY=(\S+)", said)
    assert key is not None
    answer = httpx.post(
        f"{api}/v1/webhooks",
        headers={"Authorization": f"Bearer {key[1]}"},
        json={"url": "http://127.0.0.1:9/hooks", "events": ["webhook.*"]},
    )
    assert answer.status_code == 201, answer.text


def children_of(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(fields[1]) == parent:
                found.append(int(entry.name))
    return found


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return (Path("/proc") / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False


def curl_session() -> str:
    """The README's curl lines, as written."""
    text = (ROOT / "README.md").read_text()
    section = text.split("## A session with curl", 1)[1]
    return section.split("```sh\n", 1)[1].split("```", 1)[0]


async def test_the_curl_session_of_the_readme_works_when_pasted(tenant: Tenant) -> None:
    script = curl_session().replace("curl -s", "curl -sS --fail-with-body")
    done = await asyncio.to_thread(
        subprocess.run,
        ["bash", "-euo", "pipefail", "-c", script],
        env=own_environment() | {"KEY": tenant.key, "API": tenant.house.apis[0].url},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"state":"active"' in done.stdout
    assert '"reason":"ended_by_server"' in done.stdout
    assert '"device_id":"third-phone"' in done.stdout
