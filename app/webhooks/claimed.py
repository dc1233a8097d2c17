"""What a worker reads of deliveries and of the endpoints that they go to, as values."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from app.core.frozen import frozen
from app.infra.row_values import RowValue

Key = tuple[UUID, str]
"""(webhook, event): a delivery."""

Target = tuple[UUID, UUID]
"""(webhook, tenant)"""


@frozen
class DueWebhook(RowValue):
    """A webhook with deliveries that may be sent now.

    `under_way`: how many are being sent to one that fails, from any worker.
    """

    webhook: UUID
    tenant_id: UUID
    failures: int
    under_way: int


@frozen
class Delivery:
    """A claimed delivery; of a tenant's own event it names no call.

    `created` and `now`, when it was claimed, are Unix seconds of the database's clock: to read a
    number costs a tenth of a time.
    """

    webhook_id: UUID
    tenant_id: UUID
    event_id: str
    session_id: UUID | None
    seq: int | None
    fence: int
    attempts: int
    created: float
    now: float

    @property
    def key(self) -> Key:
        """Which delivery it is."""
        return self.webhook_id, self.event_id


@frozen
class DueEvent(RowValue):
    """What a delivery says, to whomever it goes: of a call its `cid`, and its trace, if it has one.

    `data` is JSON as the database writes it.
    """

    event_id: str
    type: str
    at: datetime
    data: str
    cid: str | None
    traceparent: str | None


@frozen
class Destination(RowValue):
    """Where a webhook's deliveries go, and the live secrets that sign them, the newest first.

    None when there are none.
    """

    webhook_id: UUID
    tenant_id: UUID
    url: str
    secret_ids: Sequence[UUID] | None
    sealed: Sequence[bytes] | None

    def secrets(self) -> "list[SealedSecret]":
        """What signs."""
        live = zip(self.secret_ids or (), self.sealed or (), strict=True)
        return [SealedSecret(one, self.tenant_id, self.webhook_id, kept) for one, kept in live]


@frozen
class SealedSecret:
    """A secret that signs what a webhook is sent."""

    id: UUID
    tenant_id: UUID
    webhook_id: UUID
    sealed: bytes


@frozen
class FailingWebhook(RowValue):
    """How an endpoint stands that has failed."""

    id: UUID
    tenant_id: UUID
    url: str
    failures: int
    failing_since: datetime
