"""Our own programs as processes of their own, without a new Python for each.

To import Ringline costs a process about a second of CPU, and the tests start hundreds of them. So
each pytest process has one parent that has imported what all of them need and nothing that looks
at its environment (that, each does for itself); it forks them, and each then runs its module as
`python -m` does, in a session of its own. It has one thread, so that a fork is whole. It ends as
Python does, but that it leaves what it has imported as it is, for the system to take back.

Elsewhere than on Linux, and for what must be seen from the first line on (`make demo`, the commands
of an installed wheel), a process is started as usual.
"""

import atexit
import contextlib
import fcntl
import functools
import gc
import importlib
import io
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
PARENT = "tests.forks"
MOST = 200_000
"""Bytes of one request: the words, the environment."""

BEFOREHAND = (
    "alembic.command", "app.appcheck.check", "app.backup", "app.cli.interrupts", "app.core.capacity",
    "app.credentials.rotation", "app.doctor", "app.http.connection", "app.main", "asyncpg", "billiard.dummy",
    "billiard.pool", "billiard.reduction", "celery.app.amqp", "celery.app.control", "celery.app.events",
    "celery.app.log", "celery.app.routes", "celery.apps.worker", "celery.backends.base", "celery.bin.celery",
    "celery.bin.worker", "celery.concurrency.thread", "celery.events", "celery.fixups.django",
    "celery.worker.autoscale", "celery.worker.components", "celery.worker.consumer", "celery.worker.strategy",
    "encodings.idna", "fastapi.telemetry._runtime", "kombu.matcher", "kombu.pidbox", "kombu.transport.redis",
    "migrations.beside", "migrations.running", "rich.console", "rich.table",
    "sqlalchemy.dialects.postgresql.asyncpg", "typer", "uvicorn.lifespan.on", "uvicorn.loops.auto",
    "uvicorn.loops.uvloop", "uvicorn.main", "uvicorn.protocols.http.auto",
    "uvicorn.protocols.websockets.auto", "uvicorn.supervisors", "uvloop", "workers.consumer",
    "workers.health", "workers.loop", "workers.push", "workers.sweep", "workers.webhook",
)  # fmt: skip

OF_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR")
"""What a process may be told of whom it trusts: else that is as read by the parent, once."""


class Child:
    """A process of the parent's, for whoever asked for it: `subprocess.Popen` as far as needed."""

    def __init__(self, reply: socket.socket) -> None:
        self._reply = reply
        self.pid = int(reply.recv(64))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """How it ended, negative if by a signal; None while it runs."""
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """The same, once it has ended. Raises subprocess.TimeoutExpired."""
        found = self._ended(timeout)
        if found is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return found

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # its end is being told
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Ask no more how it ends."""
        self._reply.close()

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is not None:
            return self.returncode
        self._reply.settimeout(timeout)
        with contextlib.suppress(BlockingIOError, TimeoutError):
            said = self._reply.recv(64)
            assert said, "the parent of our processes is gone"
            self.returncode = int(said)
            self._reply.close()
        return self.returncode


Process = Child | subprocess.Popen[bytes]


def start(
    *words: str,
    env: Mapping[str, str],
    stdout: int,
    stderr: int,
    keep_open: Sequence[int] = (),
) -> Process:
    """Start `python -m WORDS` in the project's folder; descriptors keep their numbers."""
    if sys.platform != "linux":
        return subprocess.Popen(
            [sys.executable, "-m", *words], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
            stdout=stdout, stderr=stderr, pass_fds=keep_open, start_new_session=True,
        )  # fmt: skip
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        return ask(parent(), words, env, [nothing.fileno(), stdout, stderr, *keep_open])


def ask(
    way: socket.socket,
    words: Sequence[str],
    env: Mapping[str, str],
    fds: Sequence[int],
    *,
    own_session: bool = True,
) -> Child:
    """Have the parent there fork one for these words, with `fds` as its 0, 1, 2 and as numbered here."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    asked = {"words": words, "env": dict(env), "keep": fds[3:], "own_session": own_session}
    with theirs:
        socket.send_fds(way, [json.dumps(asked).encode()], [theirs.fileno(), *fds])
        return Child(mine)


def run(
    *words: str, env: Mapping[str, str], timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `python -m WORDS` to its end. Raises subprocess.TimeoutExpired, and ends it then."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = start(*words, env=env, stdout=out.fileno(), stderr=err.fileno())
        try:
            status = child.wait(timeout)
        finally:
            child.kill()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(words, status, out.read().decode(), err.read().decode())


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a way to a parent."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for one in ends:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MOST)
    return ends


_given: list[socket.socket] = []


def given(way: socket.socket) -> None:
    """Have the parent there for this process's own, which need not start one; it ends with it too."""
    _given.append(way)


@functools.cache
def parent() -> socket.socket:
    """The way to this process's parent, which is started now if none was given, and ends with it."""
    if _given:
        atexit.register(_leave, _given[0])
        return _given[0]
    return begin(PARENT, own_session=True)


def begin(module: str, *words: str, own_session: bool) -> socket.socket:
    """The way to a parent that is this module, told where its own end is; it ends with this process."""
    mine, theirs = pair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs.fileno()), *words],
            cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, start_new_session=own_session,
        )  # fmt: skip

    def end() -> None:
        mine.close()
        process.wait(10)

    atexit.register(end)
    return mine


def _leave(way: socket.socket) -> None:
    """Tell the parent given that all has ended; returns when it has ended what was left."""
    way.shutdown(socket.SHUT_WR)
    way.settimeout(10)
    way.recv(1)


# --- in the parent --------------------------------------------------------------------------------


@dataclass
class Parent:
    """Forks what is asked for and tells how each ended."""

    way: socket.socket
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    replies: dict[int, tuple[int, socket.socket]] = field(default_factory=dict)
    """By the pidfd of a child: its pid, and who waits for it."""
    parents: set[int] = field(default_factory=set)
    """The pids of children that fork others themselves."""

    def serve(self) -> tuple[list[str], dict[str, str]] | None:
        """Until the tests end (None); or, in a child, what it is to run and in what environment."""
        self.selector.register(self.way, selectors.EVENT_READ)
        while True:
            for key, _ in self.selector.select():
                if key.fileobj is not self.way:
                    self._ended(key.fd)
                    continue
                data, fds, _, _ = socket.recv_fds(self.way, MOST, 64)
                if not data:  # the tests have ended, or were killed: what they left ends too
                    for pid, _ in self.replies.values():
                        if pid not in self.parents:  # those end what they left, and themselves
                            os.kill(pid, signal.SIGKILL)
                    return None
                asked = json.loads(data)
                pid = self._fork(fds, own_session=asked["own_session"])
                if asked["words"][0] == PARENT:
                    self.parents.add(pid)
                if pid == 0:
                    _become(fds[1:], [0, 1, 2, *asked["keep"]])
                    return asked["words"], asked["env"]

    def _fork(self, fds: list[int], *, own_session: bool) -> int:
        pid = os.fork()
        if pid == 0:
            self.selector.close()
            self.way.close()
            for pidfd, (_, reply) in self.replies.items():
                os.close(pidfd)
                reply.close()
            if own_session:
                os.setsid()  # before anybody knows it, who may look for its group
            with socket.socket(fileno=fds[0]) as reply:
                reply.sendall(str(os.getpid()).encode())
            return 0
        for one in fds[1:]:
            os.close(one)
        reply = socket.socket(fileno=fds[0])
        pidfd = os.pidfd_open(pid)
        self.replies[pidfd] = (pid, reply)
        self.selector.register(pidfd, selectors.EVENT_READ)
        return pid

    def _ended(self, pidfd: int) -> None:
        pid, reply = self.replies.pop(pidfd)
        self.selector.unregister(pidfd)
        os.close(pidfd)
        self.parents.discard(pid)
        _, status = os.waitpid(pid, 0)
        with reply, contextlib.suppress(OSError):  # who asked may be gone
            reply.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _become(received: list[int], wanted: list[int]) -> None:
    """Have the descriptors received under the numbers wanted."""
    aside = [fcntl.fcntl(one, fcntl.F_DUPFD, 1_000) for one in received]
    for one in received:
        os.close(one)
    for one, number in zip(aside, wanted, strict=True):
        os.dup2(one, number)
        os.close(one)


def _anew(stream: Any) -> io.TextIOWrapper:
    """The stream of a descriptor that is another file now: whether one may seek in it, for one."""
    binary = open(stream.fileno(), "wb", 0 if stream.write_through else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(
        binary,
        stream.encoding,
        stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def main() -> None:
    """Import, serve, and in a child run what was asked for, to the end of the process."""
    gc.disable()
    for name in BEFOREHAND:
        importlib.import_module(name)
    schema, safe_http = map(importlib.import_module, ("app.infra.schema", "app.infra.safe_http"))
    schema.head_revision()  # every migration is read for it
    safe_http._trust_of_this_machine()
    trust = [os.environ.get(name) for name in OF_TRUST]
    gc.freeze()  # no child walks it all again, least of all at its end
    gc.enable()
    asked = Parent(socket.socket(fileno=int(sys.argv[1]))).serve()
    if asked is None:
        return
    (module, *words), env = asked
    os.environ.clear()
    os.environ.update(env)
    if trust != [env.get(name) for name in OF_TRUST]:
        safe_http._trust_of_this_machine.cache_clear()
    tempfile.tempdir = None
    time.tzset()
    sys.stdout, sys.stderr = _anew(sys.stdout), _anew(sys.stderr)
    sys.argv = [module, *words]
    status: object = None
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as wish:  # all else ends it as it ends any Python
        status = wish.code
    end(status)


def end(status: object) -> NoReturn:
    """End as Python does, but for taking apart what it has imported: four fifths of a child's CPU.

    The parent's memory would be copied for it, page by page, only to be given back.
    """
    if status is not None and not isinstance(status, int):
        print(status, file=sys.stderr)
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit((status & 0xFF if isinstance(status, int) else 1) if status is not None else 0)


if __name__ == "__main__":
    main()
