"""A call that begins plainly is decided as by the rules that any other begins by."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.core.call import SERVER, Call, Callee, Decision, Start, decide
from app.core.details import Details
from app.core.draft import Draft
from app.core.limits import CallLimits
from app.core.model import CallState, Member, MemberState, Others, Role
from app.core.person import NOBODY, Handle, HandleKind, Person
from app.core.plain_start import is_plain
from app.core.ringing import start
from tests.chance import dice, often

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 21, 8, 0, 0, 123_999, tzinfo=UTC)
ALICE = Person("Alice", "https://a.example/a.png", Handle(HandleKind.PHONE, "+49301"))


def by_the_rules(call: Call, command: Start, now: datetime) -> Decision:
    """As where something is known of somebody: of each it is looked for then."""
    draft = Draft(call, now)
    known = {"nobody": "blocked", **command.suppressed}
    return draft.decision(start(draft, replace(command, suppressed=known)))


def test_it_is_decided_the_same() -> None:
    chance = dice()
    for n in range(often(3_000, 30_000)):
        users = chance.sample([f"u{m}" for m in range(9)] + ["a:b", "Ü", "~"], chance.randint(1, 8))
        call = Call(
            UUID(int=n), "default", f"name{n}", "caller", chance.random() < 0.5,
            CallLimits(presence=chance.random() < 0.7, tell_suppressed=chance.random() < 0.5),
            NOW,
            details=Details(chance.choice((None, "Standup"))),
            caller=chance.choice((NOBODY, Person(), Person("Alice"), ALICE)),
        )  # fmt: skip
        callees = tuple(
            Callee(user, UUID(int=chance.getrandbits(120)), chance.choice((NOBODY, ALICE)))
            for user in users
        )
        command = Start(
            callees, chance.choice((5, 45.0, 180.0, 7.25)), chance.choice((SERVER, "web")),
            give_up=chance.random() < 0.5,
        )  # fmt: skip
        now = chance.choice((NOW, LATER))
        assert is_plain(call, command)
        plain, ruled = decide(call, command, now), by_the_rules(call, command, now)
        assert plain == ruled
        assert list(plain.call.members) == list(ruled.call.members)
        assert [list(one.data) for one in plain.events] == [list(one.data) for one in ruled.events]


BEGUN = Call(UUID(int=1), "default", "x", "alice", video=False, limits=CallLimits(), created_at=NOW)
BOB, CAROL = Callee("bob", UUID(int=2)), Callee("carol", UUID(int=3))
ODD = {
    "kept from it": (BEGUN, Start((BOB,), 45, suppressed={"bob": "blocked"})),
    "unreachable": (BEGUN, Start((BOB,), 45, unreachable=frozenset({"bob"}))),
    "given up": (BEGUN, Start((BOB,), 45, unreachable=frozenset({"bob"}), give_up=True)),
    "busy": (BEGUN, Start((BOB,), 45, busy=frozenset({"bob"}))),
    "owed": (BEGUN, Start((BOB,), 45, owed=(CAROL,))),
    "twice": (BEGUN, Start((BOB, BOB), 45)),
    "the caller": (BEGUN, Start((Callee("alice", UUID(int=4)), BOB), 45)),
    "too many": (replace(BEGUN, limits=CallLimits(members=2)), Start((BOB, CAROL), 45)),
    "members": (
        replace(BEGUN, members={"carol": Member("carol", Role.CALLEE, MemberState.JOINED)}),
        Start((BOB,), 45),
    ),
    "others": (replace(BEGUN, others=Others(1, 1, 0, LATER)), Start((BOB,), 45)),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_not_plain_goes_by_the_rules(name: str) -> None:
    call, command = ODD[name]
    assert not is_plain(call, command)
    assert decide(call, command, NOW) == by_the_rules(call, command, NOW)


def test_a_call_in_whatever_state_begins_the_same() -> None:
    ended = replace(BEGUN, state=CallState.ENDED)
    assert decide(ended, Start((BOB,), 45), NOW) == by_the_rules(ended, Start((BOB,), 45), NOW)
