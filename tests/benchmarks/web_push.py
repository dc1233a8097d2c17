"""CPU of a Web Push: our sender, over its cryptography alone and over pywebpush, in the same run.

    python -m tests.benchmarks.web_push [--pushes N] [--rounds N]

Each in a process of its own, alternately, the same payload of 600 bytes, to one subscription. Ours
sends over HTTP/2 and TLS to the fast server, 200 in flight. `crypto` is what RFC 8291 asks of any
sender: a key pair, an agreement, HKDF and AES-GCM. pywebpush sends one after another over one kept
connection of HTTP/1.1, which is all it speaks, to a server in a process of its own. Prints a table
and, as its last line, JSON.
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.core.push import Purpose, TokenKind
from app.infra.safe_http import anyone
from app.infra.sender import OutgoingPush
from app.webpush.base64url import encoded
from app.webpush.encryption import sealed
from app.webpush.message import message_of
from app.webpush.sender import WebPushSender
from app.webpush.subscription import Subscription
from app.webpush.vapid import VapidKey, public_of
from devkit.simulator import Authority
from tests.benchmarks.engine import measure
from tests.benchmarks.fast_server import FastServer, fast_server
from tests.infra.fronts import server_context

PAYLOAD = json.dumps({"web_push": 8030, "notification": {"data": "x" * 550}}).encode()
WARM_UP = 200


def point() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


async def ours(url: str, ca_file: str, pushes: int) -> dict[str, float]:
    key = VapidKey.made("mailto:push@example.com")
    sender = WebPushSender(key, ca_file=ca_file, wall_clock=time.time, judge=anyone)
    token = Subscription(
        public_of(key.loaded()), point(), os.urandom(16), f"{url}/push/{os.urandom(16).hex()}"
    ).token
    loop = asyncio.get_running_loop()

    async def push() -> None:
        now = time.time()
        request = message_of(
            OutgoingPush(
                "1", "0d3c1c34-cd0a-4fb7-9a0c-4a4bd1c4e0a2", Purpose.RING, TokenKind.WEBPUSH,
                "https://app.example.com", token, PAYLOAD, now + 45, now,
            )
        )  # fmt: skip
        outcome: Any = await sender.send(request, loop.time() + 20)
        assert outcome.code == 200, outcome

    found = await measure(push, pushes)
    await sender.drain(loop.time() + 1)
    return found


def repeated(work: Callable[[], Any], pushes: int) -> dict[str, float]:
    for _ in range(WARM_UP):
        work()
    began = os.times()
    for _ in range(pushes):
        work()
    ended = os.times()
    used = ended.user + ended.system - began.user - began.system
    return {"cpu_us": used / pushes * 1e6}


def crypto(pushes: int) -> dict[str, float]:
    p256dh, auth = point(), os.urandom(16)
    return repeated(lambda: sealed(PAYLOAD, p256dh, auth), pushes)


class Taking(http.server.BaseHTTPRequestHandler):
    """Takes every push."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(201)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nothing is said of it."""


def serve(folder: str) -> None:
    """A server of HTTP/1.1 for pywebpush, until its standard input ends; prints its port."""
    context = server_context(Authority.open(Path(folder)), Path(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Taking)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


@contextmanager
def serving(module: str, folder: Path) -> Iterator[list[int]]:
    """The server of a benchmark in a process of its own; the ports that it prints."""
    command = [sys.executable, "-m", module, "--client", "serve", str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        yield [int(port) for port in process.stdout.readline().split()]
        assert process.stdin is not None
        process.stdin.close()


def theirs(url: str, ca_file: str, pushes: int) -> dict[str, float]:
    import requests
    from py_vapid import Vapid
    from pywebpush import webpush

    session = requests.Session()
    session.verify, session.trust_env = ca_file, False
    vapid = Vapid()
    vapid.generate_keys()
    keys = {"p256dh": encoded(point()), "auth": encoded(os.urandom(16))}
    subscription = {"endpoint": f"{url}/push/a", "keys": keys}

    def push() -> None:
        webpush(
            subscription, PAYLOAD, vapid_private_key=vapid, ttl=45,
            vapid_claims={"sub": "mailto:push@example.com"}, requests_session=session,
        )  # fmt: skip

    return repeated(push, pushes)


def run_client(name: str, url: str, server: FastServer, pushes: int) -> float:
    """CPU microseconds a push."""
    command = [sys.executable, "-m", "tests.benchmarks.web_push", "--client", name]
    command += ["--pushes", str(pushes), url, str(server.ca_file)]
    return float(json.loads(subprocess.check_output(command))["cpu_us"])


def compare(server: FastServer, rounds: int, pushes: int) -> dict[str, float]:
    """Medians over alternating rounds."""
    runs: dict[str, list[float]] = {"ours": [], "crypto": [], "pywebpush": []}
    with serving("tests.benchmarks.web_push", server.ca_file.parent) as (port,):
        old = f"https://localhost:{port}"
        for _ in range(rounds):
            for name, found in runs.items():
                url = old if name == "pywebpush" else server.url
                found.append(run_client(name, url, server, pushes))
    medians = {name: statistics.median(found) for name, found in runs.items()}
    return {
        "webpush_crypto_ratio": round(medians["ours"] / medians["crypto"], 3),
        "webpush_peer_ratio": round(medians["ours"] / medians["pywebpush"], 3),
        **{f"{name}_cpu_us": round(value, 1) for name, value in medians.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pushes", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--client", choices=["ours", "crypto", "pywebpush", "serve"], help=argparse.SUPPRESS
    )
    parser.add_argument("where", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.client == "ours":
        print(json.dumps(asyncio.run(ours(*given.where, given.pushes))))
    elif given.client == "serve":
        serve(given.where[0])
    elif given.client == "crypto":
        print(json.dumps(crypto(given.pushes)))
    elif given.client:
        print(json.dumps(theirs(*given.where, given.pushes)))
    else:
        with fast_server() as server:
            found: dict[str, Any] = compare(server, given.rounds, given.pushes)
            print(f"server: {server.name}")
        for name in ("ours", "crypto", "pywebpush"):
            print(f"{name:12} {found[name + '_cpu_us']:8.1f} us a push")
        found |= {"python": platform.python_version(), "pywebpush": version("pywebpush")}
        print(json.dumps(found))


if __name__ == "__main__":
    main()
