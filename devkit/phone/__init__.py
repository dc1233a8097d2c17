"""A headless phone: PushKit, CallKit, and an app that uses Ringline, for tests, demo and lab.

`AndroidPhone` is the same app where FCM wakes it and Android shows its calls, `AlertPhone` where
notifications ring an iPhone that may not use CallKit.

A model, and no proof of what iOS does. Its rules are those of the client libraries and of Apple's
documentation, written down here a second time: it imports no other module of ours, so one wrong
value cannot pass on both sides.

    from devkit.phone import Identity, Phone, SimulatorPushes, Step

    async with SimulatorPushes(control_url) as source:
        bob = Identity("bob", user_token, name="Bob's iPhone", app_id="com.example.app")
        await source.switch_on(bob)                       # its tokens are live at the simulator
        async with Phone(bob, api=url, source=source) as phone:      # registers at the server
            ring = await phone.log.wait_for(Step.RINGING)            # .uuid .at_ms .detail
            await phone.answer()                          # accept, then heartbeats; or decline()
            await phone.hang_up()
            phone.view()                                  # all there is to draw, as JSON
            phone.observe(print)                          # each transition as it happens

`verdict = parse("connectycube", payload)` alone says what a library makes of a payload.
"""

from devkit.phone.alerted import AlertIdentity, AlertPhone
from devkit.phone.android import AndroidIdentity, AndroidPhone
from devkit.phone.callkit import CallKit, EndedReason, IncomingError, Recent, Screen, ScreenState
from devkit.phone.delivery import Delivery, Push
from devkit.phone.log import Clock, Log, Observer, Step, Transition
from devkit.phone.parsers import PROFILES, parse
from devkit.phone.phone import Phone
from devkit.phone.pushkit import App, Conditions, PushKit, must_report
from devkit.phone.settings import Identity, Timing
from devkit.phone.sources import HandFed, PushSource, SimulatorPushes, push_of, shared_client
from devkit.phone.verdict import OurRing, Outcome, Verdict

__all__ = [
    "PROFILES",
    "AlertIdentity",
    "AlertPhone",
    "AndroidIdentity",
    "AndroidPhone",
    "App",
    "CallKit",
    "Clock",
    "Conditions",
    "Delivery",
    "EndedReason",
    "HandFed",
    "Identity",
    "IncomingError",
    "Log",
    "Observer",
    "OurRing",
    "Outcome",
    "Phone",
    "Push",
    "PushKit",
    "PushSource",
    "Recent",
    "Screen",
    "ScreenState",
    "SimulatorPushes",
    "Step",
    "Timing",
    "Transition",
    "Verdict",
    "must_report",
    "parse",
    "push_of",
    "shared_client",
]
