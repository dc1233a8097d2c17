"""Who is told of what: everyone in a small call, once a second in a large one."""

from dataclasses import replace
from datetime import UTC, datetime
from types import MappingProxyType
from uuid import UUID

import pytest

from app.core.audience import MOST_NAMED, audience, update
from app.core.event import Event, EventType
from app.core.large_calls import LARGE
from app.core.limits import CallLimits
from app.core.model import Call, Member, MemberState, Role

NOW = datetime(2026, 11, 21, tzinfo=UTC)
EMPTY = Call(UUID(int=1), "default", "a", "u0", False, CallLimits(), NOW)


def call_of(size: int, state: MemberState = MemberState.JOINED) -> Call:
    members = {f"u{n}": Member(f"u{n}", Role.CALLEE, state, device_id="d") for n in range(size)}
    return replace(EMPTY, members=MappingProxyType(members))


def joined(call: Call, user: str) -> Event:
    return Event(EventType.MEMBER_JOINED, NOW, {"user_id": user}, tuple(call.members))


def test_a_small_call_tells_everyone() -> None:
    call = call_of(LARGE)
    assert audience(call, joined(call, "u3")) == tuple(call.members)


def test_a_large_call_tells_whom_it_is_about() -> None:
    call = call_of(LARGE + 1)
    assert audience(call, joined(call, "u3")) == ("u3",)


@pytest.mark.parametrize("kind", [EventType.CALL_ENDED, EventType.CALL_ACTIVE])
def test_what_concerns_all_is_told_to_all(kind: EventType) -> None:
    call = call_of(350)
    assert len(audience(call, Event(kind, NOW, {}, tuple(call.members)))) == 350


def test_an_update_says_what_has_changed_and_how_many_are_where() -> None:
    call = call_of(12)
    gone = replace(call.members["u1"], state=MemberState.LEFT)
    call = replace(call, members=MappingProxyType({**call.members, "u1": gone}))
    event = update(call, ["u1", "u2", "stranger"], NOW)
    assert event.type is EventType.CALL_UPDATED
    assert [one["user_id"] for one in event.data["members"]] == ["u1", "u2"]
    assert event.data["members"][0]["state"] == "left"
    assert event.data["counts"] == {"joined": 11, "left": 1}
    assert not event.data["more"]
    assert "u1" not in event.to
    assert len(event.to) == 11


def test_an_update_names_so_many_at_most() -> None:
    call = call_of(350)
    event = update(call, list(call.members), NOW)
    assert len(event.data["members"]) == MOST_NAMED
    assert event.data["more"]
