"""What the parts of one phone share, and how the server's words become CallKit's reasons."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from devkit.phone.api import Answer, Api
from devkit.phone.callkit import CallKit, EndedReason
from devkit.phone.log import Log, Step
from devkit.phone.pushkit import Conditions
from devkit.phone.settings import Identity, Timing

# What a call's or a problem's `reason` is to CallKit, when no integer comes with it.
REASONS: Final = {
    "cancelled": EndedReason.REMOTE_ENDED,
    "completed": EndedReason.REMOTE_ENDED,
    "ended_by_server": EndedReason.REMOTE_ENDED,
    "alone": EndedReason.REMOTE_ENDED,
    "max_duration": EndedReason.REMOTE_ENDED,
    "missed": EndedReason.UNANSWERED,
    "answered_elsewhere": EndedReason.ANSWERED_ELSEWHERE,
    "accepted": EndedReason.ANSWERED_ELSEWHERE,
    "declined": EndedReason.DECLINED_ELSEWHERE,
    "busy": EndedReason.DECLINED_ELSEWHERE,
    "failed": EndedReason.FAILED,
}
GONE: Final = (404, 410)


@dataclass(slots=True)
class Kit:
    """One phone's parts. `settled`: rings known to be over, by uuid, as an app keeps on disk."""

    identity: Identity
    timing: Timing
    conditions: Conditions
    callkit: CallKit
    api: Api
    log: Log
    settled: dict[str, EndedReason] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def now_ms(self) -> int:
        """Unix milliseconds of the phone's clock."""
        return self.log.clock.wall_ms()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run work beside; a fault in it is recorded, not lost."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.log.note(Step.FAULT, error=repr(task.exception()))


def told(answer: Answer) -> EndedReason | None:
    """Why a ring is over, from an answer; None if it says nothing of the kind."""
    ring = answer.body.get("ring")
    number = ring.get("callkit_reason") if isinstance(ring, dict) else None
    reason = EndedReason.of(answer.body.get("callkit_reason") if number is None else number)
    if reason is not None:
        return reason
    if answer.code == "answered_elsewhere":
        return EndedReason.ANSWERED_ELSEWHERE
    over = answer.status in GONE or answer.body.get("state") == "ended"
    if over:
        return REASONS.get(answer.reason or answer.code or "", EndedReason.REMOTE_ENDED)
    if isinstance(ring, dict) and isinstance(ring.get("state"), str):
        return REASONS.get(ring["state"])
    return None
