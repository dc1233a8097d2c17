"""A phone's transitions in words, for its timeline on the page."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from devkit.phone import EndedReason, Step

REASONS: Final = {
    EndedReason.FAILED: "failed",
    EndedReason.REMOTE_ENDED: "ended by the other side",
    EndedReason.UNANSWERED: "unanswered",
    EndedReason.ANSWERED_ELSEWHERE: "answered elsewhere",
    EndedReason.DECLINED_ELSEWHERE: "declined elsewhere",
}

# Too many, and about nothing that is seen on the screen.
QUIET: Final = frozenset({Step.HEARTBEAT, Step.EVENT, Step.STREAM_OPEN, Step.STREAM_ABSENT})

_PLAIN: Final = {
    Step.REGISTRATION_FAILED: "The app could not register at Ringline.",
    Step.UNREGISTERED: "Ringline forgot this device.",
    Step.PUSH_NOT_WOKEN: "iOS did not wake the app: it failed to report too often.",
    Step.ALREADY_RINGING: "A copy: this call is on the screen already.",
    Step.SILENCED: "Do Not Disturb: no call screen; the other phones are not held up.",
    Step.ANSWER_TAPPED: "Answer was tapped.",
    Step.IOS_GAVE_UP: "iOS itself ended a call that nobody took.",
    Step.ACTIVE: "The call is up.",
    Step.ACCEPTED: "Ringline gave this phone the call.",
    Step.DECLINED: "Ringline was told: declined.",
    Step.LEFT: "Ringline was told: this phone has left.",
    Step.ENDED_FOR_ALL: "Ringline was told: ended for everyone.",
    Step.STREAM_LOST: "The live stream broke.",
    Step.FAULT: "The phone model itself failed.",
}


def reason_words(number: object) -> str:
    """A CXCallEndedReason in words."""
    reason = EndedReason.of(number)
    return "over" if reason is None else f"{REASONS[reason]} ({int(reason)})"


def _conditions(detail: Mapping[str, Any]) -> str:
    words = [f"app {detail['app']}"]
    words += [f"iOS {detail['ios']}"] if "ios" in detail else []
    words += ["flight mode"] if detail["flight_mode"] else []
    words += ["Doze"] if detail.get("doze") else []
    words += ["full-screen calls refused"] if detail.get("full_screen") is False else []
    words += ["Do Not Disturb"] if detail["do_not_disturb"] else []
    return "Now: " + ", ".join(words) + "."


def _registered(detail: Mapping[str, Any]) -> str:
    told = detail.get("report", {})
    said = [f"`{name}` is {str(value).lower()}" for name, value in told.items()]
    return f"The app registered its tokens at Ringline{': ' if said else ''}{', '.join(said)}."


def _held(detail: Mapping[str, Any]) -> str:
    if "why" in detail:
        return f"A message waits at Google until this phone is out of {detail['why']}."
    return f"A {detail['kind']} push waits on its way."


def _ignored(detail: Mapping[str, Any]) -> str:
    if detail["kind"] == "fcm":
        return f"The app shows nothing for a message: {detail['why']}."
    return "A push that is no ring was passed over."


def _launched(detail: Mapping[str, Any]) -> str:
    if detail["native_code_only"]:
        return "iOS started the killed app for the push: its native code only."
    return "Android started the app for the message."


def _ringing(detail: Mapping[str, Any]) -> str:
    if detail.get("full_screen", True):
        return f"The call screen rings: {detail['caller']}."
    return f"A notification with two buttons rings, no call screen: {detail['caller']}."


def _arrived(detail: Mapping[str, Any]) -> str:
    age = max(detail["age_ms"], 0)
    if detail["kind"] == "fcm":
        size, priority = detail["size"], detail["priority"].lower()
        return f"A message of {priority} priority and {size:,} bytes came by FCM, {age} ms old."
    kind = "VoIP" if detail["kind"] == "voip" else detail["kind"]
    return f"A {kind} push of {detail['size']:,} bytes came, {age} ms old."


def _not_reported(detail: Mapping[str, Any]) -> str:
    what = "iOS will kill the app." if detail["must_report"] else "iOS lets it pass."
    return f"No call was reported: {what} {detail['why']}"


_TOLD: Final[dict[Step, Callable[[Mapping[str, Any]], str]]] = {
    Step.CONDITIONS: _conditions,
    Step.INSTALLED: lambda d: f"The app was installed anew, built with {d['profile']}.",
    Step.PUSH_ARRIVED: _arrived,
    Step.REGISTERED: _registered,
    Step.PUSH_HELD: _held,
    Step.PUSH_IGNORED: _ignored,
    Step.LAUNCHED: _launched,
    Step.CRASHED: lambda d: f"The app crashed. {d['why']}",
    Step.NOT_REPORTED: _not_reported,
    Step.KILLED: lambda d: f"iOS killed the app. {d['why']}",
    Step.REPORTED: lambda d: " ".join(("Reported to CallKit.", *d["notes"])),
    Step.RINGING: _ringing,
    Step.STATE_READ: lambda d: f"The state URL said {d['state'] or d['status']}.",
    Step.REPORT_SENT: lambda d: f"Ringline was told: {d['status']}.",
    Step.RINGS_THERE: lambda d: f"{d['user']}'s phones ring: {d['devices']}.",
    Step.STOP_LEARNED: lambda d: f"Told by {d['learned_from']}: {reason_words(d['reason'])}.",
    Step.END_TAPPED: lambda d: "Hang up was tapped." if d["was_up"] else "Decline was tapped.",
    Step.ENDED: lambda d: f"The screen is gone: {d.get('why') or reason_words(d['reason'])}.",
    Step.REFUSED: lambda d: f"Ringline refused the answer: {reason_words(d['reason'])}.",
    Step.UNREACHABLE: lambda d: f"No network: {d['doing']} did not reach Ringline.",
}


def words_for(step: Step, detail: Mapping[str, Any]) -> str:
    """A sentence for a transition. It holds no token: details of the phone's log have none."""
    told = _TOLD.get(step)
    if told is not None:
        return told(detail)
    return _PLAIN.get(step, step.value.replace("_", " "))
