"""What is wrong with a phone's app, as its screen says it: crashed, watched, killed, not woken."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from devkit.phone import App, Step
from devkit.phone.pushkit import FAILURES_BEFORE_SILENCE, WATCHDOG_SECONDS

Kind = Literal["crashed", "watched", "passed", "killed", "asleep"]

_SILENT: Final = (
    f"After {FAILURES_BEFORE_SILENCE} such pushes in a row the model's iOS wakes the app no more; "
    "installing it anew mends that."
)
_WATCHED: Final = f"iOS looks again about {WATCHDOG_SECONDS:.0f} s after the push, and then kills."
_PASSED: Final = "iOS 26.4 and later does not insist: in the foreground, on a call, or an old push."
_ASLEEP: Final = "It left too many pushes unreported. Choose a library to install it anew."


@dataclass(frozen=True, slots=True)
class Fault:
    """`watched`: nothing was reported and iOS is still counting; `passed`: it need not be."""

    kind: Kind
    title: str
    why: str
    note: str
    at_ms: float

    def as_dict(self) -> dict[str, Any]:
        """As the page draws it."""
        return {
            "kind": self.kind,
            "title": self.title,
            "why": self.why,
            "note": self.note,
            "at_ms": self.at_ms,
        }


def after(fault: Fault | None, step: Step, detail: Mapping[str, Any], at_ms: float) -> Fault | None:
    """The fault on the screen once this has happened."""
    match step:
        case Step.CRASHED:
            return Fault("crashed", "The app crashed", detail["why"], _SILENT, at_ms)
        case Step.NOT_REPORTED if detail["must_report"]:
            return Fault("watched", "No call was reported", detail["why"], _WATCHED, at_ms)
        case Step.NOT_REPORTED:
            return Fault("passed", "No call was reported", detail["why"], _PASSED, at_ms)
        case Step.KILLED:
            return _killed(fault, detail, at_ms)
        case Step.PUSH_NOT_WOKEN:
            return Fault("asleep", "iOS no longer wakes this app", _ASLEEP, _SILENT, at_ms)
        case Step.RINGING | Step.SILENCED | Step.INSTALLED:
            return None
        case Step.CONDITIONS if detail["app"] != App.KILLED.value:
            return None
    return fault


def _killed(fault: Fault | None, detail: Mapping[str, Any], at_ms: float) -> Fault:
    if fault is not None and fault.kind == "crashed":
        # A crash takes the app along at once: what was wrong is the crash.
        return replace(fault, at_ms=at_ms)
    note = f"The push was not reported to CallKit, and iOS looked. {_SILENT}"
    return Fault("killed", "iOS killed the app", detail["why"], note, at_ms)
