"""Events name users only where `core.event` says so: an erased user is taken out of these places."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from app.core.audience import update
from app.core.call import (
    Accept,
    Call,
    Callee,
    Decline,
    End,
    Heartbeat,
    Leave,
    Reachable,
    Report,
    RingMore,
    Start,
    Tick,
    Unreachable,
    decide,
)
from app.core.event import USER_FIELDS, USER_LISTS, USER_OBJECTS, Event, EventType
from app.core.limits import CallLimits

BEGIN = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)
USERS = tuple(f"user {n}" for n in range(9))


def events() -> Iterator[Event]:
    """At least one of each type."""
    limits, wishes = CallLimits(tell_suppressed=True), {USERS[3]: "do_not_disturb"}
    call = Call(uuid4(), "default", "x", USERS[0], False, limits, BEGIN)
    rings = {user: uuid4() for user in USERS}
    now = BEGIN
    for seconds, command in (
        (0, Start(tuple(Callee(u, rings[u]) for u in USERS[1:6]), 45, "phone", suppressed=wishes)),
        (1, Unreachable(frozenset([rings[USERS[4]]]))),
        (1, Reachable(frozenset([rings[USERS[4]]]))),
        (1, Report(USERS[1], "phone", rings[USERS[1]], delivered=True)),
        (1, Report(USERS[1], "phone", rings[USERS[1]], delivered=False)),
        (1, Report(USERS[2], "phone", rings[USERS[2]], declined=True)),
        (1, Accept(USERS[1], "phone")),
        (1, Accept(USERS[5], "phone")),
        (1, Decline(USERS[2])),
        (1, Decline(USERS[3], busy=True)),
        (1, RingMore(USERS[0], (Callee(USERS[6], rings[USERS[6]]),), 45)),
        (35, Heartbeat(USERS[1], "phone")),
        (15, Tick()),
        (1, Leave(USERS[1])),
        (1, End()),
    ):
        now += timedelta(seconds=seconds)
        decision = decide(call, command, now)
        call = decision.call
        yield from decision.events
    yield update(call, USERS, now)


def named(value: Any, path: str = "") -> Iterator[str]:
    """Paths at which a user's id stands; of lists without the number."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from named(inner, f"{path}.{key}" if path else key)
            if key in USERS:
                yield f"{path}.(key)"
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from named(inner, path)
    elif value in USERS:
        yield path


def test_users_are_named_in_known_places_only() -> None:
    known = {*USER_FIELDS, *USER_LISTS, *(f"{one}.user_id" for one in USER_OBJECTS)}
    found: set[str] = set()
    types = set()
    for event in events():
        types.add(event.type)
        found |= set(named(dict(event.data)))
    assert types == set(EventType)
    assert found == known
