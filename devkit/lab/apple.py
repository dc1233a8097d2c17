"""The simulator as the lab sees it: whether it is there, its credentials, its push service."""

import asyncio
import time
from typing import Any, Final

import httpx

from devkit.phone.sources import trusted

REMEMBERED: Final = 1.0
PATIENCE: Final = 2.0
KEY_PATIENCE: Final = 10.0
"""Seconds: an account's RSA key is made for it."""
WAIT: Final = 5.0
"""Seconds for which pushes are waited for at a time."""


class SimulatedApple:
    """The simulator's control API. Its answer to "are you there?" is good for a second.

    `run` is the simulator's name for this run of it: another one knows no device of the old.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.run: str | None = None
        self._client = httpx.AsyncClient(
            base_url=url, timeout=PATIENCE, trust_env=False, verify=trusted()
        )
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

    async def google_account(self, project: str) -> str:
        """The file of a new service account of a project. Raises httpx.HTTPError."""
        body = {"project_id": project}
        answer = await self._client.post("/google/accounts", json=body, timeout=KEY_PATIENCE)
        return str(answer.raise_for_status().json()["json"])

    async def subscribe(self, key: str, private: str, auth: str) -> dict[str, Any]:
        """Subscribe a browser that has made its keys itself. Raises httpx.HTTPError."""
        body = {"key": key, "private": private, "auth": auth}
        answer = await self._client.post("/webpush/subscriptions", json=body)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def pushes(self, subscription: str, after: int) -> dict[str, Any]:
        """What a browser has been pushed after this number, within seconds. Raises HTTPError."""
        answer = await self._client.get(
            f"/devices/{subscription}/pushes", params={"after": after, "wait": WAIT},
            timeout=WAIT + PATIENCE,
        )  # fmt: skip
        found = answer.raise_for_status().json()
        pushes = [{"payload": one["payload"]} for one in found["pushes"]]
        return {"pushes": pushes, "after": found["after"]}

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
