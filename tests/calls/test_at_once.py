"""Plain rings in two round trips: the same rows, answers and news as in a transaction of its own."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app.calls import at_once, begin, begin_pairs, lookup, ringing
from app.calls.apply import Change
from app.calls.lost import Lost, User
from app.calls.ringing import RingRequest, Rung
from app.calls.schemas import RingIn
from app.calls.slices import FIRST
from app.core.event import rfc3339
from app.core.frozen import replace
from app.infra.db import Connection, Database, as_json, many, one
from app.live import feeds
from app.tenants import erasures
from app.tenants.schemas import TenantSettings
from tests.chance import dice, often
from tests.e2e.house import eventually
from tests.push.test_claims_in_place import waits

TENANT = UUID(int=7)
USERS, LISTENING, OCCUPIED = 12, 5, 4
APP = "com.example.app"
FILL = (
    f"""INSERT INTO tenants (id, name, settings)
        VALUES (:tenant, 't', '{{"alert_rings": {{"{APP}": 7}}}}')""",
    """INSERT INTO users (tenant_id, id)
        SELECT :tenant, 'u' || n FROM generate_series(0, :users) n""",
    """INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
        SELECT CAST(md5('d' || n) AS uuid), :tenant, 'u' || n % :users, 'd' || n, now(), now()
        FROM generate_series(1, 2 * :users) n""",
    # u3 has feeds alone, u6 nothing at all; every fifth phone rings by notifications
    f"""INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
            registered_at, expires_at)
        SELECT CAST(md5('t' || n) AS uuid), :tenant, 'u' || n % :users, CAST(md5('d' || n) AS uuid),
            CASE WHEN n % 5 = 0 THEN 'alert' ELSE 'voip' END, '{APP}', 'production',
            md5('x' || n) || md5('y' || n), now(), now() + interval '9 days'
        FROM generate_series(1, 2 * :users) n WHERE n % :users NOT IN (3, 6)""",
    """INSERT INTO feeds (tenant_id, user_id, seq, opened_at)
        SELECT :tenant, 'u' || n, 100 * n, now() FROM generate_series(0, :listening) n""",
    """INSERT INTO webhooks (id, tenant_id, url, events, state, failures, created_at)
        SELECT CAST(md5('w' || n) AS uuid), :tenant, 'https://a.example', CAST(e AS jsonb), s, 0,
            now()
        FROM (VALUES (1, '["*"]', 'active'), (2, '["call.*", "member.ringing"]', 'active'),
            (3, '["*"]', 'disabled')) AS w(n, e, s)""",
)
ROWS = {
    "calls": "id",
    "members": "session_id, user_id",
    "rings": "uuid",
    "pushes": "ring, token_id, purpose",
    "events": "session_id, seq",
    "user_events": "user_id, seq",
    "feeds": "user_id",
    "deliveries": "webhook_id, event_id",
    "idempotency": "owner, key",
    "users": "id",
    "audit": "id",
}
OF_ITS_OWN = {
    "pushes": {"id"},
    "deliveries": {"created_at", "due_at"},
    "users": {"created_at"},
    "feeds": {"opened_at"},
}
"""What each writing makes anew, or reads from the clock."""

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
Way = Callable[[Connection, Sequence[RingRequest]], Awaitable[Rung | None]]


@pytest.fixture
async def db(database: str) -> AsyncIterator[Database]:
    """A database with phones, streams, endpoints, and cids that live calls have."""
    opened = Database(database)
    async with opened.transaction() as session:
        for sql in FILL:
            values = {"tenant": TENANT, "users": USERS, "listening": LISTENING}
            wanted = {name: values[name] for name in text(sql).compile().params}
            await session.execute(text(sql), wanted)
        await ringing.ring_new(session, [order("u1", id=f"c{n}") for n in range(OCCUPIED)])
    yield opened
    await opened.close()


def order(*callees: Any, key: str | None = None, **more: Any) -> RingRequest:
    body = {"caller": {"id": "u0"}, "callees": list(callees)} | more
    request = RingIn.model_validate(body)
    settings = TenantSettings(end_unreachable=False)
    return ringing.resolve(TENANT, settings, request, device="server", key=key, owner="key:1")


def some_orders(chance: random.Random, callees: Sequence[int]) -> list[RingRequest]:
    """A batch: cids that are free, taken and named twice, with much and with little said.

    In order of their cids, as they are written: so is what users are told of several numbered.
    """
    orders = [some_order(chance, n, callees) for n in range(chance.randint(1, 7))]
    return sorted(orders, key=lambda one: one.cid)


def some_order(chance: random.Random, n: int, several: Sequence[int]) -> RingRequest:
    named = chance.random() < 0.4

    def person(user: str) -> Any:
        return {"id": user, "name": f"{user} 'the\" \\ \u00e9\U0001f4de"} if named else user

    callees = chance.sample(range(1, USERS), chance.choice(several))
    caller: dict[str, Any] = {"id": f"u{chance.choice((0, 13))}"}
    if chance.random() < 0.4:
        caller |= {"name": "Alice", "avatar_url": "https://a.example/a.png"}
    if chance.random() < 0.4:
        caller["device_id"] = "d0"
    more: dict[str, Any] = {"caller": caller, "video": chance.random() < 0.5}
    if chance.random() < 0.6:
        more["id"] = f"c{chance.randrange(2 * OCCUPIED)}"
    if chance.random() < 0.3:
        more |= {"title": "a: b", "custom": {"a:b": [1, None, {"c": "\u2028"}]}, "type": "default"}
    if chance.random() < 0.3:
        more["ring_time"] = chance.choice((5, 20, 60))
    key = f"key {n}" if chance.random() < 0.4 else None
    return order(*(person(f"u{one}") for one in callees), key=key, **more)


async def rows_of(session: Connection, since: datetime, now: datetime) -> dict[str, Any]:
    """The rows that there are, but for those from before `since`."""
    found, new = dict[str, Any](), set[UUID]()
    for table, by in ROWS.items():
        sql = text(f"SELECT * FROM {table} WHERE tenant_id = :tenant ORDER BY {by}")
        rows = await many(session, sql, {"tenant": TENANT})
        own = OF_ITS_OWN.get(table, set())
        always = table in {"users", "feeds"}
        found[table] = [
            {name: apart(value, since, now) for name, value in row.items() if name not in own}
            for row in rows
            if always or (row["session_id"] in new if table == "members" else when(row) >= since)
        ]
        new |= {row["id"] for row in found["calls"]}
    return found


def when(row: dict[str, Any]) -> datetime:
    at: datetime = row["created_at"] if "created_at" in row else row["at"]
    return at


def apart(value: Any, since: datetime, now: datetime) -> Any:
    """A value with times from `since` on as seconds from `now`, wherever they are."""
    match value:
        case datetime():
            return value if value < since else round((value - now).total_seconds(), 6)
        case dict():
            return {name: apart(each, since, now) for name, each in value.items()}
        case list() | tuple():
            return [apart(each, since, now) for each in value]
        case str() if TIME.fullmatch(value):
            later = datetime.fromisoformat(value) - datetime.fromisoformat(rfc3339(now))
            return f"{later.total_seconds():.3f}"
    return value


LATEST = text("SELECT max(created_at) AS at FROM calls")
STARTED = text("SELECT clock_timestamp() AS at")


async def outcome(db: Database, way: Way, orders: Sequence[RingRequest]) -> dict[str, Any] | None:
    """All that comes of it, in the database too; it is rolled back."""
    async with db.rehearsal() as session:
        before = await one(session, STARTED)
        rung = await way(session, orders)
        if rung is None:
            return None
        answers, applied = rung
        latest = await one(session, LATEST)
        assert latest is not None
        assert before is not None
        now = max(latest["at"], before["at"])
        return await rows_of(session, before["at"], now) | {
            "answers": {n: said(answer, before["at"], now) for n, answer in answers.items()},
            "hints": sorted(map(str, applied.hints)),
            "news": sorted(applied.news),
            "told": applied.webhooks,
            "counted": sorted(applied.events, key=str),
        }


def said(answer: ringing.Answer, since: datetime, now: datetime) -> Any:
    return repr(answer) if isinstance(answer, Exception) else apart(answer, since, now)


@pytest.mark.parametrize("callees", [(1, 1, 1, 2, 4), (1,)], ids=["any", "pairs"])
async def test_both_ways_write_the_same_and_say_the_same(
    db: Database, callees: Sequence[int]
) -> None:
    chance, taken, told = dice(), 0, 0
    for _ in range(often(40, 800)):
        orders = some_orders(chance, callees)
        assert at_once.may_be_at_once(orders)
        slow = await outcome(db, ringing.ring_new, orders)
        fast = await outcome(db, at_once.ring_at_once, orders)
        assert slow is not None
        assert fast is not None
        assert fast.keys() == slow.keys()
        for name, made in slow.items():
            assert fast[name] == made, name
        taken += len(slow["answers"]) < len(orders)
        told += bool(slow["news"])
        assert slow["told"] or not slow["answers"]
    assert taken > 5, "cids that others have were among them"
    assert told > 5, "users with streams were among them"


async def test_what_is_not_plain_goes_the_whole_way_and_nothing_of_it_is_written(
    db: Database,
) -> None:
    orders = [order("u1", "u6", id="quiet")]
    async with db.transaction() as session:
        await session.execute(
            text("INSERT INTO blocks (tenant_id, user_id, blocked_id, created_at) "
                 "VALUES (:t, 'u1', 'u0', now())"), {"t": TENANT},
        )  # fmt: skip
        await session.execute(text("UPDATE tokens SET rings = false WHERE user_id = 'u8'"))
    for wanted in (orders, [order("u8")]):
        assert at_once.may_be_at_once(wanted)
        assert await outcome(db, at_once.ring_at_once, wanted) is None
        answers, _ = await at_once.ring(db, wanted)
        assert len(answers) == 1
    large = [order(*(f"x{n}" for n in range(FIRST)))]
    twins = [order("u4", key="k"), order("u5", key="k")]
    assert not any(map(at_once.may_be_at_once, (large, twins)))


MADE = {"begin_calls": begin.function, "begin_pairs": begin_pairs.function}


async def test_the_functions_are_as_the_code_makes_them(db: Database) -> None:
    """A new call's row has a column more: a migration makes the function anew, by `function()`."""
    for name, made in MADE.items():
        async with db.autocommit() as session:
            sql = text("SELECT prosrc FROM pg_proc WHERE proname = :name")
            found = await one(session, sql, {"name": name})
        assert found is not None
        assert found["prosrc"] == made().split("$$")[1], name


async def test_what_the_function_takes_has_the_shape_that_it_was_made_for(db: Database) -> None:
    orders = [order("u1", "u5", key="k")]
    async with db.rehearsal() as session:
        _, users, pairs = ringing.named(orders)
        found = await lookup.see_and_find(session, users, users, pairs)
        asked = begin.document(started(orders, found.now), found.now, found.tokens)
    assert asked is not None
    for name, (_, columns, _, _, same) in begin.PARTS.items():
        assert asked[name]
        for row in asked[name]:
            assert row.keys() <= {*columns, *same}, name


async def test_only_calls_of_two_are_asked_of_the_function_for_them(db: Database) -> None:
    """Also those whose phones ring by notifications, again and again; a call of three is not."""
    pairs, three = [order("u1"), order("u5"), order("u6")], [order("u1"), order("u2", "u4")]
    async with db.rehearsal() as session:
        _, users, named = ringing.named(pairs)
        found = await lookup.see_and_find(session, users, users, named)
    assert begin_pairs.document(started(three, found.now), found.now, found.tokens) is None
    asked = begin_pairs.document(started(pairs, found.now), found.now, found.tokens)
    assert asked is not None
    rows = {row[4]: dict(zip(begin_pairs.NAMES, row, strict=False)) for row in asked["calls"]}
    assert rows.keys() == {"u1", "u5", "u6"}
    assert {one["push"] is None for one in rows.values()} == {True, False}
    assert "more" not in rows["u6"]
    assert any(len(push) == 5 for push in rows["u5"]["more"])


async def test_a_call_that_may_not_last_as_long_as_it_rings_ends_before(db: Database) -> None:
    orders = [order("u1", id="a", ring_time=60), order("u4", id="b", ring_time=5)]
    short = [replace(each, limits=replace(each.limits, length=10)) for each in orders]
    slow = await outcome(db, ringing.ring_new, short)
    fast = await outcome(db, at_once.ring_at_once, short)
    assert slow == fast
    assert fast is not None
    assert sorted(row["due_at"] for row in fast["calls"]) == [5.0, 10.0]


def started(orders: Sequence[RingRequest], now: datetime) -> list[Change]:
    nobody = frozenset[User]()
    return [ringing.start_of(each, now, Lost(), {}, nobody) for each in orders]


CALLS = text("SELECT id FROM calls WHERE id = ANY(CAST(:ids AS uuid[]))")
EVENTS = text("SELECT session_id FROM events WHERE session_id = ANY(CAST(:ids AS uuid[]))")


async def written(db: Database, orders: Sequence[RingRequest]) -> list[UUID]:
    """Calls of these that are in the tables, each with its events, or neither."""
    ids = [one.session_id for one in orders]
    async with db.autocommit() as session:
        calls = {row["id"] for row in await many(session, CALLS, {"ids": ids})}
        told = {row["session_id"] for row in await many(session, EVENTS, {"ids": ids})}
    assert calls == told
    return [one for one in ids if one in calls]


async def test_a_cid_and_a_feed_that_come_while_it_waits_are_seen(db: Database) -> None:
    """Each statement of the function sees what is committed when it begins."""
    first, orders = order("u7", id="m"), [order("u7", id="m"), order("u8", id="n", key="k")]
    async with db.transaction() as session:
        await ringing.ring_new(session, [first])
        ringing_now = asyncio.create_task(at_once.ring(db, orders))
        await eventually(lambda: waits(db))
        async with db.transaction() as opening:
            await feeds.open_feeds(opening, [(TENANT, "u8")])
    answers, applied = await ringing_now
    assert answers.keys() == {1}
    assert await written(db, [first, *orders]) == [first.session_id, orders[1].session_id]
    assert "u8" in {user for _, user, _ in applied.news}


async def test_a_key_that_another_request_has_at_this_moment_gets_its_answer(db: Database) -> None:
    first, orders = order("u7", key="k"), [order("u8", key="other"), order("u7", key="k")]
    async with db.transaction() as session:
        told, _ = await ringing.ring_new(session, [first])
        ringing_now = asyncio.create_task(at_once.ring(db, orders))
        await eventually(lambda: waits(db))
    answers, _ = await ringing_now
    assert answers[1] == told[0]
    assert await written(db, [first, *orders]) == [first.session_id, orders[0].session_id]


@pytest.mark.parametrize("late", ["found too long ago", "erased since"])
async def test_what_is_no_longer_as_it_was_found_is_not_written(db: Database, late: str) -> None:
    orders = [order("u7")]
    async with db.autocommit() as session:
        _, users, pairs = ringing.named(orders)
        found = await lookup.see_and_find(session, users, users, pairs)
        now = found.now - timedelta(seconds=5.1) if late == "found too long ago" else found.now
        if late == "erased since":
            async with db.transaction() as erasing:
                await erasures.add(erasing, TENANT, "u7")
        changes = started(orders, now)
        assert await begin.begin(session, changes, now, found.tokens) is None
    assert await written(db, orders) == []


async def test_many_at_once_number_a_users_events_without_gaps(db: Database) -> None:
    orders = [order("u2", id=f"x{n}") for n in range(24)]
    await asyncio.gather(*(at_once.ring(db, [each]) for each in orders))
    assert len(await written(db, orders)) == len(orders)
    async with db.autocommit() as session:
        numbers = await many(
            session,
            text("SELECT seq FROM user_events WHERE user_id = 'u2' ORDER BY seq"),
        )
        feed = await one(session, text("SELECT seq FROM feeds WHERE user_id = 'u2'"))
    assert feed is not None
    assert [row["seq"] for row in numbers] == list(range(201, feed["seq"] + 1))
    assert len(numbers) >= len(orders)


async def test_without_the_function_it_rings_all_the_same_and_says_so_once(db: Database) -> None:
    async with db.transaction() as session:
        for name in MADE:
            await session.execute(text(f"DROP FUNCTION {name}(jsonb)"))
    orders = [order("u7"), order("u8")]
    with capture_logs() as logs:
        for each in orders:
            answers, _ = await at_once.ring(db, [each])
            assert answers.keys() == {0}
    assert [(line["event"], line["function"]) for line in logs] == [
        ("function_missing", "begin_pairs")
    ]
    assert len(await written(db, orders)) == 2


NAMES = {
    "asked": "jsonb",
    "the_tenant": "uuid",
    "the_moment": "timestamptz",
    "the_deadline": "timestamptz",
    "the_events": "jsonb",
}
PREPARED = text("SELECT name, custom_plans, generic_plans FROM pg_prepared_statements")


async def test_its_statements_are_not_planned_anew_each_time(db: Database) -> None:
    """As `tests/push/test_claims_in_place.py` asks of a ring's others; PL/pgSQL does not show."""
    chance = dice()
    async with db.transaction() as session:
        await session.execute(
            text("INSERT INTO feeds (tenant_id, user_id, seq, opened_at) "
                 "SELECT :t, 'many' || n, 1, now() FROM generate_series(1, 5000) n"), {"t": TENANT},
        )  # fmt: skip
        await session.execute(text("ANALYZE"))
    async with db.rehearsal() as session:
        driver = (await session.get_raw_connection()).driver_connection
        assert driver is not None
        for name, sql in (begin.statements() | begin_pairs.statements()).items():
            for place, variable in enumerate(NAMES, 1):
                sql = re.sub(rf"\b{variable}\b", f"${place}", sql)
            await driver.execute(f"PREPARE {name} ({', '.join(NAMES.values())}) AS {sql}")
        for _ in range(9):
            orders = [order(f"u{chance.randrange(1, USERS)}", id=uuid4().hex)]
            _, users, pairs = ringing.named(orders)
            found = await lookup.see_and_find(session, users, users, pairs)
            for of in (begin, begin_pairs):
                changes = started([order(f"u{chance.randrange(1, USERS)}")], found.now)
                asked = of.document(changes, found.now, found.tokens)
                assert asked is not None
                document = as_json(asked).replace("'", "''")
                for name in of.statements():
                    await driver.execute(
                        f"EXECUTE {name} ('{document}', '{TENANT}', '{found.now}', "
                        f"'{asked['deadline']}', '{as_json(asked.get('events', []))}')"
                    )
        plans = {row["name"]: row for row in await many(session, PREPARED)}
    for name in begin.statements() | begin_pairs.statements():
        assert (plans[name]["custom_plans"], plans[name]["generic_plans"]) == (5, 4), name
