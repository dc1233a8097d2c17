"""Which credential a push goes by."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from uuid import UUID

from app import senders
from app.core.app_id import spelled
from app.core.credential import CredentialKind, CredentialState
from app.core.frozen import frozen
from app.core.push import Environment, TokenKind
from app.infra.sender import Service

Key = tuple[UUID, int, Environment]
"""A credential's id, its version, and the environment: who has a sender, or a breaker, alone."""


@frozen
class Usable:
    """A credential that pushes may be sent with now.

    (`id`, `version`) changes whenever what is sealed does: pools of connections are keyed by it.
    `refused` maps an environment to the service's reason while it is refused there; `proven` holds
    those in which the last probe was accepted.
    """

    id: UUID
    version: int
    tenant_id: UUID
    app_id: str
    kind: CredentialKind
    environments: tuple[Environment, ...]
    topics: tuple[str, ...]
    team_id: str | None
    key_id: str | None
    state: CredentialState
    activated_at: datetime | None
    expired: bool
    refused: Mapping[str, str]
    proven: tuple[str, ...]
    sealed: bytes = field(repr=False)

    def key(self, environment: Environment) -> Key:
        """What belongs to this credential, as it is sealed now, in an environment."""
        return self.id, self.version, environment

    @property
    def service(self) -> Service:
        """Whose credential it is."""
        return senders.of_credential(self.kind)

    def rank(self, environment: Environment) -> int:
        """How fit it is, 0 the fittest. A refused one comes last, but before ringing nobody."""
        if self.expired or environment in self.refused:
            return 3
        if self.state is CredentialState.ACTIVE:
            return 0
        return 1 if environment in self.proven else 2


def can_ring(kind: str, app_id: str, topics: Sequence[str]) -> list[TokenKind]:
    """The kinds of an app's tokens that a credential of this kind and these topics can ring."""
    service = senders.of_credential(kind)
    return [
        one
        for one in sorted(service.ring_kinds)
        if spelled(service.topic(one, app_id), topics) is not None
    ]


def made_for(token: str, kind: TokenKind, rows: list[Usable]) -> list[Usable]:
    """Those of `in_order` that may push to this very token: some know one key alone."""
    key = senders.serving(kind).key_of(token)
    return rows if key is None else [row for row in rows if row.key_id == key]


def pick(
    rows: Sequence[Usable],
    tenant_id: UUID,
    app_id: str,
    environment: Environment,
    kind: TokenKind = TokenKind.VOIP,
    token: str = "",
) -> Usable | None:
    """The first `in_order` that may push to this token; None when none serves this app."""
    found = in_order(rows, tenant_id, app_id, environment, kind)
    return next(iter(made_for(token, kind, found)), None)


def in_order(
    rows: Sequence[Usable],
    tenant_id: UUID,
    app_id: str,
    environment: Environment,
    kind: TokenKind = TokenKind.VOIP,
) -> list[Usable]:
    """Which of `for_apps`' rows serve this app's tokens of a kind here, the fittest first.

    The newest active one; one on standby while that is refused; a refused one rather than none.
    A VoIP certificate cannot push alerts.
    """
    service = senders.serving(kind)
    wanted = service.topic(kind, app_id)
    fit = [
        row
        for row in rows
        if row.app_id == app_id
        and row.tenant_id == tenant_id
        and row.kind in service.credential_kinds
        and environment in row.environments
        and spelled(wanted, row.topics) is not None
    ]
    return sorted(fit, key=lambda row: row.rank(environment))
