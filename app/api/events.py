"""HTTP and WebSocket: live streams, and the timeline of a call."""

import asyncio
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, Query, Request, Response, WebSocket

from app.api import socket
from app.api.models import Reference, says
from app.api.models.calls import TimelineOut
from app.api.models.server import EventTypesOut
from app.api.sse import EventStream
from app.api.stream_fields import stream_of
from app.calls.timeline import of_call
from app.core.event import event_filters
from app.core.numerals import whole_of
from app.events.registry import REGISTRY, example_of, schema_of
from app.http.acting import runtime_of
from app.http.auth import Gate, any_caller, server, server_or_user
from app.infra.errors import Forbidden
from app.infra.fields import MOST_BIGINT, DeviceId, Said, UserId
from app.live.follow import follow
from app.live.streams import Streams
from app.tenants import rate_limits
from app.tenants.caller import Caller, require_scope

router = APIRouter(prefix="/v1", tags=["events"])


async def _listener(request: Request) -> Caller:
    """The tenant's backend or a user."""
    caller = await any_caller(request)
    if caller.kind not in {"server", "user"}:
        raise Forbidden("not_allowed", "this needs an API key or a user token")
    require_scope(caller, "calls")
    return caller


@router.get("/events", response_class=EventStream, operation_id="stream_events")
async def events(
    request: Request,
    caller: Annotated[Caller, Depends(_listener)],
    user_id: Annotated[UserId | None, Query(description="whose; with a key only")] = None,
    device_id: Annotated[
        DeviceId | None, Query(description="shows life while the stream is open")
    ] = None,
    last_event_id: Annotated[
        Annotated[str, Said(maxLength=100)] | None,
        Header(description="the number of the last event that was read: go on after it"),
    ] = None,
) -> Response:
    """A user's events as they happen (server-sent events), beginning with a snapshot.

    With `Last-Event-ID` it goes on where the client left off. While it is open, `device_id` is
    taken to be alive: a member who joined with that device is not away.
    """
    streams: Streams = request.app.state.streams
    gate: Gate = request.app.state.gate
    authorization = request.headers.get("authorization")
    stream = stream_of(caller, user_id, device_id)
    rate_limits.open_stream(request.app.state.rate_limiter, caller, stream.user_id)
    streams.open(stream)
    batches = follow(
        streams, stream, number_of(last_event_id), lambda: gate.recognise(authorization)
    )
    return EventStream(streams, stream, batches)


NEVER = -1
"""A number that no feed has: whoever resumes after it gets `reset` and a snapshot."""


def number_of(last_event_id: str | None) -> int | None:
    """The number to resume after; None: from a snapshot on, since none was given."""
    if not last_event_id:
        return None
    found = whole_of(last_event_id)
    return found if found is not None and 0 <= found <= MOST_BIGINT else NEVER


@router.get("/events/types", operation_id="list_event_types", response_model=EventTypesOut)
async def event_types(_caller: Annotated[Caller, Depends(server_or_user)]) -> dict[str, Any]:
    """Every type of event, with an example and its JSON Schema, and what webhooks may ask for."""
    return {
        "types": [
            {
                "type": name,
                "about": entry.about,
                "example": example_of(entry),
                "json_schema": schema_of(entry),
            }
            for name, entry in REGISTRY.items()
        ],
        "filters": list(event_filters()),
    }


@router.get("/calls/{reference}/timeline", **says("read_timeline", TimelineOut))
async def timeline(
    reference: Reference, request: Request, caller: Annotated[Caller, Depends(server)]
) -> Response:
    """Everything that happened in a call, in order: events, pushes, what phones reported."""
    require_scope(caller, "calls")
    runtime = runtime_of(request)
    found = await of_call(runtime, caller.tenant_id, reference)
    # past the model: to look at each of thousands of lines again takes longer than to make them
    body = await asyncio.to_thread(orjson.dumps, found)
    return Response(body, media_type="application/json")


@router.websocket("/ws")
async def websocket(connection: WebSocket) -> None:
    """The same over a WebSocket, which says who it is in its first message."""
    state = connection.app.state
    await socket.serve(connection, state.streams, state.gate, state.rate_limiter)
