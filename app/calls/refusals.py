"""What a command that is refused is answered."""

from uuid import UUID

from app.core.call import CallKit, Decision, Member, Outcome, Refused, Ring
from app.core.suppression import Why
from app.infra.errors import AppError, Conflict, Forbidden, Gone, Invalid, NotFound


def not_found() -> AppError:
    """The answer for a call that is not there, or not this caller's to know of."""
    return NotFound("call_not_found", "there is no such call")


def is_unseen(member: Member | None, *, hidden: bool, ring: UUID | None = None) -> bool:
    """Whether there is no such call to who acts as this member, be it to read or to act on.

    So it is to a user (`hidden`, as in `service.act`) who has blocked who calls, unless somebody
    has joined for them. `ring`: that of a call token, which its push has brought.
    """
    blocked = member is not None and member.is_hidden and member.suppressed == Why.BLOCKED
    return blocked and hidden and ring is None


def callkit_reason_for(device: str | None, member: Member | None, ring: Ring | None) -> int | None:
    """CallKit's reason why this device's screen is over: a ring's own is for the devices beside it.

    Who has answered, or has held the call since, is not told that somebody else did.
    """
    if ring is None or ring.callkit_reason is None:
        return None
    holders = (ring.device, member.device_id if member is not None else None)
    if ring.outcome is Outcome.ACCEPTED and device is not None and device in holders:
        return CallKit.REMOTE_ENDED.value
    return int(ring.callkit_reason)


def refusal(
    decision: Decision,
    ring: Ring | None,
    member: Member | None,
    device: str | None,
    *,
    hidden: bool,
) -> AppError:
    """Why a command of a member's device was refused; `ring` is the one that was meant, `hidden` as
    in `service.act`."""
    call = decision.call
    callkit_reason = callkit_reason_for(device, member, ring)
    match decision.refusal:
        case Refused.NOT_A_MEMBER:
            return (
                not_found()
                if hidden
                else NotFound("not_a_member", "user_id: this user is no member of the call")
            )
        case Refused.ANSWERED_ELSEWHERE:
            return Conflict(
                "answered_elsewhere", "another device of this user has the call", callkit_reason=4
            )
        case Refused.RING_SETTLED:
            reason = ring.outcome.value if ring and ring.outcome else "settled"
            return Gone(
                "ring_settled",
                f"this ring is over: {reason}",
                reason=reason,
                callkit_reason=callkit_reason,
            )
        case Refused.CALL_ENDED:
            reason = call.reason.value if call.reason else "ended"
            return Gone(
                "call_ended",
                f"this call is over: {reason}",
                reason=reason,
                callkit_reason=callkit_reason,
            )
        case Refused.CALL_ACTIVE:
            return Conflict("call_active", "somebody has joined: `leave` or `end` it instead")
        case Refused.NOT_THE_CALLER:
            return Forbidden("not_the_caller", "only the caller or the server can cancel a call")
        case Refused.TOO_MANY_MEMBERS:
            return Invalid("too_many_members", "the call would hold more members than it may")
    return Conflict("not_joined", "this user has not joined the call")
