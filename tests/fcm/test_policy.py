"""The table of Google's answers, row by row, and what must hold for any answer at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.push_policy import (
    Alert,
    Attempt,
    CredentialAction,
    Known,
    NoAnswer,
    Reaction,
    Signal,
    TokenAction,
    Verdict,
)
from app.fcm.answer_table import BAD_TOKEN, TABLE
from app.fcm.policy import react, row_of_stored

NOW, DEADLINE = 1_000.0, 1_045.0


def reaction(status: int, reason: str | None, *, number: int = 1, **known: object) -> Reaction:
    fields = {name: known.pop(name) for name in ("retry_after", "no_answer") if name in known}
    attempt = Attempt(number, NOW, status, reason, **fields)  # type: ignore[arg-type]
    return react(attempt, Known(DEADLINE, **known), 0.5)  # type: ignore[arg-type]


def test_taken() -> None:
    assert reaction(200, None).verdict is Verdict.ACCEPTED


def test_unregistered_retires_the_token_that_was_sent_to() -> None:
    assert reaction(404, "UNREGISTERED").token is TokenAction.RETIRE
    assert reaction(404, "UNREGISTERED", token_unchanged=False).token is TokenAction.KEEP
    assert reaction(404, None).token is TokenAction.KEEP  # a 404 alone proves nothing


def test_one_strange_project_is_the_phones_and_many_are_the_credentials() -> None:
    one = reaction(403, "SENDER_ID_MISMATCH")
    assert (one.credential, one.token) == (CredentialAction.KEEP, TokenAction.KEEP)
    assert one.other_credential
    many = reaction(403, "SENDER_ID_MISMATCH", burst=True)
    assert many.credential is CredentialAction.STOP_TOPIC
    assert many.alert is Alert.TOPIC_REFUSED


def test_a_token_that_is_none_is_retired_once_the_credential_has_worked() -> None:
    assert reaction(400, BAD_TOKEN).token is TokenAction.RETIRE
    assert reaction(400, BAD_TOKEN, may_retire=False).token is TokenAction.KEEP
    burst = reaction(400, BAD_TOKEN, burst=True)
    assert (burst.token, burst.alert) == (TokenAction.KEEP, Alert.BAD_TOKEN_BURST)


def test_another_wrong_field_is_our_bug() -> None:
    for reason in ("INVALID_ARGUMENT", "INVALID_ARGUMENT message.android.ttl"):
        found = reaction(400, reason)
        assert (found.verdict, found.token) == (Verdict.REFUSED, TokenAction.KEEP)
        assert found.alert in {Alert.OUR_BUG, Alert.UNKNOWN_ANSWER}


def test_a_quota_waits_as_long_as_it_says_and_once() -> None:
    found = reaction(429, "QUOTA_EXCEEDED", retry_after=7.0)
    assert (found.verdict, found.retry_at) == (Verdict.RETRY, NOW + 7)
    assert reaction(429, "QUOTA_EXCEEDED", earlier={"quota_exceeded": 1}).retry_at is None
    assert reaction(429, "QUOTA_EXCEEDED", retry_after=60.0).verdict is Verdict.REFUSED


@pytest.mark.parametrize("reason", ["QUOTA_EXCEEDED", "RESOURCE_EXHAUSTED", None])
def test_a_quota_that_does_not_say_how_long_waits_a_minute(reason: str | None) -> None:
    assert reaction(429, reason).verdict is Verdict.REFUSED  # this ring is over by then
    attempt = Attempt(1, NOW, 429, reason)
    assert react(attempt, Known(NOW + 180), 0.5).retry_at == NOW + 60


def test_an_access_token_is_fetched_anew_once_and_then_the_credential_is_stopped() -> None:
    assert reaction(401, "UNAUTHENTICATED").verdict is Verdict.RETRY
    again = reaction(401, "UNAUTHENTICATED", earlier={"access_token_refused": 1})
    assert again.credential is CredentialAction.STOP


def test_the_token_endpoints_word_stops_the_credential() -> None:
    found = reaction(0, "invalid_grant", no_answer=NoAnswer.NEVER_SENT)
    assert (found.credential, found.signal) == (CredentialAction.STOP, Signal.REFUSED)
    assert reaction(0, None, no_answer=NoAnswer.NEVER_SENT).credential is CredentialAction.KEEP


@pytest.mark.parametrize(
    ("status", "reason"), [(500, "INTERNAL"), (502, None), (503, "UNAVAILABLE"), (504, None)]
)
def test_trouble_is_tried_again_until_the_ring_is_over(status: int, reason: str | None) -> None:
    for number in (1, 2, 9):
        found = reaction(status, reason, number=number)
        assert (found.verdict, found.signal) == (Verdict.RETRY, Signal.TROUBLE)
        assert (found.token, found.credential) == (TokenAction.KEEP, CredentialAction.KEEP)
    late = react(Attempt(1, DEADLINE - 0.1, status, reason), Known(DEADLINE), 0.5)
    assert late.verdict is Verdict.REFUSED


@pytest.mark.parametrize("reason", TABLE.by_reason)
def test_a_stored_attempt_is_counted_by_its_row(reason: str) -> None:
    row = TABLE.by_reason[reason]
    assert row_of_stored(row.status or None, reason) == row.name


@given(
    status=st.integers(100, 999),
    reason=st.none() | st.sampled_from(sorted(TABLE.by_reason)) | st.text(max_size=20),
    retry_after=st.none() | st.floats(0, 1e5),
    number=st.integers(1, 50),
)
def test_any_answer_is_judged(
    status: int, reason: str | None, retry_after: float | None, number: int
) -> None:
    found = reaction(status, reason, number=number, retry_after=retry_after)
    assert (found.retry_at is not None) == (found.verdict is Verdict.RETRY)
    assert found.retry_at is None or NOW < found.retry_at < DEADLINE
    if found.token is TokenAction.RETIRE:
        assert reason in {"UNREGISTERED", BAD_TOKEN}
