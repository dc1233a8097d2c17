"""A minute of chaos inside `make test`; the long form is `make chaos`."""

import pytest

from tests.chaos.run import SMOKE, chaos


@pytest.mark.long(50)
@pytest.mark.timeout(240)
def test_a_minute_of_faults_breaks_no_promise() -> None:
    _, outcomes = chaos(SMOKE, smoke=True, rate=4)
    assert {one.name for one in outcomes if one.not_run is None} == set(SMOKE)
    bad = [(one.name, one.recovery, one.breaches) for one in outcomes if not one.good]
    assert not bad, bad
    assert all(one.rings > 20 for one in outcomes), "nothing was rung: nothing was shown"
