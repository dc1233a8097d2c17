"""What a call's row says of its limits, and what it means by what it does not say."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from app.core.limits import DEFAULTS, UNSAID, CallLimits, from_json, to_json


def test_a_row_says_what_is_out_of_the_ordinary() -> None:
    assert to_json(DEFAULTS) == {"away": 30}
    assert to_json(replace(DEFAULTS, members=9, presence=False)) == {
        "away": 30, "members": 9, "presence": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changed", [{}, {"ring": 10.0}, {"away": 5}, {"presence": False, "tell_suppressed": True}]
)
def test_a_call_keeps_the_limits_that_it_began_with(changed: dict[str, Any]) -> None:
    limits = replace(DEFAULTS, **changed)
    assert from_json(to_json(limits)) == limits
    assert from_json(asdict(limits)) == limits, "as rows of releases before say all of it"


def test_what_rows_mean_by_what_they_do_not_say_never_changes() -> None:
    """Whatever the defaults become: rows rest."""
    assert CallLimits(
        ring=45, unconfirmed=5, away=30, removed=120, alone=60, length=108_000, members=350,
        devices=25, presence=True, tell_suppressed=False,
    ) == UNSAID  # fmt: skip
    assert from_json({}) == UNSAID
