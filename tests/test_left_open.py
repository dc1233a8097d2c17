"""What a test leaves open fails it, and none of those that come after."""

import asyncio
import socket

from tests.left_open import left_by


def test_what_is_left_open_is_named_once() -> None:
    async def connect(*, close: bool) -> asyncio.StreamWriter:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        if close:
            writer.close()
        return writer

    with socket.create_server(("127.0.0.1", 0)) as server, asyncio.Runner() as runner:
        port, loop = server.getsockname()[1], runner.get_loop()
        kept = [runner.run(connect(close=close)) for close in (True, False)]
        runner.close()
        (named,) = left_by(loop)
        assert f"raddr=('127.0.0.1', {port})" in named
        assert list(left_by(loop)) == []
        del kept  # without a word: what warns fails
