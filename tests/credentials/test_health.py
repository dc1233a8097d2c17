"""Health: what pushes learn, the daily look, alarms ahead of expiry, metrics, the doctor."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.credentials import health, service, store
from app.credentials.parse import Upload
from app.infra.db import many
from tests.events.schemas import data_faults

APP, OTHER = "com.example.app", "com.example.other"


async def usable(runtime, tenant, bundle=APP):
    async with runtime.database.autocommit() as session:
        return await store.for_apps(session, {(tenant, bundle)})


async def test_a_stamp_differs_whenever_what_may_push_does(runtime, tenant, simulator):
    """By it a worker knows that what it has read of credentials is still so."""
    sql = f"WITH w AS (SELECT CAST(:tenant AS uuid) AS tenant_id, CAST(:app AS text) AS app_id) \
        SELECT ({store.STAMP.format(apps='w')}) AS stamp"

    async def stamp() -> str:
        async with runtime.database.autocommit() as session:
            return (await many(session, text(sql), {"tenant": tenant, "app": APP}))[0]["stamp"]

    async def change(what: str) -> None:
        async with runtime.database.transaction() as session:
            await session.execute(
                text(f"UPDATE credentials SET {what} WHERE tenant_id = :tenant"),
                {"tenant": tenant},
            )

    seen = [await stamp()]
    assert seen == [""]
    await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    seen.append(await stamp())
    assert await stamp() == seen[-1]
    await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(OTHER).pem))
    assert await stamp() == seen[-1]
    async with runtime.database.transaction() as session:
        one = (await store.for_apps(session, {(tenant, APP)}))[0]
        await health.note_refused(session, [(one, "production", "BadCertificate")])
    seen.append(await stamp())
    for what in (
        "version = version + 1",
        "not_after = now() - interval '1 s'",
        "state = 'retired'",
    ):
        await change(what)
        seen.append(await stamp())
    assert await usable(runtime, tenant) == []
    assert len(set(seen[:-1])) == len(seen) - 1
    assert seen[-1] == ""


async def tenant_events(runtime, tenant):
    async with runtime.database.autocommit() as session:
        sql = text("SELECT type, data FROM tenant_events WHERE tenant_id = :tenant ORDER BY id")
        told = await many(session, sql, {"tenant": tenant})
    assert [fault for one in told for fault in data_faults(one["type"], one["data"])] == []
    return told


async def test_a_credential_that_apple_starts_to_refuse(runtime, tenant, simulator):
    """One alarm however many pushes learn of it; other bundle ids go on."""
    row = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    other = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(OTHER).pem))
    one = (await usable(runtime, tenant))[0]

    async def learn(environment: str) -> None:
        async with runtime.database.transaction() as session:
            await health.note_refused(session, [(one, environment, "BadCertificate")] * 50)

    await asyncio.gather(*(learn(name) for name in ("production", "sandbox") * 10))
    row = await service.get(runtime, tenant, row.id)
    assert row.refused == {"production": "BadCertificate", "sandbox": "BadCertificate"}
    assert row.trouble == "BadCertificate"
    assert health.health_of(row, datetime.now(UTC)) == "failing"
    told = await tenant_events(runtime, tenant)
    assert [event["type"] for event in told] == ["credential.failing"]
    assert told[0]["data"] == {
        "credential_id": str(row.id),
        "app_id": APP,
        "reason": "BadCertificate",
    }
    other = await service.get(runtime, tenant, other.id)
    assert health.health_of(other, datetime.now(UTC)) == "working"
    # asked again within a minute, not a day
    assert row.probe_due_at - row.failing_since < timedelta(seconds=70)


async def test_apple_takes_it_again(runtime, tenant, simulator):
    row = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    one = (await usable(runtime, tenant))[0]
    async with runtime.database.transaction() as session:
        await health.note_refused(session, [(one, "production", "Forbidden")])
        await health.note_refused(session, [(one, "sandbox", "Forbidden")])
    one = (await usable(runtime, tenant))[0]
    assert set(one.refused) == {"production", "sandbox"}
    async with runtime.database.transaction() as session:
        await health.note_accepted(session, [(one, "production")])
    assert [e["type"] for e in await tenant_events(runtime, tenant)] == ["credential.failing"]
    async with runtime.database.transaction() as session:
        await health.note_accepted(session, [(one, "sandbox"), (one, "production")])
    row = await service.get(runtime, tenant, row.id)
    assert (row.refused, row.trouble, row.failing_since) == ({}, None, None)
    assert [e["type"] for e in await tenant_events(runtime, tenant)] == [
        "credential.failing",
        "credential.recovered",
    ]


async def test_news_of_an_older_version_changes_nothing(runtime, tenant, simulator, query):
    await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    one = (await usable(runtime, tenant))[0]
    await query("UPDATE credentials SET version = version + 1 RETURNING id")
    async with runtime.database.transaction() as session:
        await health.note_refused(session, [(one, "production", "BadCertificate")])
    assert (await usable(runtime, tenant))[0].refused == {}


async def test_the_daily_look_finds_what_nobody_pushed(runtime, tenant, simulator, query):
    certificate = simulator.voip_certificate(APP)
    row = await service.add(runtime, tenant, Upload(data=certificate.pem))
    assert await service.probe_due(runtime) == 0
    simulator.revoke_certificate(certificate)
    await query("UPDATE credentials SET probe_due_at = now() RETURNING id")
    looks = await asyncio.gather(*(service.probe_due(runtime) for _ in range(4)))
    assert sum(looks) == 1  # by whoever comes first
    row = await service.get(runtime, tenant, row.id)
    assert row.trouble == "BadCertificate"
    assert row.probe_due_at - row.probed_at == timedelta(minutes=1)
    assert [e["type"] for e in await tenant_events(runtime, tenant)] == ["credential.failing"]


async def test_alarms_30_14_7_3_and_1_days_ahead_and_at_the_end(runtime, tenant, simulator, query):
    certificate = simulator.voip_certificate(APP)
    row = await service.add(runtime, tenant, Upload(data=certificate.pem))
    for days in (40, 30, 29, 14, 13, 7, 5, 3, 2, 1, 0.5):
        await query(
            "UPDATE credentials SET probe_due_at = now(), "
            "not_after = now() + CAST(:days AS float) * interval '1 day' RETURNING id",
            days=days,
        )
        assert await service.probe_due(runtime) == 1
        row = await service.get(runtime, tenant, row.id)
        upcoming = [a for a in (30, 14, 7, 3, 1, 0) if a < days]
        next_alarm = row.not_after - timedelta(days=upcoming[0])
        assert row.probe_due_at <= next_alarm
    await query(
        "UPDATE credentials SET probe_due_at = now(), not_after = now() - interval '1 s' "
        "RETURNING id"
    )
    assert await service.probe_due(runtime) == 1
    assert await service.probe_due(runtime) == 0
    told = await tenant_events(runtime, tenant)
    assert [(e["type"], e["data"]["days"]) for e in told] == [
        ("credential.expiring", 30),
        ("credential.expiring", 14),
        ("credential.expiring", 7),
        ("credential.expiring", 3),
        ("credential.expiring", 1),
        ("credential.expired", 0),
    ]
    row = await service.get(runtime, tenant, row.id)
    assert health.health_of(row, datetime.now(UTC)) == "expired"
    assert row.probe_due_at is None


async def test_one_added_late_raises_one_alarm_not_five(runtime, tenant, simulator):
    soon = datetime.now(UTC) + timedelta(days=2)
    row = await service.add(
        runtime, tenant, Upload(data=simulator.voip_certificate(APP, not_after=soon).pem)
    )
    told = await tenant_events(runtime, tenant)
    assert [(e["type"], e["data"]["days"]) for e in told] == [("credential.expiring", 3)]
    assert health.health_of(row, datetime.now(UTC)) == "expiring"


async def test_one_on_standby_raises_no_alarm(runtime, tenant, simulator):
    soon = datetime.now(UTC) + timedelta(days=2)
    await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    new = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    first = await service.list_all(runtime, tenant)
    assert first[1].state == "standby"
    row = replace(first[1], not_after=soon)
    assert health.alarm_due(row, datetime.now(UTC)) is None
    assert health.alarm_due(replace(new, not_after=soon), datetime.now(UTC)) == 3


async def test_metrics_and_the_doctor(runtime, tenant, simulator, query):
    row = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(OTHER).pem))
    text = (await health.expiry_expositions(runtime))[1].decode()
    labels = f'{{app_id="{APP}",credential="{row.id}",state="active",tenant="acme"}}'
    line = next(one for one in text.splitlines() if labels in one and "expiry" in one)
    assert float(line.split()[-1]) == row.not_after.timestamp()
    assert f"ringline_credential_working{labels} 1.0" in text
    assert await health.troubles(runtime.database) == []
    await query(
        "UPDATE credentials SET not_after = now() + interval '5.5 days' WHERE app_id = :app "
        "RETURNING id",
        app=APP,
    )
    one = (await usable(runtime, tenant, OTHER))[0]
    async with runtime.database.transaction() as session:
        await health.note_refused(session, [(one, "production", "Forbidden")])
    said = await health.troubles(runtime.database)
    assert len(said) == 2
    assert f"acme: the certificate for {APP} expires in 5 days" in said[0]
    assert f"{OTHER} is refused by Apple: Forbidden" in said[1]


def test_two_live_keys_of_one_team_are_told_of():
    """TooManyProviderTokenUpdates counts by team, across keys."""
    keys = [
        ("TEAM123456", "KEYA123456"),
        ("TEAM123456", "KEYB123456"),
        ("TEAM123456", "KEYA123456"),
    ]
    live = [*keys, ("OTHERTEAM1", "KEYC123456")]
    (said,) = health.shared_teams([*live, ("TEAM123456", None)])
    assert "team TEAM123456 pushes by 2 keys (KEYA123456, KEYB123456)" in said
    assert health.shared_teams(live[2:]) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET action = 'nothing'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "SET session_replication_role = replica; DELETE FROM audit",
    ],
)
async def test_the_audit_log_cannot_be_rewritten(runtime, tenant, simulator, query, statement):
    await service.add(
        runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem), probe_now=False
    )
    before = await query("SELECT count(*) AS n FROM audit")

    async def run() -> None:
        async with runtime.database.transaction() as session:
            for part in statement.split("; "):
                await session.exec_driver_sql(part)

    with pytest.raises(DBAPIError, match="append-only"):
        await run()
    assert await query("SELECT count(*) AS n FROM audit") == before


async def test_the_audit_log_outlives_its_tenant(runtime, tenant, simulator, query):
    await service.add(
        runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem), probe_now=False
    )
    await query("DELETE FROM tenants RETURNING id")
    assert await query("SELECT id FROM credentials") == []
    kept = [row["action"] for row in await query("SELECT action FROM audit ORDER BY id")]
    assert kept == ["tenant.create", "credential.add", "credential.activate"]
