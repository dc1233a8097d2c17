"""One headless iPhone whose app may not use CallKit: notifications ring it, one after the other.

As in mainland China. iOS shows each by itself, in the place of the one before; no code of the app's
runs until somebody taps a button of the notification, whose category has one to accept and one to
decline. A model, and no proof of what iOS does. Sources: "UNNotificationCategory" and "Handling
notifications and notification-related actions" (developer.apple.com).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from devkit.phone.callkit import EndedReason, IncomingError, ScreenState
from devkit.phone.delivery import Push
from devkit.phone.inbox import Inbox
from devkit.phone.log import Step
from devkit.phone.ours import our_ring
from devkit.phone.phone import Phone
from devkit.phone.pushkit import Conditions
from devkit.phone.ring import Ring
from devkit.phone.settings import Identity, Timing
from devkit.phone.sources import PushSource
from devkit.phone.swift import mapping, parsed, string

# What the last notification of a ring says has become of it.
_OVER: Final = {
    "answered_elsewhere": EndedReason.ANSWERED_ELSEWHERE,
    "declined_elsewhere": EndedReason.DECLINED_ELSEWHERE,
    "missed": EndedReason.UNANSWERED,
}


@dataclass(frozen=True, slots=True)
class AlertIdentity(Identity):
    """An iPhone that notifications alone reach."""

    @property
    def addresses(self) -> Mapping[str, str]:
        """Its one push token."""
        return {"alert": self.alert_token} if self.alert_token else {}


class AlertInbox(Inbox):
    """Takes notifications as they come, and makes rings of those that ring."""

    def process_gone(self) -> None:
        """The app's process ended: a call that is up ends with it, a notification stays."""
        if any(one.state is not ScreenState.RINGING for one in self._kit.callkit.live()):
            super().process_gone()

    def _arrived(self, push: Push) -> None:
        kit = self._kit
        self.last_push = push
        age = kit.now_ms() - push.received_ms
        kit.log.note(Step.PUSH_ARRIVED, kind=push.kind, size=len(push.payload), age_ms=age)
        body = parsed(push.payload) or {}
        ours = our_ring("ringline", body)
        event = string(mapping(body, "ring"), "type")
        if ours.uuid is None or (event != "ring" and event not in _OVER):
            kit.log.note(Step.PUSH_IGNORED, kind=push.kind, why="it tells of no ring")
        elif event in _OVER:
            self.stop(ours.uuid, _OVER[event], "the last notification")
        elif ours.uuid in kit.settled or (ours.expires_at_ms or 0) <= kit.now_ms():
            kit.log.note(Step.PUSH_IGNORED, ours.uuid, kind=push.kind, why="its ring is over")
        else:
            told = mapping(body, "ring")
            caller = string(mapping(told, "caller"), "name") or ours.caller_id or ""
            error = kit.callkit.report_incoming(
                ours.uuid, caller=caller, handle=ours.caller_id or "",
                video=told.get("video") is True, now_ms=kit.now_ms(),
            )  # fmt: skip
            if error is IncomingError.UUID_ALREADY_EXISTS:
                kit.log.note(Step.ALREADY_RINGING, ours.uuid)
                return
            ring = self.rings[ours.uuid] = Ring(kit, ours.uuid, ours)
            self._forget_old()
            kit.log.note(Step.RINGING, ours.uuid, caller=caller, full_screen=False)
            ring.shown()


class AlertPhone(Phone):
    """Use as `async with AlertPhone(...) as phone:`. It follows no live stream."""

    def __init__(
        self,
        identity: AlertIdentity,
        *,
        api: str,
        source: PushSource,
        client: httpx.AsyncClient | None = None,
        timing: Timing | None = None,
    ) -> None:
        super().__init__(
            identity, api=api, source=source, client=client, conditions=Conditions(), timing=timing
        )
        self.inbox = AlertInbox(self.kit)

    def view(self) -> dict[str, Any]:
        """All there is to draw, as JSON; no call of it fills the screen."""
        seen = super().view()
        for call in seen["calls"]:
            call["full_screen"] = False
        return seen
