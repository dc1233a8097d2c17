"""Following the server's live stream: which of a user's events stop a screen here."""

import asyncio
import contextlib
import random
from collections.abc import Mapping
from typing import Any, Final

from devkit.phone.callkit import EndedReason
from devkit.phone.events import Lines, ServerEvent, StreamAbsent, StreamLost, follow
from devkit.phone.kit import REASONS, Kit
from devkit.phone.log import Step
from devkit.phone.pushkit import App
from devkit.phone.ring import Ring

_LONGEST_WAIT: Final = 5.0
_BEGINNINGS: Final = ("snapshot", "reset")


class Follower:
    """Keeps a stream open, resumes it where it broke, and hands on what concerns this phone."""

    def __init__(self, kit: Kit, rings: Mapping[str, Ring]) -> None:
        self._kit = kit
        self._rings = rings
        self._lines = Lines()
        self._connection: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until cancelled, or until the server says that there is no stream."""
        wait = self._kit.timing.reconnect
        while True:
            if self._can_listen():
                self._connection = asyncio.create_task(self._connect())
                try:
                    await self._connection
                    wait = self._kit.timing.reconnect
                except StreamAbsent as error:
                    self._kit.log.note(Step.STREAM_ABSENT, error=str(error))
                    return
                except StreamLost as error:
                    self._kit.log.note(Step.STREAM_LOST, error=str(error))
                except asyncio.CancelledError:
                    await self._gone()
                    if not self._was_cut():
                        raise
                    self._kit.log.note(Step.STREAM_LOST, error="cut off")
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - jitter
            wait = min(wait * 2, _LONGEST_WAIT)

    def cut(self) -> None:
        """The network is gone, or the app that listened."""
        if self._connection is not None:
            self._connection.cancel()

    def _can_listen(self) -> bool:
        """A killed app listens to nothing: what rings there is native code, told by push."""
        conditions = self._kit.conditions
        return not conditions.flight_mode and conditions.app is not App.KILLED

    def _was_cut(self) -> bool:
        current = asyncio.current_task()
        return current is not None and current.cancelling() == 0

    async def _gone(self) -> None:
        if self._connection is not None:
            self._connection.cancel()
            with contextlib.suppress(asyncio.CancelledError, StreamLost, StreamAbsent):
                await self._connection

    async def _connect(self) -> None:
        token = self._kit.identity.user_token
        assert token is not None
        api = self._kit.api
        async with contextlib.aclosing(
            follow(api.client, f"{api.base_url}/v1/events", token, self._lines)
        ) as events:
            async for event in events:
                if event is None:
                    self._kit.log.note(Step.STREAM_OPEN, resumed_after=self._lines.last_id)
                    await self._verify_all()
                else:
                    await self._take(event)

    async def _verify_all(self) -> None:
        """What happened while nobody listened: the state URLs know."""
        for ring in tuple(self._rings.values()):
            screen = self._kit.callkit.screen(ring.uuid)
            if screen is not None and screen.live:
                await ring.verify("state after reconnect")

    async def _take(self, event: ServerEvent) -> None:
        kind = event.data.get("type", event.event)
        inner = event.data.get("data")
        facts: Mapping[str, Any] = inner if isinstance(inner, dict) else {}
        self._kit.log.note(Step.EVENT, kind=kind, id=event.id, call=event.data.get("cid"))
        if kind in _BEGINNINGS:
            await self._verify_all()
        elif kind == "member.ringing":
            self._kit.log.note(
                Step.RINGS_THERE, user=facts.get("user_id"), devices=facts.get("devices")
            )
        elif kind == "ring.settled":
            self._settled(facts)
        elif kind == "call.ended":
            self._call_ended(event.data.get("session_id"), facts.get("reason"))

    def _settled(self, facts: Mapping[str, Any]) -> None:
        """A ring is over for this user; the device that settled it needs no telling."""
        uuid = facts.get("ring")
        if not isinstance(uuid, str) or facts.get("user_id") != self._kit.identity.user_id:
            return
        if facts.get("device_id") == self._kit.identity.device_id:
            return
        reason = EndedReason.of(facts.get("callkit_reason")) or EndedReason.REMOTE_ENDED
        ring = self._rings.get(uuid.lower())
        if ring is None:
            self._kit.settled.setdefault(uuid.lower(), reason)
        else:
            ring.stop(reason, "stream")

    def _call_ended(self, session_id: Any, reason: Any) -> None:
        for ring in tuple(self._rings.values()):
            if ring.ours.session_id == session_id and session_id is not None:
                ring.call_over(REASONS.get(reason, EndedReason.REMOTE_ENDED), "stream")
