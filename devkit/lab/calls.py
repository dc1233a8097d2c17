"""The calls that the lab has asked for, kept as the public API reads them."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, Final

from app.infra.errors import AppError, NotFound
from devkit.lab.setup import Backend, Refused
from devkit.lab.story import Followed
from devkit.phone.events import Lines, StreamAbsent, StreamLost, follow

CALLER: Final = "alice"
ALICES: Final = {"kind": "phone", "value": "+49 30 1234567"}
KEPT: Final = 5
_POLL: Final = 1.0
_AGAIN: Final = 0.5


class Calls:
    """Follows Alice's live stream, as her app would, and reads a call again when it has news."""

    def __init__(self, backend: Backend, changed: Callable[[], None]) -> None:
        self._backend = backend
        self._changed = changed
        self._kept: dict[str, Followed] = {}

    def newest(self) -> list[Followed]:
        """The calls that are shown, newest first."""
        return list(self._kept.values())[::-1]

    async def ring(
        self, callees: list[str], *, video: bool, ring_time: float, call_type: str
    ) -> Followed:
        """Ring, as Alice's backend does. Raises Refused, Unavailable."""
        body = {
            "type": call_type,
            "caller": {"id": CALLER, "name": "Alice", "handle": ALICES},
            "callees": [{"id": one, "name": one.capitalize()} for one in callees],
            "video": video,
            "ring_time": ring_time,
        }
        asked_ns = time.time_ns()
        answer = await self._backend.ask("POST", "/v1/calls", body)
        call = Followed(answer["session_id"], asked_ns, tuple(callees), answer)
        self._kept[call.id] = call
        while len(self._kept) > KEPT:
            del self._kept[next(iter(self._kept))]
        self._changed()
        return call

    async def act(self, session_id: str, action: str, body: dict[str, Any]) -> None:
        """Cancel or end a call of the lab. Raises NotFound, Refused, Unavailable."""
        if session_id not in self._kept:
            raise NotFound("call_not_found", "This is none of the lab's latest calls.")
        await self._backend.ask("POST", f"/v1/calls/{session_id}/{action}", body)
        await self._read(self._kept[session_id])

    async def timeline(self, session_id: str) -> list[dict[str, Any]]:
        """What Ringline tells of a call, a sentence each; nothing of one that is none of the lab's
        latest, as after a reset. Raises Refused, Unavailable."""
        if session_id not in self._kept:
            return []
        told = await self._backend.ask("GET", f"/v1/calls/{session_id}/timeline")
        return [{"ms": one["ms"], "text": one["text"]} for one in told["timeline"]]

    def of_ring(self, uuid: str) -> Followed | None:
        """The call that a ring belongs to."""
        for call in self._kept.values():
            for member in call.body["members"]:
                if member["ring"] is not None and member["ring"]["uuid"] == uuid:
                    return call
        return None

    async def end_all(self) -> None:
        """Leave no call behind."""
        for call in self._kept.values():
            if not call.over:
                with contextlib.suppress(Refused, AppError):
                    await self._backend.ask("POST", f"/v1/calls/{call.id}/end", {})

    async def listen(self) -> None:
        """Read what Alice's live stream tells of, until cancelled."""
        lines = Lines()
        url = f"{str(self._backend.client.base_url).rstrip('/')}/v1/events?user_id={CALLER}"
        while True:
            try:
                stream = follow(self._backend.client, url, self._backend.api_key, lines)
                async with contextlib.aclosing(stream) as events:
                    async for event in events:
                        if event is not None:
                            await self._news(event.data.get("session_id"))
            except (StreamAbsent, StreamLost):
                pass
            await asyncio.sleep(_AGAIN)

    async def poll(self) -> None:
        """Read what lives once a second, for news that no stream brought, until cancelled."""
        while True:
            await asyncio.sleep(_POLL)
            for call in tuple(self._kept.values()):
                if not call.over:
                    await self._read(call)

    async def _news(self, session_id: object) -> None:
        call = self._kept.get(session_id) if isinstance(session_id, str) else None
        if call is not None and not call.over:
            await self._read(call)

    async def _read(self, call: Followed) -> None:
        try:
            body = await self._backend.ask("GET", f"/v1/calls/{call.id}")
        except (Refused, AppError):
            return
        if body != call.body:
            call.body = body
            if call.over and call.ended_ns is None:
                call.ended_ns = time.time_ns()
            self._changed()
