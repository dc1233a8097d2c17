"""CPU of an FCM message: our sender, over firebase-admin, in the same run.

    python -m tests.benchmarks.fcm [--pushes N] [--rounds N]

Each in a process of its own, alternately, the same `data` of some 600 bytes to one token. Ours
sends over HTTP/2 and TLS to the fast server, 200 in flight. firebase-admin sends one after another
over one kept connection, as its `messaging.send` does, by a CONNECT proxy in a process of its own
that stands for Google, token endpoint and all. Prints a table and, as its last line, JSON.
"""

import argparse
import asyncio
import http.server
import json
import os
import platform
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from app.core.push import Purpose, TokenKind
from app.fcm.account import ServiceAccount
from app.fcm.message import message_of
from app.fcm.sender import FcmSender
from app.infra.sender import OutgoingPush
from devkit.simulator import Authority
from devkit.simulator.certificates import SERVER_NAMES
from devkit.simulator.google.accounts import WELL_KNOWN, Accounts
from tests.benchmarks.engine import measure
from tests.benchmarks.fast_server import FastServer, fast_server
from tests.benchmarks.web_push import repeated, serving
from tests.infra.fronts import server_context

DATA = {"ring_type": "ring", "ring_uuid": "0" * 36, "ring_custom": "x" * 520}
TOKEN = f"{'t' * 22}:APA91b{'x' * 134}"


class Google(NamedTuple):
    """Who stands for Google: a token endpoint, a proxy that leads to it and to FCM, an account."""

    token_url: str
    proxy: str
    account: str


class Answering(http.server.BaseHTTPRequestHandler):
    """Grants every access token, and takes every message."""

    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # an answer in one piece: in two it would wait for the first's receipt
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        grant = {"access_token": "ya29." + "x" * 200, "expires_in": 3_599, "token_type": "Bearer"}
        said = grant if self.path == "/token" else {"name": "projects/p/messages/1"}
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is said of it."""


def serve(folder: str) -> None:
    """Serve both until standard input ends; prints the ports of the endpoint and of the proxy."""
    context = server_context(Authority.open(Path(folder)), Path(folder), SERVER_NAMES)

    class Proxy(Answering):
        def do_CONNECT(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.wfile.flush()
            with context.wrap_socket(self.connection, server_side=True) as inside:
                Answering(inside, self.client_address, self.server)
            self.close_connection = True

    endpoint = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    endpoint.socket = context.wrap_socket(endpoint.socket, server_side=True)
    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    for server in (endpoint, proxy):
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(endpoint.server_port, proxy.server_port, flush=True)
    sys.stdin.read()


@contextmanager
def google_in(folder: Path) -> Iterator[Google]:
    account = folder / "account.json"
    account.write_text(Accounts().make("p", WELL_KNOWN).json)
    with serving("tests.benchmarks.fcm", folder) as (endpoint, proxy):
        token_url = f"https://localhost:{endpoint}/token"
        yield Google(token_url, f"http://127.0.0.1:{proxy}", str(account))


async def ours(
    url: str, ca_file: str, token_url: str, account: str, pushes: int
) -> dict[str, float]:
    said = json.loads(Path(account).read_text())
    names = ("project_id", "client_email", "private_key_id", "private_key")
    sender = FcmSender(
        ServiceAccount(*(said[name] for name in names)), url, token_url, ca_file=ca_file,
        wall_clock=time.time,
    )  # fmt: skip
    assert await sender.warm()
    loop, payload = asyncio.get_running_loop(), json.dumps(DATA).encode()

    async def push() -> None:
        now = time.time()
        request = message_of(
            OutgoingPush(
                "1", "2", Purpose.RING, TokenKind.FCM, "com.example.app", TOKEN, payload, now + 45,
                now,
            )
        )  # fmt: skip
        outcome: Any = await sender.send(request, loop.time() + 20)
        assert outcome.code == 200, outcome

    found = await measure(push, pushes)
    await sender.drain(loop.time() + 1)
    await sender.close()
    return found


def theirs(account: str, pushes: int) -> dict[str, float]:
    import firebase_admin
    from firebase_admin import credentials, messaging

    firebase_admin.initialize_app(credentials.Certificate(account))
    android = messaging.AndroidConfig(priority="high", ttl=45)
    warnings.simplefilter("ignore", DeprecationWarning)  # a registration token is what phones have

    def push() -> None:
        messaging.send(messaging.Message(data=DATA, token=TOKEN, android=android))

    return repeated(push, pushes // 8)  # some 2 ms each, which a few hundred show well enough


def run_client(name: str, server: FastServer, google: Google, pushes: int) -> float:
    """CPU microseconds a push."""
    command = [sys.executable, "-m", "tests.benchmarks.fcm", "--client", name]
    command += ["--pushes", str(pushes)]
    trust = str(server.ca_file)
    if name == "ours":
        command += [server.url, trust, google.token_url, google.account]
        return float(json.loads(subprocess.check_output(command))["cpu_us"])
    env = os.environ | {"HTTPS_PROXY": google.proxy, "REQUESTS_CA_BUNDLE": trust, "NO_PROXY": ""}
    return float(json.loads(subprocess.check_output([*command, google.account], env=env))["cpu_us"])


def compare(server: FastServer, rounds: int, pushes: int) -> dict[str, float]:
    """Medians over alternating rounds."""
    runs: dict[str, list[float]] = {"ours": [], "firebase": []}
    with google_in(server.ca_file.parent) as google:
        for _ in range(rounds):
            for name, found in runs.items():
                found.append(run_client(name, server, google, pushes))
    medians = {name: statistics.median(found) for name, found in runs.items()}
    return {
        "fcm_peer_ratio": round(medians["ours"] / medians["firebase"], 3),
        "fcm_cpu_us": round(medians["ours"], 1),
        "firebase_cpu_us": round(medians["firebase"], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--client", choices=["ours", "firebase", "serve"], help=argparse.SUPPRESS)
    parser.add_argument("where", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client == "ours":
        print(json.dumps(asyncio.run(ours(*given.where, given.pushes))))
    elif given.client == "serve":
        serve(given.where[0])
    elif given.client:
        print(json.dumps(theirs(given.where[0], given.pushes)))
    else:
        with fast_server() as server:
            found: dict[str, Any] = compare(server, given.rounds, given.pushes)
            print(f"server: {server.name}")
        print(f"ours     {found['fcm_cpu_us']:8.1f} us a push")
        print(f"firebase {found['firebase_cpu_us']:8.1f} us a push")
        found |= {"python": platform.python_version(), "firebase_admin": version("firebase-admin")}
        print(json.dumps(found))


if __name__ == "__main__":
    main()
