"""A proxy before PostgreSQL that can go silent: nothing is closed, nothing arrives any more."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from sqlalchemy import make_url

from tests.serving import joined, serving


class Proxy:
    """Listens on the loopback, on a thread of its own; `url` is the database behind it."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._open: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)
        self.url = ""

    def __enter__(self) -> "Proxy":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def go_silent(self) -> int:
        """Connections that are open now pass nothing on, for ever; new ones work. How many."""

        async def silence() -> int:
            for event in self._open:
                event.set()
            return len(self._open)

        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(silence(), self._loop).result(10)

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with serving(self._serve) as port:
            url = self._url.set(host="127.0.0.1", port=port, query={})
            self.url = url.render_as_string(hide_password=False)
            self._ready.set()
            await self._stop.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        folder, port = self._url.query.get("host"), self._url.query.get("port", 5432)
        behind = (
            asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
            if folder
            else asyncio.open_connection(self._url.host, self._url.port or 5432)
        )
        silent = asyncio.Event()
        async with joined(behind) as there:
            self._open.add(silent)
            try:
                with contextlib.suppress(OSError):
                    await asyncio.gather(
                        _pass(reader, there[1], silent), _pass(there[0], writer, silent)
                    )
            finally:
                self._open.discard(silent)
                writer.transport.abort()


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
