"""What an app does with one ring, from CallKit's screen to its end.

The rules are those of the phones' document: ask the state URL at once, be told by stream, push or
poll, answer by accept and believe the answer, and never trust that only one of these will come.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from devkit.phone.api import Answer, Unreachable
from devkit.phone.callkit import EndedReason, ScreenState
from devkit.phone.kit import GONE, Kit, told
from devkit.phone.log import Step
from devkit.phone.pushkit import App
from devkit.phone.verdict import OurRing

_ATTEMPTS: Final = 4


class Ring:
    """One ring that is on the screen, or was."""

    def __init__(self, kit: Kit, uuid: str, ours: OurRing) -> None:
        self.uuid = uuid
        self.ours = ours
        self.member_token: str | None = None
        self._kit = kit
        self._watching: list[asyncio.Task[None]] = []
        self._reporting: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """It rings: ask for the truth, say that it was delivered, and watch the clock."""
        self._reporting.append(self._kit.spawn(self._say("delivered")))
        for work in (self._verify(), self._deadline(), self._ios_limit()):
            self._watching.append(self._kit.spawn(work))
        if self._kit.timing.poll is not None:
            self._watching.append(self._kit.spawn(self._poll(self._kit.timing.poll)))

    def shown(self) -> None:
        """The system shows it, and no code of the app's runs: only the clock is watched."""
        self._watching.append(self._kit.spawn(self._deadline()))

    def unavailable(self) -> None:
        """It cannot ring (Do Not Disturb, blocked): tell, so that the other devices go on."""
        self._reporting.append(self._kit.spawn(self._say("unavailable")))

    def abandon(self) -> None:
        """The app's process is gone, and all that ran in it."""
        for task in (*self._watching, *self._reporting):
            task.cancel()
        self._watching.clear()
        self._reporting.clear()

    def stop(self, reason: EndedReason, learned_from: str) -> bool:
        """Told that this ring is over. Ends a ringing screen; an answered one is not touched."""
        screen = self._kit.callkit.screen(self.uuid)
        if screen is not None and screen.live and screen.state is not ScreenState.RINGING:
            return False
        self._kit.settled.setdefault(self.uuid, reason)
        if screen is None or not screen.live:
            return False
        self._kit.log.note(
            Step.STOP_LEARNED, self.uuid, reason=int(reason), learned_from=learned_from
        )
        self._end(reason)
        return True

    def call_over(self, reason: EndedReason, learned_from: str) -> None:
        """Told that the whole call is over: what rings stops, what is up is hung up."""
        if not self.stop(reason, learned_from):
            self._end(EndedReason.REMOTE_ENDED)

    async def answer(self) -> bool:
        """The user takes the call. True if this device has it."""
        kit = self._kit
        if not kit.callkit.tap_answer(self.uuid):
            return False
        kit.log.note(Step.ANSWER_TAPPED, self.uuid)
        try:
            answer = await self._stubborn("accept", {})
        except Unreachable as error:
            kit.log.note(Step.UNREACHABLE, self.uuid, doing="accept", error=str(error))
            self._end(EndedReason.FAILED)
            return False
        if answer.ok:
            self._accepted(answer)
            return True
        reason = told(answer) or EndedReason.FAILED
        kit.log.note(
            Step.REFUSED, self.uuid, status=answer.status, code=answer.code, reason=int(reason)
        )
        kit.settled.setdefault(self.uuid, reason)
        self._end(reason)
        return False

    async def end_tapped(self, *, busy: bool = False, for_all: bool = False) -> bool:
        """The user's red button: declines what rings, leaves (or ends for all) what is up."""
        kit = self._kit
        screen = kit.callkit.screen(self.uuid)
        was_up = screen is not None and screen.state is ScreenState.ACTIVE
        if not kit.callkit.tap_end(self.uuid, kit.now_ms()):
            return False
        kit.log.note(Step.END_TAPPED, self.uuid, was_up=was_up)
        self._stop_watching()
        if was_up:
            await self._leave(for_all=for_all)
        else:
            kit.settled.setdefault(self.uuid, EndedReason.DECLINED_ELSEWHERE)
            await self._decline(busy=busy)
        return True

    async def verify(self, learned_from: str = "state") -> None:
        """Read the state URL and end what is over."""
        kit = self._kit
        if self.ours.state_url is None or self.ours.token is None:
            return
        try:
            answer = await kit.api.state(self.ours.state_url, self.ours.token)
        except Unreachable as error:
            kit.log.note(Step.UNREACHABLE, self.uuid, doing="state", error=str(error))
            return
        kit.log.note(
            Step.STATE_READ,
            self.uuid,
            status=answer.status,
            state=answer.body.get("state"),
            ms=round(answer.ms, 3),
        )
        reason = told(answer)
        if reason is None:
            return
        if answer.status == 410 or answer.body.get("state") == "ended":
            self.call_over(reason, learned_from)
        else:
            self.stop(reason, learned_from)

    async def _verify(self) -> None:
        await self.verify()

    async def _poll(self, every: float) -> None:
        while self._rings():
            await asyncio.sleep(every)
            if self._rings():
                await self.verify("poll")

    async def _deadline(self) -> None:
        """The server ends rings; this is for a phone that the server's word does not reach."""
        if self.ours.expires_at_ms is None:
            return
        left = (self.ours.expires_at_ms - self._kit.now_ms()) / 1000 + self._kit.timing.grace
        await asyncio.sleep(max(left, 0))
        self.stop(EndedReason.UNANSWERED, "deadline")

    async def _ios_limit(self) -> None:
        """iOS's own end of a ring is a CXEndCallAction like the user's, so the app declines."""
        await asyncio.sleep(self._kit.timing.ios_ring_limit)
        if self.uuid in self._kit.callkit.overdue(self._kit.now_ms()):
            self._kit.log.note(Step.IOS_GAVE_UP, self.uuid)
            self._kit.settled.setdefault(self.uuid, EndedReason.UNANSWERED)
            self._stop_watching()
            await self._decline(busy=False)

    async def _say(self, status: str) -> None:
        if self.ours.state_url is None or self.ours.token is None:
            return
        kit = self._kit
        try:
            answer = await kit.api.by_state_url(
                self.ours.state_url,
                "report",
                self.ours.token,
                {"status": status},
                self.ours.traceparent,
            )
        except Unreachable as error:
            kit.log.note(Step.UNREACHABLE, self.uuid, doing="report", error=str(error))
            return
        kit.log.note(Step.REPORT_SENT, self.uuid, status=status, answer=answer.status)

    def _accepted(self, answer: Answer) -> None:
        kit = self._kit
        token = answer.body.get("member_token")
        self.member_token = token if isinstance(token, str) else None
        kit.log.note(Step.ACCEPTED, self.uuid, ms=round(answer.ms, 3))
        if kit.conditions.app is App.KILLED:
            # Taking a call brings the whole app up, behind the lock screen.
            kit.conditions.app = App.LOCKED
        self._stop_watching()
        if not kit.callkit.fulfil_answer(self.uuid, kit.now_ms()):
            # Hung up, or killed, while the accept was under way: the server must not keep us in.
            self._reporting.append(kit.spawn(self._leave(for_all=False)))
            return
        kit.settled[self.uuid] = EndedReason.REMOTE_ENDED
        kit.log.note(Step.ACTIVE, self.uuid)
        self._watching.append(kit.spawn(self._heartbeats()))

    async def _heartbeats(self) -> None:
        kit = self._kit
        while True:
            await asyncio.sleep(kit.timing.heartbeat)
            screen = kit.callkit.screen(self.uuid)
            if screen is None or screen.state is not ScreenState.ACTIVE:
                return
            try:
                answer = await self._as_member("heartbeat")
            except Unreachable as error:
                kit.log.note(Step.UNREACHABLE, self.uuid, doing="heartbeat", error=str(error))
                continue
            kit.log.note(Step.HEARTBEAT, self.uuid, status=answer.status)
            if answer.status in GONE:
                self._end(EndedReason.REMOTE_ENDED)
                return

    async def _decline(self, *, busy: bool) -> None:
        body = {"reason": "busy"} if busy else {}
        await self._last_word("decline", Step.DECLINED, lambda: self._stubborn("decline", body))

    async def _leave(self, *, for_all: bool) -> None:
        action = "end" if for_all else "leave"
        step = Step.ENDED_FOR_ALL if for_all else Step.LEFT
        await self._last_word(action, step, lambda: self._as_member(action))

    async def _last_word(
        self, action: str, step: Step, send: Callable[[], Coroutine[Any, Any, Answer]]
    ) -> None:
        """Any answer is well: who declines or leaves late has nothing more to lose."""
        try:
            answer = await send()
        except Unreachable as error:
            self._kit.log.note(Step.UNREACHABLE, self.uuid, doing=action, error=str(error))
            return
        self._kit.log.note(step, self.uuid, status=answer.status, code=answer.code)

    async def _stubborn(self, action: str, body: dict[str, Any]) -> Answer:
        """Accept or decline, tried again when nobody answers. Raises Unreachable in the end."""
        for attempt in range(1, _ATTEMPTS):
            try:
                return await self._as_callee(action, body)
            except Unreachable:
                await asyncio.sleep(self._kit.timing.retry * attempt)
        return await self._as_callee(action, body)

    async def _as_callee(self, action: str, body: dict[str, Any]) -> Answer:
        """With the user's token where the app runs and is logged in, else with the push's own."""
        kit, cid = self._kit, self.ours.cid
        user_token = kit.identity.user_token
        if user_token is not None and cid is not None and kit.conditions.app is not App.KILLED:
            return await kit.api.by_cid(
                cid, action, user_token, {**body, "device_id": kit.identity.device_id}
            )
        if self.ours.state_url is not None and self.ours.token is not None:
            url, token = self.ours.state_url, self.ours.token
            return await kit.api.by_state_url(url, action, token, body, self.ours.traceparent)
        raise Unreachable("the push has neither a call token nor an app that is logged in")

    async def _as_member(self, action: str) -> Answer:
        token = self.member_token or self._kit.identity.user_token
        if token is None or self.ours.cid is None:
            raise Unreachable("no member token and nobody logged in")
        body = {"device_id": self._kit.identity.device_id}
        return await self._kit.api.by_cid(self.ours.cid, action, token, body)

    def _rings(self) -> bool:
        screen = self._kit.callkit.screen(self.uuid)
        return screen is not None and screen.state is ScreenState.RINGING

    def _end(self, reason: EndedReason) -> None:
        kit = self._kit
        if kit.callkit.report_ended(self.uuid, reason, kit.now_ms()):
            kit.log.note(Step.ENDED, self.uuid, reason=int(reason))
        self._stop_watching()

    def _stop_watching(self) -> None:
        current = asyncio.current_task()
        for task in self._watching:
            if task is not current:
                task.cancel()
        self._watching = [task for task in self._watching if task is current]
