"""Hints of one tenant never wait for those of another; each is told once, and all are."""

from hypothesis import given
from hypothesis import strategies as st

from app.infra.hint_lanes import (
    FEW,
    MOST_IDS,
    MOST_WAITING,
    NEVER,
    HintLanes,
    LanePauses,
    pause_after,
)

FLOODS, OTHER, THIRD = "floods", "other", "third"


def ids(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{n}" for n in range(count)]


def test_a_lone_hint_goes_at_once() -> None:
    lanes = HintLanes()
    assert lanes.next_due() == NEVER
    assert lanes.add("send", OTHER, ["a"]) <= 10.0
    assert lanes.take(10.0) == [("send", ["a"])]
    assert not lanes
    assert lanes.take(11.0) == []


def test_hints_that_tell_of_little_go_together_and_before_a_flood() -> None:
    lanes = HintLanes()
    lanes.add("send", FLOODS, ids("f", 300))
    lanes.add("send", OTHER, ["a"])
    lanes.add("send", THIRD, ["b"])
    lanes.add("deliver", OTHER, ["w"])
    assert lanes.take(0.0) == [
        ("send", ["a", "b"]), ("deliver", ["w"]), ("send", ids("f", 300)),
    ]  # fmt: skip


def test_a_quiet_tenant_does_not_wait_for_the_pause_after_a_flood() -> None:
    lanes = HintLanes()
    lanes.add("send", FLOODS, ids("f", 300))
    lanes.take(0.0)
    again = lanes.add("send", FLOODS, ids("g", 300))
    assert again == pause_after(300)
    assert lanes.add("send", OTHER, ["a"]) <= 0.001
    assert lanes.take(0.001) == [("send", ["a"])]
    assert lanes.next_due() == again
    assert lanes.take(again) == [("send", ids("g", 300))]


def test_many_quiet_tenants_gather_as_those_of_one_would() -> None:
    lanes = HintLanes()
    for n in range(10):
        lanes.add("send", n, [f"a{n}"])
    assert len(lanes.take(0.0)) == 1
    assert lanes.add("send", 11, ["b"]) == pause_after(10)


def test_a_hint_given_twice_goes_once_and_a_message_has_an_end() -> None:
    lanes = HintLanes()
    lanes.add("send", OTHER, ["a", "a"])
    lanes.add("send", OTHER, ["a"])
    assert lanes.take(0.0) == [("send", ["a"])]
    lanes.add("send", OTHER, ids("x", MOST_IDS + 5))
    assert [len(some) for _, some in lanes.take(1.0)] == [MOST_IDS]
    assert [len(some) for _, some in lanes.take(2.0)] == [5]


def test_what_is_too_much_is_left_out_of_the_longest_lane() -> None:
    lanes = HintLanes()
    lanes.add("send", OTHER, ids("a", FEW))
    lanes.add("send", FLOODS, ids("f", MOST_WAITING))
    told: list[str] = []
    while lanes:
        told += [one for _, some in lanes.take(NEVER) for one in some]
    assert len(told) == MOST_WAITING
    assert set(ids("a", FEW)) <= set(told)
    assert "f0" not in told


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 40), st.floats(0, 0.05))))
def test_each_hint_is_told_once(steps: list[tuple[int, int, float]]) -> None:
    lanes, now, given_, told = HintLanes(), 0.0, 0, []
    for whose, count, later in steps:
        now += later
        lanes.add("send", whose, [f"{given_ + n}" for n in range(count)])
        given_ += count
        told += [one for _, some in lanes.take(now) for one in some]
    while lanes:
        due = lanes.next_due()
        assert due <= now + pause_after(MOST_IDS)
        now = max(now, due)
        told += [one for _, some in lanes.take(now) for one in some]
    assert sorted(told, key=int) == [str(n) for n in range(given_)]


def test_a_quiet_tenant_tells_at_once_after_a_floods_message_and_the_flood_does_not() -> None:
    pauses = LanePauses()
    assert pauses.may_tell(FLOODS, 24, 0.0)
    assert not pauses.may_tell(FLOODS, 24, pause_after(24) - 0.001)
    assert pauses.may_tell(OTHER, 1, 0.001)
    assert pauses.may_tell(FLOODS, 24, pause_after(24))


def test_quiet_tenants_tell_one_after_another() -> None:
    pauses = LanePauses()
    assert pauses.may_tell(OTHER, 2, 0.0)
    assert not pauses.may_tell(THIRD, 1, pause_after(2) - 0.001)
    assert pauses.may_tell(THIRD, 1, pause_after(2))
