"""Whatever is done to a call in whatever order: the rules of `call_walk` hold, and it ends."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.call import Reason
from tests.chance import often
from tests.core.call_walk import Walk, walk

ORDERS = often(10_000, 100_000)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("part", range(2))
def test_the_rules_hold_over_random_orders(part: int) -> None:
    seeds = range(part * ORDERS // 2, (part + 1) * ORDERS // 2)
    ends = Counter(walk(seed).call.reason for seed in seeds)
    expected = set(Reason) - {Reason.FAILED}
    assert set(ends) == expected, "the walk goes everywhere"


def test_the_rules_hold_over_long_orders() -> None:
    for seed in range(10**9, 10**9 + ORDERS // 200):
        walk(seed, steps=80)


@settings(max_examples=150, deadline=None)
@given(chance=st.randoms(note_method_calls=False, use_true_random=False), steps=st.integers(1, 8))
def test_the_rules_hold_where_a_failure_can_be_shrunk(chance: random.Random, steps: int) -> None:
    one = Walk(chance)
    for _ in range(steps):
        one.step()
    one.finish()
