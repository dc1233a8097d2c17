"""The lab of one process: is it there, its bench, and how often it may ring."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

import httpx
import structlog

from app.errors import AppError, TooMany, Unavailable
from app.lab import premises
from app.lab.apple import SimulatedApple
from app.lab.bench import BUNDLE_IDS, Bench
from app.lab.premises import Backend, Refused
from app.runtime import Runtime

log = structlog.get_logger(__name__)

RINGS_A_MINUTE: Final = 60
MINUTE: Final = 60.0


class Lab:
    """Makes the bench when it is first wanted, and a new one on demand or for a new simulator."""

    def __init__(self, simulator_url: str) -> None:
        self.apple = SimulatedApple(simulator_url)
        self._bench: Bench | None = None
        self._backend: Backend | None = None
        self._runtime: Runtime | None = None
        self._making = asyncio.Lock()
        self._rings: deque[float] = deque(maxlen=RINGS_A_MINUTE)
        self._beside: set[asyncio.Task[None]] = set()

    def start(self, runtime: Runtime) -> None:
        """Give it this process's doors; nothing is made yet."""
        self._runtime = runtime

    async def there(self) -> bool:
        """Whether the lab is there: the simulator answers. What belonged to one that is gone goes
        with it."""
        if await self.apple.answers():
            return True
        if self._bench is not None:
            self._later(self._put_away())
        return False

    async def bench(self) -> Bench:
        """The bench, made where there is none. Raises Unavailable with what to mend."""
        if self._bench is None or self._bench.closed:
            async with self._making:
                if self._bench is None or self._bench.closed:
                    self._bench = await self._make()
        return self._bench

    def prepare(self) -> None:
        """Begin to make the bench; who needs it next waits the less."""
        if self._bench is None and not self._making.locked():
            self._later(self._try())

    async def reset(self) -> Bench:
        """New phones, with nothing remembered."""
        async with self._making:
            await self._close_bench()
            self._bench = await self._make()
        return self._bench

    async def close(self) -> None:
        """End everything."""
        for task in tuple(self._beside):
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        await self._put_away()
        await self.apple.close()

    def end_feeds(self) -> None:
        """The process is to stop: whoever is listening is let go."""
        if self._bench is not None:
            self._bench.closed = True
            self._bench.changed()

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
        try:
            if self._backend is None:
                backend = await premises.open_backend(self._runtime)
                await premises.install_certificates(backend, self.apple, BUNDLE_IDS)
                self._backend = backend
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
        log.info("lab_ready", phones=len(BUNDLE_IDS))
        return bench

    async def _try(self) -> None:
        with contextlib.suppress(AppError):
            await self.bench()

    async def _put_away(self) -> None:
        async with self._making:
            await self._close_bench()
            if self._backend is not None:
                await self._backend.client.aclose()
                self._backend = None

    async def _close_bench(self) -> None:
        if self._bench is not None:
            bench, self._bench = self._bench, None
            await bench.close()

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
