"""Values are changed by copies, which are as `dataclasses.replace` makes them."""

import dataclasses
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.core.call import Callee, Decline, MemberState, Ring, Role
from app.core.frozen import replace, replacing
from app.core.model import Member, Present

NOW = datetime(2026, 11, 26, tzinfo=UTC)
RING = Ring(UUID(int=1), "bob", NOW, NOW)


@pytest.mark.parametrize(
    ("value", "change"),
    [
        (RING, {"device": "phone", "shown_on": ("phone",)}),
        (Member("bob", Role.CALLEE, MemberState.RINGING, RING), {"state": MemberState.MISSED}),
        (Callee("bob", UUID(int=2)), {}),
        (Decline("bob"), {"busy": True, "ring": UUID(int=3)}),
        (Present(frozenset()), {"devices": frozenset({("bob", "phone")})}),
    ],
)
def test_a_copy_is_as_the_standard_library_makes_it(
    value: object, change: dict[str, object]
) -> None:
    before = repr(value)
    assert replace(value, **change) == dataclasses.replace(value, **change)  # type: ignore[type-var]
    assert repr(value) == before


def test_there_is_no_copy_with_a_field_that_the_class_has_not() -> None:
    with pytest.raises(KeyError):
        replace(RING, colour="red")  # type: ignore[call-arg]


def test_many_copies_of_one_are_each_as_one_by_itself() -> None:
    another = replacing(RING, "uuid", "user_id")
    for number, user in enumerate(["carol", "dave", "carol"]):
        assert another(UUID(int=number), user) == replace(RING, uuid=UUID(int=number), user_id=user)
    assert Ring(UUID(int=1), "bob", NOW, NOW) == RING
    with pytest.raises(KeyError):
        replacing(RING, "colour")
