"""What a worker says of itself over HTTP: `/healthz`, `/readyz`, `/metrics`.

Served by threads of its own, at `RINGLINE_WORKER_METRICS`, so that a loop that is stuck can be told
of. It is for those inside: there is no TLS and no token.
"""

import json
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST

from app.infra.exposition import exposition
from app.infra.tasks import start_thread

PATIENCE: Final = 5.0
"""Seconds for a client to send its request."""

Why = Callable[[], str | None]
"""None when all is well, or a word that says what is not."""


def serve(host: str, port: int, *, alive: Why, ready: Why) -> ThreadingHTTPServer:
    """Answer until the process ends, or `shutdown` is called. IPv6 may stand in brackets.

    Raises OSError where nobody can listen there.
    """
    where = host.removeprefix("[").removesuffix("]")
    found = socket.getaddrinfo(where, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)

    class Handler(BaseHTTPRequestHandler):
        timeout = PATIENCE

        def do_GET(self) -> None:
            match self.path.partition("?")[0]:
                case "/healthz":
                    self._say("ok", alive())
                case "/readyz":
                    self._say("ready", ready())
                case "/metrics":
                    self._send(200, CONTENT_TYPE_LATEST, exposition())
                case _:
                    self._send(404, "application/json", b'{"status":"not_found"}')

        def _say(self, good: str, bad: str | None) -> None:
            body = {"status": bad or good}
            status = 200 if bad is None else 503
            self._send(status, "application/json", json.dumps(body).encode())

        def _send(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Nothing: it is asked every few seconds."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        address_family = found[0][0]

        def handle_error(self, *_of: object) -> None:
            """A client that has gone is none of ours."""

    server = Server((where, port), Handler)
    start_thread("worker-health", server.serve_forever)
    return server
