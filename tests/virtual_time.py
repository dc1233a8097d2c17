"""An event loop whose time goes on when there is nothing to do, and by what a test says was done.

For rules about times, held exactly and at once: no machine is too slow for them.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

Result = TypeVar("Result")
Given = ParamSpec("Given")


class _Skipping(selectors.DefaultSelector):
    """Waits for no time: says how much would have been waited."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> Sequence[Any]:  # type: ignore[override]
        self.skipped += max(timeout or 0.0, 0.0)
        return super().select(timeout and 0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` in seconds from 0; sleeps take none of the machine's."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        return self._skipping.skipped

    def work(self, seconds: float) -> None:
        """Be busy for so long: nothing else runs meanwhile."""
        self._skipping.skipped += seconds


def in_virtual_time(test: Coroutine[Any, Any, Result]) -> Result:
    """Run it to its end on such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(test)


def virtually(
    test: Callable[Given, Coroutine[Any, Any, Result]],
) -> Callable[Given, Result]:
    """A test that runs on such a loop."""

    @wraps(test)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        return in_virtual_time(test(*args, **kwargs))

    return run


def work(seconds: float) -> None:
    """Keep the running loop busy for so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.work(seconds)
