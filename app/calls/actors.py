"""Who acts on a call, and what each kind of caller may do to which call."""

from typing import Any
from uuid import UUID

from app.access import member_token as sign_member_token
from app.calls import store
from app.calls.call_token_view import read_state
from app.calls.reference import call_reference
from app.calls.refusals import is_unseen
from app.calls.schemas import call_summary, ring_out
from app.calls.service import Seen, not_found, read
from app.core.call import Member
from app.core.frozen import frozen
from app.core.large_calls import LARGE
from app.core.suppression import NOTIFIED
from app.infra import clock
from app.infra.errors import Forbidden, Invalid
from app.infra.runtime import Runtime
from app.tenants.caller import Caller


@frozen
class Actor:
    """On which call, for whom, from which device. `hidden`: a stranger is told nothing of it.

    `gone`: the device of a call token is no more the user's.
    """

    tenant_id: UUID
    reference: str
    user: str | None
    device: str | None
    hidden: bool
    ring: UUID | None = None
    gone: bool = False

    @property
    def user_id(self) -> str:
        """The user, for commands that need one."""
        if self.user is None:
            raise Invalid("missing_field", "user_id: an API key must say for which user")
        return self.user


async def actor(
    runtime: Runtime, caller: Caller, reference: str, user: str | None, device: str | None
) -> Actor:
    """Resolve a caller and a body into an Actor.

    A user token acts for its subject; a key for whom it names; a call token for its ring's user
    and device, on its call only; a member token for its holder. Raises Forbidden (403) for a token
    that acts for another, NotFound (404) for one that acts on another call.
    """
    if caller.kind == "server":
        return Actor(caller.tenant_id, reference, user, device, hidden=False)
    if caller.kind == "user":
        return Actor(caller.tenant_id, reference, caller.acting_for(user), device, hidden=True)
    session_id, owner, holder, gone = await _bound(runtime, caller)
    if user not in {None, owner}:
        raise Forbidden("wrong_user", "user_id: this token cannot act for another user")
    if device not in {None, holder}:
        raise Forbidden("wrong_device", "device_id: this token cannot act for another device")
    await _same_call(runtime, caller, reference, session_id)
    return Actor(
        caller.tenant_id, str(session_id), owner, holder, hidden=True, ring=caller.ring, gone=gone
    )


async def _bound(runtime: Runtime, caller: Caller) -> tuple[UUID, str, str, bool]:
    if caller.kind == "member":
        assert caller.session_id is not None
        assert caller.user_id is not None
        assert caller.device_id is not None
        return caller.session_id, caller.user_id, caller.device_id, False
    assert caller.ring is not None
    assert caller.device_row is not None
    async with runtime.database.autocommit() as session:
        found = await store.ring_of_token(session, caller.tenant_id, caller.ring, caller.device_row)
    if found is None or found["device_id"] is None:
        raise not_found()
    gone = found["gone_at"] is not None
    return found["session_id"], found["user_id"], found["device_id"], gone


async def _same_call(runtime: Runtime, caller: Caller, reference: str, session_id: UUID) -> None:
    if call_reference(reference) == session_id:
        return
    seen = await read(runtime, caller.tenant_id, reference)
    if seen.call.id != session_id:
        raise not_found()


async def read_as(runtime: Runtime, caller: Caller, reference: str) -> dict[str, Any]:
    """A call as this caller may see it: a user only calls of which they are a member."""
    if caller.kind == "call":
        return await read_state(runtime, caller, reference)
    if caller.kind == "server":
        return (await read(runtime, caller.tenant_id, reference)).out()
    if caller.kind == "user":
        assert caller.user_id is not None
        seen = await read(runtime, caller.tenant_id, reference)
        own = member_of(caller, seen, caller.user_id)
        kept = own.is_hidden and own.suppressed not in NOTIFIED
        return _without_own(seen.out(), own.user_id) if kept else seen.out()
    who = await actor(runtime, caller, reference, None, None)
    seen = await read(runtime, who.tenant_id, who.reference)
    own_part = seen.call.members.get(who.user_id)
    if own_part is None or is_unseen(own_part, hidden=who.hidden):
        raise not_found()
    return seen.out()


def member_of(caller: Caller, seen: Seen, user_id: str) -> Member:
    """The member that this caller acts for. Raises NotFound, also where it is unseen to them."""
    member = seen.call.members.get(user_id)
    if member is None or is_unseen(member, hidden=caller.kind == "user"):
        raise not_found()
    return member


def _without_own(out: dict[str, Any], user_id: str) -> dict[str, Any]:
    """A call whose ring is kept from this user: to them it does not ring, as in their history."""
    mine = {"state": "suppressed", "ring": None}
    members = [one | mine if one["user_id"] == user_id else one for one in out["members"]]
    return out | {"members": members}


def as_told(caller: Caller, seen: Seen, user_id: str) -> dict[str, Any]:
    """What a member's command answers: of a large call this member alone, and how many there are.

    So it is with a call token whatever the call's size, and its own ring beside it.
    """
    if caller.kind == "call":
        return call_summary(seen.call, user_id) | {"ring": ring_out(seen.ring, seen.call)}
    if seen.call.size > LARGE:
        return call_summary(seen.call, user_id)
    return seen.out()


def refuse_kinds(caller: Caller, *kinds: str) -> None:
    """Refuse (403) tokens of these kinds: each is good for a few things only."""
    if caller.kind in kinds:
        good_for = {
            "call": "read, accept, decline and report; an accept answers a member token",
            "member": "read, heartbeat, leave and end",
        }[caller.kind]
        raise Forbidden("not_allowed", f"a {caller.kind} token is good to {good_for}")


def member_token(runtime: Runtime, seen: Seen, user_id: str, device_id: str) -> str:
    """What an accept gives: with it a phone keeps, leaves or ends the call without logging in."""
    expires = seen.call.created_at.timestamp() + seen.call.limits.length
    return sign_member_token(
        runtime.keyring,
        tenant_id=seen.stored.tenant_id,
        session_id=seen.call.id,
        user_id=user_id,
        device_id=device_id,
        now=clock.unix(),
        expires=expires,
    )


def heartbeat_every(seen: Seen, user_id: str) -> float | None:
    """Seconds within which a member's device must show life again; None: it need not."""
    member = seen.call.members[user_id]
    return seen.call.limits.heartbeat_every if member.monitored else None
