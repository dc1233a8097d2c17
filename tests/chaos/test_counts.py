"""Each counter counts what it is for: made-up observations, with one breach put into each."""

from dataclasses import replace

import pytest

from tests.chaos import counts
from tests.chaos.counts import Asked, Fate, Fault, Owed, Refused, Row, Sent

A, B = "aa" * 32, "bb" * 32
RING = Asked("r1", "bob", frozenset({A, B}), 100.0, 100.1)
MISSED = Fate("r1", "missed", 130.0, 130.4)
ACCEPTED = Fate("r1", "accepted", 130.0, 101.0)
TO_A = Sent("p1", A, "r1", 100.2, accepted=True)
TO_B = Sent("p2", B, "r1", 100.3, accepted=True)
STOP = Sent("p3", A, "r1", 140.0, accepted=True, rings=False)
CALM = Fault(100.0, 105.0)
SILENT = Fault(100.0, 105.0, repeats=True)


def by_id(*fates: Fate) -> dict[str, Fate]:
    return {fate.uuid: fate for fate in fates}


class TestAllKept:
    def test_what_came_before_and_was_forgotten_is_not_asked_for(self) -> None:
        counts.all_kept(after=20, forgotten=20)

    def test_nothing_is_said_when_some_were_forgotten_that_count(self) -> None:
        with pytest.raises(counts.CannotJudge, match=r"the first 3$"):
            counts.all_kept(after=20, forgotten=23)


class TestLost:
    def test_nothing_is_when_both_phones_were_reached(self) -> None:
        assert counts.lost([RING], by_id(MISSED), [TO_A, TO_B]) == []

    def test_a_phone_that_was_not_reached_before_the_ring_was_missed(self) -> None:
        assert len(counts.lost([RING], by_id(MISSED), [TO_A])) == 1

    def test_a_ring_in_no_row(self) -> None:
        assert len(counts.lost([RING], {}, [TO_A, TO_B])) == 1

    def test_a_refused_push_reaches_nobody(self) -> None:
        refused = replace(TO_B, accepted=False)
        assert len(counts.lost([RING], by_id(MISSED), [TO_A, refused])) == 1

    def test_a_stop_is_no_ring(self) -> None:
        assert len(counts.lost([RING], by_id(MISSED), [STOP, TO_B])) == 1

    def test_who_answered_on_one_phone_needs_no_other(self) -> None:
        assert counts.lost([RING], by_id(ACCEPTED), [TO_A]) == []

    def test_a_ring_that_a_person_settled_and_that_reached_no_phone(self) -> None:
        cancelled = replace(ACCEPTED, outcome="cancelled")
        assert len(counts.lost([RING], by_id(cancelled), [])) == 2

    def test_unreachable_is_no_excuse_with_good_tokens(self) -> None:
        unreachable = replace(MISSED, outcome="unreachable")
        assert len(counts.lost([RING], by_id(unreachable), [TO_A])) == 1

    def test_a_ring_that_never_settled(self) -> None:
        open_ = replace(MISSED, outcome=None, settled=None)
        assert len(counts.lost([RING], by_id(open_), [TO_A])) == 1


class TestDoubled:
    def test_nothing_is_when_each_was_accepted_once(self) -> None:
        assert counts.doubled([TO_A, TO_B], CALM) == []

    def test_twice_without_a_silent_worker(self) -> None:
        assert len(counts.doubled([TO_A, replace(TO_A, at=101.0)], CALM)) == 1

    def test_once_more_is_allowed_when_a_worker_fell_silent(self) -> None:
        assert counts.doubled([TO_A, replace(TO_A, at=104.0)], SILENT) == []
        assert counts.repeated([TO_A, replace(TO_A, at=104.0)]) == 1

    def test_never_a_third_time(self) -> None:
        thrice = [TO_A, replace(TO_A, at=103.0), replace(TO_A, at=104.0)]
        assert len(counts.doubled(thrice, SILENT)) == 1

    def test_a_repeat_of_what_was_handed_over_before_the_fault(self) -> None:
        early = replace(TO_A, at=90.0)
        assert len(counts.doubled([early, replace(TO_A, at=104.0)], SILENT)) == 1

    def test_one_ring_under_two_ids(self) -> None:
        assert len(counts.doubled([TO_A, replace(TO_A, id="other")], SILENT)) == 1

    def test_a_refused_try_is_none(self) -> None:
        assert counts.doubled([replace(TO_A, accepted=False), TO_A], CALM) == []

    def test_a_stop_and_a_ring_are_two_things(self) -> None:
        assert counts.doubled([TO_A, STOP], CALM) == []


class TestDead:
    def test_nothing_is_within_a_quarter_second(self) -> None:
        assert counts.dead(by_id(ACCEPTED), [replace(TO_B, at=101.2)]) == []

    def test_a_push_after_the_settle(self) -> None:
        assert len(counts.dead(by_id(ACCEPTED), [replace(TO_B, at=101.3)])) == 1

    def test_a_refused_push_after_the_settle_was_handed_over_too(self) -> None:
        assert len(counts.dead(by_id(ACCEPTED), [replace(TO_B, at=101.3, accepted=False)])) == 1

    def test_a_push_after_the_deadline_of_a_ring_that_has_not_settled(self) -> None:
        open_ = replace(MISSED, outcome=None, settled=None)
        assert len(counts.dead(by_id(open_), [replace(TO_B, at=130.3)])) == 1

    def test_a_push_after_the_deadline_though_the_settle_came_late(self) -> None:
        assert len(counts.dead(by_id(MISSED), [replace(TO_B, at=130.3)])) == 1

    def test_a_stop_comes_afterwards(self) -> None:
        assert counts.dead(by_id(ACCEPTED), [STOP]) == []


def test_a_row_is_stuck_10_s_after_it_had_to_be_final() -> None:
    row = Row("push", "p1", 100.0)
    assert counts.stuck([row], 109.9) == []
    assert len(counts.stuck([row], 110.1)) == 1


class TestLate:
    def test_not_within_10_s_of_the_fault_s_end(self) -> None:
        assert counts.late([RING], [replace(TO_A, at=114.9)], CALM) == []

    def test_later_than_that(self) -> None:
        assert len(counts.late([RING], [replace(TO_A, at=115.1)], CALM)) == 1

    def test_counted_from_the_request_when_the_fault_is_over(self) -> None:
        after = replace(RING, asked=120.0, answered=120.0)
        assert counts.late([after], [replace(TO_A, at=129.0)], CALM) == []
        assert len(counts.late([after], [replace(TO_A, at=131.0)], CALM)) == 1


class TestRecovery:
    def test_is_nothing_when_all_was_prompt(self) -> None:
        assert counts.recovery([RING], [TO_A], [], CALM, prompt=1.0) == 0

    def test_lasts_to_the_last_slow_push(self) -> None:
        slow = replace(TO_A, at=108.0)
        assert counts.recovery([RING], [slow], [], CALM, prompt=1.0) == pytest.approx(3.0)

    def test_lasts_to_the_last_refusal(self) -> None:
        refused = [Refused(104.0, 503, "ring"), Refused(107.0, 503, "ring")]
        assert counts.recovery([RING], [TO_A], refused, CALM, prompt=1.0) == pytest.approx(2.0)

    def test_what_was_slow_during_the_fault_is_no_recovery(self) -> None:
        slow = replace(TO_A, at=104.0)
        assert counts.recovery([RING], [slow], [], CALM, prompt=1.0) == 0


def test_500_is_never_right_and_503_may_be() -> None:
    assert len(counts.broken([Refused(1, 500, "ring"), Refused(1, 503, "ring")])) == 1


class TestFeeds:
    TOLD = ((5, "call.ringing"), (6, "call.accepted"), (7, "call.ended"))

    def test_whole(self) -> None:
        assert counts.incomplete("bob", self.TOLD, self.TOLD) == []

    def test_one_missing(self) -> None:
        assert len(counts.incomplete("bob", self.TOLD[:1] + self.TOLD[2:], self.TOLD)) == 1

    def test_one_repeated(self) -> None:
        heard = (*self.TOLD[:2], self.TOLD[1], self.TOLD[2])
        assert counts.incomplete("bob", heard, self.TOLD) == ["bob heard an event twice"]

    def test_another_order(self) -> None:
        heard = (self.TOLD[1], self.TOLD[0], self.TOLD[2])
        assert len(counts.incomplete("bob", heard, self.TOLD)) == 1

    def test_one_too_many(self) -> None:
        assert len(counts.incomplete("bob", (*self.TOLD, (8, "call.ended")), self.TOLD)) == 1

    def test_another_type(self) -> None:
        heard = (*self.TOLD[:2], (7, "call.missed"))
        assert len(counts.incomplete("bob", heard, self.TOLD)) == 1


class TestWebhooks:
    OWED = {"e1": Owed("c", 1, 9.0), "e2": Owed("c", 2, 9.0), "e3": Owed("d", 1, 9.0)}  # noqa: RUF012

    def test_all_came_in_order(self) -> None:
        assert counts.unhooked(["e3", "e1", "e2"], self.OWED) == []

    def test_a_repeat_is_allowed(self) -> None:
        assert counts.unhooked(["e1", "e2", "e1", "e3"], self.OWED) == []

    def test_one_never_came(self) -> None:
        assert counts.unhooked(["e1", "e3"], self.OWED) == ["webhook e2 never came"]

    def test_out_of_its_call_s_order(self) -> None:
        assert len(counts.unhooked(["e2", "e1", "e3"], self.OWED)) == 1

    def test_another_s_are_slow_over_a_second_or_twice_its_own(self) -> None:
        assert counts.slow_hooks([0.1] * 50, [0.9] * 50) == []
        assert len(counts.slow_hooks([0.1] * 50, [1.1] * 50)) == 1
        assert counts.slow_hooks([0.8] * 50, [1.5] * 50) == []


class TestOthersWaits:
    def test_the_99th_of_a_hundred(self) -> None:
        assert counts.percentile([float(n) for n in range(1, 101)]) == 99.0
        assert counts.percentile([]) == 0.0

    def test_thrice_as_long(self) -> None:
        assert counts.ratio([0.1] * 100, [0.3] * 100, floor=0.05) == pytest.approx(3.0)

    def test_small_ones_are_not_compared(self) -> None:
        assert counts.ratio([0.001] * 100, [0.009] * 100, floor=0.05) == pytest.approx(1.0)

    def test_nobody_served_is_the_longest_wait(self) -> None:
        assert counts.ratio([0.1], [], floor=0.05) == float("inf")
