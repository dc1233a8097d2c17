"""Random orders of commands on a call, checked by a model of what phones and users believe.

The model knows nothing of the code's inside: it sees commands, decisions and events only.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from app.core.call import (
    LIVE,
    SERVER,
    Accept,
    Call,
    Callee,
    CallState,
    Cancel,
    Command,
    Decision,
    Decline,
    End,
    Heartbeat,
    Join,
    Leave,
    Outcome,
    Present,
    Reachable,
    Report,
    Ring,
    RingMore,
    Start,
    Tick,
    Unreachable,
    decide,
    due_at,
    view,
)
from app.core.event import EventType
from app.core.limits import CallLimits
from tests.chance import dice

BEGIN = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
STEPS = (0.0, 0.001, 0.2, 1.0, 4.0, 5.0, 12.0, 31.0, 50.0, 130.0)
COMMANDED = (Outcome.ACCEPTED, Outcome.DECLINED)
LIMITS = (
    CallLimits(),
    CallLimits(ring=5, away=5, removed=10, alone=0),
    CallLimits(ring=180, away=300, removed=10, alone=5),
    CallLimits(length=60, alone=3600, away=5, removed=3600),
    CallLimits(members=3, alone=20),
)


@dataclass
class Believed:
    """What the phones of one user believe, as they are told."""

    ringing: dict[str, UUID] = field(default_factory=dict)
    holding: set[str] = field(default_factory=set)
    told_end: bool = False


class Walk:
    """One call of 2 to 6 members with 1 to 3 devices each, and random commands on it."""

    sizes = (2, 6)
    least = 1
    """Callees at its beginning, if its limits let there be so many."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.now = BEGIN
        size = chance.randint(*self.sizes)
        self.users = [f"u{n}" for n in range(size)]
        self.devices = {user: [f"d{n}" for n in range(chance.randint(1, 3))] for user in self.users}
        self.believed = {user: Believed() for user in self.users}
        self.uuids = 0
        self.open_rings: dict[UUID, str] = {}
        self.last_event = BEGIN
        limits = chance.choice(LIMITS)
        self.call = Call(UUID(int=1), "default", "walk", "u0", False, limits, BEGIN)
        most = min(size - 1, int(limits.members) - 1)
        first = self.users[1 : 1 + chance.randint(min(self.least, most), most)]
        self.do(
            Start(
                self.callees(first),
                chance.choice((5.0, 45.0, 180.0)),
                chance.choice([SERVER, *self.devices["u0"]]),
                frozenset(chance.sample(first, chance.randint(0, len(first)))),
                chance.random() < 0.3,
                busy=frozenset(one for one in first if chance.random() < 0.1),
            )
        )

    def callees(self, users: Iterable[str]) -> tuple[Callee, ...]:
        made = []
        for user in users:
            self.uuids += 1
            made.append(Callee(user, UUID(int=1_000 + self.uuids)))
        return tuple(made)

    def random_command(self) -> Command:
        chance = self.chance
        user = chance.choice(self.users)
        device = chance.choice(self.devices[user])
        kind = chance.randrange(16)
        if kind <= 2:
            ring = chance.choice([None, None, None, *self.open_rings])
            return Accept(user, device, chance.random() < 0.9, ring)
        if kind == 3:
            return Join(user, chance.choice([device, SERVER]), chance.random() < 0.9)
        if kind <= 5:
            return Decline(user, chance.choice([device, None]), chance.random() < 0.3)
        if kind == 6:
            return Cancel(chance.choice(["u0", None, user]))
        if kind == 7:
            return Leave(user, chance.choice([device, None]))
        if kind == 8:
            return End(chance.choice([user, user, user, None]), chance.choice([device, None]))
        if kind == 9:
            return Heartbeat(user, chance.choice([device, device, SERVER]))
        if kind == 10:
            some = chance.sample(self.users, chance.randint(1, len(self.users)))
            return RingMore(user, self.callees(one for one in some if one != user), 45.0)
        if kind == 11:
            some = chance.sample(self.users, chance.randint(1, len(self.users)))
            return Present(frozenset((one, chance.choice(self.devices[one])) for one in some))
        if kind == 12:
            return Unreachable(frozenset(self.open_rings), chance.random() < 0.5)
        if kind == 13:
            return Reachable(frozenset(self.open_rings))
        if kind == 14 and self.open_rings:
            ring = chance.choice([*self.open_rings])
            of = self.open_rings[ring]
            return Report(of, chance.choice(self.devices[of]), ring, delivered=True)
        return Tick()

    def step(self) -> None:
        """Let some time pass, or just as much as is needed, and do something."""
        due = due_at(self.call)
        if due is not None and self.chance.random() < 0.15:
            self.now = max(self.now, due + timedelta(microseconds=self.chance.choice((-1, 0, 1))))
        else:
            self.now += timedelta(seconds=self.chance.choice(STEPS))
        self.do(self.random_command())

    def do(self, command: Command) -> None:
        before = self.call
        decision = decide(before, command, self.now)
        self.call = decision.call
        self.check_decision(before, decision)
        self.believe(command, decision)
        self.check_beliefs()
        if self.chance.random() < 0.2:
            self.check_repeats(command)

    # --- what must hold after each command -------------------------------------------------------

    def check_decision(self, before: Call, decision: Decision) -> None:
        call = decision.call
        if before.state is CallState.ENDED:
            assert call == before, "what has ended stays as it is"
            assert not decision.changed
            assert not (decision.events + decision.rings + decision.stops)
        assert decision.changed == (call != before)
        assert decision.visible <= decision.changed
        assert decision.changed or not decision.events
        for event in decision.events:
            assert self.last_event <= event.at <= self.now
            self.last_event = event.at
        due = due_at(call)
        assert (due is None) == (call.state is CallState.ENDED)
        assert due is None or due > self.now, "what is due by now has been done"
        assert len(call.members) <= call.limits.members or len(call.members) == len(before.members)
        assert view(call, self.now) == call

    def check_repeats(self, command: Command) -> None:
        """Time alone changes nothing more, nor does the same command again at the same time."""
        again = decide(self.call, Tick(), self.now)
        assert not again.changed
        assert again.call == self.call
        later = self.now + timedelta(seconds=self.chance.choice(STEPS))
        assert view(self.call, later) == decide(self.call, Tick(), later).call
        late = isinstance(command, Report) and command.ring not in self.open_rings  # told each time
        if not isinstance(command, Start) and not late:
            repeated = decide(self.call, command, self.now)
            assert not repeated.changed, command
            assert not repeated.events

    def believe(self, command: Command, decision: Decision) -> None:
        given_up = {ring.uuid for ring in decision.settled} & {ring.uuid for ring in decision.rings}
        for ring in decision.rings:  # over before a phone could hear of it
            if ring.uuid in given_up:
                self.open_rings[ring.uuid] = ring.user_id
        for stop in decision.stops:
            ringing = self.believed[stop.user_id].ringing
            for device in [d for d, uuid in ringing.items() if uuid == stop.ring_uuid]:
                del ringing[device]  # told to stop, or spared: the one whose tap settled it
        for event in decision.events:
            if event.type is EventType.RING_SETTLED:
                user = event.data["user_id"]
                assert user in event.to, "whoever rang is told how it ended"
                assert self.open_rings.pop(UUID(event.data["ring"])) == user
            elif event.type is EventType.MEMBER_RINGING:
                user, uuid = event.data["user_id"], UUID(event.data["ring"])
                assert self.open_rings[uuid] == user, "only what rings is confirmed"
                assert 1 <= event.data["devices"] <= len(self.devices[user])
            elif event.type is EventType.MEMBER_LEFT:
                assert event.data["user_id"] in event.to
                self.believed[event.data["user_id"]].holding.clear()
            elif event.type is EventType.CALL_ENDED:
                for user in event.to:
                    self.believed[user].holding.clear()
                    self.believed[user].told_end = True
        for ring in decision.rings:  # comes last: it may be of one who was removed just now
            if ring.uuid not in given_up:
                self.note_ring(ring)
        if isinstance(command, (Accept, Decline)) and command.ring is not None:
            by_command = [one for one in decision.settled if one.outcome in COMMANDED]
            assert all(one.uuid == command.ring for one in by_command)
        if decision.refusal is None and isinstance(command, (Accept, Join, Heartbeat)):
            holding = self.believed[command.user_id].holding
            holding.discard(SERVER)  # the backend vouches for no device in particular
            holding.add(command.device)
        if isinstance(command, Start) and decision.call.state is not CallState.ENDED:
            self.believed["u0"].holding.add(command.device)

    def note_ring(self, ring: Ring) -> None:
        believed = self.believed[ring.user_id]
        assert not believed.holding, "who has joined is never rung"
        assert ring.uuid not in self.open_rings
        self.open_rings[ring.uuid] = ring.user_id
        believed.ringing = dict.fromkeys(self.devices[ring.user_id], ring.uuid)

    def check_beliefs(self) -> None:
        for user, believed in self.believed.items():
            member = self.call.members.get(user)
            if member is None:
                assert not believed.ringing
                continue
            rings = member.is_rung
            assert rings == bool(believed.ringing), (user, member, believed)
            assert rings == (member.ring is not None and member.ring.outcome is None)
            if rings:
                assert member.ring is not None
                assert set(believed.ringing.values()) == {member.ring.uuid}
                assert self.open_rings[member.ring.uuid] == user
            joined = member.state in LIVE
            assert believed.holding == ({member.device_id} if joined else set()), (user, member)

    def finish(self) -> None:
        """Let time alone end it, step by step: each step changes something."""
        steps = 0
        while (due := due_at(self.call)) is not None:
            self.now = max(self.now, due)
            before = self.call
            self.do(Tick())
            assert self.call != before, "what was due has been done"
            steps += 1
            assert steps < 50, "every path ends"
        assert not self.open_rings
        assert self.believed["u0"].told_end, "the caller is always told"
        assert self.call.reason is not None
        assert self.call.ended_at is not None


def walk(seed: int, steps: int = 10) -> Walk:
    """One order of commands to its end; an AssertionError of a broken rule tells the seed."""
    one = Walk(dice(seed))
    try:
        for _ in range(one.chance.randint(1, steps)):
            one.step()
        one.finish()
    except AssertionError as error:
        error.add_note(f"seed {seed}")
        raise
    return one
