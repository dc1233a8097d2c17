"""The phone's side of a push: PushKit wakes the app, the library reports or fails, iOS judges."""

import asyncio
from typing import Final

from devkit.phone.callkit import EndedReason, IncomingError
from devkit.phone.delivery import Delivery, Push
from devkit.phone.kit import Kit
from devkit.phone.log import Step
from devkit.phone.parsers import parse
from devkit.phone.pushkit import App, PushKit, must_report
from devkit.phone.ring import Ring
from devkit.phone.verdict import OurRing, Outcome, Verdict

# Rings that a phone keeps at hand; older ones that are over are forgotten.
_KEPT: Final = 100


class Inbox:
    """Takes pushes as they come and makes rings of them."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self.pushkit = PushKit()
        self.delivery = Delivery(kit.conditions)
        self.rings: dict[str, Ring] = {}
        self.last_push: Push | None = None
        self.last_verdict: Verdict | None = None
        self._watchdog: asyncio.Task[None] | None = None

    # Pushes

    def take(self, push: Push) -> None:
        """A push has come as far as the phone; what the phone's condition lets through goes on."""
        seconds = self.delivery.use_delay()
        if seconds > 0:
            self.delivery.delayed += 1
            self._kit.log.note(Step.PUSH_HELD, kind=push.kind, size=len(push.payload))
            self._kit.spawn(self._late(push, seconds))
        else:
            self._deliver(push)

    async def _late(self, push: Push, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self.delivery.delayed -= 1
        self._deliver(push)

    def _deliver(self, push: Push) -> None:
        through = self.delivery.arrive(push)
        if not through:
            self._kit.log.note(Step.PUSH_HELD, kind=push.kind, size=len(push.payload))
            if not self._kit.conditions.flight_mode:
                self._kit.spawn(self._overtaken_at_last())
        for each in through:
            self._arrived(each)

    def network_back(self) -> None:
        """Flight mode is over: late pushes come, and what rings is looked up again."""
        for push in self.delivery.leave_flight_mode(self._kit.now_ms()):
            self._arrived(push)
        for screen in self._kit.callkit.live():
            self._kit.spawn(self.rings[screen.uuid].verify("state after flight mode"))

    def stop(self, uuid: str, reason: EndedReason, learned_from: str) -> None:
        """Learned that a ring is over, perhaps before its push has come."""
        ring = self.rings.get(uuid)
        if ring is None:
            self._kit.settled.setdefault(uuid, reason)
            self._kit.log.note(
                Step.STOP_LEARNED, uuid, reason=int(reason), learned_from=learned_from
            )
        else:
            ring.stop(reason, learned_from)

    def process_gone(self) -> None:
        """The app's process ended: its work, its watchdog and its calls end with it."""
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        for ring in self.rings.values():
            ring.abandon()
        for uuid in self._kit.callkit.app_died(self._kit.now_ms()):
            self._kit.log.note(Step.ENDED, uuid, reason=None, why="the app died")

    async def _overtaken_at_last(self) -> None:
        await asyncio.sleep(self._kit.timing.reorder)
        for push in self.delivery.flush():
            self._arrived(push)

    def _arrived(self, push: Push) -> None:
        self.last_push = push
        age = self._kit.now_ms() - push.received_ms
        self._kit.log.note(Step.PUSH_ARRIVED, kind=push.kind, size=len(push.payload), age_ms=age)
        if push.kind == "voip":
            self._voip(push, age)
        elif push.kind == "background":
            self._background(push)
        else:
            self._kit.log.note(Step.PUSH_IGNORED, kind=push.kind)

    def _voip(self, push: Push, age_ms: int) -> None:
        if self.pushkit.silenced:
            self._kit.log.note(Step.PUSH_NOT_WOKEN, failures=self.pushkit.failures)
            return
        must = must_report(
            self._kit.conditions, on_a_call=self._kit.callkit.on_a_call, age_ms=age_ms
        )
        if self._kit.conditions.app is App.KILLED and not self._kit.callkit.live():
            self._kit.log.note(Step.LAUNCHED, native_code_only=True)
        verdict = parse(self._kit.identity.profile, push.payload)
        self.last_verdict = verdict
        if verdict.outcome is Outcome.REPORTED:
            self._report(verdict)
        elif verdict.outcome is Outcome.CRASH:
            self._kit.log.note(Step.CRASHED, why=verdict.reason)
            self._killed(verdict.reason, counts=must)
        else:
            self._kit.log.note(Step.NOT_REPORTED, why=verdict.reason, must_report=must)
            if must and self._watchdog is None:
                self._watchdog = self._kit.spawn(self._watch(verdict.reason))

    def _report(self, verdict: Verdict) -> None:
        uuid = verdict.uuid
        assert uuid is not None
        error = self._kit.callkit.report_incoming(
            uuid,
            caller=verdict.caller or "",
            handle=verdict.handle or "",
            video=verdict.video,
            now_ms=self._kit.now_ms(),
        )
        self.pushkit.reported()
        self._kit.log.note(Step.REPORTED, uuid, caller=verdict.caller, notes=verdict.notes)
        if error is IncomingError.UUID_ALREADY_EXISTS:
            self._kit.log.note(Step.ALREADY_RINGING, uuid)
            ring = self.rings[uuid]
        else:
            ring = self.rings[uuid] = Ring(self._kit, uuid, verdict.ring)
            self._forget_old()
            if error is not None:
                self._kit.log.note(Step.SILENCED, uuid, error=int(error))
                ring.unavailable()
                return
            self._kit.log.note(Step.RINGING, uuid, caller=verdict.caller, video=verdict.video)
        self._judge(ring, verdict, is_new=error is None)

    def _forget_old(self) -> None:
        for uuid in list(self.rings)[:-_KEPT]:
            screen = self._kit.callkit.screen(uuid)
            if screen is None or not screen.live:
                del self.rings[uuid]

    def _judge(self, ring: Ring, verdict: Verdict, *, is_new: bool) -> None:
        """A call that was reported may be over already: then it is ended in the same breath."""
        ours = verdict.ring
        known = self._kit.settled.get(ring.uuid)
        if ours.is_stop:
            ring.stop(_reason(ours), "voip push")
        elif known is not None:
            ring.stop(known, "memory")
        elif ours.expires_at_ms is not None and ours.expires_at_ms <= self._kit.now_ms():
            ring.stop(EndedReason.UNANSWERED, "expires_at")
        elif is_new:
            ring.start()

    def _background(self, push: Push) -> None:
        """iOS starts no killed app for one; where a call is on, its native code is up."""
        if self._kit.conditions.app is App.KILLED and not self._kit.callkit.live():
            self._kit.log.note(Step.PUSH_IGNORED, kind="background", why="the app is not running")
            return
        # A stop has one shape whatever the profile is: the app's own code reads it.
        ours = parse("ringline", push.payload).ring
        if not ours.is_stop or ours.uuid is None:
            self._kit.log.note(Step.PUSH_IGNORED, kind="background", why="not a stop")
            return
        self.stop(ours.uuid.lower(), _reason(ours), "background push")

    async def _watch(self, why: str) -> None:
        await asyncio.sleep(self._kit.timing.watchdog)
        self._watchdog = None
        self._killed(why, counts=True)

    def _killed(self, why: str, *, counts: bool) -> None:
        if counts:
            self.pushkit.failed(why)
        self.process_gone()
        self._kit.conditions.app = App.KILLED
        self._kit.log.note(Step.KILLED, why=why, silenced=self.pushkit.silenced)


def _reason(stop: OurRing) -> EndedReason:
    return EndedReason.of(stop.callkit_reason) or EndedReason.REMOTE_ENDED
