"""A proxy before PostgreSQL that can go silent: nothing is closed, nothing arrives any more."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from sqlalchemy import make_url


class Proxy:
    """Listens on the loopback, on a thread of its own; `url` is the database behind it."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._silent: set[asyncio.Event] = set()
        self._open: dict[asyncio.Event, list[asyncio.StreamWriter]] = {}
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.url = ""

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def go_silent(self) -> int:
        """Connections that are open now pass nothing on, for ever; new ones work. How many."""

        async def silence() -> int:
            for event in self._open:
                event.set()
            return len(self._open)

        return asyncio.run_coroutine_threadsafe(silence(), self._loop).result(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        port = server.sockets[0].getsockname()[1]
        url = self._url.set(host="127.0.0.1", port=port, query={})
        self.url = url.render_as_string(hide_password=False)
        self._ready.set()
        self._loop.run_forever()
        server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0.01))
        self._loop.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        silent = asyncio.Event()
        folder, port = self._url.query.get("host"), self._url.query.get("port", 5432)
        if folder:
            there = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
        else:
            there = await asyncio.open_connection(self._url.host, self._url.port or 5432)
        self._open[silent] = [writer, there[1]]
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(_pass(reader, there[1], silent), _pass(there[0], writer, silent))
        self._open.pop(silent, None)
        for one in (writer, there[1]):
            one.transport.abort()


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, silent: asyncio.Event
) -> None:
    while data := await reader.read(65_536):
        if not silent.is_set():
            writer.write(data)
    if silent.is_set():
        await asyncio.sleep(3_600)
    writer.close()


@contextlib.contextmanager
def proxy_before(url: str) -> Iterator[Proxy]:
    """A proxy before the database of this SQLAlchemy URL."""
    with Proxy(url) as proxy:
        yield proxy
