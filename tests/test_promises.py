"""Each promise of `docs/promises.md` has a proof that exists, in each area; and the check can fail."""

import pytest

from tests import promises

GOOD = "".join(
    f"## {area}\n\n| promise | proof |\n|---|---|\n| It is so. | `tests/test_promises.py` |\n\n"
    for area in promises.AREAS
)


def test_every_promise_has_a_proof_that_exists() -> None:
    found = promises.read(promises.PAGE.read_text())
    assert promises.faults(found) == []
    assert len(found) > 60


@pytest.mark.parametrize(
    "proof",
    [
        "`tests/test_promises.py::test_every_promise_has_a_proof_that_exists`",
        "`tests/chaos/test_counts.py::TestLost::test_a_ring_in_no_row`",
        "`tests/chaos/test_counts.py::TestLost`",
        "`make test`",
        "`python -m tests.chaos.run --only calm`",
    ],
)
def test_what_exists(proof: str) -> None:
    assert promises.faults(promises.read(f"{GOOD}| And so. | {proof} |\n")) == []


@pytest.mark.parametrize(
    "proof",
    [
        "`tests/test_promises.py::test_that_nobody_wrote`",
        "`tests/chaos/test_counts.py::TestLost::test_that_nobody_wrote`",
        "`tests/chaos/test_counts.py::test_a_ring_in_no_row`",
        "`tests/there_is_none.py`",
        "`app/main.py`",
        "`make nothing`",
        "`python -m tests.there_is_none`",
        "`true`",
        "by looking",
        "",
    ],
)
def test_what_does_not(proof: str) -> None:
    assert len(promises.faults(promises.read(f"{GOOD}| And so. | {proof} |\n"))) == 1


@pytest.mark.parametrize("area", promises.AREAS)
def test_no_area_may_be_missing(area: str) -> None:
    page = GOOD.replace(f"## {area}\n", "## Else\n")
    assert promises.faults(promises.read(page)) == [
        f"there is no promise under {area!r}",
        "'Else' is no area",
    ]
