"""The house that faults are put into: real servers and processes, each with a supervisor's care.

Two API processes and two workers, started by their commands; PostgreSQL on a small file system
where one can be mounted, behind a proxy that can go mute; Valkey; the simulated Apple. What dies is
started again after a second, as systemd or Kubernetes would.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import psutil

from app.infra import schema
from app.infra.settings import Settings
from devkit.embedded.children import Child
from devkit.embedded.postgres import PORT, Postgres
from devkit.embedded.valkey import Valkey
from tests import forks
from tests.e2e.house import NO_TLS

ROOT = Path(__file__).resolve().parents[2]
MOST_CONNECTIONS = 140
SMALL_DISK = "1200m"
KEPT = 100_000
"""Requests that the simulated Apple remembers: four times what a flood has made in one row."""
STARTING = 60.0
SOCKET = f".s.PGSQL.{PORT}"
POSTGRES = {
    "max_connections": str(MOST_CONNECTIONS),
    "max_wal_size": "192MB",
    "track_commit_timestamp": "on",  # when a settle was committed: see counts.dead
}


def send_all(pid: int, what: signal.Signals) -> None:
    """A signal to a process and all that it has started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        for one in (root, *root.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(what)


class Forked:
    """One of our commands, forked from who has imported Ringline: `Child` as far as needed."""

    def __init__(self, words: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        with log.open("ab") as output:
            self._child = forks.start(
                "app.cli", *words, env=env, stdout=output.fileno(), stderr=output.fileno()
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    def exit_status(self) -> int | None:
        return self._child.poll()

    def end(self, wishes: Sequence[tuple[signal.Signals, float]]) -> None:
        """Send each signal in turn and wait its seconds; then SIGKILL."""
        for wish, seconds in wishes:
            for one in (wish, signal.SIGCONT):  # a frozen process cannot act on a wish
                self._child.send_signal(one)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(seconds)
                return
        self._child.kill()
        self._child.wait()


Started = Child | Forked


class Process:
    """One of our processes, and how it is started again. `metrics`: the port that tells them."""

    def __init__(
        self, name: str, start: Callable[[Mapping[str, str]], Started], metrics: int = 0
    ) -> None:
        self.name = name
        self.metrics = metrics
        self._start = start
        self._child = start({})

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def lives(self) -> bool:
        return self._child.exit_status() is None

    def send(self, what: signal.Signals) -> None:
        """To the process and all that it has started."""
        send_all(self.pid, what)

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self.send(signal.SIGKILL)
        self._child.end([])

    def stop(self, within: float = 30.0) -> None:
        """SIGTERM, and SIGKILL when that takes too long."""
        self._child.end([(signal.SIGTERM, within)])

    def start(self, extra: Mapping[str, str] | None = None) -> None:
        """Start it again; `extra` are more variables of its environment."""
        self._child = self._start(extra or {})

    def output(self) -> str:
        return self._child.log.read_text(errors="replace")


@dataclass
class House:
    """What runs, and where."""

    folder: Path
    postgres: Postgres
    valkey: Valkey
    proxy: subprocess.Popen[bytes]
    apple_port: int
    settings: Settings
    apis: list[Process]
    workers: list[Process]
    ports: list[int]
    disk: Path | None
    """The small file system that PostgreSQL's data is on."""
    stale: set[str] = field(default_factory=set)

    @property
    def everyone(self) -> list[Process]:
        return [*self.apis, *self.workers]

    def mute(self, what: str, ports: Sequence[int] = ()) -> None:
        """Tell the proxy: `mute old`, `mute all`, `clear` or `join`, of these ports or of all."""
        assert self.proxy.stdin is not None
        self.proxy.stdin.write(" ".join([what, *map(str, ports)]).encode() + b"\n")
        self.proxy.stdin.flush()

    async def connect(self) -> asyncpg.Connection:
        """A connection past the proxy, as superuser."""
        return await asyncpg.connect(
            user="postgres", host=str(self.postgres.sockets), port=PORT, database="ringline",
            timeout=10, server_settings={"application_name": "chaos"},
        )  # fmt: skip

    def mend(self) -> None:
        """Start what has died."""
        self.postgres.start()
        self.valkey.start()
        for one in self.everyone:
            if not one.lives:
                one.start()

    def ready(self) -> bool:
        """Whether every API says so, and all workers live."""
        with contextlib.suppress(httpx.HTTPError, KeyError, ValueError):
            for port in self.ports:
                answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2, verify=NO_TLS)
                if answer.status_code != 200 or answer.json()["workers"] < len(self.workers):
                    return False
            return True
        return False

    def await_ready(self, within: float = STARTING) -> None:
        """Return when it is; TimeoutError with the ends of all logs."""
        end = time.monotonic() + within
        while not self.ready():
            dead = [one.name for one in self.everyone if not one.lives]
            if time.monotonic() > end or dead:
                ends = "\n".join(f"--- {one.name}\n{one.output()[-1500:]}" for one in self.everyone)
                raise TimeoutError(
                    f"the house is not ready within {within:.0f} s; ended: {dead}\n{ends}"
                )
            time.sleep(0.1)


@contextlib.contextmanager
def running_house(
    *, apis: int = 2, workers: int = 2, direct_hints: bool = True, forked: bool = False
) -> Iterator[House]:
    """Start everything; stop and forget it at the end. `forked`: ours as tests start them."""
    with contextlib.ExitStack() as parts:
        folder = new_folder(parts)
        disk = small_disk(folder / "disk", parts)
        data = (disk or folder) / "postgres"
        postgres = parts.enter_context(Postgres(data, durable=True, settings=POSTGRES))
        make_database(postgres)
        valkey = parts.enter_context(Valkey())
        port = free_port()
        proxy = start_proxy(parts, folder, {port: str(postgres.sockets / SOCKET)})
        values = {
            "database_url": f"postgresql://postgres@127.0.0.1:{port}/ringline",
            "redis_url": valkey.url,
            "direct_hints": str(direct_hints).lower(),
        }
        ports = free_ports(apis)
        ours = our_processes(parts, folder, values, ports, workers, forked=forked)
        made = House(folder, postgres, valkey, proxy, *ours, ports, disk)
        made.await_ready()
        yield made


def new_folder(parts: contextlib.ExitStack) -> Path:
    """A folder for all that a house writes, removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.chmod(0o755)
    parts.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def our_processes(
    parts: contextlib.ExitStack,
    folder: Path,
    values: Mapping[str, str],
    ports: Sequence[int],
    workers: int,
    own: Callable[[str], Mapping[str, str]] = lambda _: {},
    *,
    forked: bool = False,
) -> tuple[int, Settings, list[Process], list[Process]]:
    """Apple's control port, the settings, API processes on these ports, and workers.

    `values` are settings of all, `own` gives those of one process by its name (`api-0`).
    """
    start = Forked if forked else child
    apple_port, apple = _apple(parts, folder, start)
    values = {
        "secret_key": secrets.token_urlsafe(32),
        "public_url": f"http://127.0.0.1:{ports[0]}",
        "apns_production_url": apple["production_url"],
        "apns_sandbox_url": apple["sandbox_url"],
        "apns_ca_file": apple["ca_file"],
        "webhook_allow_private": "true",
        **values,
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith("RINGLINE_")}

    def process(name: str, words: list[str], port: int) -> Process:
        env = clean | {f"RINGLINE_{k.upper()}": v for k, v in {**values, **own(name)}.items()}
        env["RINGLINE_WORKER_METRICS"] = f"127.0.0.1:{port}"
        log = folder / f"{name}.log"
        made = Process(name, lambda extra: start(words, log, {**env, **extra}), port)
        parts.callback(made.stop, 5.0)
        return made

    return (
        apple_port, Settings.model_validate(values),
        [process(f"api-{n}", ["api", "--port", str(port)], port) for n, port in enumerate(ports)],
        [process(f"worker-{n}", ["worker"], port) for n, port in enumerate(free_ports(workers))],
    )  # fmt: skip


def child(words: Sequence[str], log: Path, env: Mapping[str, str]) -> Child:
    """One of our commands as a process that ends with this one."""
    return Child(
        [sys.executable, "-m", "app.cli", *words],
        cwd=ROOT, log=log, death_signal=signal.SIGKILL, environment=env,
    )  # fmt: skip


def small_disk(at: Path, parts: contextlib.ExitStack) -> Path | None:
    """A file system in memory of its own, unmounted at the end; None where none can be mounted."""
    at.mkdir(mode=0o755)
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return None
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK},mode=755", "chaos", str(at)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        return None
    parts.callback(subprocess.run, ["umount", "-l", str(at)], check=False)
    return at


def free_ports(count: int) -> list[int]:
    """Ports that are free now, each another."""
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in found]


def free_port() -> int:
    """A port that is free now."""
    return free_ports(1)[0]


def start_proxy(
    parts: contextlib.ExitStack, folder: Path, targets: Mapping[int, str]
) -> subprocess.Popen[bytes]:
    """A proxy on these ports, which listens when this returns."""
    words = [word for port, target in targets.items() for word in (str(port), target)]
    with (folder / "proxy.log").open("ab") as log:
        proxy = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.proxy", *words],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=log, stderr=log,
        )  # fmt: skip
    assert proxy.stdin is not None
    parts.callback(proxy.stdin.close)
    parts.callback(proxy.wait)
    parts.callback(proxy.kill)
    await_listening(list(targets)[-1], folder / "proxy.log")
    return proxy


def await_listening(port: int, log: Path) -> None:
    """Return when somebody listens there; TimeoutError with what they have logged."""
    end = time.monotonic() + STARTING
    while time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise TimeoutError(log.read_text())


def _apple(
    parts: contextlib.ExitStack,
    folder: Path,
    start: Callable[[Sequence[str], Path, Mapping[str, str]], Started],
) -> tuple[int, dict[str, str]]:
    """The simulator's command in a process of its own; its control port and where it is."""
    port = free_port()
    words = [
        "simulator",
        "--folder",
        str(folder / "apple"),
        "--control-port",
        str(port),
        "--keep",
        str(KEPT),
    ]
    made = start(words, folder / "apple.log", os.environ)
    parts.callback(made.end, [(signal.SIGTERM, 5.0)])
    end = time.monotonic() + STARTING
    while True:
        with contextlib.suppress(httpx.HTTPError):
            found: dict[str, str] = httpx.get(f"http://127.0.0.1:{port}/", timeout=2).json()
            return port, found
        if time.monotonic() > end:
            raise TimeoutError("the simulated Apple did not start")
        time.sleep(0.05)


def make_database(postgres: Postgres) -> None:
    """The database `ringline` with all tables."""

    async def make() -> None:
        admin = await asyncpg.connect(user="postgres", host=str(postgres.sockets), port=PORT)
        await admin.execute("CREATE DATABASE ringline")
        await admin.close()

    asyncio.run(make())
    schema.upgrade(postgres.url_for("ringline"))
