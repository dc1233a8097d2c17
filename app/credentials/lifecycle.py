"""From stored to active to retired: which of an app's credentials is in use.

Everything here happens inside one transaction that holds all rows of the app's credentials
(`store.lock_bundle`), so two administrators at once get one order of events.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from app import senders
from app.audit.log import Actor, record
from app.core.credential import IN_USE, CredentialHealth, CredentialKind, CredentialState
from app.core.push import TokenKind
from app.credentials import store
from app.credentials.health import health_of, next_alarm_at, raise_alarm, tell
from app.credentials.probe import ProbeAnswer
from app.credentials.rows import CredentialRow, HealthNews
from app.infra.db import Connection
from app.infra.errors import Conflict

DAILY = timedelta(hours=24)
SOONEST, LATEST = timedelta(minutes=1), timedelta(hours=1)
"""A refused credential is asked about after a minute, then ever more rarely, up to an hour."""
UNKNOWN_AGAIN = timedelta(minutes=10)
MOST_OF_APP, MOST_OF_TENANT = 50, 2_000
"""Credentials that are kept, in whatever state."""

Rows = Sequence[CredentialRow]


def target(row: CredentialRow) -> str:
    """How the audit log names a credential."""
    return f"credential:{row.id}"


def facts(row: CredentialRow) -> dict[str, Any]:
    """What the audit log keeps of a credential: enough to know it by once it is deleted."""
    return {
        "app_id": row.app_id,
        "kind": row.kind,
        "fingerprint": row.fingerprint,
        "subject": row.subject,
        "key_id": row.key_id,
        "project_id": row.project_id,
    }


async def enter(
    session: Connection,
    tenant_id: UUID,
    app_id: str,
    credential_id: UUID,
    act: str,
    now: datetime,
    actor: Actor,
) -> None:
    """Tell the audit log of one that was just stored, and use it at once if nothing else serves.

    Where nothing is in use there is nothing to lose: no probe is waited for.
    """
    rows = await store.lock_bundle(session, tenant_id, app_id)
    row = next(one for one in rows if one.id == credential_id)
    await record(session, actor, tenant_id, act, target(row), facts(row), at=now)
    if is_first(rows, row):
        await activate(session, rows, row, now, actor)


async def activate(
    session: Connection, rows: Rows, row: CredentialRow, now: datetime, actor: Actor
) -> None:
    """Let new connections use this one. Whom it replaces in all respects goes on standby.

    One that serves something this one does not (the other environment, alerts beside rings) stays.
    """
    await store.change(
        session,
        row.id,
        state=CredentialState.ACTIVE,
        activated_at=now,
        replaced_at=None,
        retired_at=None,
        probe_due_at=row.probe_due_at or now,
    )
    replaced = []
    for other in rows:
        if (
            other.id != row.id
            and other.state is CredentialState.ACTIVE
            and _serves(other) <= _serves(row)
        ):
            await store.change(session, other.id, state=CredentialState.STANDBY, replaced_at=now)
            replaced.append(str(other.id))
    detail = facts(row) | {"replaces": replaced}
    await record(session, actor, row.tenant_id, "credential.activate", target(row), detail, at=now)


def is_first(rows: Rows, row: CredentialRow) -> bool:
    """Whether no other active credential serves anything that this one is for."""
    return not any(
        other.state is CredentialState.ACTIVE and _serves(other) & _serves(row)
        for other in rows
        if other.id != row.id
    )


def _serves(row: CredentialRow) -> set[tuple[str, TokenKind]]:
    """The (environment, kind of token) that a credential is there for, whether taken or not."""
    service = senders.of_credential(row.kind)
    topics = {topic.lower() for topic in row.topics}
    kinds = {one for one in service.token_kinds if service.topic(one, row.app_id) in topics}
    return {(environment, kind) for environment in row.environments for kind in kinds}


async def note_probe(
    session: Connection,
    rows: Rows,
    row: CredentialRow,
    answers: Mapping[str, ProbeAnswer],
    now: datetime,
    actor: Actor,
) -> None:
    """Record a probe's answers, and what follows: health, an alarm, taking over, the next look."""
    environments = _environments(row, answers)
    refused = {name: why for name, why in row.refused.items() if name in environments}
    for name in environments:
        if name in answers and answers[name].says == "yes":
            refused.pop(name, None)
        elif name in answers and answers[name].says == "no":
            refused[name] = answers[name].words or "refused"
    failing_since = (row.failing_since or now) if refused else None
    trouble = next(iter(refused.values()), None)
    changes: dict[str, Any] = {
        "environments": environments,
        "refused": refused,
        "trouble": trouble,
        "failing_since": failing_since,
        "probe": {**row.probe, **{name: one.as_dict() for name, one in answers.items()}},
        "probed_at": now,
    }
    changes["probe_due_at"] = _next_look(replace(row, **changes), answers, now)
    after = replace(row, **changes)
    await store.change(session, row.id, **changes)
    await _tell_change(session, row, after, now)
    accepted = any(one.says == "yes" for one in answers.values())
    if accepted and row.state is CredentialState.STANDBY and row.activated_at is None:
        await activate(session, rows, after, now, actor)
        after = replace(after, state=CredentialState.ACTIVE)
    await raise_alarm(session, after, now)


def _environments(row: CredentialRow, answers: Mapping[str, ProbeAnswer]) -> list[str]:
    """Those it is good for, once Apple has said that it belongs to the other one only."""
    accepted = any(one.says == "yes" for one in answers.values())
    words = senders.of_credential(row.kind).elsewhere
    elsewhere = {name for name, one in answers.items() if one.words in words}
    return [name for name in row.environments if not (accepted and name in elsewhere)]


async def _tell_change(
    session: Connection, before: CredentialRow, after: CredentialRow, now: datetime
) -> None:
    if bool(before.refused) == bool(after.refused) or before.state is CredentialState.RETIRED:
        return
    kind = "credential.failing" if after.refused else "credential.recovered"
    news = HealthNews(after.id, after.tenant_id, after.app_id, after.trouble, now)
    await tell(session, kind, [news])


def _next_look(
    row: CredentialRow, answers: Mapping[str, ProbeAnswer], now: datetime
) -> datetime | None:
    if row.state not in IN_USE or health_of(row, now) is CredentialHealth.EXPIRED:
        return None
    pause: timedelta
    if row.failing_since is not None:
        pause = min(max(now - row.failing_since, SOONEST), LATEST)
    elif any(one.says == "unknown" for one in answers.values()):
        pause = UNKNOWN_AGAIN
    else:
        pause = DAILY * random.uniform(0.9, 1.0)  # noqa: S311 - so that not all come at once
    look: datetime = now + pause
    alarm = next_alarm_at(row, now)
    return look if alarm is None else min(look, alarm)


async def check_room(session: Connection, tenant_id: UUID, app_id: str) -> None:
    """Refuse (409 `too_many_credentials`) one more than an app, or a tenant, may have.

    Each claim of a ring reads all that may serve its app, and each is asked about daily.
    """
    of_app, of_tenant = await store.how_many(session, tenant_id, app_id)
    if of_app >= MOST_OF_APP:
        raise Conflict(
            "too_many_credentials",
            f"app_id: {app_id} has {MOST_OF_APP} credentials: delete those not used",
        )
    if of_tenant >= MOST_OF_TENANT:
        raise Conflict(
            "too_many_credentials",
            f"a tenant has at most {MOST_OF_TENANT:,} credentials: delete those not used",
        )


def check_not_last(rows: Rows, row: CredentialRow, now: datetime, *, confirm: bool) -> None:
    """Refuse (409 `last_credential`) to take away the last one that works, unless confirmed."""
    if confirm or row.state not in IN_USE or not _works(row, now):
        return
    if any(other.id != row.id and _works(other, now) for other in rows):
        return
    raise Conflict(
        "last_credential",
        f"This is the last working credential for {row.app_id}: without it no phone with "
        "this app rings. Say so again with confirm=true, or add another one first.",
    )


async def check_not_needed(session: Connection, row: CredentialRow, *, confirm: bool) -> None:
    """Refuse (409 `key_in_use`) to take away a key that subscriptions know, unless confirmed."""
    if confirm or row.state not in IN_USE or row.kind is not CredentialKind.VAPID:
        return
    count = await store.subscriptions_of(session, row)
    if count:
        many = "1 browser" if count == 1 else f"{count:,} browsers"
        more = " or more" if count == store.MOST_COUNTED else ""
        raise Conflict(
            "key_in_use",
            f"{many}{more} subscribed with this key and ring by no other: they fall silent until "
            "they subscribe again. Say so again with confirm=true, or leave it on standby.",
        )


def _works(row: CredentialRow, now: datetime) -> bool:
    return row.state in IN_USE and health_of(row, now) not in {
        CredentialHealth.FAILING,
        CredentialHealth.EXPIRED,
    }


async def promote(
    session: Connection, rows: Rows, gone: CredentialRow, now: datetime, actor: Actor
) -> None:
    """When the active one goes, let the best one on standby take over, if there is any."""
    if gone.state is not CredentialState.ACTIVE:
        return
    left = [row for row in rows if row.id != gone.id]
    serving = set[tuple[str, TokenKind]]().union(
        *(_serves(r) for r in left if r.state is CredentialState.ACTIVE)
    )
    standby = [r for r in left if r.state is CredentialState.STANDBY and _works(r, now)]
    standby.sort(key=lambda r: (health_of(r, now) is CredentialHealth.UNPROVEN, -r.id.int))
    for row in standby:
        if _serves(row) - serving:
            await activate(session, left, row, now, actor)
            return
