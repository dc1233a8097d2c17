"""The requests that a phone makes of a Ringline server.

Every answer of the server is an `Answer`, whatever its status: the phone decides. Only silence
(no network, no answer in time) raises, as `Unreachable`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx


class Unreachable(Exception):
    """No answer: flight mode, a refused connection, a time-out."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said. `body` is {} when it is not a JSON object; `ms` how long it took."""

    status: int
    body: Mapping[str, Any]
    ms: float

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def code(self) -> str | None:
        """The stable `code` of a problem."""
        return _text(self.body.get("code"))

    @property
    def reason(self) -> str | None:
        """Why a call is over: of a problem, or of a call."""
        return _text(self.body.get("reason"))


class Api:
    """A server's HTTP address, seen from one phone. `offline` is asked before each request."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, *, offline: Callable[[], bool]
    ) -> None:
        self.client = client
        self.base_url = base_url.rstrip("/")
        self._offline = offline

    async def register(self, token: str, body: Mapping[str, Any]) -> Answer:
        """`POST /v1/devices` with the user's token."""
        return await self.request("POST", f"{self.base_url}/v1/devices", token, body)

    async def unregister(self, token: str, device_id: str) -> Answer:
        """`DELETE /v1/devices/{device_id}`."""
        url = f"{self.base_url}/v1/devices/{quote(device_id, safe='')}"
        return await self.request("DELETE", url, token)

    async def state(self, state_url: str, token: str) -> Answer:
        """The call as the push's state URL tells it."""
        return await self.request("GET", state_url, token)

    async def by_state_url(
        self,
        state_url: str,
        action: str,
        token: str,
        body: Mapping[str, Any],
        traceparent: str | None = None,
    ) -> Answer:
        """`accept`, `decline` or `report` with the call token: no login needed."""
        url = f"{state_url}/{action}"
        return await self.request("POST", url, token, body, traceparent)

    async def by_cid(self, cid: str, action: str, token: str, body: Mapping[str, Any]) -> Answer:
        """`accept`, `decline`, `leave`, `end` or `heartbeat` with a user or member token."""
        url = f"{self.base_url}/v1/calls/{quote(cid, safe=':')}/{action}"
        return await self.request("POST", url, token, body)

    async def request(
        self,
        method: str,
        url: str,
        token: str,
        body: Mapping[str, Any] | None = None,
        traceparent: str | None = None,
    ) -> Answer:
        """One request; the token is in the header and never in the URL. Raises Unreachable."""
        if self._offline():
            raise Unreachable("the phone is in flight mode")
        headers = {"Authorization": f"Bearer {token}"}
        if traceparent is not None:
            headers["traceparent"] = traceparent
        start = time.perf_counter()
        try:
            response = await self.client.request(method, url, headers=headers, json=body)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        taken = (time.perf_counter() - start) * 1000
        return Answer(response.status_code, _object(response), taken)


def _object(response: httpx.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
