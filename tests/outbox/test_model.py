"""The outbox's protocol keeps its promises in every order of steps, and needs each of its rules."""

import pytest

from tests.outbox.explore import explore
from tests.outbox.rules import FAULTS, QUICK, RULES, SHOWN, SLOW
from tests.outbox.run import NAMED, without


@pytest.mark.parametrize("name", QUICK)
def test_every_promise_holds_in_every_order_of_steps(name: str) -> None:
    found = explore(NAMED[name])
    assert not found.broken, "\n".join(found.trace)
    assert found.states > 100


@pytest.mark.parametrize("rule", sorted(RULES.keys() - SLOW))
def test_without_a_rule_a_promise_breaks(rule: str) -> None:
    assert without(rule).broken


def test_what_mends_a_fault_is_a_rule() -> None:
    assert {rule for rules in FAULTS.values() for rule in rules} <= RULES.keys() == SHOWN.keys()
