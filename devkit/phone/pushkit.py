"""A model of iOS and PushKit around one app: who is woken, who must report, who is killed.

Source: "PKPushRegistryDelegate" and "PKVoIPPushMetadata" of Apple's documentation, and Apple's
engineers on the developer forums. Where Apple gives no figure ours is named as a model's.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

# iOS looks when the delegate returns and again after about this long, and then kills.
WATCHDOG_SECONDS: Final = 7.0
# "Repeatedly failing to report" ends in no more pushes. Apple gives no number; the model's is 3.
FAILURES_BEFORE_SILENCE: Final = 3
# From here on an app may be excused from reporting (PKVoIPPushMetadata.mustReport).
EXCUSES_SINCE: Final = (26, 4)
# How old a push is when iOS calls it old. Apple gives no number; the model's is a minute.
OLD_PUSH_MS: Final = 60_000


class App(StrEnum):
    """Where the app is. Killed: a push starts its native code, but not its JavaScript or Dart."""

    FOREGROUND = "foreground"
    LOCKED = "locked"
    KILLED = "killed"


@dataclass(slots=True)
class Conditions:
    """What the lab's switches set. `ios` is (major, minor).

    `late_delivery`: pushes sent while in flight mode come when it ends, as is reported in the
    field even for an expiration of 0; without it they are lost.
    """

    app: App = App.LOCKED
    flight_mode: bool = False
    late_delivery: bool = True
    ios: tuple[int, int] = (26, 4)

    def as_dict(self) -> dict[str, Any]:
        """As JSON, for a page that draws it."""
        return {
            "app": self.app.value,
            "flight_mode": self.flight_mode,
            "late_delivery": self.late_delivery,
            "ios": f"{self.ios[0]}.{self.ios[1]}",
        }


def must_report(conditions: Conditions, *, on_a_call: bool, age_ms: int) -> bool:
    """PKVoIPPushMetadata.mustReport: always true before iOS 26.4; from then on false in the
    foreground, on a call, or for an old push."""
    if conditions.ios < EXCUSES_SINCE:
        return True
    excused = conditions.app is App.FOREGROUND or on_a_call or age_ms > OLD_PUSH_MS
    return not excused


@dataclass(slots=True)
class PushKit:
    """What iOS remembers of an app's conduct."""

    failures: int = 0
    kills: list[str] = field(default_factory=list)

    @property
    def silenced(self) -> bool:
        """Whether iOS has stopped waking the app for VoIP pushes."""
        return self.failures >= FAILURES_BEFORE_SILENCE

    def failed(self, why: str) -> None:
        """The app was killed for a push that it did not report."""
        self.failures += 1
        self.kills.append(why)

    def reported(self) -> None:
        """A push was reported: the count of failures in a row begins anew."""
        self.failures = 0

    def reinstalled(self) -> None:
        """What it takes to be woken again."""
        self.failures = 0
