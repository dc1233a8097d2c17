"""The Python client, shared by threads: what one of them renews, another is about to send."""

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ringline_client import Ringline

PATIENCE = 10.0


class Backend(ThreadingHTTPServer):
    """Refuses the token `old` at `/refused`, and notes with what each request came."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.came_with: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Backend

    def do_GET(self) -> None:
        path, token = self.path.partition("?")[0], self.headers["Authorization"]
        self.server.came_with.append((path, token))
        refused = path == "/refused" and token == "Bearer old"
        body = json.dumps({"code": "expired_token"} if refused else {}).encode()
        self.send_response(401 if refused else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (its name there)
        pass


@pytest.fixture
def backend() -> Iterator[Backend]:
    server = Backend()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join(PATIENCE)
    server.server_close()


class Slow(Mapping[str, str]):
    """A query that takes as long to be written down as another thread takes to begin renewing."""

    def __init__(self, meanwhile: Any) -> None:
        self._meanwhile = meanwhile

    def __iter__(self) -> Iterator[str]:
        self._meanwhile()
        return iter(("n",))

    def __getitem__(self, _name: str) -> str:
        return "1"

    def __len__(self) -> int:
        return 1


def test_a_token_that_another_thread_renews_is_never_sent_as_none(backend: Backend) -> None:
    renewing, go_on = threading.Event(), threading.Event()
    given: list[str] = []

    def credential() -> str:
        given.append("old" if not given else "new")
        if given[-1] == "new":
            renewing.set()
            assert go_on.wait(PATIENCE)
        return given[-1]

    with Ringline(backend.url, credential) as ringline:
        ringline.request("GET", "/first")
        other = threading.Thread(target=ringline.request, args=("GET", "/refused"))

        def meanwhile() -> None:
            other.start()
            assert renewing.wait(PATIENCE)  # the other has forgotten the token and asks for one

        try:
            ringline.request("GET", "/mine", query=Slow(meanwhile))
        finally:
            go_on.set()
            other.join(PATIENCE)
    assert backend.came_with == [
        ("/first", "Bearer old"),
        ("/refused", "Bearer old"),
        ("/mine", "Bearer old"),
        ("/refused", "Bearer new"),
    ]
