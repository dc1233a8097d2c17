"""`python -m tests.operating.upgrade`: from the last release to this tree, and back.

The release's own code, out of git's history, rings on its own schema; then docs/releases.md is
followed: everything is stopped, the database dumped and migrated, and this tree starts on what was
there. It must know the call that was ringing, take its answer, and ring the same phone by the same
key and credential. Then back: the dump is restored, and the release rings again. Exits with 1 when
anything of that is not so.
"""

import asyncio
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx

from app.infra import postgres_tools
from app.infra.server_urls import database_url
from devkit.embedded import running_postgres, running_valkey
from devkit.simulator import Simulator
from tests.archives import unpack
from tests.conftest import DatabaseServer
from tests.e2e.house import BUNDLE, SECRET_KEY, listening, url_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "releases.md"
STARTING = 90
TRIES = 5
RING_TIME = 170
"""Seconds: the call that is ringing when everything stops is to be ringing still."""


def last_release() -> tuple[str, str, str]:
    """Version, commit and schema of the newest release that docs/releases.md lists."""
    rows = re.findall(r"^\| (\S+) \| ([0-9a-f]{7,40}) \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    version, commit, schema = rows[-1]
    return version, commit, schema


def unpacked(commit: str, folder: Path) -> Path:
    """The tree of a commit."""
    done = subprocess.run(["git", "archive", commit], cwd=ROOT, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"git's history here has no {commit}: fetch it whole (git fetch --unshallow)")
    unpack(BytesIO(done.stdout), folder)
    return folder


class Version:
    """One version's tree, and its processes on one database."""

    def __init__(self, name: str, tree: Path, env: dict[str, str], folder: Path) -> None:
        self.name = name
        self._tree = tree
        self._env = {**env, "PYTHONPATH": str(tree)}
        self._folder = folder
        self._running: list[subprocess.Popen[bytes]] = []
        self.url = ""

    def command(self, *words: str) -> str:
        """`ringline ...` of this version; what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", *words], cwd=self._tree, env=self._env,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{self.name}: {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self) -> None:
        """A worker, then the API; returns when both are ready."""
        worker = ("celery", "-A", "workers.main", "worker", "--without-gossip", "--without-mingle")
        self._start("worker", worker, " ready.")
        with listening() as listener:
            self.url = url_of(listener)
            number = listener.fileno()
            api = ("uvicorn", "--factory", "app.main:create_app", "--fd", str(number))
            self._start("api", api, "startup complete", number)

    def _start(self, what: str, words: tuple[str, ...], ready: str, *keep: int) -> None:
        log = self._folder / f"{self.name}-{what}-{secrets.token_hex(2)}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", *words], cwd=self._tree, env=self._env, pass_fds=keep,
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )  # fmt: skip
        self._running.append(child)

        def is_ready() -> bool:
            said = log.read_text(errors="replace")
            assert child.poll() is None, f"{self.name}: {what} has ended: {said[-3000:]}"
            return ready in said

        until(is_ready, lambda: f"{self.name}: its {what} did not start: {log.read_text()[-3000:]}")

    def stop(self) -> None:
        """As a supervisor does."""
        for child in reversed(self._running):
            child.terminate()
        for child in reversed(self._running):
            try:
                child.wait(40)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._running.clear()


def until(true: Callable[[], bool], otherwise: Callable[[], str]) -> None:
    end = time.monotonic() + STARTING
    while not true():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.1)


class Journey:
    """One tenant with one phone, over all versions."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self.key = ""
        self.put_off = 0
        self.token = secrets.token_hex(32)

    def ask(self, version: Version, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """A request by the tenant's key, which must work; one that is told to try again does so."""
        for _ in range(TRIES):
            answer = httpx.request(
                method, f"{version.url}{path}", json=body, timeout=30,
                headers={"Authorization": f"Bearer {self.key}"},
            )  # fmt: skip
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            self.put_off += 1
            time.sleep(float(answer.headers["retry-after"]))
        assert answer.is_success, f"{version.name}: {path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    def settle(self, version: Version, app: str) -> None:
        """A tenant with a certificate, and bob's phone; `app` is how that version names an app."""
        self.key = json.loads(version.command("tenant", "create", "Acme", "--json"))["api_key"]
        pem = self._sim.voip_certificate(BUNDLE).pem.decode()
        self.ask(version, "POST", "/v1/credentials", {"file": pem})
        self._sim.live(self.token, topic=f"{BUNDLE}.voip")
        token = {"kind": "voip", "token": self.token, app: BUNDLE}
        device = {"user_id": "bob", "device_id": "d-1", "tokens": [token]}
        self.ask(version, "POST", "/v1/devices", device)

    def ring(self, version: Version) -> str:
        """Ring bob; his phone must get it. The call's session."""
        body = {"caller": {"id": "alice"}, "callees": ["bob"], "ring_time": RING_TIME}
        call = self.ask(version, "POST", "/v1/calls", body)
        session = str(call.get("session_id", call["id"]))
        until(lambda: session in self.rung(), lambda: f"{version.name}: bob's phone does not ring")
        return session

    def rung(self) -> Counter[str]:
        """How often each session has rung bob's phone."""
        pushes = [one.payload["ring"] for one in self._sim.deliveries(self.token)]
        return Counter(str(one.get("session_id") or one["call_id"]) for one in pushes)


Tool = Callable[..., None]


def tool_of(major: int) -> Tool:
    """PostgreSQL's own tools of a version: the first release has no `ringline backup`."""

    def tool(name: str, url: str, *words: str) -> None:
        path = postgres_tools.find(name, major)
        asyncio.run(postgres_tools.run(path, words, database_url(url)))

    return tool


def environment(url: str, valkey: str, sim: Simulator) -> dict[str, str]:
    """Settings that the release and this tree read alike."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("RINGLINE_")}
    return inherited | {
        "RINGLINE_DATABASE_URL": url, "RINGLINE_REDIS_URL": valkey,
        "RINGLINE_SECRET_KEY": SECRET_KEY, "RINGLINE_APNS_CA_FILE": str(sim.ca_file),
        "RINGLINE_APNS_PRODUCTION_URL": sim.production_url,
        "RINGLINE_APNS_SANDBOX_URL": sim.sandbox_url,
    }  # fmt: skip


def travel(
    folder: Path,
    server: DatabaseServer,
    tool: Tool,
    urls: dict[str, str],
    valkey: str,
    sim: Simulator,
) -> None:
    """There and back. Raises AssertionError with what is not so."""
    name, commit, schema = last_release()
    tree, dump = unpacked(commit, folder / "release"), folder / "before.dump"
    old, new, again = (
        Version(title, place, environment(urls[database], valkey, sim), folder)
        for title, place, database in (
            (name, tree, "there"), ("this tree", ROOT, "there"), (f"{name} again", tree, "back"),
        )
    )  # fmt: skip
    numbers = [path.name[:4] for path in (tree / "migrations" / "versions").glob("[0-9]*.py")]
    assert max(numbers) == schema, f"docs/releases.md says {schema} of {name}"
    journey = Journey(sim)
    versions = (old, new, again)
    try:
        server.execute("CREATE DATABASE there")
        old.command("migrate")
        old.start()
        journey.settle(old, "bundle_id")
        ringing = journey.ring(old)
        say(f"{name} ({commit}) rings on its own schema")
        old.stop()
        tool("pg_dump", urls["there"], "--format=custom", f"--file={dump}")
        new.command("migrate")
        new.start()
        accepted = {"user_id": "bob", "device_id": "d-1"}
        journey.ask(new, "POST", f"/v1/calls/{ringing}/accept", accepted)
        assert journey.ask(new, "GET", f"/v1/calls/{ringing}")["state"] == "active"
        journey.ask(new, "POST", f"/v1/calls/{ringing}/end", {})
        journey.ring(new)
        say("this tree takes the answer of the call that rang, and rings by the same key")
        new.stop()
        server.execute("CREATE DATABASE back")
        tool("pg_restore", urls["back"], "--no-owner", str(dump))
        again.start()
        assert journey.ask(again, "GET", f"/v1/calls/{ringing}")["id"] == ringing
        journey.ring(again)
        say(f"{name} rings again on what was dumped")
    finally:
        for version in versions:
            version.stop()


def say(sentence: str) -> None:
    sys.stdout.write(f"upgrade: {sentence}\n")
    sys.stdout.flush()


def main() -> None:
    """All servers are real, and end with this process."""
    with (
        tempfile.TemporaryDirectory(prefix="ringline-upgrade-") as folder,
        running_postgres() as postgres,
        running_valkey() as valkey,
        Simulator.running() as sim,
    ):
        server = DatabaseServer(postgres.url)
        urls = {name: postgres.url_for(name).replace("+asyncpg", "") for name in ("there", "back")}
        try:
            tool = tool_of(int((postgres.data / "PG_VERSION").read_text()))
            travel(Path(folder), server, tool, urls, valkey.url, sim)
        finally:
            server.close()


if __name__ == "__main__":
    main()
