"""One headless iPhone: registers, gets pushes, rings, answers, and is told to stop."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx

from devkit.phone.api import Api, Unreachable
from devkit.phone.callkit import CallKit
from devkit.phone.follower import Follower
from devkit.phone.inbox import Inbox
from devkit.phone.kit import Kit
from devkit.phone.log import Clock, Log, Observer, Step, Transition
from devkit.phone.parsers import PROFILES
from devkit.phone.pushkit import App, Conditions
from devkit.phone.ring import Ring
from devkit.phone.settings import Identity, Timing
from devkit.phone.sources import PushSource, trusted


class Phone:
    """Use as `async with Phone(...) as phone:`; several run in one process.

    `api` is the server's base URL, `source` where pushes come from. `stream` follows the live
    stream too. `client` is shared if given, else made and closed here.
    """

    def __init__(
        self,
        identity: Identity,
        *,
        api: str,
        source: PushSource,
        client: httpx.AsyncClient | None = None,
        conditions: Conditions | None = None,
        timing: Timing | None = None,
        clock: Clock | None = None,
        stream: bool = False,
    ) -> None:
        timing = timing or Timing()
        self.identity = identity
        self.conditions = conditions or Conditions()
        self._own_client = client is None
        client = client or httpx.AsyncClient(timeout=timing.http, verify=trusted())
        self.kit = Kit(
            identity,
            timing,
            self.conditions,
            CallKit(ring_limit_ms=int(timing.ios_ring_limit * 1000)),
            Api(client, api, offline=lambda: self.conditions.flight_mode),
            Log(clock or Clock()),
        )
        self.inbox = Inbox(self.kit)
        self._source = source
        self._follower = Follower(self.kit, self.inbox.rings) if stream else None
        self.log.observe(self._stop_listening)

    @property
    def log(self) -> Log:
        """Every transition so far."""
        return self.kit.log

    @property
    def callkit(self) -> CallKit:
        """The call screen and Recents."""
        return self.kit.callkit

    async def __aenter__(self) -> Self:
        try:
            await self._switch_on()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Switch the phone off. The server is told nothing, as when a battery dies."""
        tasks = list(self.kit.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._own_client:
            await self.kit.api.client.aclose()

    def observe(self, observer: Observer) -> Callable[[], None]:
        """Tell `observer` of every transition; what is returned ends that."""
        return self.log.observe(observer)

    # What its user and its app do

    async def register(self) -> bool:
        """`POST /v1/devices`: this device and its tokens. False (and a transition) on failure."""
        me = self.identity
        assert me.user_token is not None, "an app that nobody has logged in to cannot register"
        body = self._registration()
        told = {"report": body["report"]} if "report" in body else {}
        try:
            answer = await self.kit.api.register(me.user_token, body)
        except Unreachable as error:
            self.log.note(Step.REGISTRATION_FAILED, error=str(error))
            return False
        step = Step.REGISTERED if answer.ok else Step.REGISTRATION_FAILED
        self.log.note(step, status=answer.status, code=answer.code, **told)
        return answer.ok

    async def unregister(self) -> bool:
        """Log out: the server forgets this device."""
        assert self.identity.user_token is not None
        answer = await self.kit.api.unregister(self.identity.user_token, self.identity.device_id)
        self.log.note(Step.UNREGISTERED, status=answer.status)
        return answer.ok

    async def answer(self, uuid: str | None = None) -> bool:
        """Tap the green button (of the newest call). True if this phone has the call."""
        ring = self._ring(uuid)
        return ring is not None and await ring.answer()

    async def decline(self, uuid: str | None = None, *, busy: bool = False) -> bool:
        """Tap the red button of a ringing call. False if nothing rang."""
        ring = self._ring(uuid)
        return ring is not None and await ring.end_tapped(busy=busy)

    async def hang_up(self, uuid: str | None = None, *, for_all: bool = False) -> bool:
        """Leave a call that is up, or end it for everyone."""
        ring = self._ring(uuid)
        return ring is not None and await ring.end_tapped(for_all=for_all)

    # What the lab's switches do

    def set_app(self, app: App) -> None:
        """Bring the app to the foreground, lock the phone, or kill the app by hand."""
        if app is App.KILLED:
            self.inbox.process_gone()
        self.conditions.app = app
        self._conditions_changed()

    def set_flight_mode(self, on: bool) -> None:
        """Cut or restore the network; what was held comes when it is back."""
        was_on, self.conditions.flight_mode = self.conditions.flight_mode, on
        self._conditions_changed()
        if was_on and not on:
            self.inbox.network_back()

    def set_do_not_disturb(self, on: bool) -> None:
        """Silence new calls, as a Focus does."""
        self.callkit.do_not_disturb = on
        self._conditions_changed()

    def set_ios(self, major: int, minor: int) -> None:
        """Before 26.4 every VoIP push must be reported; since then some need not be."""
        self.conditions.ios = (major, minor)
        self._conditions_changed()

    def set_late_delivery(self, on: bool) -> None:
        """Whether what was sent in flight mode comes when it ends, or is lost."""
        self.conditions.late_delivery = on
        self._conditions_changed()

    def install(self, profile: str) -> None:
        """Put the app on the phone anew, built with the library of `profile` (KeyError if there is
        none): calls of the old one end with it, and iOS forgets what that did wrong."""
        if profile not in PROFILES:
            raise KeyError(profile)
        self.inbox.process_gone()
        self.identity = self.kit.identity = replace(self.identity, profile=profile)
        self.inbox.pushkit.reinstalled()
        self.log.note(Step.INSTALLED, profile=profile)

    def duplicate_next(self, copies: int = 1) -> None:
        """The next push comes that many times more."""
        self.inbox.delivery.duplicate = copies

    def reorder_next(self, on: bool = True) -> None:
        """The next push is overtaken by the one after it (or comes late, if none does)."""
        self.inbox.delivery.reorder = on

    def delay_next(self, seconds: float) -> None:
        """The next push comes so many seconds late."""
        self.inbox.delivery.delay = seconds

    def view(self) -> dict[str, Any]:
        """All there is to draw, as JSON."""
        verdict, push = self.inbox.last_verdict, self.inbox.last_push
        return {
            "user_id": self.identity.user_id,
            "name": self.identity.name,
            "device_id": self.identity.device_id,
            "profile": self.identity.profile,
            "conditions": {
                **self.conditions.as_dict(),
                "do_not_disturb": self.callkit.do_not_disturb,
            },
            "silenced_by_ios": self.inbox.pushkit.silenced,
            "kills": list(self.inbox.pushkit.kills),
            "pushes_held": self.inbox.delivery.held,
            "calls": [screen.as_dict() for screen in self.callkit.live()],
            "recents": [screen.as_dict() for screen in self.callkit.recents],
            "last_push": None if push is None else push.as_dict(),
            "verdict": None
            if verdict is None
            else {
                "outcome": verdict.outcome.value,
                "reason": verdict.reason,
                "notes": list(verdict.notes),
            },
        }

    def _registration(self) -> Mapping[str, Any]:
        me = self.identity
        return {
            "device_id": me.device_id,
            "name": me.name,
            "platform": "ios",
            "tokens": [
                {
                    "kind": kind,
                    "token": token,
                    "app_id": me.app_id,
                    "environment": me.environment,
                }
                for kind, token in me.addresses.items()
            ],
            "expires_in": me.expires_in,
        }

    async def _switch_on(self) -> None:
        self.kit.spawn(self._take_pushes())
        if self.identity.user_token is not None:
            await self.register()
            if self._follower is not None:
                self.kit.spawn(self._follower.run())

    async def _take_pushes(self) -> None:
        async with contextlib.aclosing(self._source(self.identity.tokens)) as pushes:
            async for push in pushes:
                self.inbox.take(push)

    def _stop_listening(self, change: Transition) -> None:
        """The live stream goes with the network, and with the app."""
        gone = self.conditions.flight_mode or self.conditions.app is App.KILLED
        if self._follower is not None and gone and change.step in {Step.CONDITIONS, Step.KILLED}:
            self._follower.cut()

    def _conditions_changed(self) -> None:
        self.log.note(
            Step.CONDITIONS,
            **self.conditions.as_dict(),
            do_not_disturb=self.callkit.do_not_disturb,
        )

    def _ring(self, uuid: str | None) -> Ring | None:
        if uuid is not None:
            return self.inbox.rings.get(uuid)
        live = [screen.uuid for screen in self.callkit.live()]
        return self.inbox.rings.get(live[-1]) if live else None
