"""Which credential a push goes by."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from uuid import UUID

from app.core.app_id import VOIP, spelled
from app.core.credential import CredentialKind, CredentialState
from app.core.frozen import frozen
from app.core.push import Environment

Key = tuple[UUID, int, Environment]
"""A credential's id, its version, and the environment: who has a sender, or a breaker, alone."""


@frozen
class Usable:
    """A credential that pushes may be sent with now.

    (`id`, `version`) changes whenever what is sealed does: pools of connections are keyed by it.
    `refused` maps an environment to Apple's reason while Apple refuses; `proven` holds those in
    which the last probe was accepted.
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

    def topic(self, topic: str) -> str:
        """A topic as this credential spells it: Apple compares it exactly."""
        return spelled(topic, self.topics) or topic

    def rank(self, environment: Environment) -> int:
        """How fit it is, 0 the fittest. A refused one comes last, but before ringing nobody."""
        if self.expired or environment in self.refused:
            return 3
        if self.state is CredentialState.ACTIVE:
            return 0
        return 1 if environment in self.proven else 2


def pick(
    rows: Sequence[Usable],
    tenant_id: UUID,
    app_id: str,
    environment: Environment,
    topic: str | None = None,
) -> Usable | None:
    """The first `in_order`; None when none serves this app."""
    return next(iter(in_order(rows, tenant_id, app_id, environment, topic)), None)


def in_order(
    rows: Sequence[Usable],
    tenant_id: UUID,
    app_id: str,
    environment: Environment,
    topic: str | None = None,
) -> list[Usable]:
    """Which of `for_apps`' rows serve this app in this environment, the fittest first.

    The newest active one; one on standby while Apple refuses that; a refused one rather than none.
    `topic` is the VoIP topic unless it is given: a VoIP certificate cannot push alerts.
    """
    wanted = topic or app_id + VOIP
    fit = [
        row
        for row in rows
        if row.app_id == app_id
        and row.tenant_id == tenant_id
        and environment in row.environments
        and spelled(wanted, row.topics) is not None
    ]
    return sorted(fit, key=lambda row: row.rank(environment))
