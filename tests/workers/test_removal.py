"""A deleted tenant's rows go from every table, batch by batch, and nobody else's."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import JSON, Boolean, LargeBinary, Table, Text, insert, text

import migrations.models  # noqa: F401
from app.audit.log import WHOLE_SERVER
from app.calls import closing
from app.infra import tenant_rows
from app.infra.db import Base
from app.infra.errors import Conflict, Invalid
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.tenants import service as tenants
from app.tenants.service import NewTenant
from tests.houses import HouseMaker
from workers import removal

OF_TENANTS = {name for name, one in Base.metadata.tables.items() if "tenant_id" in one.columns}
WITH_ANOTHER = {
    "rings": "with their call, by their own statement",
    "pushes": "with the ring that they are of, by their own statement",
    "webhook_secrets": "with their webhook, by a foreign key",
}
THE_SERVERS = {"key_checks", "admin_totp"}
"""What has the whole server's `tenant_id`, for its seal."""

OF_NOBODY = {
    "attempts": "they go with their push, or with their week",
    "tenants": "its own row goes last",
    **dict.fromkeys(("workers", "leases"), "processes"),
    **dict.fromkeys(
        ("admins", "admin_sessions", "admin_passkeys", "admin_recovery_codes", "admin_challenges"),
        "administrators",
    ),
    **dict.fromkeys(("sign_in_tries", "counted_until", "untrusted_forwarders"), "the server"),
}
ENDED = {
    "calls": {"state": "ended", "ended_at": datetime.now(UTC)},
    "push_batches": {"done_at": datetime.now(UTC)},
    "pushes": {"is_open": False},
    "deliveries": {"state": "delivered"},
}
PARENTS = {"session_id": "calls", "ring": "rings", "push_id": "pushes"}


@pytest.fixture
async def runtime(
    make_house: HouseMaker, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Runtime]:
    """Doors to a database of this test's own, and no wait for what may be under way elsewhere."""
    monkeypatch.setattr(removal, "LEAST", 0.0)
    monkeypatch.setattr(removal, "PAUSE", 0.0)
    monkeypatch.setattr(closing, "FORGOTTEN_AFTER", 0.0)
    async with make_house(apis=0, workers=0).runtime() as made:
        yield made


def a_value(column: Any) -> Any:
    kind = column.type
    if isinstance(kind, Text):
        return f"x-{uuid7().hex}"
    if isinstance(kind, LargeBinary):
        return uuid7().bytes
    if isinstance(kind, Boolean):
        return False
    if isinstance(kind, JSON):
        return {}
    known = {UUID: uuid7, datetime: lambda: datetime.now(UTC), int: lambda: 1, list: list}
    return known[kind.python_type]()


def a_row(table: Table, tenant: UUID, made: dict[str, Any]) -> dict[str, Any]:
    row = {}
    for column in table.columns:
        parent = next((one.column.table.name for one in column.foreign_keys), None)
        parent = parent or PARENTS.get(column.name)
        if column.name == "tenant_id":
            row[column.name] = tenant
        elif parent in made:
            row[column.name] = made[parent]
        elif not column.nullable and column.server_default is None:
            row[column.name] = a_value(column)
    return row | ENDED.get(table.name, {})


async def fill(runtime: Runtime, tenant: UUID) -> None:
    """A row of the tenant in each table that has any of tenants, and one of `attempts`."""
    made: dict[str, Any] = {"tenants": tenant}
    names = OF_TENANTS - THE_SERVERS | {"attempts"}
    first = ("calls", "rings", "pushes")
    others = [one.name for one in Base.metadata.sorted_tables if one.name in names]
    ordered = [*first, *(name for name in others if name not in first)]
    async with runtime.database.transaction() as session:
        for name in ordered:
            table = Base.metadata.tables[name]
            row = a_row(table, tenant, made)
            await session.execute(insert(table).values(**row))
            made[name] = row[next(iter(table.primary_key)).name]


async def counts(runtime: Runtime, tenant: UUID) -> dict[str, int]:
    """How many rows each table has of a tenant, table by table, by the models."""
    found = {}
    async with runtime.database.autocommit() as session:
        for name in OF_TENANTS - THE_SERVERS:
            sql = text(f"SELECT count(*) FROM {name} WHERE tenant_id = :t")
            found[name] = int((await session.execute(sql, {"t": tenant})).scalar_one())
        sql = text("SELECT count(*) FROM attempts")
        found["attempts"] = int((await session.execute(sql)).scalar_one())
    return found


async def two(runtime: Runtime) -> tuple[NewTenant, NewTenant]:
    made = [await tenants.create(runtime, name) for name in ("acme", "other")]
    for one in made:
        await fill(runtime, one.id)
    return made[0], made[1]


async def alive(runtime: Runtime) -> set[str]:
    return {row["name"] for row in await tenants.every(runtime, deleted=True)}


async def test_every_table_is_known_to_go_with_its_tenant(runtime: Runtime) -> None:
    """A new table needs an index that begins with `tenant_id`, or a word about how it goes."""
    async with runtime.database.autocommit() as session:
        found = [one.name for one in await tenant_rows.tables(session)]
    assert set(found) == OF_TENANTS - set(WITH_ANOTHER) - THE_SERVERS - tenant_rows.KEPT
    assert set(Base.metadata.tables) - OF_TENANTS == set(OF_NOBODY)
    for table in Base.metadata.tables.values():
        for key in table.foreign_keys:
            if {table.name, key.column.table.name} <= set(found):
                assert found.index(table.name) < found.index(key.column.table.name), key


async def test_all_rows_of_it_go_and_none_of_another(runtime: Runtime) -> None:
    acme, other = await two(runtime)
    before = await counts(runtime, acme.id), await counts(runtime, other.id)
    assert 0 not in before[0].values(), before[0]
    dry = await closing.rows_of(runtime, acme.id)
    assert dry == {
        n: before[0][n] for n in OF_TENANTS - set(WITH_ANOTHER) - THE_SERVERS - {"audit"}
    }
    await closing.delete(runtime, acme.id, "acme")
    gone = await removal.remove(runtime)
    after = await counts(runtime, acme.id)
    kept = {"audit": before[0]["audit"], "attempts": 1}
    assert after == dict.fromkeys(after, 0) | kept
    assert gone >= sum(dry.values())
    of_other = await counts(runtime, other.id)
    assert of_other == before[1] | {"attempts": 1}, "the other's is left"
    assert await alive(runtime) == {"other"}
    async with runtime.database.autocommit() as session:
        lines = (
            await session.execute(
                text("SELECT action, detail FROM audit WHERE tenant_id = :w ORDER BY id"),
                {"w": WHOLE_SERVER},
            )
        ).all()
    assert [tuple(one) for one in lines] == [
        ("tenant.delete", {"name": "acme"}),
        ("tenant.remove", {}),
    ]


async def test_no_batch_is_larger_than_it_may_be_and_a_round_goes_on_where_one_broke_off(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, _ = await two(runtime)
    async with runtime.database.transaction() as session:
        for sql in (
            """INSERT INTO user_events (tenant_id, user_id, seq, at, body)
            SELECT :t, 'bob', n, clock_timestamp(), '{}' FROM generate_series(2, 40) n""",
            """INSERT INTO rings (uuid, session_id, tenant_id, user_id, created_at, deadline)
            SELECT gen_random_uuid(), c.id, :t, 'u' || n, now(), now() FROM calls c,
                generate_series(2, 40) n WHERE c.tenant_id = :t""",
        ):
            await session.execute(text(sql), {"t": acme.id})
    await closing.delete(runtime, acme.id, "acme")
    monkeypatch.setattr(removal, "BATCH", 7)
    async for rows in (work := removal._batches(runtime, acme.id)):
        assert rows <= 7 + 1, "the push of a batch has an attempt"
        if (await counts(runtime, acme.id))["rings"] < 30:
            await work.aclose()
            break
    left = await counts(runtime, acme.id)
    assert 0 < left["rings"] < 40
    assert left["credentials"] == 0, "they go first"
    assert left["calls"] == 1, "it goes after what is found by it"
    await removal.remove(runtime)
    assert await alive(runtime) == {"other"}
    assert (
        sum((await counts(runtime, acme.id)).values())
        == 1 + (await counts(runtime, acme.id))["audit"]
    )


async def test_what_cannot_go_of_one_keeps_no_other_and_is_tried_again(runtime: Runtime) -> None:
    acme, other = await two(runtime)
    for sql in (
        f"""CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF OLD.tenant_id = '{acme.id}' THEN RAISE 'it stays'; END IF; RETURN OLD; END $$""",
        "CREATE TRIGGER stays BEFORE DELETE ON handles FOR EACH ROW EXECUTE FUNCTION stays()",
    ):
        async with runtime.database.transaction() as session:
            await session.execute(text(sql))
    for one in (acme, other):
        await closing.delete(runtime, one.id, one.name)
    await removal.remove(runtime)
    assert await alive(runtime) == {f"deleted-{acme.id}"}
    async with runtime.database.transaction() as session:
        await session.execute(text("DROP TRIGGER stays ON handles"))
    assert removal.ASIDE.keys() == [acme.id]
    removal.ASIDE.remove([acme.id])
    await removal.remove(runtime)
    assert await alive(runtime) == set()


async def test_its_row_stays_while_something_may_still_be_under_way(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "LEAST", 60.0)
    acme, _ = await two(runtime)
    await closing.delete(runtime, acme.id, "acme")
    await removal.remove(runtime)
    async with runtime.database.transaction() as session:
        sql = "INSERT INTO feeds (tenant_id, user_id, opened_at) VALUES (:t, 'late', now())"
        await session.execute(text(sql), {"t": acme.id})
    assert await alive(runtime) == {"other", f"deleted-{acme.id}"}
    monkeypatch.setattr(removal, "LEAST", 0.0)
    await removal.remove(runtime)
    assert await alive(runtime) == {"other"}
    assert (await counts(runtime, acme.id))["feeds"] == 0


async def test_it_is_deleted_by_its_own_name_once_and_the_name_is_free(runtime: Runtime) -> None:
    acme = await tenants.create(runtime, "acme")
    with pytest.raises(Invalid, match="'acme'"):
        await closing.delete(runtime, acme.id, "other")
    assert await tenants.find(runtime, "acme") == acme.id
    await closing.delete(runtime, acme.id, "acme")
    with pytest.raises(Conflict, match="was deleted at"):
        await closing.delete(runtime, acme.id, f"deleted-{acme.id}")
    with pytest.raises(Conflict, match="tenant show"):
        await tenants.find(runtime, str(acme.id))
    again = await tenants.create(runtime, "acme")
    assert await tenants.find(runtime, "acme") == again.id != acme.id
    assert [row["name"] for row in await tenants.every(runtime)] == ["acme"]


async def test_a_row_that_somebody_holds_is_waited_for_by_no_round(runtime: Runtime) -> None:
    acme, _ = await two(runtime)
    await closing.delete(runtime, acme.id, "acme")
    async with runtime.database.transaction() as session:
        held = text("SELECT FROM handles WHERE tenant_id = :t FOR UPDATE")
        await session.execute(held, {"t": acme.id})
        await removal.remove(runtime)
        left = await closing.rows_of(runtime, acme.id)
        assert left == {"handles": 1}, "all others are gone"
    assert removal.ASIDE.keys() == [], "nothing has failed"
    await removal.remove(runtime)
    assert await alive(runtime) == {"other"}
