"""What clients send to open a stream."""

from typing import Annotated, Literal

from pydantic import Field

from app.infra.fields import MOST_BIGINT, DeviceId, Request, Text, UserId


class Hello(Request):
    """The first message of a WebSocket; sent again with a fresh token it keeps the stream open."""

    type: Literal["authenticate"]
    token: Annotated[Text, Field(max_length=8_192)]
    user_id: UserId | None = None
    device_id: DeviceId | None = None
    last_event_id: Annotated[int, Field(ge=0, le=MOST_BIGINT)] | None = None
