"""Running the simulator: on one's own loop, in a thread, alone in a process."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from devkit.simulator import Conduct, Simulator, serve
from devkit.simulator.push_certificates import voip
from tests.devkit.simulator.conftest import BUNDLE, pem_file
from tests.devkit.simulator.raw_client import connected


async def test_serves_on_ones_own_loop(tmp_path: Path) -> None:
    async with serve(tmp_path, conduct=Conduct(accept_unknown=True)) as server:
        context = ssl.create_default_context(cafile=str(server.apple.ca_file))
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(pem_file(voip(server.apple.authority, BUNDLE), tmp_path))
        async with connected(server.production_port, context) as client:
            assert (await client.push("ab" * 32)).status == 200
        async with httpx.AsyncClient(base_url=server.control_url, trust_env=False) as control:
            assert len((await control.get("/arrivals")).json()["arrivals"]) == 1
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", server.production_port)


async def test_takes_connections_from_the_first_moment_on(tmp_path: Path) -> None:
    """Who runs it in a thread asks from another, before that loop has gone on."""
    async with serve(tmp_path) as server:
        for port in (server.production_port, server.sandbox_port, server.control_port):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()


def ask(url: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        httpx.get(url, timeout=10, trust_env=False)


def test_stops_quickly_with_everything_open(tmp_path: Path) -> None:
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        with Simulator.running(tmp_path) as sim:
            for port in (sim.production_port, sim.sandbox_port):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            sim.connection_fault(refuse=True, environment="sandbox")
            url = f"{sim.control_url}/devices/{'ab' * 32}/pushes?wait=100"
            poll = threading.Thread(target=ask, args=(url,))
            poll.start()
            time.sleep(0.1)
            began = time.monotonic()
        assert time.monotonic() - began < 3
        poll.join(5)
    assert threading.active_count() == before


def test_two_at_once_share_nothing(tmp_path: Path) -> None:
    with Simulator.running() as one, Simulator.running() as two:
        one.live("ab" * 32)
        assert two.statistics()["requests"] == 0
        assert one.ca_file != two.ca_file
        assert one.authority.certificate != two.authority.certificate


def test_a_taken_port_is_an_error(sim: Simulator, tmp_path: Path) -> None:
    with pytest.raises(OSError), Simulator.running(tmp_path, production_port=sim.production_port):
        pass
    with (
        pytest.raises(OSError),
        Simulator.running(tmp_path, control_port=int(sim.control_url.rsplit(":", 1)[1])),
    ):
        pass


def test_the_same_ports_again_at_once(tmp_path: Path) -> None:
    with Simulator.running(tmp_path) as first:
        ports = {
            "production_port": first.production_port,
            "sandbox_port": first.sandbox_port,
            "control_port": int(first.control_url.rsplit(":", 1)[1]),
        }
        with socket.create_connection(("127.0.0.1", first.production_port)):
            pass
        ca = first.ca_file.read_bytes()
    with Simulator.running(tmp_path, **ports) as second:
        assert second.production_url == first.production_url
        assert second.ca_file.read_bytes() == ca


ALONE = """
import json, sys
from pathlib import Path
from devkit.simulator import run
run(Path(sys.argv[1]), started=lambda server: print(json.dumps(server.as_dict()), flush=True))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_runs_alone_until_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "with a space"
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", ALONE, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env=os.environ,
    )
    try:
        assert process.stdout is not None
        urls = json.loads(process.stdout.readline())
        assert httpx.get(urls["control_url"], trust_env=False).json() == urls
        assert Path(urls["ca_file"]) == folder / "ca.pem"
    finally:
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0
    assert errors == b""


def test_imports_nothing_else_of_ours() -> None:
    code = "import sys, devkit.simulator; print(*[m for m in sys.modules if m.startswith('app.')])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert all(name.startswith("devkit.simulator") for name in found.stdout.split())


@pytest.mark.timeout(30)
def test_it_stops_while_clients_connect() -> None:
    """A connection that was accepted in its last moment held its loop, which then never ended."""
    opened: list[socket.socket] = []
    for _ in range(3):
        over, under_way = threading.Event(), threading.Event()

        def connect(port: int, over: threading.Event, under_way: threading.Event) -> None:
            while not over.is_set():
                with contextlib.suppress(OSError):
                    opened.append(socket.create_connection(("127.0.0.1", port), timeout=1))
                if len(opened) > 200:
                    under_way.set()

        with contextlib.ExitStack() as clients, Simulator.running() as simulator:
            asked = (simulator.production_port, over, under_way)
            for _ in range(3):
                client = threading.Thread(target=connect, args=asked, daemon=True)
                client.start()
                clients.callback(client.join)
            clients.callback(over.set)
            assert under_way.wait(10)
        while opened:
            opened.pop().close()
