"""What is decided on a part of a large call is what would be decided on the whole of it."""

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import ClassVar

from app.calls.schemas import call_summary
from app.core.audience import audience, is_put_off
from app.core.call import (
    LIVE,
    Accept,
    Call,
    CallState,
    Command,
    Decision,
    MemberState,
    Others,
    decide,
    due_at,
)
from app.core.large_calls import may_be_partial, part_of, whom_they_need
from tests.chance import dice, often
from tests.core.call_walk import Walk

ORDERS = often(150, 3_000)


class LargeWalk(Walk):
    """A call of 11 to 16 members; whatever can be decided on a part of it is decided on both."""

    sizes = (12, 16)
    least = 11
    compared: ClassVar[Counter[tuple[str, bool]]] = Counter()

    def __init__(self, chance: random.Random) -> None:
        super().__init__(chance)
        for user in self.users[1:3]:
            self.do(Accept(user, self.devices[user][0]))

    def step(self) -> None:
        self.now += timedelta(seconds=self.chance.choice((0.0, 0.001, 0.2, 1.0, 4.0, 12.0)))
        self.do(self.random_command())

    def random_command(self) -> Command:
        wanted = self.chance.random() < 0.8
        while True:
            command = super().random_command()
            if not wanted or whom_they_need([command]) is not None:
                return command

    def do(self, command: Command) -> None:
        users, due = whom_they_need([command]), due_at(self.call)
        if users is not None and due is not None:
            states = [member.state for member in self.call.members.values()]
            counts = Others(
                len(states),
                sum(state in LIVE for state in states),
                states.count(MemberState.RINGING),
                due,
            )
            if may_be_partial(self.call, counts, self.now):
                self.compare(command, users, counts)
        super().do(command)

    def compare(self, command: Command, users: list[str], counts: Others) -> None:
        beside = self.chance.sample(self.users, 2)  # other commands of the same moment have theirs
        some = {
            user: member
            for user, member in self.call.members.items()
            if user in users or user in beside
        }
        part = part_of(self.call, counts, MappingProxyType(some))
        whole, partial = decide(self.call, command, self.now), decide(part, command, self.now)
        assert outcome(whole) == outcome(partial)
        assert outside(whole.call) == outside(partial.call)
        assert partial.call.state is CallState.ACTIVE
        at, exactly = due_at(partial.call), due_at(whole.call)
        assert at is not None
        assert exactly is not None
        assert self.now < at <= exactly, "too early, never too late"
        if command.user_id in some:  # type: ignore[union-attr]
            user = command.user_id  # type: ignore[union-attr]
            assert call_summary(partial.call, user) == call_summary(whole.call, user)
        self.compared[type(command).__name__, whole.changed] += 1


def outcome(decision: Decision) -> list[object]:
    call = decision.call
    return [
        decision.members, decision.rings, decision.settled, decision.stops, decision.refusal,
        decision.changed, decision.visible,
        [
            (event.type, event.at, event.data, audience(call, event), is_put_off(call, event))
            for event in decision.events
        ],
    ]  # fmt: skip


def outside(call: Call) -> Call:
    return replace(call, members=MappingProxyType({}), others=None)


def test_a_part_of_a_large_call_decides_as_the_whole_does() -> None:
    first = dice().randrange(2**32)
    for seed in range(first, first + ORDERS):
        one = LargeWalk(dice(seed))
        try:
            for _ in range(one.chance.randint(10, 40)):
                one.step()
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
    kinds = {kind for kind, changed in LargeWalk.compared if changed}
    assert kinds >= {"Accept", "Join", "Decline", "Heartbeat"}, "each kind was compared"
