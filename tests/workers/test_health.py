"""What a worker says of itself over HTTP: by IPv6 too, and nobody listens where another does."""

import json
import socket
import urllib.request

import pytest

from workers import health


def loopback() -> str:
    """IPv6's as settings write it, where this machine has it."""
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return "127.0.0.1"
    return "[::1]"


def test_it_is_served_by_ipv6_and_an_address_that_is_taken_is_an_error() -> None:
    host = loopback()
    server = health.serve(host, 0, alive=lambda: None, ready=lambda: "no_lease")
    try:
        port = server.server_address[1]
        with urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=30) as answer:
            assert json.load(answer) == {"status": "ok"}
        with pytest.raises(OSError, match="in use"):
            health.serve(host, port, alive=lambda: None, ready=lambda: None)
    finally:
        server.shutdown()
        server.server_close()
