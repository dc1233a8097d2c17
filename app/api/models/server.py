"""How the audit log, the types of events and the server's own state read."""

from typing import Any, Literal

from pydantic import Field

from app.api.models import EXAMPLE_ID, Cursor, Out, time


class ActorOut(Out):
    """Who acted."""

    kind: str = Field(description="api_key, user, command, dashboard or server")
    id: str | None = Field(description="an API key's or a person's id")
    name: str | None = Field(description="a key's, a person's or a command's name")


class AuditLineOut(Out):
    """Who did what, when and from where."""

    id: str = Field(description="its id", examples=[EXAMPLE_ID])
    at: str = time("when")
    actor: ActorOut = Field(description="who")
    action: str = Field(description="what", examples=["credential.add"])
    target: str = Field(description="to what", examples=["credential:0198f7e2…"])
    source: str | None = Field(description="from which address")
    detail: dict[str, Any] = Field(description="the particulars; never a secret")


class AuditOut(Out):
    """A page of the audit log, the newest first."""

    audit: list[AuditLineOut] = Field(description="lines")
    next_cursor: str | None = Cursor


class EventTypeOut(Out):
    """One type of event."""

    type: str = Field(description="its name", examples=["call.started"])
    about: str = Field(description="what it means")
    example: dict[str, Any] = Field(description="one, as a webhook is sent it")
    json_schema: dict[str, Any] = Field(description="JSON Schema 2020-12")


class EventTypesOut(Out):
    """Every type of event, and what a webhook may subscribe to."""

    types: list[EventTypeOut] = Field(description="in the order of a call")
    filters: list[str] = Field(description="what a webhook's `events` may hold")


class AliveOut(Out):
    """This process runs."""

    status: Literal["ok"] = Field(description="always `ok`")


class ReadyOut(Out):
    """This process can serve."""

    status: Literal["ready"] = Field(description="always `ready`; 503 while it is not")
    workers: int = Field(description="workers that have shown life lately", ge=1, examples=[2])
    clock_skew_seconds: float = Field(description="by how much this host's clock is off")
    warnings: list[str] = Field(description="what a person should look at, in sentences")
