"""How the audit log, the types of events and the server's own state read."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.models import (
    EXAMPLE_ID,
    MANY,
    PAGE,
    Count,
    Cursor,
    Facts,
    Id,
    Moment,
    Name,
    Out,
    Sentence,
    Uuid,
    Word,
    time,
)
from app.infra.fields import Said


class ActorOut(Out):
    """Who acted."""

    kind: Word = Field(description="api_key, user, command, dashboard or server")
    id: Id | None = Field(description="an API key's or a person's id")
    name: Name | None = Field(description="a key's, a person's or a command's name")


class AuditLineOut(Out):
    """Who did what, when and from where."""

    id: Uuid = Field(description="its id", examples=[EXAMPLE_ID])
    at: Moment = time("when")
    actor: ActorOut = Field(description="who")
    action: Word = Field(description="what", examples=["credential.add"])
    target: Sentence = Field(description="to what", examples=["credential:0198f7e2…"])
    source: Word | None = Field(description="from which address")
    detail: Facts = Field(description="the particulars; never a secret")


class AuditOut(Out):
    """A page of the audit log, the newest first."""

    audit: Annotated[list[AuditLineOut], PAGE] = Field(description="lines")
    next_cursor: Name | None = Cursor


class EventTypeOut(Out):
    """One type of event."""

    type: Word = Field(description="its name", examples=["call.started"])
    about: Sentence = Field(description="what it means")
    example: Facts = Field(description="one, as a webhook is sent it")
    json_schema: Facts = Field(description="JSON Schema 2020-12")


class EventTypesOut(Out):
    """Every type of event, and what a webhook may subscribe to."""

    types: Annotated[list[EventTypeOut], MANY] = Field(description="in the order of a call")
    filters: Annotated[list[Name], MANY] = Field(description="what a webhook's `events` may hold")


class AliveOut(Out):
    """This process runs."""

    status: Literal["ok"] = Field(description="always `ok`")


class ReadyOut(Out):
    """This process can serve."""

    status: Literal["ready"] = Field(description="always `ready`; 503 while it is not")
    workers: Count = Field(description="workers that have shown life lately", examples=[2])
    clock_skew_seconds: Annotated[float, Said(minimum=-1e9, maximum=1e9)] = Field(
        description="by how much this host's clock is off"
    )
    warnings: Annotated[list[Sentence], MANY] = Field(
        description="what a person should look at, in sentences"
    )
