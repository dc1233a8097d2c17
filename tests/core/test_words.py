"""Every reason that can be stored has its words."""

from collections.abc import Mapping
from enum import Enum

import pytest

from app.apns import answer_table as apns
from app.core import rate_limits, words
from app.core.credential import CredentialHealth, CredentialState
from app.core.delivery import DeliveryError, DisabledReason
from app.core.limits import BOUNDS
from app.core.model import CallKit, CallState, MemberState, Outcome, Reason
from app.core.push import PushReason, PushState, RetiredReason
from app.core.push_policy import NoAnswer
from app.dashboard import words as pages
from app.fcm import answer_table as fcm
from app.webpush import answer_table as webpush


@pytest.mark.parametrize(
    ("enum", "table"),
    [
        (PushReason, {**words.UNSENT, **words.UNANSWERED}),
        (Reason, words.ENDS),
        (Outcome, words.OUTCOMES),
        (CallKit, words.CALLKIT),
        (RetiredReason, words.RETIRED),
        (DeliveryError, words.DELIVERIES),
        (DisabledReason, words.DISABLED),
        (MemberState, pages.MEMBERS),
        (PushState, pages.PUSHES),
        (CredentialState, pages.STATES),
        (CredentialHealth, pages.HEALTH),
    ],
)
def test_each_has_its_words(enum: type[Enum], table: Mapping[object, object]) -> None:
    assert set(table) >= {one.value for one in enum}


def test_each_state_and_end_of_a_call_has_a_tag() -> None:
    assert set(pages.CALLS) == {*CallState, *Reason} - {CallState.ENDED}


def test_each_answer_of_a_service_that_is_known_is_explained() -> None:
    reasons = {*apns.TABLE.by_reason, *fcm.TABLE.by_reason, *webpush.REASONS.values()}
    assert set(words.SAID) == reasons


def test_why_there_was_no_answer_is_a_reason_of_a_push() -> None:
    assert {one.value for one in NoAnswer} <= {one.value for one in PushReason}


def test_each_limit_can_be_set_on_its_page() -> None:
    assert set(pages.LIMITS) == set(BOUNDS)
    assert set(pages.RATES) == set(rate_limits.NAMES)


def test_a_services_own_word_is_shown_of_what_it_said_alone() -> None:
    assert words.of_push("BadDeviceToken").endswith("(BadDeviceToken)")
    assert "service_in" not in words.of_push("service_in_trouble")
    assert words.of_push("SomethingNew") == "SomethingNew"
    assert words.of_retired("expired", "Apple") == "it was not registered anew in time"
    assert words.of_retired("Unregistered", "Apple").startswith(
        "Apple said Unregistered (the app is no"
    )
