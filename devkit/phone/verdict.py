"""The words for what a client library makes of a push, and for our own facts within it."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What becomes of a push in the library's hands."""

    REPORTED = "reported"
    CRASH = "crash"
    NEVER_RINGS = "never_rings"
    KILLED = "killed_by_watchdog"


@dataclass(frozen=True, slots=True)
class OurRing:
    """Ringline's own facts beside a library's keys, as the app's code finds them. Times in ms."""

    uuid: str | None = None
    cid: str | None = None
    session_id: str | None = None
    caller_id: str | None = None
    sent_at_ms: int | None = None
    expires_at_ms: int | None = None
    state_url: str | None = None
    token: str | None = None
    is_stop: bool = False
    callkit_reason: int | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The library's doing. `uuid` is what CallKit is told, in lower case; `notes` are small faults:
    it rings, but something on the screen is wrong."""

    profile: str
    outcome: Outcome
    reason: str
    uuid: str | None = None
    caller: str | None = None
    handle: str | None = None
    video: bool = False
    ring: OurRing = OurRing()
    notes: tuple[str, ...] = ()
