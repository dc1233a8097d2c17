"""Houses that stand for all tests of a process go once none of the next tests needs them."""

from types import SimpleNamespace
from typing import Any

from tests.houses import NEAR, STANDING, not_needed


def using(*names: str) -> Any:
    """A test, as far as it is asked what it uses."""
    return SimpleNamespace(fixturenames=["tmp_path", *names])


def test_a_house_is_needed_by_whoever_comes_soon() -> None:
    order = [using("shared_house", "tenant"), *[using() for _ in range(NEAR)], using("quiet_house")]
    assert not_needed(order, 0) == STANDING - {"shared_house"}
    assert not_needed(order, 1) == STANDING
    assert not_needed(order, 2) == STANDING - {"quiet_house"}
    assert not_needed(order, len(order) - 1) == STANDING - {"quiet_house"}
