"""How webhooks, their deliveries and attempts read."""

from typing import Literal

from pydantic import Field

from app.api.models import EXAMPLE_ID, Cursor, Out, maybe_time, time

DeliveryState = Literal["pending", "sending", "delivered", "failed"]
EVENT = "evt_0198f7e28d0e7a3b9b7c2f8f6f0d9a11_1"


class WebhookOut(Out):
    """An endpoint of the backend, and how it does."""

    id: str = Field(description="its id", examples=[EXAMPLE_ID])
    url: str = Field(description="where events are sent", examples=["https://example.com/hooks"])
    events: list[str] = Field(description="`*`, groups or types", examples=[["call.*"]])
    description: str = Field(description="for people", examples=["our backend"])
    state: Literal["active", "disabled"] = Field(description="whether anything is sent")
    disabled_at: str | None = maybe_time("when it was turned off")
    disabled_reason: str | None = Field(description="why", examples=["failing"])
    failures: int = Field(description="failed deliveries in a row", ge=0)
    failing_since: str | None = maybe_time("since when it fails")
    succeeded_at: str | None = maybe_time("when it last took one")
    created_at: str | None = maybe_time("when it was made")


class NewWebhookOut(WebhookOut):
    """An endpoint just made, with its secret."""

    secret: str = Field(description="signs deliveries; shown this once", examples=["whsec_…"])


class WebhooksOut(Out):
    """Every endpoint."""

    webhooks: list[WebhookOut] = Field(description="the oldest first")


class NewSecretOut(Out):
    """A new secret of an endpoint."""

    id: str = Field(description="the endpoint's id", examples=[EXAMPLE_ID])
    secret: str = Field(description="signs deliveries; shown this once", examples=["whsec_…"])
    overlap: float = Field(description="seconds for which the old one signs too", ge=0)


class DeliveryOut(Out):
    """One event for one endpoint."""

    event_id: str = Field(description="the same for each try", examples=[EVENT])
    type: str = Field(description="the event's type", examples=["call.started"])
    session_id: str | None = Field(description="the call's session, if it is of one")
    seq: int | None = Field(description="its number within the call", examples=[1])
    state: DeliveryState = Field(description="how far it is")
    attempts: int = Field(description="how often it was tried", ge=0)
    status: int | None = Field(description="the last HTTP status", examples=[200])
    error: str | None = Field(description="what went wrong, if no status came")
    created_at: str | None = maybe_time("when it was made")
    due_at: str | None = maybe_time("when it is tried next")
    finished_at: str | None = maybe_time("when it was delivered or given up")


class DeliveriesOut(Out):
    """A page of deliveries, the newest first."""

    deliveries: list[DeliveryOut] = Field(description="of this endpoint")
    next_cursor: str | None = Cursor


class AttemptOut(Out):
    """One try, with the beginning of what the endpoint answered."""

    id: str = Field(description="its id", examples=[EXAMPLE_ID])
    event_id: str = Field(description="the event", examples=[EVENT])
    started_at: str = time("when it was sent")
    finished_at: str = time("when it was over")
    status: int | None = Field(description="the HTTP status, if one came", examples=[200])
    error: str | None = Field(description="what went wrong, if none came")
    answer: str | None = Field(description="the beginning of the body")


class AttemptsOut(Out):
    """A page of attempts, the newest first."""

    attempts: list[AttemptOut] = Field(description="of this endpoint")
    next_cursor: str | None = Cursor


class ResentOut(Out):
    """An event that will be sent once more."""

    event_id: str = Field(description="the event", examples=[EVENT])
    state: Literal["pending"] = Field(description="it waits for a worker")
