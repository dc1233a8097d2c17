"""The call screen and Recents."""

import pytest

from devkit.phone import CallKit, EndedReason, IncomingError, Recent, ScreenState

BOB = {"caller": "Alice", "handle": "alice", "video": True}


def ringing():
    callkit = CallKit()
    assert callkit.report_incoming("u", **BOB, now_ms=1_000) is None
    return callkit


def test_a_call_rings_is_answered_and_hung_up():
    callkit = ringing()
    assert callkit.screen("u").state is ScreenState.RINGING
    assert callkit.tap_answer("u")
    assert callkit.screen("u").state is ScreenState.ANSWERING
    assert not callkit.on_a_call
    assert callkit.fulfil_answer("u", 2_000)
    assert callkit.on_a_call
    assert callkit.tap_end("u", 3_000)
    assert [(s.recent, s.answered_ms, s.ended_ms) for s in callkit.recents] == [
        (Recent.COMPLETED, 2_000, 3_000)
    ]


@pytest.mark.parametrize(
    ("reason", "recent"),
    [
        (EndedReason.FAILED, Recent.FAILED),
        (EndedReason.REMOTE_ENDED, Recent.MISSED),
        (EndedReason.UNANSWERED, Recent.MISSED),
        (EndedReason.ANSWERED_ELSEWHERE, Recent.ANSWERED_ELSEWHERE),
        (EndedReason.DECLINED_ELSEWHERE, Recent.DECLINED_ELSEWHERE),
    ],
)
def test_each_end_reason_in_recents(reason, recent):
    callkit = ringing()
    assert callkit.report_ended("u", reason, 2_000)
    assert callkit.recents[0].recent is recent
    assert callkit.recents[0].as_dict()["reason"] == int(reason)


def test_the_reasons_are_apples_integers():
    assert [int(reason) for reason in EndedReason] == [1, 2, 3, 4, 5]
    assert EndedReason.of(4) is EndedReason.ANSWERED_ELSEWHERE
    assert [EndedReason.of(odd) for odd in (0, 6, "4", True, None, 4.0)] == [None] * 6


def test_declined_by_tap_is_not_missed():
    callkit = ringing()
    assert callkit.tap_end("u", 2_000)
    assert callkit.recents[0].recent is Recent.DECLINED


def test_the_same_uuid_is_refused_while_it_is_on_the_screen():
    callkit = ringing()
    again = callkit.report_incoming("u", **BOB, now_ms=1_500)
    assert again is IncomingError.UUID_ALREADY_EXISTS
    assert len(list(callkit.live())) == 1


def test_a_uuid_that_is_over_makes_a_ghost_as_on_a_real_phone():
    callkit = ringing()
    callkit.report_ended("u", EndedReason.UNANSWERED, 2_000)
    assert callkit.report_incoming("u", **BOB, now_ms=3_000) is None
    assert callkit.screen("u").live


def test_do_not_disturb_shows_nothing_but_remembers():
    callkit = CallKit()
    callkit.do_not_disturb = True
    error = callkit.report_incoming("u", **BOB, now_ms=1_000)
    assert error is IncomingError.FILTERED_BY_DO_NOT_DISTURB
    assert list(callkit.live()) == []
    assert callkit.recents[0].recent is Recent.MISSED


def test_a_blocked_caller_leaves_no_trace():
    callkit = CallKit()
    callkit.blocked.add("alice")
    error = callkit.report_incoming("u", **BOB, now_ms=1_000)
    assert error is IncomingError.FILTERED_BY_BLOCK_LIST
    assert callkit.recents == []


def test_ios_gives_up_after_its_own_limit():
    callkit = ringing()
    assert callkit.overdue(60_999) == []
    assert callkit.overdue(61_000) == ["u"]
    assert callkit.overdue(70_000) == []
    assert callkit.recents[0].recent is Recent.MISSED


def test_an_answered_call_is_never_overdue():
    callkit = ringing()
    callkit.tap_answer("u")
    callkit.fulfil_answer("u", 2_000)
    assert callkit.overdue(10**9) == []


def test_a_dead_app_takes_its_calls_along():
    callkit = ringing()
    callkit.tap_answer("u")
    callkit.fulfil_answer("u", 2_000)
    callkit.report_incoming("v", **BOB, now_ms=2_500)
    assert callkit.app_died(3_000) == ["u", "v"]
    assert [screen.recent for screen in callkit.recents] == [Recent.FAILED, Recent.FAILED]


def test_late_and_repeated_orders_do_nothing():
    callkit = ringing()
    assert not callkit.fulfil_answer("u", 2_000)
    assert callkit.report_ended("u", EndedReason.UNANSWERED, 2_000)
    assert not callkit.report_ended("u", EndedReason.ANSWERED_ELSEWHERE, 3_000)
    assert not callkit.tap_answer("u")
    assert not callkit.tap_end("u", 3_000)
    assert not callkit.report_ended("unknown", EndedReason.FAILED, 3_000)
    assert callkit.recents[0].reason is EndedReason.UNANSWERED


def test_memory_is_bounded():
    callkit = CallKit()
    for number in range(500):
        callkit.report_incoming(str(number), **BOB, now_ms=number)
        callkit.report_ended(str(number), EndedReason.UNANSWERED, number)
    assert len(callkit.recents) == 100
    assert callkit.screen("0") is None
    assert callkit.screen("499") is not None
