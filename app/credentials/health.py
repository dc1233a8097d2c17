"""How credentials fare: what Apple says of them, and how long they have left."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.core.credential import IN_USE, CredentialHealth, CredentialState
from app.core.event import rfc3339
from app.credentials import store
from app.credentials.rows import CredentialRow, HealthNews
from app.credentials.usable import Usable
from app.infra.db import Connection, Database, clock
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.webhooks import publish

ALARM_DAYS = (30, 14, 7, 3, 1)
"""An alarm this many days ahead of expiry; 0, in `alarmed_days`, is the one at expiry."""
EXPIRING = timedelta(days=ALARM_DAYS[0])
DAY = timedelta(days=1)


async def note_refused(session: Connection, refusals: Collection[tuple[Usable, str, str]]) -> None:
    """Record what pushes learned: (credential, environment, Apple's reason).

    Costs one statement however many pushes were refused; one alarm for each credential.
    """
    if refusals:
        first = await store.note_refusals(session, refusals)
        await tell(session, "credential.failing", first)


async def note_accepted(session: Connection, accepted: Collection[tuple[Usable, str]]) -> None:
    """Record that Apple takes (credential, environment) again that it had refused."""
    if accepted:
        whole = await store.note_acceptances(session, accepted)
        await tell(session, "credential.recovered", whole)


async def tell(session: Connection, kind: str, rows: Sequence[HealthNews], **more: Any) -> None:
    """An event of the tenant's for each of these credentials."""
    await publish.tenant_events(
        session,
        [
            {
                "id": uuid7(),
                "tenant_id": row.tenant_id,
                "type": kind,
                "at": row.at,
                "data": {
                    "credential_id": str(row.id),
                    "app_id": row.app_id,
                    "reason": row.reason,
                    **more,
                },
            }
            for row in rows
        ],
    )


def alarm_due(row: CredentialRow, now: datetime) -> int | None:
    """Which alarm about expiry is to be raised for a credential now: days ahead, 0 at expiry."""
    if row.not_after is None or row.state is not CredentialState.ACTIVE:
        return None
    left = row.not_after - now
    reached = [days for days in (*ALARM_DAYS, 0) if left <= days * DAY]
    if not reached or (row.alarmed_days is not None and row.alarmed_days <= reached[-1]):
        return None
    return reached[-1]


def next_alarm_at(row: CredentialRow, now: datetime) -> datetime | None:
    """When the next alarm about this credential's expiry comes due; None after the last."""
    if row.not_after is None:
        return None
    times = (row.not_after - days * DAY for days in (*ALARM_DAYS, 0))
    return min((at for at in times if at > now), default=None)


async def raise_alarm(session: Connection, row: CredentialRow, now: datetime) -> None:
    """Raise the alarm that is due for a locked row, once."""
    days = alarm_due(row, now)
    if days is None:
        return
    await store.change(session, row.id, alarmed_days=days)
    kind = "credential.expiring" if days else "credential.expired"
    assert row.not_after is not None  # else no alarm is due
    news = HealthNews(row.id, row.tenant_id, row.app_id, None, now)
    await tell(session, kind, [news], days=days, not_after=rfc3339(row.not_after))


def health_of(row: CredentialRow, now: datetime) -> CredentialHealth:
    """How a credential fares: of one that is not in use its state, else what is known of it."""
    if row.state not in IN_USE:
        return CredentialHealth(row.state.value)
    if row.not_after is not None and row.not_after <= now:
        return CredentialHealth.EXPIRED
    if row.refused or row.trouble:
        return CredentialHealth.FAILING
    if row.not_after is not None and row.not_after - now <= EXPIRING:
        return CredentialHealth.EXPIRING
    proven = any(answer.get("says") == "yes" for answer in row.probe.values())
    return CredentialHealth.WORKING if proven else CredentialHealth.UNPROVEN


def _expiry_metrics(
    rows: Sequence[tuple[str, CredentialRow]], now: datetime, *, named: bool
) -> bytes:
    names = ("tenant", "app_id") if named else ()
    labels = (*names, "credential", "state")
    expiry = GaugeMetricFamily(
        "ringline_credential_expiry_timestamp_seconds",
        "When a certificate in use expires, in Unix seconds",
        labels=labels,
    )
    working = GaugeMetricFamily(
        "ringline_credential_working",
        "1 when Apple takes a credential, 0 when it refuses it or it has expired",
        labels=labels,
    )
    for tenant, row in rows:
        values = (*((tenant, row.app_id) if named else ()), str(row.id), row.state)
        if row.not_after is not None:
            expiry.add_metric(values, row.not_after.timestamp())
        fails = health_of(row, now) in {CredentialHealth.FAILING, CredentialHealth.EXPIRED}
        working.add_metric(values, 0.0 if fails else 1.0)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families([expiry, working]))
    return generate_latest(registry)


class _Families(Collector):
    """Values that were read already, in the shape that prometheus-client asks for."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


async def expiry_expositions(runtime: Runtime) -> tuple[bytes, bytes]:
    """When each certificate expires and whether Apple takes it, as Prometheus's text.

    Once without the names of tenants and apps, once with them.
    """
    async with runtime.database.autocommit() as session:
        now = await clock(session)
        rows = await store.in_use(session)
    return _expiry_metrics(rows, now, named=False), _expiry_metrics(rows, now, named=True)


async def troubles(database: Database, tenant_id: UUID | None = None) -> list[str]:
    """A sentence for each credential in use that fails, has expired or soon will.

    And one for each team whose provider tokens are made with more than one key.
    """
    found = []
    async with database.autocommit() as session:
        now = await clock(session)
        active = [
            (tenant, row)
            for tenant, row in await store.in_use(session)
            if tenant_id in {None, row.tenant_id} and row.state is CredentialState.ACTIVE
        ]
    for tenant, row in active:
        found += _sentence(f"{tenant}: the {row.kind} for {row.app_id}", row, now)
    return found + shared_teams((row.team_id, row.key_id) for _, row in active)


def shared_teams(live: Iterable[tuple[str | None, str | None]]) -> list[str]:
    """A sentence for each team with several keys among these (team, key).

    Apple counts changes of provider tokens by team, across keys (429 TooManyProviderTokenUpdates):
    pushes by two keys of one team in turn may be refused. Source: Apple, "Establishing a
    token-based connection to APNs".
    """
    keys: dict[str, set[str]] = {}
    for team, key in live:
        if team is not None and key is not None:
            keys.setdefault(team, set()).add(key)
    return [
        f"team {team} pushes by {len(found)} keys ({', '.join(sorted(found))}): Apple counts "
        "changes of token by team, so use one key for all of its apps"
        for team, found in sorted(keys.items())
        if len(found) > 1
    ]


def _sentence(name: str, row: CredentialRow, now: datetime) -> list[str]:
    match health_of(row, now):
        case CredentialHealth.FAILING:
            return [f"{name} is refused by Apple: {row.trouble}"]
        case CredentialHealth.EXPIRED:
            return [f"{name} expired on {row.not_after:%Y-%m-%d}: add a new one"]
        case CredentialHealth.EXPIRING:
            days = row.days_left(now)
            return [f"{name} expires in {days} days ({row.not_after:%Y-%m-%d}): add a new one"]
        case CredentialHealth.UNPROVEN:
            return [f"{name} has not been seen to work: `ringline credential probe {row.id}`"]
    return []
