"""One headless Android phone: FCM wakes its app, which shows the call as far as Android lets it.

The app does with a ring what every app of Ringline's does (`ring.py`); what differs is the system.
A model, and no proof of what Android does. Sources: "Set and manage Android message priority"
(firebase.google.com); "Optimize for Doze and App Standby", "Create a notification" and
"Behavior changes: Apps targeting Android 14" (developer.android.com).
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import httpx

from devkit.phone.callkit import EndedReason, IncomingError
from devkit.phone.delivery import Push
from devkit.phone.fcm import Said, is_over, read, size_of
from devkit.phone.inbox import Inbox
from devkit.phone.kit import Kit
from devkit.phone.log import Step
from devkit.phone.phone import Phone
from devkit.phone.pushkit import App, Conditions
from devkit.phone.ring import Ring
from devkit.phone.settings import Identity, Timing
from devkit.phone.sources import PushSource

# No system ends an Android app's ring: the app does, at the ring's own deadline.
_NO_SYSTEM_LIMIT: Final = 86_400.0


def registration_token() -> str:
    """One in the shape of FCM's."""
    return f"{secrets.token_urlsafe(16)}:APA91b{secrets.token_urlsafe(100)}"


@dataclass(frozen=True, slots=True)
class AndroidIdentity(Identity):
    """An Android phone and whose it is: FCM alone reaches it, `app_id` is the app's package."""

    fcm_token: str = field(default_factory=registration_token)

    @property
    def addresses(self) -> Mapping[str, str]:
        """Its one push token."""
        return {"fcm": self.fcm_token}


@dataclass(slots=True)
class AndroidConditions(Conditions):
    """What the lab's switches set. `app` is FOREGROUND while the phone is in use with the app
    open, LOCKED while it lies there, KILLED once its app was swiped away (a message starts it).

    `full_screen`: the app may use full-screen intents (from Android 14 on a user may refuse).
    `doze`: the phone has lain still for long, and saves power.
    """

    full_screen: bool = True
    doze: bool = False

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for a page that draws it."""
        return {
            "app": self.app.value,
            "flight_mode": self.flight_mode,
            "full_screen": self.full_screen,
            "doze": self.doze,
        }

    def lets_through(self, push: Push) -> bool:
        """Whether a message comes now: with a network, and in Doze at high priority alone."""
        return not self.flight_mode and (push.is_ring or not self.doze)

    @property
    def shows_full_screen(self) -> bool:
        """Whether a call fills the screen: not over what somebody does, nor where it is refused.
        Otherwise Android makes a notification of it, with its buttons, at the screen's top."""
        return self.full_screen and self.app is not App.FOREGROUND


class AndroidInbox(Inbox):
    """Takes messages as they come and makes rings of them. Nothing need be reported to anybody:
    for a ring that is over the app shows nothing."""

    def __init__(
        self, kit: Kit, conditions: AndroidConditions, screen_on: Callable[[], None]
    ) -> None:
        super().__init__(kit)
        self.waiting: list[Push] = []
        self.heads_up: set[str] = set()
        self._droid = conditions
        self._screen_on = screen_on

    def release(self) -> None:
        """Conditions have changed: what waited and may come now comes, oldest first."""
        coming = [push for push in self.waiting if self._droid.lets_through(push)]
        self.waiting = [push for push in self.waiting if not self._droid.lets_through(push)]
        for push in coming:
            if not is_over(push, self._kit.now_ms()):
                self._deliver(push)

    def network_back(self) -> None:
        """Flight mode is over: what Google kept comes, and what rings is looked up again."""
        self.release()
        super().network_back()

    def process_gone(self) -> None:
        """The app's process ended, and its notifications with it."""
        super().process_gone()
        self.heads_up.clear()

    def _deliver(self, push: Push) -> None:
        if self._droid.lets_through(push):
            super()._deliver(push)
            return
        self.waiting.append(push)
        why = "flight mode" if self._droid.flight_mode else "Doze"
        self._kit.log.note(Step.PUSH_HELD, kind="fcm", size=size_of(push.payload), why=why)

    def _arrived(self, push: Push) -> None:
        kit = self._kit
        self.last_push = push
        kit.log.note(
            Step.PUSH_ARRIVED,
            kind="fcm",
            size=size_of(push.payload),
            age_ms=kit.now_ms() - push.received_ms,
            priority=push.headers["priority"],
        )
        if self._droid.app is App.KILLED and not kit.callkit.live():
            kit.log.note(Step.LAUNCHED, native_code_only=False)
        said = read(push.payload)
        if said.ring.uuid is None:
            kit.log.note(Step.PUSH_IGNORED, kind="fcm", why="it is none of Ringline's")
        elif said.ring.is_stop:
            reason = EndedReason.of(said.ring.callkit_reason) or EndedReason.REMOTE_ENDED
            self.stop(said.ring.uuid, reason, f"message of {push.headers['priority']} priority")
        else:
            self._incoming(said.ring.uuid, said)

    def _incoming(self, uuid: str, said: Said) -> None:
        kit, expires = self._kit, said.ring.expires_at_ms
        if uuid in kit.settled or (expires is not None and expires <= kit.now_ms()):
            kit.log.note(Step.PUSH_IGNORED, uuid, kind="fcm", why="its ring is over")
            return
        error = kit.callkit.report_incoming(
            uuid, caller=said.caller, handle=said.handle, video=said.video, now_ms=kit.now_ms()
        )
        if error is IncomingError.UUID_ALREADY_EXISTS:
            kit.log.note(Step.ALREADY_RINGING, uuid)
            return
        ring = self.rings[uuid] = Ring(kit, uuid, said.ring)
        self._forget_old()
        full = self._droid.shows_full_screen
        self.heads_up &= self.rings.keys()
        self.heads_up |= set() if full else {uuid}
        kit.log.note(Step.RINGING, uuid, caller=said.caller, video=said.video, full_screen=full)
        ring.start()
        if full:
            self._screen_on()


class AndroidPhone(Phone):
    """Use as `async with AndroidPhone(...) as phone:`. It follows no live stream: a stop comes to
    it by FCM alone, at normal priority."""

    def __init__(
        self,
        identity: AndroidIdentity,
        *,
        api: str,
        source: PushSource,
        client: httpx.AsyncClient | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._droid = AndroidConditions()
        timing = replace(timing or Timing(), ios_ring_limit=_NO_SYSTEM_LIMIT)
        super().__init__(
            identity, api=api, source=source, client=client, conditions=self._droid, timing=timing
        )
        self._messages = AndroidInbox(self.kit, self._droid, self._screen_on)
        self.inbox = self._messages

    def set_full_screen(self, allowed: bool) -> None:
        """Allow or refuse full-screen intents; the app looks when it next runs, and tells."""
        self._droid.full_screen = allowed
        self._conditions_changed()
        if self._droid.app is not App.KILLED:
            self.kit.spawn(self._tell())

    def set_doze(self, on: bool) -> None:
        """Leave the phone alone for long, or take it up. Who uses a phone does not let it doze."""
        self._droid.doze = on
        if on and self._droid.app is App.FOREGROUND:
            self._droid.app = App.LOCKED
        self._conditions_changed()
        self._messages.release()

    def set_app(self, app: App) -> None:
        """Use the phone, lay it down, or swipe the app away."""
        was_killed = self._droid.app is App.KILLED
        if app is App.FOREGROUND:
            self._droid.doze = False
        super().set_app(app)
        self._messages.release()
        if was_killed and app is not App.KILLED:
            self.kit.spawn(self._tell())

    def view(self) -> dict[str, Any]:
        """All there is to draw, as JSON; `full_screen` of a call is how it is shown."""
        seen = super().view()
        seen["pushes_held"] += len(self._messages.waiting)
        for call in seen["calls"]:
            call["full_screen"] = call["uuid"] not in self._messages.heads_up
        return seen

    def _registration(self) -> Mapping[str, Any]:
        me = self.identity
        return {
            "device_id": me.device_id,
            "name": me.name,
            "platform": "android",
            "tokens": [{"kind": "fcm", "token": token, "app_id": me.app_id} for token in me.tokens],
            "report": {"full_screen": self._droid.full_screen},
            "expires_in": me.expires_in,
        }

    async def _tell(self) -> None:
        if self.identity.user_token is not None:
            await self.register()

    def _screen_on(self) -> None:
        """A call that fills the screen lights it up, which ends Doze; a notification does not."""
        if self._droid.doze:
            self.set_doze(False)
