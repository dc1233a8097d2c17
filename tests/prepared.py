"""pytest-xdist's processes, forked from one that has imported what they collect.

Each of six processes imported the tests and all of Ringline for itself, while the five others did
the same on the same two cores: half a minute before the first test began. So one imports, as pytest
does it, and forks whom xdist asks for; the parent of each one's own children (tests/forks.py) is
forked as well. What a file does when it is imported it does once for all processes; a file that
cannot be imported here is left to them, who say why.

Elsewhere than on Linux xdist starts its processes as usual.
"""

import contextlib
import functools
import gc
import importlib
import os
import signal
import socket
import sys
import types
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import forks, slow

SAID_BY_XDIST = "exec(eval(sys.stdin.readline()))"


# --- in the process that hands out ------------------------------------------------------------------


def pytest_xdist_setupnodes(config: pytest.Config, specs: Sequence[Any]) -> None:
    """Have those that xdist is about to start forked, where it would start them as processes."""
    from execnet import gateway_io

    here = sys.platform == "linux" and Path.cwd() == forks.ROOT
    if here and all(one.popen and not one.python and not one.chdir for one in specs):
        words = [str(word) for word in config.invocation_params.args]
        way = forks.begin("tests.prepared", *words, own_session=False)
        forks.parent()  # meanwhile, on another core
        gateway_io.create_io = functools.partial(_forked, way)


def _forked(way: socket.socket, spec: Any, execmodel: Any) -> Any:
    """A process for xdist, and its two pipes; in its group, so that it hears of Ctrl-C."""
    from execnet.gateway_base import Popen2IO

    class Io(Popen2IO):  # as gateway_io.Popen2IOMaster is
        def wait(self) -> int | None:
            status = child.wait()
            parent.wait()
            return status

        def kill(self) -> None:
            child.kill()

    its_stdin, to_it = os.pipe()
    from_it, its_stdout = os.pipe()
    mine, theirs = forks.pair()
    with mine, theirs:
        number = str(theirs.fileno())
        parent = forks.start(
            forks.PARENT, number, env=os.environ, stdout=2, stderr=2, keep_open=[int(number)]
        )
        child = forks.ask(
            way, [str(mine.fileno())], os.environ,
            [its_stdin, its_stdout, 2, mine.fileno()], own_session=False,
        )  # fmt: skip
    os.close(its_stdin)
    os.close(its_stdout)
    return Io(os.fdopen(to_it, "wb"), os.fdopen(from_it, "rb"), execmodel)


# --- in the process that has imported ---------------------------------------------------------------


def main() -> None:
    """Import, serve, and in a child be one of xdist's processes, to its end."""
    way = socket.socket(fileno=int(sys.argv[1]))
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # meant for those who run tests, and who hands out
    _import(sys.argv[2:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # our conftest has it heard
    gc.freeze()
    gc.enable()
    asked = forks.Parent(way).serve()
    if asked is None:
        return
    (forks_fd,), env = asked
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    forks.given(socket.socket(fileno=int(forks_fd)))
    sys.argv = ["-c"]
    sys.stdin = os.fdopen(0, closefd=False)
    sys.modules["__main__"] = types.ModuleType("__main__")
    exec(f"import sys; {SAID_BY_XDIST}", vars(sys.modules["__main__"]))
    forks.end(None)


def _import(words: list[str]) -> None:
    """What pytest imports for these words, its own way: with asserts that say what was compared."""
    from _pytest.config import _prepareconfig

    with contextlib.suppress(Exception), warnings.catch_warnings():
        config = _prepareconfig([*words, "--capture=no"])
        warnings.simplefilter("error")
        ours = [] if config.getoption("noconftest") else ["tests.houses", "tests.browser"]
        for name in (*ours, *_names(config.args, config.getoption(slow.OPTION, "with"))):
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        if "tests.apps" in sys.modules:
            from tests.declared import operations

            operations()
        from hypothesis.internal.conjecture import providers

        providers._get_local_constants()  # reads all of them


def _names(asked: Sequence[str], which: str = "with") -> Iterator[str]:
    """The modules that pytest is to collect, and their conftests."""
    for one in asked:
        path = Path(one.partition("::")[0]).resolve()
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            ours = file.is_relative_to(forks.ROOT)
            is_test = file.name.startswith("test_") and not slow.is_left_out(file, which, asked)
            if ours and (file.name == "conftest.py" or is_test):
                yield ".".join(file.relative_to(forks.ROOT).with_suffix("").parts)


if __name__ == "__main__":
    main()
