"""Who leaves a connection open is told by its own name, as its event loop is closed.

What is left of it is collected at any time, in some later test of the process, and failed that one.
"""

import asyncio
from collections.abc import Generator, Iterator

import pytest

RUNNER = "_scoped_runner"
"""How pytest-asyncio's fixtures end in which a loop runs: of a function, a module, a session."""
_loops: list[asyncio.AbstractEventLoop] = []


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[asyncio.Runner],
) -> Generator[None, object, object]:
    result = yield
    if fixturedef.argname.endswith(RUNNER):
        assert isinstance(result, asyncio.Runner)
        _loops.append(result.get_loop())
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    """After all others: what is open then of a loop that has been closed, nobody will close."""
    result = yield
    left = [one for loop in _loops if loop.is_closed() for one in left_by(loop)]
    _loops[:] = [loop for loop in _loops if not loop.is_closed()]
    assert not left, f"{item.nodeid} left open: {', '.join(left)}"
    return result


def left_by(loop: asyncio.AbstractEventLoop) -> Iterator[str]:
    """The connections of a closed loop that are open, in words; they are closed now.

    By the names of CPython's own: what asyncio complains of when a transport is collected is the same.
    """
    for transport in list(getattr(loop, "_transports", {}).values()):
        sock, transport._sock = transport._sock, None
        transport._closing = True  # or its writer complains, from Python 3.13 on
        if sock is not None:
            yield repr(sock)
            sock.close()
