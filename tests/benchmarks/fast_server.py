"""The fast stand-in for Apple in benchmarks: Node's http2 if it is installed, else the simulator.

Both answer 200 to every push, over TLS with a throwaway certificate, in a process of their own.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from devkit.simulator import Authority, Conduct, run
from devkit.simulator.push_certificates import voip

BUNDLE = "com.example.app"
TOPIC = "com.example.app.voip"
KEPT = 300_000
SCRIPT = Path(__file__).with_name("fast_server.mjs")


class Arrived(NamedTuple):
    """One push that arrived whole; `at` in seconds of `time.monotonic()`."""

    token: str
    apns_id: str
    at: float


class FastServer:
    """A running server: `url`, `ca_file` to trust, `pem_file` to show it, `name`, `pid`."""

    def __init__(self, folder: Path, process: subprocess.Popen[str], name: str) -> None:
        assert process.stdout is not None
        self._process = process
        self.url = f"https://localhost:{process.stdout.readline().strip()}"
        self.ca_file = folder / "ca.pem"
        self.pem_file = folder / "client.pem"
        self.name = name
        self.pid = process.pid

    def received(self) -> int:
        """How many pushes it has answered since its start."""
        return int(self._ask("count"))

    def arrivals(self) -> list[Arrived]:
        """The pushes that have arrived since this was last asked."""
        return [Arrived(*one) for one in json.loads(self._ask("arrivals"))]

    def _ask(self, question: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(question + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline()


@contextmanager
def fast_server(*, node: bool = True) -> Iterator[FastServer]:
    """Run one for the length of the block; the simulator if there is no Node, or on demand."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        authority = Authority.open(folder)
        (folder / "client.pem").write_bytes(voip(authority, BUNDLE).pem)
        program = shutil.which("node") if node else None
        if program:
            issued = authority.server()
            (folder / "server.pem").write_bytes(issued.certificate_pem)
            (folder / "server.key").write_bytes(issued.key_pem)
            version = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)
            label = f"Node {version.stdout.strip()} http2"
            command = [program, str(SCRIPT), str(folder / "server.pem"), str(folder / "server.key")]
        else:
            label = "the simulator"
            command = [sys.executable, "-m", "tests.benchmarks.fast_server", str(folder)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        try:
            yield FastServer(folder, process, label)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(10)


def serve_simulator(folder: Path) -> None:
    """What the Node script does, by the simulator: in this process, until standard input ends."""
    import os
    import signal
    import threading

    from devkit.simulator import Server

    def talk(server: Server) -> None:
        last = 0
        print(server.production_port, flush=True)
        for line in sys.stdin:
            if line.strip() != "arrivals":
                print(server.apple.statistics.requests, flush=True)
                continue
            shift = time.monotonic_ns() - time.time_ns()
            found = server.apple.arrivals.select(after=last)
            last = found[-1].number if found else last
            print(
                json.dumps([[a.token, a.apns_id, (a.received_ns + shift) / 1e9] for a in found]),
                flush=True,
            )
        os.kill(os.getpid(), signal.SIGTERM)

    def started(server: Server) -> None:
        threading.Thread(target=talk, args=(server,), daemon=True).start()

    run(folder, conduct=Conduct(accept_unknown=True), keep=KEPT, started=started)


if __name__ == "__main__":
    serve_simulator(Path(sys.argv[1]))
