"""One phone on the bench: the phone model, what Ringline sends to it, and its record with times."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from devkit.lab.fault import Fault, after
from devkit.lab.masking import masked, masked_headers, masked_payload
from devkit.lab.timestamps import Mark, Marks, uuids_in
from devkit.lab.verdicts import LIMIT, verdicts
from devkit.lab.words import QUIET, words_for
from devkit.phone import AlertPhone, AndroidPhone, Phone, Push, Step, Transition
from devkit.phone.fcm import size_of

_LINES: Final = 40
_RECENTS: Final = 20
OTHER_LIMIT: Final = 4_096
"""Bytes that Google takes in a message, keys and values; and Apple in what is no VoIP push."""

# What of a phone's log is a moment of its ring, as the page names it.
_MARKS: Final = {
    Step.RINGING: "ringing",
    Step.ALREADY_RINGING: "copy",
    Step.SILENCED: "silenced",
    Step.ANSWER_TAPPED: "tapped",
    Step.ACCEPTED: "accepted",
    Step.REFUSED: "refused",
    Step.END_TAPPED: "end_tapped",
    Step.IOS_GAVE_UP: "gave_up",
    Step.ENDED: "stopped",
}
# The same of a push that came to no ring: they have no uuid, and belong to the push before them.
_PUSH_MARKS: Final = {
    Step.CRASHED: "crashed",
    Step.NOT_REPORTED: "not_reported",
    Step.KILLED: "killed",
    Step.PUSH_NOT_WOKEN: "not_woken",
}


@dataclass(frozen=True, slots=True)
class Sends:
    """What Ringline sends to this phone's app: its own profile, another one, or a trap."""

    profile: str | None = None
    trap: str | None = None

    def as_dict(self) -> dict[str, str]:
        """`{}` when it is the right one."""
        given = {"profile": self.profile, "trap": self.trap}
        return {name: value for name, value in given.items() if value is not None}


class Handset:
    """Watches a phone and keeps what the page shows of it. `changed` is told of each transition."""

    def __init__(self, phone: Phone, changed: Callable[[], None]) -> None:
        self.phone = phone
        self.sends = Sends()
        self.marks = Marks()
        self.fault: Fault | None = None
        self._changed = changed
        self._timeline: deque[dict[str, Any]] = deque(maxlen=_LINES)
        self._names: frozenset[str] = frozenset()
        self._raw: dict[str, Any] | None = None
        self._stop: dict[str, Any] | None = None
        self._verdicts: list[dict[str, Any]] = []
        phone.observe(self._note)

    @property
    def id(self) -> str:
        """The device id, which is its name in the lab's addresses."""
        return self.phone.identity.device_id

    @property
    def platform(self) -> str:
        """`ios`, `android`, or `alerted`: an iPhone that notifications ring."""
        if isinstance(self.phone, AlertPhone):
            return "alerted"
        return "android" if isinstance(self.phone, AndroidPhone) else "ios"

    @property
    def user(self) -> str:
        """Whose phone it is."""
        return self.phone.identity.user_id

    def view(self) -> dict[str, Any]:
        """All that the page draws of this phone. No token is in it."""
        seen = self.phone.view()
        del seen["last_push"], seen["verdict"]
        seen["recents"] = seen["recents"][:_RECENTS]
        seen["kills"] = seen["kills"][-_RECENTS:]
        delivery = self.phone.inbox.delivery
        return seen | {
            "platform": self.platform,
            "library": self.phone.identity.profile,
            "app_id": self.phone.identity.app_id,
            "sends": self.sends.as_dict(),
            "next_push": {
                "duplicate": delivery.duplicate,
                "reorder": delivery.reorder,
                "held_seconds": delivery.delay,
            },
            "fault": None if self.fault is None else self.fault.as_dict(),
            "raw_push": self._raw,
            "stop_push": self._stop,
            "verdicts": self._verdicts,
            "timeline": list(self._timeline),
        }

    def _note(self, change: Transition) -> None:
        at_ns = time.time_ns()
        self._mark(change, at_ns)
        at_ms = round(at_ns / 1e6, 3)
        self.fault = after(self.fault, change.step, change.detail, at_ms)
        if change.step not in QUIET:
            words = masked(words_for(change.step, change.detail))
            self._timeline.append({"at_ms": at_ms, "step": change.step.value, "words": words})
        self._changed()

    def _mark(self, change: Transition, at_ns: int) -> None:
        step = change.step
        if step is Step.PUSH_ARRIVED and (push := self.phone.inbox.last_push) is not None:
            self._arrived(push)
        elif step is Step.REPORTED and change.uuid is not None:
            self.marks.known_as(change.uuid, self._names)
        elif step in _PUSH_MARKS:
            self.marks.add(self._names, Mark(_PUSH_MARKS[step], at_ns))
        elif step in _MARKS and change.uuid is not None:
            mark = Mark(_MARKS[step], at_ns, change.detail.get("reason"))
            self.marks.add(self.marks.names_of(change.uuid), mark)

    def _arrived(self, push: Push) -> None:
        fcm = push.kind == "fcm"
        shown = {
            "kind": push.kind,
            "headers": masked_headers(push.headers),
            "payload": masked_payload(push.payload),
            "bytes": size_of(push.payload) if fcm else len(push.payload),
            "limit": LIMIT if push.kind == "voip" else OTHER_LIMIT,
            "received_ms": round(push.received_ns / 1e6, 3),
        }
        if not push.is_ring:
            self._stop = shown
            return
        self._raw = shown
        if push.kind == "voip":
            self._verdicts = verdicts(push.payload)
        self._names = uuids_in(push.payload)
        if "push" not in {mark.what for name in self._names for mark in self.marks.of(name)}:
            self.marks.add(self._names, Mark("push", push.received_ns))
