"""The simulated Apple as the lab sees it: whether it is there, and the certificates it gives."""

import asyncio
import time
from typing import Final

import httpx

REMEMBERED: Final = 1.0
PATIENCE: Final = 2.0


class SimulatedApple:
    """The simulator's control API. Its answer to "are you there?" is good for a second.

    `run` is the simulator's name for this run of it: another one knows no device of the old.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.run: str | None = None
        self._client = httpx.AsyncClient(base_url=url, timeout=PATIENCE, trust_env=False)
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")

    async def answers(self) -> bool:
        """Whether the simulator is there."""
        if not self._fresh():
            async with self._asking:
                if not self._fresh():
                    self.run = await self._ask()
                    self._asked_at = time.monotonic()
        return self.run is not None

    async def voip_certificate(self, app_id: str) -> str:
        """A new VoIP certificate with its key, PEM. Raises httpx.HTTPError."""
        answer = await self._client.post("/certificates/voip", json={"app_id": app_id})
        made = answer.raise_for_status().json()
        return str(made["certificate"]) + str(made["key"])

    async def close(self) -> None:
        """Close its connections."""
        await self._client.aclose()

    def _fresh(self) -> bool:
        return time.monotonic() - self._asked_at < REMEMBERED

    async def _ask(self) -> str | None:
        try:
            answer = await self._client.get("/")
            return str(answer.raise_for_status().json()["run"])
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None
