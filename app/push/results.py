"""How tries ended, as values, and the rows that say so."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

import structlog
from prometheus_client import Counter as Metric

from app.core.frozen import frozen
from app.core.outcome import Outcome
from app.core.push import Purpose, PushState
from app.core.push_policy import Alert, CredentialAction, Reaction, TokenAction
from app.credentials.usable import Usable
from app.infra import clock
from app.infra.histograms import observe_all
from app.infra.ids import uuid7
from app.infra.observe import PUSHES, RING_TO_ACCEPTED
from app.push.claimed import ClaimedPlace, ClaimedPush
from app.push.moments import Unix
from app.push.records import PushEnd, PushTry, TakenPush

log = structlog.get_logger(__name__)
DETAILED = logging.getLogger(__name__)

LONGEST_REASON = 128


@frozen
class Result:
    """How one try at a claimed push ended; `outcome` None when nothing was sent.

    `retry_at` is loop time, with state `pending`. `alarm` is one to raise for the credential. `id`
    is that of the attempt, the same however often it is written, `made` when it ended (Unix
    seconds). A `bare` one says what became of
    the push and no more, in letters that any database can hold. A `silent` one may have
    arrived: the next try is its one repeat.
    """

    push: ClaimedPush
    state: PushState
    reason: str | None
    credential: Usable | None = None
    outcome: Outcome | None = None
    reaction: Reaction | None = None
    retry_at: float | None = None
    alarm: Alert | None = None
    bare: bool = False
    silent: bool = False
    made: float = field(default_factory=clock.unix, compare=False)
    ids: list[UUID] = field(default_factory=list, compare=False, repr=False)

    @property
    def id(self) -> UUID:
        """Made when it is first asked for, of the time at which the try ended: few are."""
        if not self.ids:
            self.ids.append(uuid7(self.made))
        return self.ids[0]

    @property
    def key(self) -> UUID:
        """The push that it is of."""
        return self.push.id

    def says_more(self) -> bool:
        """Whether something follows for the token or the credential, beside the push itself."""
        if self.bare:
            return False
        reaction = self.reaction
        return (
            self.alarm is not None
            or (self.state is PushState.ACCEPTED and self.push.healed)
            or (
                self.state is PushState.ACCEPTED
                and self.credential is not None
                and self.push.environment in self.credential.refused
            )
            or (
                reaction is not None
                and (
                    reaction.token is TokenAction.RETIRE
                    or reaction.credential is not CredentialAction.KEEP
                )
            )
        )

    def laid_bare(self) -> "Result":
        """The same without anything that others have written."""
        reason = self.reason and "".join(c if " " <= c <= "~" else "?" for c in self.reason)
        return replace(self, bare=True, reason=reason and reason[:LONGEST_REASON])


class DatabaseClock:
    """Wall time as the database has it; time left is counted on a loop's monotonic clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._turn, self._ahead = -1.0, 0.0

    def unix(self) -> float:
        """Unix seconds now."""
        return clock.unix()

    def now(self) -> datetime:
        """The same as a datetime in UTC."""
        return clock.now()

    def unix_at(self, loop_time: float) -> float:
        """Unix seconds of a moment on the loop's clock."""
        return loop_time + self.ahead()

    def ahead(self) -> float:
        """By how many seconds Unix time is ahead of the loop's."""
        now = self._loop.time()
        if now != self._turn:  # a loop may read its clock once a turn: then so is this
            self._turn, self._ahead = now, self.unix() - now
        return self._ahead

    def at(self, loop_time: float) -> datetime:
        """The same as a datetime in UTC."""
        return datetime.fromtimestamp(self.unix_at(loop_time), UTC)


def may_go_on(result: Result) -> bool:
    """Whether a ring's phone may be rung by another of its addresses: this one is refused."""
    return result.state is PushState.REFUSED and result.push.purpose is Purpose.RING


def ended(result: Result, clock: DatabaseClock) -> PushEnd:
    """What its row shall say of a result."""
    push, outcome, reaction = result.push, result.outcome, result.reaction
    heal = reaction is not None and reaction.token is TokenAction.TRY_OTHER_ENVIRONMENT
    return {
        "id": push.id,
        "worker": push.claimed_by,
        "fence": push.fence,
        "state": result.state,
        "environment": push.environment.other if heal else push.environment,
        "healed": push.healed or heal,
        "silent": result.silent,
        "due_at": None if result.retry_at is None else clock.at(result.retry_at),
        "status": outcome.code or None if outcome is not None else None,
        "reason": result.reason,
        "sent_at": clock.at(outcome.started) if outcome is not None else None,
        "answered_at": clock.at(outcome.ended) if outcome is not None else None,
        "next_id": uuid7() if may_go_on(result) else None,
        "try_id": result.id if is_told(result) else None,
    }


def tried(result: Result, clock: DatabaseClock) -> PushTry:
    """The row of a try that was made."""
    push, outcome = result.push, result.outcome
    assert outcome is not None
    return {
        "id": result.id,
        "push_id": push.id,
        "session_id": push.session_id,
        "worker_id": push.claimed_by,
        "fence": push.fence,
        "environment": push.environment,
        "started_at": clock.at(outcome.started),
        "finished_at": clock.at(outcome.ended),
        "status": outcome.code or None,
        "reason": result.reason,
        "unique_id": None if result.bare else outcome.unique_id,
    }


def is_told(result: Result) -> bool:
    """Whether the push's own row says all that there is of a try: it was the first, and taken."""
    outcome = result.outcome
    if outcome is None or result.state is not PushState.ACCEPTED or result.push.attempts > 1:
        return False
    return result.bare or outcome.unique_id is None


def is_taken_in_batch(result: Result) -> bool:
    """Whether a place's batch can say all of it: taken as it was asked for, at the first try."""
    push = result.push
    return isinstance(push, ClaimedPlace) and is_told(result) and not push.healed


def is_plainly_taken(result: Result) -> bool:
    """Whether of its push's row nothing changes but that it was accepted, and when."""
    return is_told(result) and result.reason is None and not (result.push.healed or result.silent)


def taken(result: Result, clock: DatabaseClock) -> TakenPush:
    """What its row shall say of one that `is_plainly_taken`."""
    push, outcome = result.push, result.outcome
    assert outcome is not None
    sent, answered = clock.unix_at(outcome.started), clock.unix_at(outcome.ended)
    return push.id, push.fence, outcome.code or None, sent, answered


@lru_cache(maxsize=1_024)
def _count(purpose: str, outcome: str, reason: str) -> Metric:
    return PUSHES.labels(purpose, outcome, reason)  # to look it up costs more than to count


def measure(
    results: Sequence[Result], states: Mapping[UUID, PushState | None], clock: DatabaseClock
) -> None:
    """The metrics of tries that were written; `states`: what became of their pushes."""
    counts: Counter[tuple[str, str, str]] = Counter()
    waits, begun, ahead = [], Unix(), clock.ahead()
    for result in results:
        push, outcome = result.push, result.outcome
        if push.id not in states:
            continue
        counts[push.purpose, result.state, result.reason or ""] += 1
        if (
            push.purpose is Purpose.RING
            and outcome is not None
            and states[push.id] is PushState.ACCEPTED
        ):
            waits.append(max(0.0, outcome.ended + ahead - begun.of(push.created_at)))
    for labels, count in counts.items():
        _count(*labels).inc(count)
    observe_all(RING_TO_ACCEPTED, waits)


def narrate(result: Result, state: PushState | None) -> None:
    """A log line of a try; of the token its last four digits only.

    A push that was taken gets its line when all is told (`debug`): at rest there is a line for each
    anyhow, and under load a thousand a second say less than a count.
    """
    if state is PushState.ACCEPTED and not DETAILED.isEnabledFor(logging.DEBUG):
        return
    push, outcome = result.push, result.outcome
    log.log(
        logging.DEBUG if state is PushState.ACCEPTED else logging.INFO,
        "push",
        push=str(push.id),
        ring=str(push.ring),
        purpose=push.purpose,
        token=f"...{push.token[-4:]}",
        environment=push.environment,
        attempt=push.attempts,
        outcome=result.state,
        status=outcome.code if outcome is not None else None,
        reason=result.reason,
        cause=outcome.cause if outcome is not None else None,
        milliseconds=round((outcome.ended - outcome.started) * 1000, 1) if outcome else None,
        fenced=state is None,
    )
