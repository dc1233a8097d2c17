"""Whether a claimed push is sent at all, what its end means, and what is known of its token."""

import math
from typing import Any
from uuid import UUID

import pytest

from app.core.credential import CredentialKind, CredentialState
from app.core.push import Environment, Purpose, PushReason, PushState
from app.core.push_policy import NoAnswer, OtherEnvironment, Reaction, Verdict
from app.credentials.usable import Usable
from app.push.claimed import ClaimedPush
from app.push.deciding import (
    CredentialSet,
    held_back,
    is_silent,
    not_sent,
    not_to_be_sent,
    other_environment,
    state_after,
)
from app.push.results import Result
from tests.push.values import claimed

TENANT = UUID(int=1)
BUNDLE = "com.example.app"


def credential(number: int, **fields: Any) -> Usable:
    values: dict[str, Any] = {
        "id": UUID(int=number),
        "version": 1,
        "tenant_id": TENANT,
        "app_id": BUNDLE,
        "kind": CredentialKind.CERTIFICATE,
        "environments": tuple(Environment),
        "topics": (f"{BUNDLE}.voip",),
        "team_id": None,
        "key_id": None,
        "state": CredentialState.ACTIVE,
        "activated_at": None,
        "expired": False,
        "refused": {},
        "proven": (),
        "sealed": b"",
    }
    return Usable(**values | fields)


FIRST = credential(1)


def push(**fields: Any) -> ClaimedPush:
    return claimed(tenant_id=TENANT, app_id=BUNDLE, **fields)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, None),
        ({"ring_gone": True}, "ring_gone"),
        ({"settled": True}, "ring_settled"),
        ({"settled": True, "purpose": Purpose.STOP}, None),
        ({"owned": False}, "token_moved"),
        ({"owned": False, "settled": True}, "ring_settled"),
    ],
)
def test_what_is_not_to_be_sent_after_all(fields: dict[str, Any], why: str | None) -> None:
    one = push(**fields)
    assert not_to_be_sent(one.purpose, one) == why


def test_what_is_known_of_the_other_environment() -> None:
    everywhere = CredentialSet((FIRST,))
    here = CredentialSet((credential(4, environments=(Environment.PRODUCTION,)),))
    assert other_environment(push(), everywhere) is OtherEnvironment.UNTRIED
    assert other_environment(push(), here) is OtherEnvironment.UNAVAILABLE
    assert other_environment(push(healed=True), everywhere) is OtherEnvironment.REFUSED


def ends(result: Result) -> tuple[str, str | None, float | None]:
    return result.state, result.reason, result.retry_at


def test_what_is_never_sent_by_its_heir_ends_unknown_since_its_phone_may_ring() -> None:
    assert ends(not_sent(push(), PushState.DROPPED, PushReason.RING_SETTLED)) == (
        "dropped",
        "ring_settled",
        None,
    )
    inherited = push(inherited=True)
    assert ends(not_sent(inherited, PushState.DROPPED, PushReason.RING_SETTLED)) == (
        "expired",
        "unknown",
        None,
    )
    assert ends(not_sent(inherited, PushState.REFUSED, PushReason.PAYLOAD)) == (
        "expired",
        "unknown",
        None,
    )


def test_what_a_breaker_holds_back_waits_or_ends() -> None:
    assert ends(held_back(push(), FIRST, 7.0, 9.0)) == ("pending", "service_in_trouble", 7.0)
    assert ends(held_back(push(), FIRST, 9.0, 9.0)) == ("expired", "service_in_trouble", None)
    assert ends(held_back(push(), FIRST, math.inf, 9.0)) == ("refused", "credential_stopped", None)


def test_what_a_try_leaves_a_push_as() -> None:
    assert state_after(Reaction(Verdict.RETRY, "unanswered", retry_at=3.0)) == ("pending", 3.0)
    assert state_after(Reaction(Verdict.OUT_OF_TIME, "unanswered")) == ("expired", None)
    assert is_silent(NoAnswer.LOST, may_have_reached=True)
    assert not is_silent(NoAnswer.NEVER_SENT, may_have_reached=False)
    assert not is_silent(None, may_have_reached=True)
