"""Changing the key-encryption key while everything goes on."""

import asyncio
import dataclasses

import pytest

from app.access import signing_place
from app.credentials import rotation, service, store
from app.credentials.decrypt import decrypt
from app.credentials.parse import Upload
from app.infra import vault
from app.infra.ids import uuid7
from app.infra.vault import VaultError, keyring
from app.tenants import service as tenants

APP = "com.example.app"
SECRET = "n3w-" + "p7Zr" * 9


@pytest.fixture
def both(runtime, settings):
    """The same runtime with a new key in front of the present one."""
    present = settings.secret_key.get_secret_value()
    text = f"2026:{SECRET},1:{present}"
    changed = settings.model_copy(update={"secret_key": type(settings.secret_key)(text)})
    return dataclasses.replace(runtime, keyring=keyring(changed))


@pytest.fixture
def new_alone(both):
    """What remains when the old key has left the settings."""
    ring = both.keyring
    alone = {ring.current: ring.keys[ring.current]}
    return dataclasses.replace(both, keyring=dataclasses.replace(ring, keys=alone))


async def usage(runtime):
    found = await rotation.usage(runtime)
    return [found["credentials"], found["signing_secrets"]]


async def test_every_row_of_every_table_is_wrapped_anew(
    runtime, both, new_alone, tenant, simulator
):
    made = []
    for i in range(5):
        certificate = simulator.voip_certificate(f"com.example.a{i}")
        made.append(
            await service.add(runtime, tenant, Upload(data=certificate.pem), probe_now=False)
        )
    assert await usage(both) == [{"1": 5}, {"1": 1}]
    done = await rotation.rotate(both, batch=2)
    assert (done.rewrapped, done.failed) == (6, ())
    assert await usage(both) == [{"2026": 5}, {"2026": 1}]
    async with runtime.database.autocommit() as session:
        for row in made:
            usable = await store.get_usable(session, tenant, row.id)
            assert usable is not None
            assert usable.version == row.version  # pools of connections need not change
            assert b"PRIVATE KEY" in decrypt(new_alone.keyring, usable).material
    token, _ = await tenants.user_token(new_alone, tenant, "alice", 60)
    assert token
    assert await rotation.rotate(both) == rotation.Rotation(0, ())


async def test_a_key_that_was_never_first_is_told_of(both, runtime, tenant):
    """Also where an older one's rows came under the first meanwhile, and until it is first."""
    ring = both.keyring
    (old,) = (mark for mark in ring.keys if mark != ring.current)
    behind = dataclasses.replace(both, keyring=dataclasses.replace(ring, current=old))
    assert (await rotation.rotate(behind)).never_used == ("2026",)
    assert (await rotation.rotate(both)).never_used == ()
    assert (await rotation.rotate(behind)).never_used == ()  # back again: both have been in use


async def test_a_row_that_does_not_open_is_named_and_left(both, runtime, tenant, simulator, query):
    one = await service.add(
        runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem), probe_now=False
    )
    two = await service.add(
        runtime, tenant, Upload(data=simulator.voip_certificate("x.y").pem), probe_now=False
    )
    await query(
        "UPDATE credentials SET sealed = (SELECT sealed FROM credentials WHERE id = :two) "
        "WHERE id = :one RETURNING id",
        one=one.id,
        two=two.id,
    )
    done = await rotation.rotate(both)
    assert done.rewrapped == 2
    assert len(done.failed) == 1
    assert str(one.id) in done.failed[0]


async def test_rows_copied_to_another_id_or_tenant_do_not_open(runtime, tenant, simulator, query):
    row = await service.add(
        runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem), probe_now=False
    )
    other = (await tenants.create(runtime, "other")).id
    copy = (
        "INSERT INTO credentials (id, tenant_id, app_id, kind, environments, topics, "
        "fingerprint, sealed, state, created_at) SELECT :id, :tenant, app_id, kind, "
        "environments, topics, 'copied', sealed, state, created_at FROM credentials "
        "WHERE id = :source RETURNING id"
    )
    for place in (tenant, other):
        new = uuid7()
        await query(copy, id=new, tenant=place, source=row.id)
        async with runtime.database.autocommit() as session:
            usable = await store.get_usable(session, place, new)
        assert usable is not None
        with pytest.raises(VaultError):
            decrypt(runtime.keyring, usable)


async def test_a_probe_tells_of_a_row_that_does_not_open(runtime, new_alone, tenant, simulator):
    row = await service.add(
        runtime, tenant, Upload(data=simulator.voip_certificate(APP).pem), probe_now=False
    )
    probed = await service.probe(new_alone, tenant, row.id)
    assert set(probed.refused) == {"production", "sandbox"}
    assert "RINGLINE_SECRET_KEY" in probed.trouble


async def test_service_goes_on_while_keys_are_rotated(runtime, both, tenant, simulator):
    """Adding, opening and rotating at the same time: nothing fails, all ends under the new key."""
    rows = [
        await service.add(
            runtime, tenant, Upload(data=simulator.voip_certificate(f"a.b{i}").pem), probe_now=False
        )
        for i in range(10)
    ]
    stop = asyncio.Event()

    async def open_all() -> int:
        count = 0
        while not stop.is_set():
            async with runtime.database.autocommit() as session:
                usable = await store.for_apps(session, {(tenant, row.app_id) for row in rows})
            for one in usable:
                decrypt(both.keyring, one)
                count += 1
            await asyncio.sleep(0)
        return count

    async def add_more() -> None:
        for i in range(10):
            pem = simulator.voip_certificate(f"c.d{i}").pem
            await service.add(runtime, tenant, Upload(data=pem), probe_now=False)

    opening = asyncio.create_task(open_all())
    await asyncio.gather(rotation.rotate(both, batch=1), add_more())
    done = await rotation.rotate(both)
    stop.set()
    assert await opening > 10
    assert done.failed == ()
    assert await usage(both) == [{"2026": 20}, {"2026": 1}]


def test_the_registry_names_the_purposes_that_are_used():
    purposes = {one.table: one.purpose for one in vault.SEALED}
    from app.credentials.decrypt import place_of

    assert place_of(uuid7(), uuid7()).purpose == purposes["credentials"]
    assert signing_place(uuid7(), uuid7()).purpose == purposes["signing_secrets"]
