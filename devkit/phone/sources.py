"""Where a phone's pushes come from: anything that is called with its tokens and yields pushes."""

import asyncio
import contextlib
import functools
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self, cast

import httpx

from devkit.phone.delivery import Push, PushKind
from devkit.phone.fcm import message_of
from devkit.phone.settings import Identity

PushSource = Callable[[Sequence[str]], AsyncGenerator[Push, None]]
"""Called once with a phone's tokens (VoIP first); yields its pushes until it is closed."""

_WAIT: Final = 30
_AFTER_FAILURE: Final = 0.2
_KINDS: Final = ("voip", "background", "alert")


@functools.cache
def trusted() -> ssl.SSLContext:
    """Whom this machine trusts, read once: to read it anew for each client costs 30 ms of CPU."""
    return httpx.create_ssl_context()


class HandFed:
    """A source that is fed by hand, for tests and demonstrations with no APNs in between."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Push] = asyncio.Queue()

    def feed(self, push: Push) -> None:
        """Let a push arrive."""
        self._queue.put_nowait(push)

    async def __call__(self, tokens: Sequence[str]) -> AsyncGenerator[Push, None]:
        """What was fed and will be; it knows of one phone only, so the tokens do not matter."""
        del tokens
        while True:
            yield await self._queue.get()


class SimulatorPushes:
    """Pushes that the simulator handed to a device, by long polls of its control API.

    One serves any number of phones; use it as `async with SimulatorPushes(url) as source`.
    """

    def __init__(self, control_url: str) -> None:
        self._url = control_url.rstrip("/")
        # Each phone holds a poll open per token, so the usual limit of 100 would starve them.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self._client = httpx.AsyncClient(
            limits=limits, timeout=httpx.Timeout(5, read=_WAIT + 10), verify=trusted()
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._client.aclose()

    async def switch_on(self, identity: Identity) -> None:
        """Make a phone's tokens live at the simulator, each for its own topic.

        Raises httpx.HTTPError.
        """
        bundle = identity.app_id
        for kind, token in identity.addresses.items():
            topic = f"{bundle}.voip" if kind == "voip" else bundle
            body = {"tokens": [token], "topics": [topic], "environment": identity.environment}
            (await self._client.post(f"{self._url}/devices", json=body)).raise_for_status()

    async def register_fcm(self, token: str, project: str) -> None:
        """Make a registration token live for a project of Google's. Raises httpx.HTTPError."""
        body = {"tokens": [token], "project": project}
        answer = await self._client.post(f"{self._url}/google/registrations", json=body)
        answer.raise_for_status()

    async def __call__(self, tokens: Sequence[str]) -> AsyncGenerator[Push, None]:
        """What these tokens get, in the order of its coming."""
        queue: asyncio.Queue[Push] = asyncio.Queue()
        polls = [asyncio.create_task(self._poll(token, queue)) for token in tokens]
        try:
            while True:
                yield await queue.get()
        finally:
            for poll in polls:
                poll.cancel()
            await asyncio.gather(*polls, return_exceptions=True)

    async def _poll(self, token: str, queue: asyncio.Queue[Push]) -> None:
        after = 0
        url = f"{self._url}/devices/{token}/pushes"
        while True:
            try:
                response = await self._client.get(url, params={"after": after, "wait": _WAIT})
                response.raise_for_status()
                found = response.json()
            except (httpx.HTTPError, ValueError):
                # The simulator is being started anew, say: it is asked again until it answers.
                await asyncio.sleep(_AFTER_FAILURE)
                continue
            after = found["after"]
            for given in found["pushes"]:
                queue.put_nowait(push_of(given))


def push_of(given: Mapping[str, Any]) -> Push:
    """A push as the simulator's control API lists it."""
    if given.get("environment") == "fcm":
        return message_of(given)
    headers = {str(name): str(value) for name, value in given["headers"].items()}
    kind = headers.get("apns-push-type", "alert")
    payload = json.dumps(given["payload"], ensure_ascii=False, separators=(",", ":"))
    return Push(
        cast("PushKind", kind if kind in _KINDS else "alert"),
        payload.encode("utf-8", "replace"),
        int(given["received_ns"]) // 1_000_000,
        headers,
        int(given["received_ns"]),
    )


@contextlib.asynccontextmanager
async def shared_client(seconds: float = 5.0) -> AsyncGenerator[httpx.AsyncClient, None]:
    """One HTTP client for many phones."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(timeout=seconds, limits=limits, verify=trusted()) as client:
        yield client
