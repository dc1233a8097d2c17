"""The spans of pushes in a worker's hands: how long a ring waited for it, the claim, each push."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from app.core.push import Purpose, PushState
from app.infra import clock
from app.infra.boottime import boottime
from app.infra.traces import Attributes, Span, Traces
from app.push.claimed import CallFacts, Claim, ClaimedPush
from app.push.results import Result

MOST_OPEN: Final = 20_000
"""Spans of pushes that have not ended; beyond it the oldest is never sent."""

GOOD: Final = frozenset({PushState.ACCEPTED, PushState.DROPPED, PushState.PENDING})


class PushSpans:
    """A span for each claimed push of a traced call, until it has a result."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces
        self._open: dict[Claim, Span] = {}

    def claimed(
        self, pushes: Sequence[ClaimedPush], calls: Mapping[UUID, CallFacts], read: float
    ) -> None:
        """These are in hand now, by a statement that began at `read` (`boottime()`)."""
        now = clock.unix()
        begun = now - (boottime() - read)
        for push in pushes:
            call = calls.get(push.session_id)
            if call is None or call.traceparent is None:
                continue
            if push.call is not None:
                self._claim(push, call.traceparent, begun, now)
            said = _attributes(push)
            self._open[push.claim] = self._traces.start(
                "push", "CLIENT", call.traceparent, said, at=now
            )
        while len(self._open) > MOST_OPEN:
            del self._open[next(iter(self._open))]

    def _claim(self, push: ClaimedPush, under: str, begun: float, now: float) -> None:
        """Once for each call of a claim: the hint, whichever way it came or did not, and the claim.

        The hint lasts from the commit to the claim, for what is claimed for the first time.
        """
        if push.attempts == 1 and push.purpose is Purpose.RING:
            committed = min(push.created_at.timestamp(), begun)
            self._traces.start("hint", "CONSUMER", under, at=committed).end(at=begun)
        self._traces.start("claim", "INTERNAL", under, at=begun).end(at=now)

    def forgotten(self, forget: Callable[[Claim], None]) -> Callable[[Claim], None]:
        """`forget`, of which traces hear."""

        def both(claim: Claim) -> None:
            self._open.pop(claim, None)
            forget(claim)

        return both

    def finished(self, finish: Callable[[Result], None]) -> Callable[[Result], None]:
        """`finish`, of which traces hear."""

        def both(result: Result) -> None:
            span = self._open.pop(result.push.claim, None)
            if span is not None:
                span.set({"ringline.outcome": result.state.value})
                if result.reason is not None:
                    span.set({"ringline.reason": result.reason})
                if result.outcome is not None and result.outcome.code:
                    span.set({"http.response.status_code": result.outcome.code})
                span.end(failed=result.state not in GOOD)
            finish(result)

        return both


def _attributes(push: ClaimedPush) -> Attributes:
    return {
        "ringline.session_id": str(push.session_id),
        "ringline.ring": str(push.ring),
        "ringline.purpose": push.purpose.value,
        "ringline.token_kind": push.kind.value,
        "ringline.attempt": push.attempts,
    }
