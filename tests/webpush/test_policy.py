"""What a push service's answers do."""

import pytest

from app.core.push_policy import (
    Alert,
    Attempt,
    CredentialAction,
    Known,
    NoAnswer,
    Signal,
    TokenAction,
    Verdict,
)
from app.webpush.policy import react, row_of_stored


def attempt(status: int = 0, **more: object) -> Attempt:
    return Attempt(1, 10.0, status=status, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [200, 201, 202, 204, 207, 226, 299])
def test_accepted(status: int) -> None:
    reaction = react(attempt(status), Known(40.0), 0.5)
    assert (reaction.verdict, reaction.signal) == (Verdict.ACCEPTED, Signal.GOOD)


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_gone_is_retired_if_it_is_still_the_same(status: int) -> None:
    reaction = react(attempt(status, reason="subscription_gone"), Known(40.0), 0.5)
    assert (reaction.verdict, reaction.token) == (Verdict.REFUSED, TokenAction.RETIRE)
    anew = react(attempt(status), Known(40.0, token_unchanged=False), 0.5)
    assert anew.token is TokenAction.KEEP


def test_429_is_tried_once_more_when_it_says() -> None:
    reaction = react(attempt(429, retry_after=3.0), Known(40.0), 0.5)
    assert (reaction.verdict, reaction.retry_at) == (Verdict.RETRY, 13.0)
    again = react(attempt(429), Known(40.0, earlier={reaction.row: 1}), 0.5)
    assert again.verdict is Verdict.REFUSED
    late = react(attempt(429, retry_after=60.0), Known(40.0), 0.5)
    assert late.verdict is Verdict.REFUSED


@pytest.mark.parametrize("status", [500, 502, 503, 507])
def test_trouble_is_tried_again_until_the_ring_is_over(status: int) -> None:
    assert react(attempt(status), Known(40.0), 0.5).verdict is Verdict.RETRY
    assert react(attempt(status), Known(10.1), 0.5).verdict is Verdict.REFUSED


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 429, 500, 503, 0])
@pytest.mark.parametrize("burst", [False, True])
def test_no_push_service_speaks_for_the_others(status: int, burst: bool) -> None:
    """Who subscribes chooses it: it must not be able to silence an app."""
    lost = NoAnswer.LOST if status == 0 else None
    known = Known(40.0, burst=burst)
    reaction = react(attempt(status, no_answer=lost, reason=None), known, 0.5)
    assert reaction.credential is CredentialAction.KEEP
    assert reaction.signal is Signal.NOTHING
    refused = status in {401, 403} and burst
    assert reaction.alert is (Alert.CREDENTIAL_FAILING if refused else None)


def test_what_was_not_heard_is_repeated_once() -> None:
    lost = attempt(no_answer=NoAnswer.LOST)
    reaction = react(lost, Known(40.0), 0.5)
    assert reaction.verdict is Verdict.RETRY
    stored = row_of_stored(None, NoAnswer.LOST.value)
    assert stored == reaction.row
    assert react(lost, Known(40.0, earlier={stored: 1}), 0.5).verdict is Verdict.OUT_OF_TIME
