"""What clients send to ring and to answer, and how a call reads."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import (
    Discriminator,
    Field,
    GetJsonSchemaHandler,
    Tag,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import CoreSchema

from app.calls.rows import OwnCall
from app.core.call import LIVE, Call, Member, MemberState, Ring
from app.core.details import Details, details_json
from app.core.event import rfc3339
from app.core.frozen import replace
from app.core.identifiers import are_user_ids
from app.core.limits import BOUNDS
from app.core.person import Handle, Person, person_json
from app.core.repeats import first_repeated
from app.core.suppression import TOLD
from app.infra import clock
from app.infra.errors import Invalid
from app.infra.fields import (
    UNTOLD,
    AtMost,
    AvatarUrl,
    CallName,
    CallType,
    Custom,
    DeviceId,
    Flag,
    Number,
    OptionalName,
    Request,
    RowId,
    UserId,
    Within,
    refuse,
)
from app.users.schemas import HandleIn

MOST_CALLEES = 999
RING_LOW, RING_HIGH = BOUNDS["ring"]
RingTime = Annotated[Number, Within(RING_LOW, RING_HIGH, "ring_time_out_of_bounds", " seconds")]


class ShownIn(Request):
    """How screens show a user in this call."""

    name: OptionalName = Field(None, description="as screens show it", examples=["Alice"])
    avatar_url: AvatarUrl | None = Field(
        None,
        description="https; handed on and never fetched",
        examples=["https://example.com/alice.png"],
    )
    handle: HandleIn | None = Field(None, description="what contacts and redial know them by")

    @property
    def person(self) -> Person:
        handle = None if self.handle is None else self.handle.handle
        return Person(self.name, self.avatar_url, handle)


class PersonIn(ShownIn):
    """A user to be rung, by id or by a handle that is theirs, and how screens show them."""

    id: UserId | None = Field(
        None, description="a user; without it, the one whose handle it is", examples=["alice"]
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.id is None and self.handle is None:
            raise refuse("missing_field", "id: name the user by `id`, or by a `handle` of theirs")
        return self


class CallerIn(ShownIn):
    """Who is calling."""

    id: UserId = Field(description="a user", examples=["alice"])
    device_id: DeviceId | None = Field(
        None,
        description="the device they call from, which then shows life; else the backend vouches",
        examples=["alices-phone"],
    )


IDS, USERS = UNTOLD
"""Tags of the two ways to name callees: all by their ids, or some with what is shown of them."""
SHOWN = (dict, PersonIn)
"""The latter as it is sent, and as it is kept."""


def _how_named(value: Any) -> str:
    plain = not isinstance(value, list) or not any(isinstance(one, SHOWN) for one in value)
    return IDS if plain else USERS


class _OneList:
    """For the OpenAPI the second way alone, which holds the first. Two ways cost half as much."""

    @staticmethod
    def __get_pydantic_json_schema__(
        schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found: dict[str, Any] = handler(schema)["oneOf"][1]
        return found


def _ids_at_once(value: Any, one_by_one: ValidatorFunctionWrapHandler) -> list[str]:
    """What is wrong with one of them is found one by one, and where; most often nothing is."""
    texts = type(value) is list and all(type(one) is str for one in value)
    found: list[str] = value if texts and are_user_ids(value) else one_by_one(value)
    return found


_Named = Annotated[
    Annotated[UserId, Tag(IDS)] | Annotated[PersonIn, Tag(USERS)],
    Discriminator(lambda value: USERS if isinstance(value, SHOWN) else IDS),
]
Callees = Annotated[
    Annotated[list[UserId], WrapValidator(_ids_at_once), Tag(IDS)]
    | Annotated[list[_Named], Tag(USERS)],
    Discriminator(_how_named),
    _OneList,
    AtMost(MOST_CALLEES, "too_many_members", "a call holds at most 1,000 with its caller", 1),
]


class RingIn(Request):
    """A request to ring. `ring_time` in seconds; without an `id` one is made.

    `callees`: ids of users, or users, by id or handle, with what screens show of them.
    """

    type: CallType = Field(
        "default",
        description="the call type, which may have limits of its own",
        examples=["default"],
    )
    title: OptionalName = Field(None, description="as screens show it", examples=["Standup"])
    id: CallName | None = Field(
        None, description="the client's own id of the call; made if absent", examples=["abc"]
    )
    caller: CallerIn = Field(description="who is calling")
    callees: Callees = Field(
        description="whom to ring: ids, or objects with what screens show of them",
        examples=[["bob", {"id": "carol", "name": "Carol"}]],
    )
    video: Flag = Field(False, description="whether it is a video call")
    mode: Literal["ring", "notify"] | None = Field(
        None,
        description="`notify`: an ordinary notification tells of the call, and no phone shows a "
        "call screen; else as the tenant's `notifications` say of the call type",
    )
    urgent: Flag = Field(
        False,
        description="it rings whatever the callees wish, but for whom they block; only where the "
        "setting `urgent_allowed` is on",
    )
    ring_time: RingTime | None = Field(
        None, description="seconds for which it rings; else the limit `ring`", examples=[45]
    )
    custom: Custom = Field(
        default_factory=dict,
        description="the backend's own data, 2,048 bytes as JSON at most",
        examples=[{"room": 7}],
    )

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if not self.callees:
            raise refuse("no_callees", "callees: name at least one user to ring")
        for code, sentence in self.faults():
            raise refuse(code, sentence)
        return self

    @property
    def details(self) -> Details:
        """What no rule needs."""
        return Details(title=self.title, custom=dict(self.custom))

    @property
    def callee_ids(self) -> list[str]:
        """Who is rung; of those named by handle only who is known by now."""
        return [one for one in self._ids() if one is not None]

    def _ids(self) -> list[str | None]:
        return [one if isinstance(one, str) else one.id for one in self.callees]

    @property
    def wanted(self) -> list[Handle]:
        """Handles of those who are named by nothing else, as they were given."""
        return [
            one.handle.handle
            for one in self.callees
            if not isinstance(one, str) and one.id is None and one.handle is not None
        ]

    def found(self, users: Mapping[Handle, str]) -> Self:
        """The same with ids in the place of handles. Raises Invalid for one that nobody has."""
        known: list[str | PersonIn] = []
        for n, one in enumerate(self.callees):
            if isinstance(one, str) or one.id is not None or one.handle is None:
                known.append(one)
            elif (user := users.get(one.handle.handle)) is not None:
                known.append(one.model_copy(update={"id": user}))
            else:
                raise Invalid("unknown_handle", f"callees.{n}.handle: no user has this handle")
        whole = self.model_copy(update={"callees": known})
        for code, sentence in whole.faults():
            raise Invalid(code, sentence)
        return whole

    def faults(self) -> Iterator[tuple[str, str]]:
        """What is wrong with those it names, as (code, sentence)."""
        ids = self.callee_ids
        if len(set(ids)) < len(ids):
            again = first_repeated(self._ids())
            yield "duplicate_callee", f"callees.{again}: this user is named twice"
        if self.caller.id in ids:
            place = self._ids().index(self.caller.id)
            yield "caller_among_callees", f"callees.{place}: the caller cannot be rung by this call"


class ActIn(Request):
    """Who acts on a call: with a user token the token's subject, with a key `user_id`."""

    user_id: UserId | None = Field(
        None, description="the member who acts; with a key only", examples=["bob"]
    )
    device_id: DeviceId | None = Field(
        None, description="the device that acts", examples=["bobs-phone"]
    )


class DeclineIn(ActIn):
    """`reason`: `declined` or `busy`. `reach`: all the user's devices, or this one while others
    ring on; without it, as the tenant's `decline_reach` says."""

    reason: Literal["declined", "busy"] = Field("declined", description="why")
    reach: Literal["user", "device"] | None = Field(
        None, description="whether all the user's devices stop, or this one alone"
    )


class ReportIn(ActIn):
    """What a device says of a ring. With a call token that says all; else which device, and whose.

    `ring`: the only one that is meant; without it the one that is open.
    """

    status: Literal["delivered", "unavailable"] = Field(
        description="`delivered`: it is on the screen; `unavailable`: it cannot be"
    )
    ring: RowId | None = Field(
        None, description="the ring's uuid; with a call token it is that token's"
    )


# an enum's `_value_`: its `value` costs as much as a dozen of such readings, and orjson asks for it
def call_out(call: Call) -> dict[str, Any]:
    """A call as clients read it, as time has left it."""
    now = clock.now()
    return {
        "id": call.name,
        "session_id": str(call.id),
        "cid": call.cid,
        "type": call.type,
        "state": call.state._value_,
        "reason": call.reason._value_ if call.reason else None,
        "caller": {"id": call.caller_id, **person_json(call.caller)},
        "video": call.video,
        **details_json(call.details),
        "created_at": rfc3339(call.created_at),
        "active_at": rfc3339(call.active_at) if call.active_at else None,
        "ended_at": rfc3339(call.ended_at) if call.ended_at else None,
        "members": [member_out(member, call, now) for member in call.members.values()],
    }


def own_call_out(own: OwnCall) -> dict[str, Any]:
    """The same of a call of which no other member is loaded, as it is stored."""
    count = {"members": own.members, "joined": own.joined, "ringing": own.ringing}
    return call_out(own.stored.call) | {"count": count}


def call_summary(call: Call, user_id: str) -> dict[str, Any]:
    """A call as one member's phone reads it: that member alone, and how many there are."""
    states = [member.state for member in call.members.values()]
    joined, ringing = sum(state in LIVE for state in states), states.count(MemberState.RINGING)
    if call.others is not None:
        joined, ringing = joined + call.others.joined, ringing + call.others.ringing
    mine = {user_id: call.members[user_id]} if user_id in call.members else {}
    return call_out(replace(call, members=mine)) | {
        "count": {
            "members": call.size,
            "joined": joined,
            "ringing": ringing,
        }
    }


def member_out(member: Member, call: Call, now: datetime | None = None) -> dict[str, Any]:
    """A member of this call with the latest ring that was made to reach them, as of `now`."""
    return {
        "user_id": member.user_id,
        **person_json(member.person),
        "role": member.role._value_,
        "state": member.state._value_,
        "device_id": member.device_id,
        "joined_at": rfc3339(member.joined_at) if member.joined_at else None,
        "left_at": rfc3339(member.left_at) if member.left_at else None,
        "ring": ring_out(member.ring, call, now),
        "suppressed": member.suppressed
        if call.limits.tell_suppressed and member.suppressed in TOLD
        else None,
    }


def ring_out(ring: Ring | None, call: Call, now: datetime | None = None) -> dict[str, Any] | None:
    """A ring of this call as clients read it now; its state is `ringing` or how it settled."""
    if ring is None:
        return None
    return {
        "uuid": str(ring.uuid),
        "state": ring.outcome._value_ if ring.outcome else "ringing",
        "receipt": ring.receipt(call.limits, now or clock.now())._value_,
        "devices": len(ring.shown_on),
        "expires_at": rfc3339(ring.deadline),
        "settled_at": rfc3339(ring.settled_at) if ring.settled_at else None,
        "callkit_reason": int(ring.callkit_reason) if ring.callkit_reason else None,
    }
