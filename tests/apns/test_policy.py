"""The table of Apple's answers, row by row, and what must hold for any answer at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.apns.answer_table import BY_REASON, TABLE
from app.apns.policy import connection_after, react, row_of_stored
from app.core.push_policy import (
    Alert,
    Attempt,
    ConnectionAction,
    CredentialAction,
    Known,
    NoAnswer,
    OtherEnvironment,
    ProviderTokenAction,
    Reaction,
    Signal,
    TokenAction,
    Verdict,
    delay_before_retry,
)

NOW, DEADLINE = 1_000.0, 1_045.0


OF_ATTEMPT = ("no_answer", "may_have_reached", "retry_after", "gone_at", "provider_token_age")


def after(status: int, reason: str | None = None, **given) -> Reaction:
    """What follows; `repeats` are earlier attempts that ended in the same row."""
    number, now = given.pop("attempt", 1), given.pop("now", NOW)
    random, repeats = given.pop("random", 0.5), given.pop("repeats", 0)
    facts = {name: given.pop(name) for name in OF_ATTEMPT if name in given}
    attempt = Attempt(number, now, status, reason, **facts)
    row = react(attempt, Known(DEADLINE), 0.5).row
    known = Known(**({"deadline": DEADLINE, "earlier": {row: repeats}} | given))
    return react(attempt, known, random)


def test_200_is_accepted() -> None:
    assert after(200) == Reaction(Verdict.ACCEPTED, "accepted", signal=Signal.GOOD)


@pytest.mark.parametrize("reason", ["BadDeviceToken", "DeviceTokenNotForTopic"])
class TestRefusedDevice:
    def test_the_other_environment_is_tried_at_once(self, reason: str) -> None:
        found = after(400, reason, other_environment=OtherEnvironment.UNTRIED)
        assert (found.verdict, found.retry_at) == (Verdict.RETRY, NOW)
        assert found.token is TokenAction.TRY_OTHER_ENVIRONMENT

    def test_refused_by_both_it_is_retired(self, reason: str) -> None:
        found = after(400, reason, other_environment=OtherEnvironment.REFUSED)
        assert (found.verdict, found.token) == (Verdict.REFUSED, TokenAction.RETIRE)

    def test_without_another_environment_there_is_no_proof(self, reason: str) -> None:
        found = after(400, reason, other_environment=OtherEnvironment.UNAVAILABLE)
        assert (found.verdict, found.token) == (Verdict.REFUSED, TokenAction.KEEP)

    def test_a_burst_retires_nobody_tries_nothing_and_alarms(self, reason: str) -> None:
        for other in OtherEnvironment:
            found = after(400, reason, other_environment=other, burst=True)
            assert found == Reaction(Verdict.REFUSED, "device_refused", alert=Alert.BAD_TOKEN_BURST)

    def test_a_credential_never_seen_to_work_retires_nobody(self, reason: str) -> None:
        found = after(400, reason, other_environment=OtherEnvironment.REFUSED, may_retire=False)
        assert found.token is TokenAction.KEEP

    def test_past_the_deadline_nothing_is_tried(self, reason: str) -> None:
        found = after(400, reason, other_environment=OtherEnvironment.UNTRIED, now=DEADLINE)
        assert (found.verdict, found.token) == (Verdict.REFUSED, TokenAction.KEEP)


@pytest.mark.parametrize("reason", ["Unregistered", "ExpiredToken", None, "NewReason"])
class TestGone:
    def test_later_than_the_registration_it_is_retired(self, reason: str | None) -> None:
        found = after(410, reason, gone_at=1_700_000_000_001, registered_at=1_700_000_000_000)
        assert (found.verdict, found.token) == (Verdict.REFUSED, TokenAction.RETIRE)

    @pytest.mark.parametrize(
        "facts",
        [
            {"gone_at": 1_700_000_000_000, "registered_at": 1_700_000_000_000},
            {"gone_at": 1_600_000_000_000, "registered_at": 1_700_000_000_000},
            {"gone_at": None, "registered_at": 1_700_000_000_000},
            {"gone_at": 1_700_000_000_001, "registered_at": None},
            {"gone_at": 2_000, "registered_at": 1_000, "token_unchanged": False},
        ],
    )
    def test_without_proof_it_is_kept(self, reason: str | None, facts: dict) -> None:
        found = after(410, reason, **facts)
        assert (found.verdict, found.token) == (Verdict.REFUSED, TokenAction.KEEP)


@pytest.mark.parametrize("reason", ["BadTopic", "MissingTopic", "TopicDisallowed"])
def test_a_refused_topic_stops_the_credential_for_this_bundle(reason: str) -> None:
    found = after(400, reason)
    assert found.verdict is Verdict.REFUSED
    assert found.credential is CredentialAction.STOP_TOPIC
    assert found.alert is Alert.TOPIC_REFUSED
    assert found.token is TokenAction.KEEP


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        *((400, x) for x in ("BadMessageId", "BadCollapseId", "BadExpirationDate", "BadPriority")),
        *((400, x) for x in ("DuplicateHeaders", "InvalidPushType", "PayloadEmpty")),
        (400, "MissingDeviceToken"),
        (404, "BadPath"),
        (405, "MethodNotAllowed"),
        (413, "PayloadTooLarge"),
        (404, None),
        (405, None),
        (413, None),
    ],
)
def test_a_bug_of_ours_is_final_and_costs_nobody_a_token(status: int, reason: str | None) -> None:
    found = after(status, reason)
    assert found == Reaction(Verdict.REFUSED, found.row, alert=Alert.OUR_BUG)


def test_idle_timeout_takes_a_new_connection() -> None:
    found = after(400, "IdleTimeout")
    assert found.verdict is Verdict.RETRY
    assert found.connection is ConnectionAction.REPLACE


@pytest.mark.parametrize(
    ("reason", "connection"),
    [
        ("BadCertificate", ConnectionAction.REPLACE),
        ("BadCertificateEnvironment", ConnectionAction.REPLACE),
        ("InvalidProviderToken", ConnectionAction.KEEP),
        ("MissingProviderToken", ConnectionAction.KEEP),
        ("Forbidden", ConnectionAction.KEEP),
        ("BadEnvironmentKeyInToken", ConnectionAction.KEEP),
        ("BadEnvironmentKeyIdInToken", ConnectionAction.KEEP),
    ],
)
def test_a_refused_credential_is_stopped(reason: str, connection: ConnectionAction) -> None:
    found = after(403, reason)
    assert found.verdict is Verdict.REFUSED
    assert found.credential is CredentialAction.STOP
    assert found.alert is Alert.CREDENTIAL_REFUSED
    assert found.signal is Signal.REFUSED
    assert found.connection is connection is connection_after(403, reason)


def test_a_reason_from_a_goaway_counts_as_if_it_were_answered() -> None:
    found = after(0, "BadCertificate", no_answer=NoAnswer.NEVER_SENT)
    assert (found.verdict, found.credential) == (Verdict.REFUSED, CredentialAction.STOP)
    other = after(0, "BadDeviceToken", no_answer=NoAnswer.NEVER_SENT)
    assert (other.verdict, other.token) == (Verdict.RETRY, TokenAction.KEEP)


class TestProviderTokens:
    def test_an_old_one_is_signed_anew_and_tried_once(self) -> None:
        found = after(403, "ExpiredProviderToken", provider_token_age=1_500)
        assert found.verdict is Verdict.RETRY
        assert found.provider_token is ProviderTokenAction.SIGN_ANEW
        assert found.connection is ConnectionAction.REPLACE
        again = after(403, "ExpiredProviderToken", attempt=2, repeats=1, provider_token_age=1_500)
        assert again.verdict is Verdict.REFUSED

    @pytest.mark.parametrize("age", [-7_200, 0, 1_199])
    def test_a_young_one_means_a_wrong_clock(self, age: float) -> None:
        found = after(403, "ExpiredProviderToken", provider_token_age=age)
        assert found.verdict is Verdict.REFUSED
        assert found.alert is Alert.CLOCK_SKEW
        assert found.provider_token is ProviderTokenAction.KEEP
        assert found.connection is ConnectionAction.REPLACE
        assert found.credential is CredentialAction.KEEP

    def test_too_many_updates_signs_nothing(self) -> None:
        found = after(429, "TooManyProviderTokenUpdates")
        assert found.provider_token is ProviderTokenAction.KEEP
        assert found.connection is ConnectionAction.REPLACE
        assert found.alert is Alert.TOKEN_UPDATES_THROTTLED
        assert found.verdict is Verdict.RETRY

    def test_an_unrelated_key_id_is_tried_once_on_a_new_connection(self) -> None:
        found = after(403, "UnrelatedKeyIdInToken")
        assert (found.verdict, found.connection) == (Verdict.RETRY, ConnectionAction.REPLACE)
        again = after(403, "UnrelatedKeyIdInToken", attempt=2, repeats=1)
        assert again.verdict is Verdict.REFUSED
        late = after(403, "UnrelatedKeyIdInToken", attempt=5, repeats=0)
        assert late.verdict is Verdict.RETRY


class TestTooManyRequests:
    def test_retry_after_is_honoured(self) -> None:
        assert after(429, "TooManyRequests", retry_after=7).retry_at == NOW + 7

    def test_beyond_the_ring_there_is_no_retry(self) -> None:
        assert after(429, "TooManyRequests", retry_after=45).verdict is Verdict.REFUSED

    def test_there_is_one_retry(self) -> None:
        assert after(429, "TooManyRequests", attempt=2, repeats=1).verdict is Verdict.REFUSED
        assert after(429, None).verdict is Verdict.RETRY


@pytest.mark.parametrize(
    ("status", "reason", "connection"),
    [
        (500, "InternalServerError", ConnectionAction.SPARE),
        (503, "ServiceUnavailable", ConnectionAction.SPARE),
        (503, "Shutdown", ConnectionAction.REPLACE),
        (500, None, ConnectionAction.SPARE),
        (502, None, ConnectionAction.SPARE),
        (599, "SomethingNew", ConnectionAction.SPARE),
    ],
)
def test_trouble_at_the_server_is_retried_elsewhere(
    status: int, reason: str | None, connection: ConnectionAction
) -> None:
    found = after(status, reason)
    assert (found.verdict, found.connection) == (Verdict.RETRY, connection)
    assert found.signal is Signal.TROUBLE


def test_a_503_may_ask_for_patience_but_not_end_the_ring() -> None:
    assert after(503, "ServiceUnavailable", retry_after=3).retry_at == NOW + 3
    found = after(503, "ServiceUnavailable", retry_after=60)
    assert found.retry_at == pytest.approx(NOW + 0.1)


@pytest.mark.parametrize("kind", list(NoAnswer))
def test_no_answer_is_tried_again_before_the_deadline(kind: NoAnswer) -> None:
    found = after(0, no_answer=kind)
    assert (found.verdict, found.retry_at) == (Verdict.RETRY, pytest.approx(NOW + 0.1))
    assert found.other_credential
    late = after(0, no_answer=kind, now=DEADLINE - 0.01)
    assert (late.verdict, late.retry_at) == (Verdict.OUT_OF_TIME, None)


def test_what_may_have_arrived_is_repeated_once_and_what_cannot_have_as_often_as_need_be() -> None:
    for kind in (NoAnswer.LOST, NoAnswer.OUT_OF_TIME):
        found = after(0, no_answer=kind, attempt=5, repeats=1)
        assert (found.row, found.verdict) == ("silent", Verdict.OUT_OF_TIME)
        assert not found.other_credential
    for sent in ({"no_answer": NoAnswer.NEVER_SENT}, {"no_answer": NoAnswer.LOST}):
        found = after(0, attempt=50, repeats=49, may_have_reached=False, **sent)
        assert (found.row, found.verdict) == ("unsent", Verdict.RETRY)


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 418, 451, 499, 600, 999])
def test_an_unknown_answer_is_final_and_reported(status: int) -> None:
    found = after(status, "NeverHeardOf")
    assert found == Reaction(Verdict.REFUSED, "unknown", alert=Alert.UNKNOWN_ANSWER)


@pytest.mark.parametrize("reason", [None, "NeverHeardOf", "BadDeviceToken"])
def test_an_unknown_403_deserves_one_try_by_another_credential(reason: str | None) -> None:
    found = after(403, reason)
    assert (found.verdict, found.alert) == (Verdict.REFUSED, Alert.UNKNOWN_ANSWER)
    assert (found.signal, found.other_credential) == (Signal.UNEXPLAINED, True)
    assert not after(403, reason, repeats=1).other_credential
    assert not after(403, reason, now=DEADLINE).other_credential


def test_a_stopped_credential_leaves_the_push_to_any_other() -> None:
    for reason in ("InvalidProviderToken", "BadCertificate"):
        assert after(403, reason, repeats=3).other_credential


def test_once_is_once_whatever_comes_in_between() -> None:
    """429 and 503 in turn: each row has its own count over all attempts."""
    earlier: dict[str, int] = {}
    verdicts = []
    for number in range(1, 9):
        status = 429 if number % 2 else 503
        attempt = Attempt(number, NOW, status)
        found = react(attempt, Known(DEADLINE, earlier=earlier), 0.5)
        earlier[found.row] = earlier.get(found.row, 0) + 1
        verdicts.append((status, found.verdict))
    assert [v for status, v in verdicts if status == 429] == [Verdict.RETRY] + [Verdict.REFUSED] * 3
    assert {v for status, v in verdicts if status == 503} == {Verdict.RETRY}


@pytest.mark.parametrize(
    ("status", "reason", "row"),
    [
        (429, None, "too_many_requests"),
        (429, "TooManyRequests", "too_many_requests"),
        (503, "Shutdown", "shutdown"),
        (403, "SomethingNew", "forbidden"),
        (None, "never_sent", "unsent"),
        (None, "lost", "silent"),
        (None, "out_of_time", "silent"),
        (None, "BadCertificate", "certificate_refused"),
        (None, None, "unsent"),
    ],
)
def test_an_earlier_attempt_is_counted_by_what_is_stored_of_it(
    status: int | None, reason: str | None, row: str
) -> None:
    assert row_of_stored(status, reason) == row


def test_rows_are_told_apart_by_their_names() -> None:
    rows = {
        TABLE.row_for(status, reason, None) for status in range(200, 600) for reason in BY_REASON
    }
    assert len({row.name for row in rows}) == len(rows)


def test_a_known_reason_with_another_status_goes_by_its_status() -> None:
    assert after(503, "BadDeviceToken", other_environment=OtherEnvironment.REFUSED).verdict is (
        Verdict.RETRY
    )
    assert after(400, "Unregistered", gone_at=2, registered_at=1).token is TokenAction.KEEP


def test_the_ladder() -> None:
    assert [delay_before_retry(n, 0.5) for n in range(7)] == [0.1, 0.1, 0.25, 0.5, 1, 1, 1]
    assert delay_before_retry(1, 0.0) == pytest.approx(0.075)
    assert delay_before_retry(4, 0.999_999) == pytest.approx(1.25, abs=1e-4)


attempts = st.fixed_dictionaries(
    {
        "number": st.integers(-1, 2**40),
        "ended": st.floats(0, 2e9),
        "may_have_reached": st.booleans(),
        "retry_after": st.none() | st.floats(0, 1e9),
        "gone_at": st.none() | st.integers(0, 2**53),
        "provider_token_age": st.none() | st.floats(-1e9, 1e9),
    }
)
facts = st.fixed_dictionaries(
    {
        "deadline": st.floats(0, 2e9),
        "earlier": st.dictionaries(
            st.sampled_from([row.name for row in BY_REASON.values()]), st.integers(0, 100)
        ),
        "registered_at": st.none() | st.integers(0, 2**53),
        "token_unchanged": st.booleans(),
        "other_environment": st.sampled_from(OtherEnvironment),
        "burst": st.booleans(),
        "may_retire": st.booleans(),
    }
)
reasons = st.none() | st.text(max_size=20) | st.sampled_from(sorted(BY_REASON))
ends = st.tuples(st.integers(-1, 70_000) | st.integers(200, 599), st.none()) | st.tuples(
    st.just(0), st.sampled_from(NoAnswer)
)


@given(ends, reasons, attempts, facts, st.floats(0, 1, exclude_max=True))
def test_whatever_comes_the_reaction_is_sound(end, reason, attempt, facts, random) -> None:
    status, no_answer = end
    tried = Attempt(status=status, reason=reason, no_answer=no_answer, **attempt)
    found = react(tried, Known(**facts), random)
    assert (found.verdict is Verdict.RETRY) == (found.retry_at is not None)
    if found.retry_at is not None:
        assert tried.ended <= found.retry_at < facts["deadline"]
    if found.verdict is Verdict.ACCEPTED:
        assert status == 200
    if found.token is TokenAction.RETIRE:
        assert status in (400, 410)
        assert not (facts["burst"] and status == 400)
        assert status == 400 or (facts["token_unchanged"] and tried.gone_at is not None)
    if 200 < status < 500 and reason not in BY_REASON and status != 429:
        assert found.verdict is Verdict.REFUSED
    if found.provider_token is ProviderTokenAction.SIGN_ANEW:
        assert tried.provider_token_age >= 1_500
