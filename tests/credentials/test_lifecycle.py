"""Two at once, taking over, bringing back, retiring and deleting; each with Apple asked."""

from datetime import UTC, datetime, timedelta

import pytest

from app.audit import log as audit
from app.audit.log import Actor
from app.core.push import TokenKind
from app.credentials import service, store
from app.credentials.parse import Upload
from app.credentials.usable import pick
from app.infra.errors import Conflict, NotFound
from app.infra.ids import uuid7

APP = "com.example.app"
ADMIN = Actor("api_key", id="k1", source="203.0.113.9")


async def picked(runtime, tenant, environment="production", kind=TokenKind.VOIP):
    async with runtime.database.autocommit() as session:
        rows = await store.for_apps(session, {(tenant, APP)})
    one = pick(rows, tenant, APP, environment, kind)
    return None if one is None else one.id


async def test_the_first_is_used_at_once_and_probed(runtime, tenant, simulator, query):
    certificate = simulator.voip_certificate(APP)
    row = await service.add(
        runtime, tenant, Upload(data=certificate.p12("pw"), password="pw"), actor=ADMIN
    )
    assert row.state == "active"
    assert {name: answer["says"] for name, answer in row.probe.items()} == {
        "production": "yes",
        "sandbox": "yes",
    }
    assert row.probe["production"]["words"] == "BadDeviceToken"
    assert row.refused == {}
    assert timedelta(hours=21) < row.probe_due_at - row.probed_at <= timedelta(hours=24)
    assert await picked(runtime, tenant) == row.id
    lines = await audit.page(runtime, tenant)
    assert [line["action"] for line in lines] == [
        "credential.activate", "credential.add", "tenant.create"
    ]  # fmt: skip
    assert lines[0]["actor"] == {"kind": "api_key", "id": "k1", "name": None}
    assert lines[0]["source"] == "203.0.113.9"


async def test_a_probe_rings_nobody(runtime, tenant, simulator):
    await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    arrivals = simulator.arrivals()
    assert {arrival.environment for arrival in arrivals} == {"production", "sandbox"}
    assert all(arrival.topic == f"{APP}.voip" for arrival in arrivals)
    assert all(arrival.header("apns-expiration") == "0" for arrival in arrivals)
    assert len({arrival.token for arrival in arrivals}) == 2
    assert not any(arrival.delivered for arrival in arrivals)


async def test_a_second_takes_over_when_its_probe_succeeds(runtime, tenant, simulator):
    first = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    second = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    assert second.state == "active"
    old = await service.get(runtime, tenant, first.id)
    assert old.state == "standby"
    assert old.replaced_at is not None
    assert await picked(runtime, tenant) == second.id


async def test_a_refused_one_does_not_take_over(runtime, tenant, simulator, query):
    first = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    bad = simulator.voip_certificate(APP)
    simulator.revoke_certificate(bad)
    second = await service.add(runtime, tenant, Upload(data=bad.pem))
    assert second.state == "standby"
    assert second.refused == {"production": "BadCertificate", "sandbox": "BadCertificate"}
    assert second.trouble == "BadCertificate"
    assert await picked(runtime, tenant) == first.id
    events = await query("SELECT type, data FROM tenant_events")
    assert [event["type"] for event in events] == ["credential.failing"]
    assert events[0]["data"]["reason"] == "BadCertificate"


async def test_one_call_brings_the_old_one_back(runtime, tenant, simulator):
    first = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    second = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    back = await service.activate(runtime, tenant, first.id, actor=ADMIN)
    assert back.state == "active"
    assert back.replaced_at is None
    assert (await service.get(runtime, tenant, second.id)).state == "standby"
    assert await picked(runtime, tenant) == first.id


async def test_a_refused_one_is_not_brought_back(runtime, tenant, simulator):
    old = simulator.voip_certificate(APP)
    first = await service.add(runtime, tenant, Upload(data=old.pem))
    await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    simulator.revoke_certificate(old)
    with pytest.raises(Conflict) as error:
        await service.activate(runtime, tenant, first.id)
    assert error.value.code == "credential_refused"
    assert "BadCertificate" in error.value.detail


async def test_the_last_working_one_asks_for_confirmation(runtime, tenant, simulator):
    only = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    for act in (service.retire, service.delete):
        with pytest.raises(Conflict) as error:
            await act(runtime, tenant, only.id)
        assert error.value.code == "last_credential"
    retired = await service.retire(runtime, tenant, only.id, confirm=True)
    assert retired.state == "retired"
    assert await picked(runtime, tenant) is None
    await service.activate(runtime, tenant, only.id)
    assert await picked(runtime, tenant) == only.id


async def test_one_that_fails_goes_without_confirmation(runtime, tenant, simulator):
    bad = simulator.voip_certificate(APP)
    simulator.revoke_certificate(bad)
    row = await service.add(runtime, tenant, Upload(data=bad.pem))
    await service.delete(runtime, tenant, row.id)
    with pytest.raises(NotFound):
        await service.get(runtime, tenant, row.id)


async def test_retiring_the_active_one_promotes_one_on_standby(runtime, tenant, simulator):
    first = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    second = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    await service.retire(runtime, tenant, second.id)
    assert (await service.get(runtime, tenant, first.id)).state == "active"


async def test_deleting_is_for_good_and_leaves_an_audit_line(runtime, tenant, simulator, query):
    row = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    await service.delete(runtime, tenant, row.id, confirm=True, actor=ADMIN)
    assert await query("SELECT id FROM credentials") == []
    line = (await audit.page(runtime, tenant))[0]
    assert line["action"] == "credential.delete"
    assert line["detail"]["fingerprint"] == row.fingerprint


async def test_the_same_file_twice_is_told(runtime, tenant, simulator):
    certificate = simulator.voip_certificate(APP)
    row = await service.add(runtime, tenant, Upload(data=certificate.pem))
    with pytest.raises(Conflict) as error:
        await service.add(runtime, tenant, Upload(data=certificate.p12("x"), password="x"))
    assert error.value.code == "credential_exists"
    assert error.value.more["id"] == str(row.id)


async def test_a_certificate_does_not_replace_a_key_that_also_sends_alerts(
    runtime, tenant, simulator
):
    key = simulator.provider_key()
    first = await service.add(
        runtime,
        tenant,
        Upload(data=key.p8.encode(), app_id=APP, key_id=key.key_id, team_id=key.team_id),
    )
    assert first.probe["production"]["says"] == "yes"
    voip_only = simulator.voip_certificate(APP, topic_list=False)
    second = await service.add(runtime, tenant, Upload(data=voip_only.pem))
    assert (first.state, second.state) == ("active", "active")
    assert (await service.get(runtime, tenant, first.id)).state == "active"
    assert await picked(runtime, tenant) == second.id
    assert await picked(runtime, tenant, kind=TokenKind.ALERT) == first.id


async def test_an_environment_that_apple_denies_is_left_out(runtime, tenant, simulator):
    certificate = simulator.voip_certificate(APP, environments="none")
    simulator.fault(environment="sandbox", status=403, reason="BadCertificateEnvironment", times=9)
    row = await service.add(runtime, tenant, Upload(data=certificate.pem))
    assert row.environments == ["production"]
    assert row.refused == {}
    assert row.probe["sandbox"] == {
        "says": "no",
        "words": "BadCertificateEnvironment",
        "status": 403,
    }
    assert await picked(runtime, tenant, "sandbox") is None


async def test_nobody_at_apples_address_is_unknown_and_quick(runtime, tenant, simulator, settings):
    from app.infra.runtime import open_runtime

    nowhere = settings.model_copy(
        update={
            "apns_production_url": "https://127.0.0.1:9",
            "apns_sandbox_url": "https://127.0.0.1:9",
        }
    )
    lost = open_runtime(nowhere)
    began = datetime.now(UTC)
    row = await service.add(lost, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    assert datetime.now(UTC) - began < timedelta(seconds=3)
    await lost.close()
    assert row.state == "active"  # the first: there is nothing to lose
    assert {answer["says"] for answer in row.probe.values()} == {"unknown"}
    assert row.probe_due_at - row.probed_at == timedelta(minutes=10)


async def test_another_tenants_credential_is_not_found(runtime, tenant, simulator):
    row = await service.add(runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem))
    stranger = uuid7()
    for act in (service.get, service.probe, service.activate, service.retire, service.delete):
        with pytest.raises(NotFound):
            await act(runtime, stranger, row.id)


async def test_a_standby_serves_while_note_refused_the_active_one(runtime, tenant, simulator):
    old, new = simulator.voip_certificate(APP), simulator.voip_certificate(APP)
    first = await service.add(runtime, tenant, Upload(data=old.pem))
    second = await service.add(runtime, tenant, Upload(data=new.pem))
    simulator.revoke_certificate(new)
    simulator.close_connections()
    await service.probe(runtime, tenant, second.id)
    assert await picked(runtime, tenant) == first.id
    simulator.revoke_certificate(old)
    await service.probe(runtime, tenant, first.id)
    # a refused one rather than none: Apple may change its mind
    assert await picked(runtime, tenant) is not None
