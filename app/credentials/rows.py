"""Credentials as they are read from their rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self
from uuid import UUID

from app.core.credential import CredentialKind, CredentialState
from app.core.frozen import frozen
from app.core.push import Environment
from app.infra.row_values import RowValue
from app.infra.unreadable import mapping, texts


@frozen
class CredentialRow(RowValue):
    """What may be shown of one: every column but the secret. See `models.Credential`."""

    KIND: ClassVar[str] = "credential"

    id: UUID
    tenant_id: UUID
    app_id: str
    kind: CredentialKind
    environments: Sequence[str]
    topics: Sequence[str]
    team_id: str | None
    key_id: str | None
    project_id: str | None
    subject: str | None
    serial: str | None
    fingerprint: str
    key_fingerprint: str
    not_before: datetime | None
    not_after: datetime | None
    request: str | None
    version: int
    state: CredentialState
    trouble: str | None
    refused: Mapping[str, str]
    failing_since: datetime | None
    probe: Mapping[str, Mapping[str, Any]]
    probed_at: datetime | None
    probe_due_at: datetime | None
    alarmed_days: int | None
    created_at: datetime
    activated_at: datetime | None
    replaced_at: datetime | None
    retired_at: datetime | None

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Self:
        """With enums for words, and nothing that is of another shape than was written."""
        values = dict(zip(cls.__match_args__, row, strict=True))
        kind, state = CredentialKind(values.pop("kind")), CredentialState(values.pop("state"))
        texts(values["topics"])
        for environment in texts(values["environments"]):
            Environment(environment)
        for answer in (mapping(values["refused"]), *mapping(values["probe"]).values()):
            mapping(answer)
        return cls(kind=kind, state=state, **values)

    def days_left(self, now: datetime) -> int | None:
        """Whole days until it expires, negative once it has; None for what never does."""
        return None if self.not_after is None else (self.not_after - now) // timedelta(days=1)


@frozen
class KeyRow(RowValue):
    """Whose private key it is that a bare certificate belongs to."""

    id: UUID
    app_id: str
    sealed: bytes


@frozen
class HealthNews(RowValue):
    """A credential that Apple refuses, or takes again; `first`: its tenant has not been told."""

    id: UUID
    tenant_id: UUID
    app_id: str
    reason: str | None
    at: datetime
    first: bool = True
