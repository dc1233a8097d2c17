"""HTTP: ring, read and act on calls."""

from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Request, Response

from app.api.models import Reference, says
from app.api.models.calls import AcceptedOut, CallOut, OwnCallOut
from app.calls import actors, declining, heartbeats, receipts, service
from app.calls.actors import Actor
from app.calls.ringer import Ringer
from app.calls.ringing import LONGEST_KEY, ring_request
from app.calls.schemas import ActIn, DeclineIn, ReportIn, RingIn
from app.calls.service import Audited, Seen
from app.core.call import (
    SERVER,
    Accept,
    CallKit,
    Cancel,
    Command,
    Decline,
    End,
    Join,
    Leave,
)
from app.http import etags as http_cache
from app.http.acting import actor_of, runtime_of
from app.http.auth import any_caller, server_or_user
from app.infra.errors import Gone, Invalid
from app.infra.fields import Said
from app.tenants import rate_limits
from app.tenants.caller import Caller, require_scope

router = APIRouter(prefix="/v1/calls", tags=["calls"])
Anyone = Annotated[Caller, Depends(any_caller)]
ServerOrUser = Annotated[Caller, Depends(server_or_user)]


@router.post("", status_code=202, **says("ring", CallOut))
async def ring(
    body: RingIn,
    request: Request,
    caller: ServerOrUser,
    idempotency_key: Annotated[
        Annotated[str, Said(minLength=1, maxLength=LONGEST_KEY)] | None,
        Header(description="the same key and body within 24 hours ring once"),
    ] = None,
) -> Response:
    """Ring: start a call, or ring more members of a live one. Returns the call."""
    # most requests never come here: see app.api.fast_path
    ringer: Ringer = request.app.state.ringer
    order = ring_request(caller, body, idempotency_key)
    limiter = request.app.state.rate_limiter
    rate_limits.ring(limiter, caller, body.caller.id, body.callee_ids)
    answer = orjson.dumps(await ringer.submit(order, partial(rate_limits.called, limiter, caller)))
    return Response(answer, status_code=202, media_type="application/json")


@router.get("/{reference}", **says("read_call", OwnCallOut | CallOut))
async def read(reference: Reference, request: Request, caller: Anyone) -> Response:
    """A call by `type:id` (the live one, else the latest) or by the id of its session.

    With an ETag. A call token is shown its own member, its ring, and how many others there are.
    """
    require_scope(caller, "calls")
    runtime = runtime_of(request)
    return http_cache.answer(request, await actors.read_as(runtime, caller, reference))


@router.post("/{reference}/report", status_code=204, operation_id="report_ring")
async def report(
    reference: Reference, request: Request, caller: Anyone, body: ReportIn
) -> Response:
    """The ring is on this device's screen (`delivered`), or cannot be (`unavailable`).

    With a call token of its ring and device; a page that rings by its stream says `device_id`. The
    first word of each device is told as `member.ringing` to who is in the call.
    """
    require_scope(caller, "calls")
    await receipts.report(runtime_of(request), caller, reference, body)
    return Response(status_code=204)


@router.post("/{reference}/accept", **says("accept_call", AcceptedOut))
async def accept(
    reference: Reference, request: Request, caller: Anyone, body: ActIn | None = None
) -> dict[str, Any]:
    """Answer. The first device wins; the same device again gets the same answer.

    `heartbeat_every`: the device must show life at least so often, in seconds, by
    `POST .../heartbeat` or an open stream; silent for three times that it is away, then removed.
    None: it need not.
    """
    return await _join(reference, request, caller, body, Accept)


@router.post("/{reference}/join", **says("join_call", AcceptedOut))
async def join(
    reference: Reference, request: Request, caller: ServerOrUser, body: ActIn | None = None
) -> dict[str, Any]:
    """Answer, or come back into a call that is still active after leaving or missing it."""
    return await _join(reference, request, caller, body, Join)


async def _join(
    reference: Reference,
    request: Request,
    caller: Caller,
    body: ActIn | None,
    command: type[Accept | Join],
) -> dict[str, Any]:
    actors.refuse_kinds(caller, "member")
    actor = await _actor(reference, request, caller, body)
    if actor.gone:
        raise Gone(
            "device_removed",
            "this device is no more the user's: it cannot answer",
            reason="cancelled",
            callkit_reason=CallKit.REMOTE_ENDED.value,
        )
    device = actor.device
    if device is None:
        if caller.kind == "user":
            raise Invalid("missing_field", "device_id: say which device answers")
        device = SERVER
    monitored = caller.kind != "server"
    seen = await _act(request, actor, command(actor.user_id, device, monitored, actor.ring))
    runtime = runtime_of(request)
    return actors.as_told(caller, seen, actor.user_id) | {
        "member_token": actors.member_token(runtime, seen, actor.user_id, device),
        "heartbeat_every": actors.heartbeat_every(seen, actor.user_id),
    }


@router.post("/{reference}/decline", **says("decline_call", OwnCallOut | CallOut))
async def decline(
    reference: Reference, request: Request, caller: Anyone, body: DeclineIn | None = None
) -> dict[str, Any]:
    """Decline for all devices of this member, or for this one. Late or repeated: no harm.

    With `reach` `device` the others ring on; once none is left the member has declined.
    """
    actors.refuse_kinds(caller, "member")
    actor = await _actor(reference, request, caller, body)
    said = body.reach if body is not None else None
    if await declining.reach_of(runtime_of(request), caller, actor, said) == "device":
        seen = await declining.on_this_device(runtime_of(request), actor)
        if seen is not None and caller.kind == "call":
            return await actors.read_as(runtime_of(request), caller, reference)
        if seen is not None:
            return actors.as_told(caller, seen, actor.user_id)
    busy = body is not None and body.reason == "busy"
    command = Decline(actor.user_id, actor.device, busy, actor.ring)
    return actors.as_told(caller, await _act(request, actor, command), actor.user_id)


@router.post("/{reference}/cancel", **says("cancel_call", CallOut))
async def cancel(
    reference: Reference, request: Request, caller: ServerOrUser, body: ActIn | None = None
) -> dict[str, Any]:
    """Give up before anyone has joined: the caller, or the server."""
    actor = await _actor(reference, request, caller, body)
    audited = _audited(request, caller, actor, "call.cancel")
    return (await _act(request, actor, Cancel(actor.user), audited)).out()


@router.post("/{reference}/leave", **says("leave_call", CallOut))
async def leave(
    reference: Reference, request: Request, caller: Anyone, body: ActIn | None = None
) -> dict[str, Any]:
    """Leave; the others go on. Late or repeated: no harm."""
    actors.refuse_kinds(caller, "call")
    actor = await _actor(reference, request, caller, body)
    return (await _act(request, actor, Leave(actor.user_id, actor.device))).out()


@router.post("/{reference}/end", **says("end_call", CallOut))
async def end(
    reference: Reference, request: Request, caller: Anyone, body: ActIn | None = None
) -> dict[str, Any]:
    """End the call for everyone: a member who has joined, or the server."""
    actors.refuse_kinds(caller, "call")
    actor = await _actor(reference, request, caller, body)
    audited = _audited(request, caller, actor, "call.end")
    return (await _act(request, actor, End(actor.user, actor.device), audited)).out()


@router.post("/{reference}/heartbeat", **says("heartbeat", OwnCallOut))
async def heartbeat(
    reference: Reference, request: Request, caller: Anyone, body: ActIn | None = None
) -> dict[str, Any]:
    """Keep a joined member: silence makes it away, then takes it out. Returns its own part."""
    actors.refuse_kinds(caller, "call")
    actor = await _actor(reference, request, caller, body)
    runtime = runtime_of(request)
    return await heartbeats.keep(runtime, actor)


async def _actor(
    reference: Reference,
    request: Request,
    caller: Caller,
    body: ActIn | None,
) -> Actor:
    require_scope(caller, "calls")
    user = body.user_id if body else None
    device = body.device_id if body else None
    runtime = runtime_of(request)
    return await actors.actor(runtime, caller, reference, user, device)


def _audited(request: Request, caller: Caller, actor: Actor, act: str) -> Audited | None:
    """What a backend does of its own accord is audited; what members do, the events say."""
    of_its_own = caller.kind == "server" and actor.user is None
    return (actor_of(request, caller), act) if of_its_own else None


async def _act(
    request: Request, actor: Actor, command: Command, audited: Audited | None = None
) -> Seen:
    runtime = runtime_of(request)
    return await service.act(
        runtime, actor.tenant_id, actor.reference, command, hidden=actor.hidden, audited=audited
    )
