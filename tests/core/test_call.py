"""Each command on each state, one by one: the table of docs/guides/calls.md."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.core.call import (
    SERVER,
    Accept,
    Call,
    Callee,
    CallKit,
    CallState,
    Cancel,
    Command,
    Decision,
    Decline,
    End,
    Heartbeat,
    Join,
    Leave,
    Member,
    MemberState,
    Outcome,
    Reason,
    Receipt,
    Refused,
    Report,
    RingMore,
    Role,
    Start,
    Tick,
    decide,
    due_at,
    view,
)
from app.core.event import EventType
from app.core.limits import CallLimits

T0 = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
S = MemberState


def uuid(n: int) -> UUID:
    return UUID(int=n)


def callees(*users: str, first: int = 1) -> tuple[Callee, ...]:
    return tuple(Callee(user, uuid(first + n)) for n, user in enumerate(users))


class Table:
    """A call that alice has begun, and commands on it at seconds from its start."""

    def __init__(
        self, *users: str, device: str = SERVER, ring_for: float = 45, **limits: Any
    ) -> None:
        call = Call(uuid(99), "default", "c", "alice", True, CallLimits(**limits), T0)
        self.last = decide(call, Start(callees(*users), ring_for, device), T0)

    def at(self, seconds: float, command: Command) -> Decision:
        self.last = decide(self.last.call, command, T0 + timedelta(seconds=seconds))
        return self.last

    @property
    def call(self) -> Call:
        return self.last.call

    def state(self, user: str) -> MemberState:
        return self.call.members[user].state

    def of(self, user: str) -> Member:
        return self.call.members[user]


def told(decision: Decision, kind: EventType) -> list[tuple[str, ...]]:
    return [event.to for event in decision.events if event.type is kind]


def stops(decision: Decision) -> list[tuple[str, CallKit, str | None]]:
    return [(stop.user_id, stop.callkit_reason, stop.spared) for stop in decision.stops]


def test_start_rings_every_callee_with_a_uuid_and_a_deadline_of_its_own() -> None:
    table = Table("bob", "carol", ring_for=30)
    assert [(r.user_id, r.uuid) for r in table.last.rings] == [("bob", uuid(1)), ("carol", uuid(2))]
    assert {r.deadline for r in table.last.rings} == {T0 + timedelta(seconds=30)}
    assert (table.call.state, table.state("bob")) == (CallState.RINGING, S.RINGING)
    assert (table.of("alice").role, table.state("alice")) == (Role.CALLER, S.JOINED)
    assert told(table.last, EventType.RING_STARTED) == [("bob",), ("carol",)]
    assert due_at(table.call) == T0 + timedelta(seconds=30)


def test_start_with_more_members_than_the_figure_is_refused() -> None:
    assert Table("bob", "carol", members=2).last.refusal is Refused.TOO_MANY_MEMBERS
    assert Table("bob", members=2).last.refusal is None


def test_accept_is_won_by_the_first_device() -> None:
    table = Table("bob")
    first = table.at(1, Accept("bob", "p1"))
    assert (first.refusal, table.state("bob"), table.of("bob").device_id) == (None, S.JOINED, "p1")
    assert stops(first) == [("bob", CallKit.ANSWERED_ELSEWHERE, "p1")]
    assert table.call.state is CallState.ACTIVE
    assert told(first, EventType.MEMBER_JOINED) == [("alice", "bob")]
    again = table.at(2, Accept("bob", "p1"))
    assert (again.refusal, again.events, again.visible) == (None, (), False)
    assert table.at(3, Accept("bob", "p2")).refusal is Refused.ANSWERED_ELSEWHERE
    assert table.of("bob").device_id == "p1"


def test_accept_after_the_ring_settled_or_the_call_ended_is_gone() -> None:
    table = Table("bob", "carol")
    table.at(1, Decline("bob"))
    assert table.at(2, Accept("bob", "p1")).refusal is Refused.RING_SETTLED
    table.at(3, Cancel("alice"))
    assert table.at(4, Accept("carol", "p1")).refusal is Refused.CALL_ENDED
    assert Table("bob").at(1, Accept("eve", "p1")).refusal is Refused.NOT_A_MEMBER


def test_accept_at_the_deadline_is_too_late_and_the_ring_is_missed_at_its_deadline() -> None:
    table = Table("bob", ring_for=30)
    assert decide(table.call, Accept("bob", "p1"), T0 + timedelta(seconds=29.999)).refusal is None
    late = table.at(31, Accept("bob", "p1"))
    assert late.refusal is Refused.CALL_ENDED
    assert late.changed, "time has passed all the same, and is to be written"
    assert (table.call.state, table.call.reason) == (CallState.ENDED, Reason.MISSED)
    assert table.call.ended_at == T0 + timedelta(seconds=30)
    assert stops(late) == [("bob", CallKit.UNANSWERED, None)]


def test_an_accept_or_decline_for_a_former_ring_leaves_the_present_one_alone() -> None:
    table = Table("bob", "carol")
    table.at(1, Accept("carol", "p9"))
    table.at(2, Decline("bob"))
    table.at(3, RingMore("carol", callees("bob", first=50), 45))
    assert not table.at(4, Decline("bob", "p1", ring=uuid(1))).changed
    assert table.at(4, Accept("bob", "p1", ring=uuid(1))).refusal is Refused.RING_SETTLED
    assert table.state("bob") is S.RINGING
    assert table.at(5, Accept("bob", "p1", ring=uuid(50))).refusal is None


def test_decline_stops_the_members_other_devices_and_ends_a_call_of_two() -> None:
    table = Table("bob")
    declined = table.at(1, Decline("bob", "p1"))
    assert stops(declined) == [("bob", CallKit.DECLINED_ELSEWHERE, "p1")]
    assert (table.state("bob"), table.call.reason) == (S.DECLINED, Reason.DECLINED)
    assert told(declined, EventType.MEMBER_DECLINED) == [("alice",)]
    assert told(declined, EventType.CALL_ENDED) == [("alice",)]


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ((Decline("bob", busy=True), Decline("carol", busy=True)), Reason.BUSY),
        ((Decline("bob", busy=True), Decline("carol")), Reason.DECLINED),
        ((Decline("bob"), Tick()), Reason.MISSED),
        ((Tick(), Tick()), Reason.MISSED),
    ],
)
def test_a_call_that_nobody_answers_ends_with_the_reason(
    ends: tuple[Command, Command], reason: Reason
) -> None:
    table = Table("bob", "carol", ring_for=10)
    table.at(1, ends[0])
    assert table.call.state is CallState.RINGING
    table.at(11 if isinstance(ends[1], Tick) else 9, ends[1])
    assert (table.call.state, table.call.reason) == (CallState.ENDED, reason)


def test_a_late_decline_is_harmless() -> None:
    table = Table("bob")
    table.at(1, Accept("bob", "p1"))
    for device in ("p1", "p2", None):
        assert table.at(2, Decline("bob", device)).changed is False
    assert table.state("bob") is S.JOINED


def test_cancel_is_for_the_caller_and_the_server_while_nobody_has_joined() -> None:
    assert Table("bob").at(1, Cancel("bob")).refusal is Refused.NOT_THE_CALLER
    assert Table("bob").at(1, Cancel("eve")).refusal is Refused.NOT_A_MEMBER
    for who in ("alice", None):
        table = Table("bob", "carol")
        cancelled = table.at(1, Cancel(who))
        assert table.call.reason is Reason.CANCELLED
        assert {one[1] for one in stops(cancelled)} == {CallKit.REMOTE_ENDED}
        assert {ring.outcome for ring in cancelled.settled} == {Outcome.CANCELLED}
        assert set(told(cancelled, EventType.CALL_ENDED)[0]) == {"alice", "bob", "carol"}
        assert table.at(2, Cancel(who)).refusal is None, "repeated: no harm"
        assert not table.last.changed
    active = Table("bob")
    active.at(1, Accept("bob", "p1"))
    assert active.at(2, Cancel("alice")).refusal is Refused.CALL_ACTIVE


def test_leave_takes_one_out_and_the_call_goes_on() -> None:
    table = Table("bob", "carol")
    table.at(1, Accept("bob", "p1"))
    table.at(1, Accept("carol", "p2"))
    left = table.at(2, Leave("bob", "p1"))
    assert (table.state("bob"), table.call.state) == (S.LEFT, CallState.ACTIVE)
    assert told(left, EventType.MEMBER_LEFT) == [("alice", "carol", "bob")]
    table.at(3, Leave("carol"))
    table.at(4, Leave("alice"))
    assert (table.call.state, table.call.reason) == (CallState.ENDED, Reason.COMPLETED)


def test_who_leaves_while_it_rings() -> None:
    table = Table("bob", "carol")
    table.at(1, Leave("bob"))
    assert table.state("bob") is S.DECLINED
    table.at(2, Leave("alice"))
    assert table.call.reason is Reason.CANCELLED


def test_a_device_that_does_not_hold_the_call_can_neither_leave_nor_end_it() -> None:
    table = Table("bob")
    table.at(1, Accept("bob", "p1"))
    assert not table.at(2, Leave("bob", "p2")).changed
    assert not table.at(2, End("bob", "p2")).changed
    assert table.at(3, End("bob", "p1")).changed
    assert table.call.reason is Reason.COMPLETED


def test_a_member_that_the_backend_holds_may_be_taken_out_by_a_device_unless_it_was_rung() -> None:
    caller = Table("bob")
    caller.at(1, Accept("bob", "p1"))
    caller.at(2, Leave("alice", "laptop"))
    assert caller.state("alice") is S.LEFT
    callee = Table("bob")
    callee.at(1, Accept("bob", SERVER, monitored=False))
    callee.at(2, Leave("bob", "p1"))
    assert callee.state("bob") is S.JOINED, "p1 rang in vain: its end action comes late"


def test_end_is_for_members_who_joined_and_for_the_server() -> None:
    table = Table("bob", "carol")
    table.at(1, Accept("bob", "p1"))
    ended = table.at(2, End("bob", "p1"))
    assert table.call.reason is Reason.COMPLETED
    assert stops(ended) == [("carol", CallKit.REMOTE_ENDED, None)]
    assert set(told(ended, EventType.CALL_ENDED)[0]) == {"alice", "bob", "carol"}
    server = Table("bob")
    server.at(1, End())
    assert server.call.reason is Reason.ENDED_BY_SERVER
    ringing = Table("bob")
    ringing.at(1, End("alice"))
    assert ringing.call.reason is Reason.CANCELLED
    callee = Table("bob", "carol")
    callee.at(1, End("bob"))
    assert (callee.state("bob"), callee.call.state) == (S.DECLINED, CallState.RINGING)


def test_silence_makes_away_then_removed_and_back_in_time_is_a_non_event() -> None:
    table = Table("bob", "carol", away=30, removed=120)
    table.at(0, Accept("bob", "p1"))
    table.at(0, Accept("carol", "p2", monitored=False))
    assert due_at(table.call) == T0 + timedelta(seconds=30)
    away = table.at(30, Tick())
    assert table.state("bob") is S.AWAY
    assert told(away, EventType.MEMBER_AWAY) == [("bob",)], "to itself alone"
    back = table.at(60, Heartbeat("bob", "p1"))
    assert table.state("bob") is S.JOINED
    assert told(back, EventType.MEMBER_BACK) == [("bob",)]
    table.at(90, Tick())
    removed = table.at(180, Tick())
    assert table.state("bob") is S.LEFT
    assert table.of("bob").left_at == T0 + timedelta(seconds=180)
    assert told(removed, EventType.MEMBER_LEFT) == [("alice", "carol", "bob")]
    assert table.state("carol") is S.JOINED, "the backend vouches for her"
    assert table.at(181, Heartbeat("bob", "p1")).refusal is Refused.NOT_JOINED
    assert table.at(182, Join("bob", "p1")).refusal is None
    assert table.state("bob") is S.JOINED
    assert not table.last.rings, "back without a new ring"


def test_a_ring_is_confirmed_by_each_device_once_and_only_while_it_is_open() -> None:
    table = Table("bob", "carol")

    def report(at: float, device: str, ring: int = 1, user: str = "bob") -> Decision:
        return table.at(at, Report(user, device, uuid(ring), delivered=True))

    first, again, second = report(1, "p1"), report(2, "p1"), report(3, "p2")
    assert [one.data["devices"] for one in (*first.events, *second.events)[1::2]] == [1, 2]
    assert told(second, EventType.MEMBER_RINGING) == [("alice",)]
    assert (again.changed, again.events) == (False, ())
    assert [ring.shown_on for ring in second.shown] == [("p1", "p2")]
    assert not told(report(4, "p3", 9), EventType.MEMBER_RINGING), "of another ring"
    table.at(5, Decline("bob"))
    assert not told(report(6, "p3"), EventType.MEMBER_RINGING), "it is over"
    bob, carol = table.of("bob").ring, table.of("carol").ring
    assert bob is not None
    assert carol is not None
    limits, early, late = table.call.limits, T0 + timedelta(seconds=4.9), T0 + timedelta(seconds=5)
    assert bob.receipt(limits, late) is Receipt.CONFIRMED
    assert carol.receipt(limits, early) is Receipt.WAITING
    assert carol.receipt(limits, late) is Receipt.UNCONFIRMED
    over = replace(carol, settled_at=early)
    assert over.receipt(limits, late) is Receipt.WAITING, "as it was when it settled"


def test_a_ring_that_is_kept_from_its_user_is_never_confirmed() -> None:
    call = Call(uuid(99), "default", "c", "alice", True, CallLimits(), T0)
    command = Start(callees("bob"), 45, suppressed={"bob": "blocked"})
    call = decide(call, command, T0).call
    for report in (
        Report("bob", "p1", uuid(1), delivered=True),
        Report("bob", "p1", uuid(1)),
        Report("bob", "p1", uuid(1), declined=True),
    ):
        decision = decide(call, report, T0 + timedelta(seconds=1))
        assert (decision.refusal, decision.changed, decision.events) == (None, False, ())


def test_a_sweep_that_comes_late_finds_the_times_as_they_were() -> None:
    table = Table("bob", "carol", away=30, removed=120, alone=60, ring_for=45)
    table.at(1, Accept("bob", "p1"))
    late = table.at(10_000, Tick())
    times = [(event.type.value, (event.at - T0).total_seconds()) for event in late.events]
    assert times == [
        ("member.away", 31),
        ("ring.settled", 45),
        ("member.missed", 45),
        ("member.left", 121),
        ("call.ended", 181),
    ]
    assert table.call.reason is Reason.ALONE


def test_removed_is_never_sooner_than_away_whatever_the_figures_say() -> None:
    table = Table("bob", away=300, removed=10)
    table.at(1, Accept("bob", "p1"))
    late = table.at(400, Tick())
    assert [event.at for event in late.events] == sorted(event.at for event in late.events)
    assert table.state("bob") is S.LEFT
    assert table.of("bob").left_at == T0 + timedelta(seconds=301)


def test_nobody_has_to_show_life_while_it_rings() -> None:
    table = Table("bob", device="laptop", away=5, ring_for=60)
    table.at(59, Tick())
    assert table.state("alice") is S.JOINED
    table.at(59, Accept("bob", "p1"))
    assert table.at(63, Tick()).changed is False
    table.at(64, Tick())
    assert table.state("alice") is S.AWAY


def test_a_heartbeat_takes_over_from_the_backend_but_not_from_another_device() -> None:
    table = Table("bob")
    assert table.at(1, Heartbeat("alice", "laptop")).visible
    assert table.of("alice").device_id == "laptop"
    assert table.at(2, Heartbeat("alice", "phone")).refusal is Refused.ANSWERED_ELSEWHERE
    assert table.at(2, Heartbeat("bob", "p1")).refusal is Refused.NOT_JOINED
    beat = table.at(3, Heartbeat("alice", "laptop"))
    assert beat.changed
    assert not beat.visible, "only when it was last heard of"


def test_alone_in_a_call_that_was_joined_ends_it_after_the_figure() -> None:
    table = Table("bob", alone=60)
    table.at(1, Accept("bob", "p1", monitored=False))
    table.at(10, Leave("bob"))
    assert table.call.alone_since == T0 + timedelta(seconds=10)
    table.at(20, Join("bob", "p1", monitored=False))
    assert table.call.alone_since is None
    table.at(30, Leave("bob"))
    table.at(200, Tick())
    assert (table.call.reason, table.call.ended_at) == (Reason.ALONE, T0 + timedelta(seconds=90))
    assert table.state("alice") is S.LEFT
    at_once = Table("bob", alone=0)
    at_once.at(1, Accept("bob", "p1"))
    at_once.at(2, Leave("bob"))
    assert at_once.call.reason is Reason.ALONE


def test_who_waits_for_a_ring_is_not_alone() -> None:
    table = Table("bob", alone=5)
    table.at(1, Accept("bob", "p1", monitored=False))
    table.at(2, RingMore("bob", callees("carol", first=9), 45))
    table.at(3, Leave("bob"))
    assert table.call.alone_since is None
    table.at(100, Tick())
    assert table.call.ended_at == T0 + timedelta(seconds=47 + 5)


def test_a_call_is_never_longer_than_its_figure() -> None:
    table = Table("bob", length=100)
    table.at(1, Accept("bob", "p1", monitored=False))
    table.at(500, Tick())
    assert table.call.reason is Reason.MAX_DURATION
    assert table.call.ended_at == T0 + timedelta(seconds=100)
    ringing = Table("bob", length=10, ring_for=45)
    assert stops(ringing.at(11, Tick())) == [("bob", CallKit.REMOTE_ENDED, None)]


def test_ring_more_adds_members_and_rings_again_with_a_new_uuid() -> None:
    table = Table("bob")
    table.at(1, Accept("bob", "p1"))
    more = table.at(2, RingMore("bob", callees("bob", "alice", "carol", first=20), 45))
    assert [(ring.user_id, ring.uuid) for ring in more.rings] == [("carol", uuid(22))]
    assert told(more, EventType.MEMBER_ADDED) == [("alice", "bob")]
    table.at(3, Decline("carol"))
    again = table.at(4, RingMore("alice", callees("carol", first=30), 45))
    assert [ring.uuid for ring in again.rings] == [uuid(30)]
    assert table.state("carol") is S.RINGING
    assert not told(again, EventType.MEMBER_ADDED), "she is a member already"


def test_a_caller_who_left_may_be_rung_as_any_other_and_stays_the_caller() -> None:
    table = Table("bob", "carol")
    table.at(1, Accept("bob", "p1"))
    table.at(1, Accept("carol", "p2"))
    table.at(2, Leave("alice"))
    again = table.at(3, RingMore("bob", callees("alice", first=40), 45))
    assert [ring.user_id for ring in again.rings] == ["alice"]
    assert table.of("alice").role is Role.CALLER
    assert table.at(4, Accept("alice", "p3")).refusal is None


def test_ring_more_is_for_who_has_joined_a_live_call_with_room() -> None:
    table = Table("bob", members=3)
    ring = RingMore("eve", callees("carol", first=7), 45)
    assert table.at(1, ring).refusal is Refused.NOT_A_MEMBER
    assert table.at(1, replace(ring, user_id="bob")).refusal is Refused.NOT_JOINED
    crowd = RingMore("alice", callees("carol", "dave", first=7), 45)
    assert table.at(1, crowd).refusal is Refused.TOO_MANY_MEMBERS
    assert table.at(1, RingMore("alice", callees("bob", "carol", first=7), 45)).refusal is None
    table.at(2, Cancel())
    assert table.at(3, ring).refusal is Refused.CALL_ENDED


def test_join_comes_back_into_an_active_call_only() -> None:
    table = Table("bob", "carol")
    table.at(1, Decline("bob"))
    assert table.at(2, Join("bob", "p1")).refusal is Refused.RING_SETTLED
    table.at(3, Accept("carol", "p2"))
    assert table.at(4, Join("bob", "p1")).refusal is None
    assert list(table.call.members)[-1] == "bob", "in order of joining"


def test_a_reader_sees_time_without_a_sweep() -> None:
    table = Table("bob", ring_for=10)
    seen = view(table.call, T0 + timedelta(seconds=10))
    assert (seen.state, seen.reason) == (CallState.ENDED, Reason.MISSED)
    assert table.call.state is CallState.RINGING
    assert view(table.call, T0 + timedelta(seconds=9.9)) is table.call
