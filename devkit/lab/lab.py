"""The lab of one process: is it there, its bench, and how often it may ring."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine, Iterator
from typing import Any, Final

import httpx
import structlog

from app.infra.errors import AppError, TooMany, Unavailable
from app.infra.runtime import Runtime
from app.infra.tasks import Tasks
from devkit.lab import setup as premises
from devkit.lab.apple import SimulatedApple
from devkit.lab.bench import ANDROID_APP, APP_IDS, PHONES, Bench
from devkit.lab.setup import Backend, Refused

log = structlog.get_logger(__name__)

RINGS_A_MINUTE: Final = 300
MINUTE: Final = 60.0
MOST_FEEDS: Final = 20


class Lab:
    """Makes the bench when it is first wanted, and a new one on demand or for a new simulator."""

    def __init__(self, simulator_url: str) -> None:
        self.apple = SimulatedApple(simulator_url)
        self._bench: Bench | None = None
        self._backend: Backend | None = None
        self._runtime: Runtime | None = None
        self._run: str | None = None
        self._stopping = False
        self._feeds = 0
        self._making = asyncio.Lock()
        self._rings: deque[float] = deque(maxlen=RINGS_A_MINUTE)
        self._tasks = Tasks("lab")

    def start(self, runtime: Runtime) -> None:
        """Give it this process's doors; nothing is made yet."""
        self._runtime = runtime

    async def there(self) -> bool:
        """Whether the lab is there: the simulator answers. What belonged to one that is gone, or
        to an earlier run of it, goes with it."""
        there = await self.apple.answers()
        if self._of_another_run():
            async with self._making:
                if self._of_another_run():
                    await self._put_away()
        return there

    async def bench(self) -> Bench:
        """The bench, made where there is none. Raises Unavailable with what to mend."""
        if self._bench is not None:
            return self._bench
        async with self._making:
            if self._bench is None:
                self._bench = await self._make()
            return self._bench

    def prepare(self) -> None:
        """Begin to make the bench; who needs it next waits the less."""
        if self._bench is None and not self._making.locked():
            self._later(self._try())

    async def reset(self) -> Bench:
        """New phones, with nothing remembered."""
        async with self._making:
            if self._bench is not None:
                await self._bench.calls.end_all()
            await self._close_bench()
            self._bench = await self._make()
            return self._bench

    async def close(self) -> None:
        """End everything; calls that live end by the server's time-outs."""
        await self._tasks.stop()
        async with self._making:
            await self._put_away()
        await self.apple.close()

    def end_feeds(self) -> None:
        """The process is to stop: whoever is listening is let go."""
        self._stopping = True
        if self._bench is not None:
            self._bench.let_go()

    def check_feeds(self) -> None:
        """Raises TooMany when as many pages as the lab takes are open."""
        if self._feeds >= MOST_FEEDS:
            raise TooMany(
                "too_many_feeds",
                f"The lab is open in {MOST_FEEDS} places already; close some.",
                retry_after=10,
            )

    @contextlib.contextmanager
    def one_feed(self) -> Iterator[None]:
        """Count a page that is open."""
        self._feeds += 1
        try:
            yield
        finally:
            self._feeds -= 1

    def count_ring(self) -> None:
        """Note a ring. Raises TooMany: nobody needs so many to see a phone ring."""
        now = time.monotonic()
        if len(self._rings) == RINGS_A_MINUTE and now - self._rings[0] < MINUTE:
            raise TooMany(
                "too_many_rings",
                f"The lab rings at most {RINGS_A_MINUTE} times a minute.",
                retry_after=MINUTE - (now - self._rings[0]),
            )
        self._rings.append(now)

    async def _make(self) -> Bench:
        assert self._runtime is not None
        if self._stopping:
            raise Unavailable("stopping", "This server is being stopped.")
        self._run = self.apple.run
        try:
            if self._backend is None:
                self._backend = await premises.ready_backend(
                    self._runtime, self.apple, APP_IDS, ANDROID_APP
                )
            bench = Bench(self._backend, self.apple.url)
            try:
                await bench.open()
            except BaseException:
                await bench.close()
                raise
        except Refused as error:
            raise Unavailable(
                "lab_not_ready", f"The lab could not set itself up: {error}."
            ) from error
        except (httpx.HTTPError, TimeoutError) as error:
            raise Unavailable(
                "lab_not_ready", "The simulated Apple did not answer in time; try again."
            ) from error
        log.info("lab_ready", phones=len(PHONES))
        return bench

    async def _try(self) -> None:
        with contextlib.suppress(AppError):
            await self.bench()

    def _of_another_run(self) -> bool:
        return self._run is not None and self._run != self.apple.run

    async def _put_away(self) -> None:
        """Forget what belonged to a run of the simulator that is over, or end with the process."""
        await self._close_bench()
        if self._backend is not None:
            await self._backend.client.aclose()
            self._backend = None
        self._run = None

    async def _close_bench(self) -> None:
        if self._bench is not None:
            bench, self._bench = self._bench, None
            await bench.close()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.spawn("later", work)
