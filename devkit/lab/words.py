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
    Step.REGISTERED: "The app registered its tokens at Ringline.",
    Step.REGISTRATION_FAILED: "The app could not register at Ringline.",
    Step.UNREGISTERED: "Ringline forgot this device.",
    Step.PUSH_NOT_WOKEN: "iOS did not wake the app: it failed to report too often.",
    Step.PUSH_IGNORED: "A push that is no ring was passed over.",
    Step.LAUNCHED: "iOS started the killed app for the push: its native code only.",
    Step.ALREADY_RINGING: "A copy: CallKit shows this call already.",
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
    words = [f"app {detail['app']}", f"iOS {detail['ios']}"]
    words += ["flight mode"] if detail["flight_mode"] else []
    words += ["Do Not Disturb"] if detail["do_not_disturb"] else []
    return "Now: " + ", ".join(words) + "."


def _arrived(detail: Mapping[str, Any]) -> str:
    kind = "VoIP" if detail["kind"] == "voip" else detail["kind"]
    return f"A {kind} push of {detail['size']:,} bytes came, {max(detail['age_ms'], 0)} ms old."


def _not_reported(detail: Mapping[str, Any]) -> str:
    what = "iOS will kill the app." if detail["must_report"] else "iOS lets it pass."
    return f"No call was reported: {what} {detail['why']}"


_TOLD: Final[dict[Step, Callable[[Mapping[str, Any]], str]]] = {
    Step.CONDITIONS: _conditions,
    Step.INSTALLED: lambda d: f"The app was installed anew, built with {d['profile']}.",
    Step.PUSH_ARRIVED: _arrived,
    Step.PUSH_HELD: lambda d: f"A {d['kind']} push waits on its way.",
    Step.CRASHED: lambda d: f"The app crashed. {d['why']}",
    Step.NOT_REPORTED: _not_reported,
    Step.KILLED: lambda d: f"iOS killed the app. {d['why']}",
    Step.REPORTED: lambda d: " ".join(("Reported to CallKit.", *d["notes"])),
    Step.RINGING: lambda d: f"The call screen rings: {d['caller']}.",
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
