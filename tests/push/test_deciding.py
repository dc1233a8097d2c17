"""Which credential a push goes by, without a database."""

import math
from types import MappingProxyType
from uuid import UUID, uuid4

import pytest

from app.apns.policy import react
from app.core.breaker import FAILING, FAILING_FOR, TROUBLES
from app.core.credential import CredentialKind, CredentialState
from app.core.push import Environment
from app.core.push_policy import Attempt, Known, NoAnswer, Reaction
from app.credentials.usable import Usable
from app.push.breakers import Breakers
from app.push.claimed import ClaimedPush
from app.push.deciding import CredentialSet, another, choose
from tests.push.values import claimed

TENANT = uuid4()
ENVIRONMENT = Environment.PRODUCTION


def credential(name: str) -> Usable:
    return Usable(
        id=UUID(int=int.from_bytes(name.encode())),
        version=1,
        tenant_id=TENANT,
        app_id="com.example.app",
        kind=CredentialKind.KEY,
        environments=(Environment.PRODUCTION,),
        topics=("com.example.app.voip", "com.example.app"),
        team_id=None,
        key_id=None,
        state=CredentialState.ACTIVE,
        activated_at=None,
        expired=False,
        refused=MappingProxyType({}),
        proven=(),
        sealed=b"",
    )


NEW, OLD = credential("new"), credential("old")


def push(*tried: tuple[int | None, str | None]) -> ClaimedPush:
    return claimed(id=uuid4(), tenant_id=TENANT, environment=ENVIRONMENT, tried=tried)


def ended(status: int = 0, reason: str | None = None) -> Reaction:
    no_answer = None if status else NoAnswer.NEVER_SENT
    return react(Attempt(1, 0.0, status, reason, no_answer), Known(45.0), 0.5)


def note(breakers: Breakers, which: Usable, reaction: Reaction, times: int) -> None:
    for number in range(times):
        breakers.note_reaction(which, ENVIRONMENT, reaction, 0.0, str(number))


@pytest.fixture
def both() -> CredentialSet:
    return CredentialSet([NEW, OLD])


def test_the_newest_that_serves_the_app() -> None:
    breakers = Breakers()
    assert choose(push(), CredentialSet([NEW, OLD]), breakers, 0.0) == (NEW, None)
    assert choose(push(), CredentialSet([]), breakers, 0.0) == (None, None)


def test_a_stopped_one_is_passed_over_and_better_than_none(both: CredentialSet) -> None:
    breakers = Breakers()
    note(breakers, NEW, ended(403, "InvalidProviderToken"), 1)
    assert choose(push(), both, breakers, 0.0) == (OLD, None)
    assert choose(push(), CredentialSet([NEW]), breakers, 0.0) == (NEW, math.inf)
    assert choose(push(), both, breakers, 5.0) == (NEW, None)  # the database calls it well


def test_one_that_fails_without_a_reason_is_passed_over_for_a_while(both: CredentialSet) -> None:
    breakers = Breakers()
    note(breakers, NEW, ended(), FAILING - 1)
    assert choose(push(), both, breakers, 0.0) == (NEW, None)
    note(breakers, NEW, ended(), FAILING)
    assert choose(push(), both, breakers, 1.0) == (OLD, None)
    assert choose(push(), CredentialSet([NEW]), breakers, 1.0) == (NEW, None)
    # Then one push sees whether it still does.
    later = FAILING_FOR + 1
    assert choose(push(), both, breakers, later + FAILING_FOR) == (NEW, None)
    assert choose(push(), both, breakers, later + FAILING_FOR) == (OLD, None)


def test_a_push_goes_by_what_it_has_not_failed_by_then_by_the_first_again(
    both: CredentialSet,
) -> None:
    breakers, one = Breakers(), push((None, "never_sent"))
    assert choose(one, both, breakers, 0.0, (NEW.id,)) == (OLD, None)
    assert choose(one, both, breakers, 0.0, (NEW.id, OLD.id)) == (NEW, None)
    assert another(one, both, breakers, 0.0, (NEW.id,)) is OLD
    assert another(one, both, breakers, 0.0, (NEW.id, OLD.id)) is None


def test_in_trouble_first_attempts_pass_and_retries_take_another_way(both: CredentialSet) -> None:
    breakers = Breakers()
    note(breakers, NEW, ended(503), TROUBLES)
    alone = CredentialSet([NEW])
    assert choose(push(), alone, breakers, 0.1) == (NEW, None)
    waiting = push()
    _, wait = choose(waiting, alone, breakers, 0.1)
    assert wait is not None
    for _ in range(3):
        choose(push(), alone, breakers, 0.1)
    assert choose(waiting, alone, breakers, 0.1 + wait) == (NEW, None)  # it has its turn
    tried = push((503, None))
    assert choose(tried, alone, breakers, 0.1) == (NEW, pytest.approx(0.4))
    assert choose(tried, both, breakers, 0.1) == (OLD, None)
