"""What clients send to open a stream, and the stream that it makes."""

from typing import Annotated, Literal

from pydantic import Field

from app.infra.fields import MOST_BIGINT, DeviceId, Request, Text, UserId, Whole, Within
from app.live.streams import Stream
from app.tenants.caller import Caller


class Hello(Request):
    """The first message of a WebSocket; sent again with a fresh token it keeps the stream open."""

    type: Literal["authenticate"]
    token: Annotated[Text, Field(max_length=8_192)]
    user_id: UserId | None = None
    device_id: DeviceId | None = None
    last_event_id: Annotated[Whole, Within(0, MOST_BIGINT, "invalid_field")] | None = None


def stream_of(caller: Caller, user_id: str | None, device_id: str | None) -> Stream:
    """A stream for this caller, not yet open. Raises Forbidden or Invalid for a wrong user."""
    return Stream(
        caller.tenant_id,
        caller.acting_for(user_id),
        device_id,
        caller.expires,
        caller.kind == "user",
        caller.issued,
    )
