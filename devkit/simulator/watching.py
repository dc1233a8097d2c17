"""The half of the handle that looks: what arrived, what was delivered, what is open."""

import asyncio
from typing import Any

from devkit.simulator.remote import Remote
from devkit.simulator.requests import Arrival


class Watching(Remote):
    """Requests, deliveries and counts; those that wait come for threads and for event loops."""

    def arrivals(self, token: str | None = None, *, after: int = 0) -> list[Arrival]:
        """Give kept requests, oldest first; `after` is the number of one already seen."""
        return self._do(lambda apple: apple.arrivals.select(token=token, after=after))

    def deliveries(self, token: str) -> list[Arrival]:
        """Give what a device has received, in order."""
        return self._do(lambda apple: [d.arrival for d in apple.arrivals.deliveries(token)])

    def wait_for_arrivals(
        self, count: int = 1, *, token: str | None = None, after: int = 0, timeout: float = 60
    ) -> list[Arrival]:
        """Block until `count` requests with numbers above `after` are there; TimeoutError."""
        return self._run(self._arrived(count, token, after, timeout)).result()

    async def arrived(
        self, count: int = 1, *, token: str | None = None, after: int = 0, timeout: float = 60
    ) -> list[Arrival]:
        """Await `count` requests with numbers above `after`; TimeoutError."""
        return await asyncio.wrap_future(self._run(self._arrived(count, token, after, timeout)))

    async def _arrived(
        self, count: int, token: str | None, after: int, timeout: float
    ) -> list[Arrival]:
        arrivals = self._server.apple.arrivals

        def enough() -> bool:
            return len(arrivals.select(token=token, after=after)) >= count

        if not await arrivals.wait(token, enough, timeout):
            found = len(arrivals.select(token=token, after=after))
            raise TimeoutError(f"{found} of {count} requests arrived in {timeout} s")
        return arrivals.select(token=token, after=after)

    def statistics(self) -> dict[str, Any]:
        """Give the counters of `Statistics`, `open_connections` and `open_streams`."""
        return self._do(lambda apple: apple.status())

    def clear_arrivals(self) -> None:
        """Forget what arrived."""
        self._do(lambda apple: apple.arrivals.clear())

    def clear(self) -> None:
        """Forget arrivals, faults, tokens and counts; keys, conduct and connections stay."""
        self._run(self._server.clear()).result()
