"""What answers mean beside their push: for tokens, for credentials, and whom to alarm."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog

from app.core.event import rfc3339
from app.core.push import PushState, RetiredReason
from app.core.push_policy import Alert, CredentialAction, TokenAction
from app.credentials.health import note_accepted, note_refused
from app.infra.db import Connection
from app.push import tokens
from app.push.results import Result
from app.webhooks import publish

log = structlog.get_logger(__name__)

QUIET = frozenset({Alert.CREDENTIAL_REFUSED, Alert.TOPIC_REFUSED})
"""Alarms that `note_refused` raises itself, once for all workers."""


async def write_tokens(session: Connection, mine: Sequence[Result]) -> None:
    """What answers prove of tokens, as long as these are unchanged."""
    healed = [r.push for r in mine if r.state is PushState.ACCEPTED and r.push.healed]
    retired = [
        (r.push, r.reason or RetiredReason.REFUSED)
        for r in mine
        if r.reaction is not None and r.reaction.token is TokenAction.RETIRE
    ]
    if healed:
        await tokens.heal_tokens(session, healed)
    if retired:
        await tokens.retire_tokens(session, retired)


async def write_credentials(session: Connection, batch: Sequence[Result]) -> None:
    """What answers say of credentials: refused, or taken again."""
    known = [(r, r.credential) for r in batch if r.credential is not None]
    refused = {
        (credential.id, r.push.environment): (
            credential, r.push.environment, r.reason or "refused"
        )
        for r, credential in known
        if r.reaction is not None and r.reaction.credential is not CredentialAction.KEEP
    }  # fmt: skip
    accepted = {
        (credential.id, r.push.environment): (credential, r.push.environment)
        for r, credential in known
        if r.state is PushState.ACCEPTED and r.push.environment in credential.refused
    }
    if refused:
        await note_refused(session, list(refused.values()))
    if accepted:
        await note_accepted(session, list(accepted.values()))


async def write_alarms(session: Connection, batch: Sequence[Result], now: datetime) -> None:
    """Raise each alarm of these results once for its credential."""
    alarms: dict[tuple[Any, Alert], Result] = {}
    for result in batch:
        if result.alarm is not None and result.alarm not in QUIET:
            credential_id = result.credential.id if result.credential is not None else None
            alarms.setdefault((credential_id, result.alarm), result)
    for (credential_id, alarm), result in alarms.items():
        log.error("push_alarm", alarm=alarm.value, reason=result.reason, push=str(result.push.id))
        await publish.alarm(
            session,
            {
                "id": result.id,
                "tenant_id": result.push.tenant_id,
                "type": "push.alarm",
                "at": now,
                "data": {
                    "alarm": alarm.value,
                    "credential_id": None if credential_id is None else str(credential_id),
                    "app_id": result.push.app_id,
                    "environment": result.push.environment,
                    "reason": result.reason,
                    "at": rfc3339(now),
                },
            },
        )
