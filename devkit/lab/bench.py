"""The bench: Bob's four phones and Carol's, on the real path, and what may be done with them."""

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import httpx

from app.infra.errors import Conflict, NotFound
from app.infra.tasks import Tasks
from devkit.lab import setup as premises
from devkit.lab.calls import Calls
from devkit.lab.phone_view import Handset, Sends
from devkit.lab.setup import BUNDLE_PREFIX, PROJECT, Backend
from devkit.lab.story import call_view, race_of
from devkit.lab.traps import TRAPS
from devkit.lab.verdicts import LIBRARIES
from devkit.phone import (
    AlertIdentity,
    AlertPhone,
    AndroidIdentity,
    AndroidPhone,
    App,
    Identity,
    Phone,
    SimulatorPushes,
    Step,
    Timing,
)
from devkit.phone.callkit import Screen, ScreenState
from devkit.phone.sources import trusted

MODEL_NOTE: Final = (
    "This is a model of iPhones and of an Android phone, written from Apple's and Google's "
    "documentation and from the client libraries' own code. It is not proof of what iOS does, or "
    "Android: try your app on a phone before you trust it."
)
ANDROID: Final = "bob-android"
ALERTED: Final = "bob-cn"
PHONES: Final = (
    ("bob-1", "bob", "Bob's iPhone"),
    ("bob-2", "bob", "Bob's second iPhone"),
    (ANDROID, "bob", "Bob's Android phone"),
    (ALERTED, "bob", "Bob's iPhone without CallKit"),
    ("carol-1", "carol", "Carol's iPhone"),
)
APP_IDS: Final = [BUNDLE_PREFIX + device_id for device_id, _, _ in PHONES if device_id != ANDROID]
ANDROID_APP: Final = BUNDLE_PREFIX + ANDROID
ALERTED_APP: Final = BUNDLE_PREFIX + ALERTED
# Those that follow no live stream learn by these that a call is over.
NO_STREAM: Final = Timing(heartbeat=2.0)
SWITCHES: Final = {
    "ios": frozenset({"app", "flight_mode", "late_delivery", "do_not_disturb", "ios"}),
    "android": frozenset({"app", "flight_mode", "full_screen", "doze"}),
    "alerted": frozenset({"app", "flight_mode"}),
}
"""What can be set, by a phone's platform."""
PATIENCE: Final = 10.0


class Bench:
    """The phones and their calls. Use as `async with Bench(...)`."""

    def __init__(self, backend: Backend, simulator_url: str) -> None:
        self.version = 0
        self.closed = False
        self.calls = Calls(backend, self.changed)
        self._backend = backend
        self._simulator_url = simulator_url
        self._handsets: dict[str, Handset] = {}
        self._parts = contextlib.AsyncExitStack()
        self._tasks = Tasks("lab")
        self._news = asyncio.Event()
        self._setting = asyncio.Lock()

    async def open(self) -> None:
        """Register the phones and listen. Raises Refused, Unavailable, httpx.HTTPError."""
        await premises.send_profiles(self._backend, {}, {}, ALERTED_APP)
        source = await self._parts.enter_async_context(SimulatorPushes(self._simulator_url))
        client = await self._parts.enter_async_context(
            httpx.AsyncClient(timeout=5.0, trust_env=False, verify=trusted())
        )
        api = str(self._backend.client.base_url)
        users = {user for _, user, _ in PHONES}
        tokens = {user: await premises.user_token(self._backend, user) for user in users}
        for device_id, user, name in PHONES:
            app_id = BUNDLE_PREFIX + device_id
            phone: Phone
            if device_id == ANDROID:
                droid = AndroidIdentity(user, tokens[user], name, device_id, app_id)
                await source.register_fcm(droid.fcm_token, PROJECT)
                phone = AndroidPhone(droid, api=api, source=source, client=client, timing=NO_STREAM)
            elif device_id == ALERTED:
                alerted = AlertIdentity(user, tokens[user], name, device_id, app_id)
                await source.switch_on(alerted)
                phone = AlertPhone(alerted, api=api, source=source, client=client, timing=NO_STREAM)
            else:
                me = Identity(user, tokens[user], name, device_id, app_id)
                await source.switch_on(me)
                phone = Phone(me, api=api, source=source, client=client, stream=True)
            await self._add(phone, api)
        self._tasks.supervise("listen", self.calls.listen)
        self._tasks.supervise("poll", self.calls.poll)

    async def _add(self, phone: Phone, api: str) -> None:
        self._handsets[phone.identity.device_id] = Handset(phone, self.changed)
        await self._parts.enter_async_context(phone)
        step = await phone.log.wait_for(Step.REGISTERED, Step.REGISTRATION_FAILED, seconds=PATIENCE)
        if step.step is Step.REGISTRATION_FAILED:
            raise premises.unreachable(api, RuntimeError(str(step.detail.get("code"))))

    async def close(self) -> None:
        """Switch the phones off, as when batteries die."""
        self.let_go()
        await self._tasks.stop()
        await self._parts.aclose()

    def let_go(self) -> None:
        """Let whoever listens to the feed go."""
        self.closed = True
        self.changed()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Do it beside; it ends with the bench."""
        self._tasks.spawn("beside", work)

    def changed(self) -> None:
        """Something that the page draws is new."""
        self.version += 1
        self._news.set()
        self._news = asyncio.Event()

    async def after(self, version: int, seconds: float) -> bool:
        """Wait until there is something newer than `version`; False when the time is over."""
        if self.version > version or self.closed:
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def view(self) -> dict[str, Any]:
        """All that the page draws, as JSON."""
        handsets = list(self._handsets.values())
        calls = self.calls.newest()
        return {
            "model_note": MODEL_NOTE,
            "now_ms": round(time.time_ns() / 1e6, 3),
            "version": self.version,
            "libraries": list(LIBRARIES),
            "phones": [handset.view() for handset in handsets],
            "calls": [call_view(call, handsets) for call in calls],
            "race": race_of(calls[0], handsets) if calls else None,
        }

    async def token_of(self, user_id: str) -> str:
        """A user token, for an app that is none of the simulated phones. Raises Refused."""
        return await premises.user_token(self._backend, user_id)

    async def vapid_key(self, origin: str) -> str:
        """With what a page of this origin subscribes. Raises Refused."""
        return await premises.vapid_key(self._backend, origin)

    def handset(self, device_id: str) -> Handset:
        """A phone by its device id. Raises NotFound."""
        found = self._handsets.get(device_id)
        if found is None:
            known = ", ".join(self._handsets)
            raise NotFound("phone_not_found", f"There is no such phone; the lab's are {known}.")
        return found

    # What a phone's owner does

    def answer(self, device_id: str) -> None:
        """Tap the green button. Raises Conflict when nothing rings."""
        handset = self.handset(device_id)
        uuid = _screen(handset, ScreenState.RINGING).uuid
        self.spawn(handset.phone.answer(uuid))

    def decline(self, device_id: str, *, busy: bool = False) -> None:
        """Tap the red button of what rings. Raises Conflict when nothing rings."""
        handset = self.handset(device_id)
        uuid = _screen(handset, ScreenState.RINGING).uuid
        self.spawn(handset.phone.decline(uuid, busy=busy))

    def hang_up(self, device_id: str) -> None:
        """Tap the red button of a call that is up: it ends for both of two, and who is in a call
        of more leaves it. Raises Conflict when no call is up."""
        handset = self.handset(device_id)
        uuid = _screen(handset, ScreenState.ACTIVE).uuid
        call = self.calls.of_ring(uuid)
        of_two = call is not None and len(call.callees) == 1
        self.spawn(handset.phone.hang_up(uuid, for_all=of_two))

    def answer_at_once(self, session_id: str) -> list[str]:
        """Every phone that rings for a call taps answer in the same moment; their device ids.
        Raises Conflict when none rings."""
        ringing = []
        for handset in self._handsets.values():
            for screen in handset.phone.callkit.live():
                call = self.calls.of_ring(screen.uuid)
                if screen.state is ScreenState.RINGING and call and call.id == session_id:
                    ringing.append((handset, screen.uuid))
        if not ringing:
            raise _nothing_rings("No phone rings for this call.")
        for handset, uuid in ringing:
            self.spawn(handset.phone.answer(uuid))
        return [handset.id for handset, _ in ringing]

    def set_conditions(self, device_id: str, wanted: Mapping[str, Any]) -> None:
        """Set a phone's switches. Raises Conflict for one that it does not have."""
        handset = self.handset(device_id)
        phone = handset.phone
        droid = phone if isinstance(phone, AndroidPhone) else None
        foreign = wanted.keys() - SWITCHES[handset.platform]
        if foreign:
            names = ", ".join(sorted(foreign))
            raise Conflict("no_such_switch", f"{phone.identity.name} has no switch {names}.")
        if "ios" in wanted:
            major, _, minor = wanted["ios"].partition(".")
            phone.set_ios(int(major), int(minor))
        if "do_not_disturb" in wanted:
            phone.set_do_not_disturb(wanted["do_not_disturb"])
        if "late_delivery" in wanted:
            phone.set_late_delivery(wanted["late_delivery"])
        if "app" in wanted:
            phone.set_app(App(wanted["app"]))
        if "flight_mode" in wanted:
            phone.set_flight_mode(wanted["flight_mode"])
        if droid is not None and "full_screen" in wanted:
            droid.set_full_screen(wanted["full_screen"])
        if droid is not None and "doze" in wanted:
            droid.set_doze(wanted["doze"])

    # What its app is built with, and what Ringline sends to it

    async def build_with(self, device_id: str, profile: str) -> None:
        """Install the app anew with this library; Ringline then sends what it wants.
        Raises Conflict for one of another kind."""
        handset = self._iphone(device_id)
        async with self._setting:
            await self._set(handset, Sends(), profile)
            handset.phone.install(profile)

    async def let_send(self, device_id: str, sends: Sends) -> None:
        """Let Ringline send another profile or a trap to this phone's app. Raises Conflict for
        one of another kind."""
        handset = self._iphone(device_id)
        async with self._setting:
            await self._set(handset, sends, handset.phone.identity.profile)

    def _iphone(self, device_id: str) -> Handset:
        handset = self.handset(device_id)
        if handset.platform != "ios":
            name = handset.phone.identity.name
            raise Conflict("one_library", f"{name} is built with Ringline's own keys alone.")
        return handset

    async def _set(self, chosen: Handset, sends: Sends, library: str) -> None:
        profiles: dict[str, str] = {}
        templates: dict[str, dict[str, Any]] = {}
        for handset in self._handsets.values():
            if handset.platform != "ios":
                continue
            wanted = sends if handset is chosen else handset.sends
            own = library if handset is chosen else handset.phone.identity.profile
            app_id = handset.phone.identity.app_id
            if wanted.trap is not None:
                profiles[app_id] = "custom"
                templates[app_id] = dict(TRAPS[wanted.trap].template)
            else:
                profiles[app_id] = wanted.profile or own
        await premises.send_profiles(self._backend, profiles, templates, ALERTED_APP)
        chosen.sends = sends
        self.changed()


def _screen(handset: Handset, state: ScreenState) -> Screen:
    for screen in reversed(list(handset.phone.callkit.live())):
        if screen.state is state:
            return screen
    name = handset.phone.identity.name
    if state is ScreenState.RINGING:
        raise _nothing_rings(f"Nothing rings on {name}.")
    raise Conflict("no_call", f"No call is up on {name}.")


def _nothing_rings(sentence: str) -> Conflict:
    return Conflict("nothing_rings", f"{sentence} Ring first; or it has just been settled.")
