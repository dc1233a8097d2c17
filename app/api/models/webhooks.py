"""How webhooks, their deliveries and attempts read."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.models import (
    EXAMPLE_ID,
    MANY,
    PAGE,
    Count,
    Cursor,
    Moment,
    Name,
    Out,
    Seconds,
    Secret,
    Sentence,
    Status,
    Url,
    Uuid,
    Word,
    maybe_time,
    time,
)

DeliveryState = Literal["pending", "sending", "delivered", "failed"]
EVENT = "evt_0198f7e28d0e7a3b9b7c2f8f6f0d9a11_1"


class WebhookOut(Out):
    """An endpoint of the backend, and how it does."""

    id: Uuid = Field(description="its id", examples=[EXAMPLE_ID])
    url: Url = Field(description="where events are sent", examples=["https://example.com/hooks"])
    events: Annotated[list[Name], MANY] = Field(
        description="`*`, groups or types", examples=[["call.*"]]
    )
    description: Name = Field(description="for people", examples=["our backend"])
    state: Literal["active", "disabled"] = Field(description="whether anything is sent")
    disabled_at: Moment | None = maybe_time("when it was turned off")
    disabled_reason: Name | None = Field(description="why", examples=["failing"])
    failures: Count = Field(description="failed deliveries in a row")
    failing_since: Moment | None = maybe_time("since when it fails")
    succeeded_at: Moment | None = maybe_time("when it last took one")
    created_at: Moment | None = maybe_time("when it was made")


class NewWebhookOut(WebhookOut):
    """An endpoint just made, with its secret."""

    secret: Secret = Field(description="signs deliveries; shown this once", examples=["whsec_…"])


class WebhooksOut(Out):
    """Every endpoint."""

    webhooks: Annotated[list[WebhookOut], MANY] = Field(description="the oldest first")


class NewSecretOut(Out):
    """A new secret of an endpoint."""

    id: Uuid = Field(description="the endpoint's id", examples=[EXAMPLE_ID])
    secret: Secret = Field(description="signs deliveries; shown this once", examples=["whsec_…"])
    overlap: Seconds = Field(description="seconds for which the old one signs too")


class DeliveryOut(Out):
    """One event for one endpoint."""

    event_id: Name = Field(description="the same for each try", examples=[EVENT])
    type: Word = Field(description="the event's type", examples=["call.started"])
    session_id: Uuid | None = Field(description="the call's session, if it is of one")
    seq: Count | None = Field(description="its number within the call", examples=[1])
    state: DeliveryState = Field(description="how far it is")
    attempts: Count = Field(description="how often it was tried")
    status: Status | None = Field(description="the last HTTP status", examples=[200])
    error: Sentence | None = Field(description="what went wrong, if no status came")
    created_at: Moment | None = maybe_time("when it was made")
    due_at: Moment | None = maybe_time("when it is tried next")
    finished_at: Moment | None = maybe_time("when it was delivered or given up")


class DeliveriesOut(Out):
    """A page of deliveries, the newest first."""

    deliveries: Annotated[list[DeliveryOut], PAGE] = Field(description="of this endpoint")
    next_cursor: Name | None = Cursor


class AttemptOut(Out):
    """One try, with the beginning of what the endpoint answered."""

    id: Uuid = Field(description="its id", examples=[EXAMPLE_ID])
    event_id: Name = Field(description="the event", examples=[EVENT])
    started_at: Moment = time("when it was sent")
    finished_at: Moment = time("when it was over")
    status: Status | None = Field(description="the HTTP status, if one came", examples=[200])
    error: Sentence | None = Field(description="what went wrong, if none came")
    answer: Sentence | None = Field(description="the beginning of the body")


class AttemptsOut(Out):
    """A page of attempts, the newest first."""

    attempts: Annotated[list[AttemptOut], PAGE] = Field(description="of this endpoint")
    next_cursor: Name | None = Cursor


class ResentOut(Out):
    """An event that will be sent once more."""

    event_id: Name = Field(description="the event", examples=[EVENT])
    state: Literal["pending"] = Field(description="it waits for a worker")
