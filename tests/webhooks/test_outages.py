"""An answer in hand is written, whatever the database does meanwhile, and nobody else waits."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import event, text

from app.audit.log import Actor
from app.core import webhook_share
from app.core.delivery import DeliveryError
from app.core.webhook_retry import Answer
from app.infra.db import many
from app.infra.ids import uuid7
from app.infra.runtime import Runtime, open_runtime
from app.infra.safe_http import SafeHttp
from app.infra.settings import Settings
from app.tenants import service as tenants
from app.webhooks import claims, open_deliveries, publish, service
from app.webhooks.claimed import Delivery
from app.webhooks.dispatcher import WebhookDispatcher
from app.webhooks.open_deliveries import OpenDeliveries
from tests.conftest import DatabaseServer
from tests.e2e.house import SECRET_KEY, eventually
from tests.webhooks.receiver import Receiver, receiving


@dataclass
class Place:
    """A database of this test's own, and one worker's courier on it."""

    runtime: Runtime
    webhook_dispatcher: WebhookDispatcher
    worker: UUID
    outside: Runtime
    """For the test to look and change by: its connections are no part of the fault."""

    async def webhook(self, url: str) -> UUID:
        """A new tenant with one webhook; returns the tenant."""
        made = await tenants.create(self.outside, f"t-{uuid7().hex[:8]}-{uuid7().hex[-8:]}")
        actor = Actor("command")
        await service.create(self.outside, made.id, url, ["*"], "", actor)
        return made.id

    async def tell(self, tenant: UUID, count: int = 1) -> None:
        events = [
            {"id": uuid7(), "tenant_id": tenant, "type": "push.alarm", "at": datetime.now(UTC), "data": {}}
            for _ in range(count)
        ]  # fmt: skip
        async with self.outside.database.transaction() as session:
            await publish.tenant_events(session, events)

    async def execute(self, sql: str) -> None:
        async with self.outside.database.transaction() as session:
            await session.execute(text(sql))

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        async with self.outside.database.transaction() as session:
            return await many(session, text(sql), values)

    async def states(self, tenant: UUID) -> list[str]:
        found = await self.rows("SELECT state FROM deliveries WHERE tenant_id = :t", t=tenant)
        return [row["state"] for row in found]

    async def delivered(self, tenant: UUID, timeout: float = 60) -> None:
        async def all_of_them() -> bool:
            return set(await self.states(tenant)) == {"delivered"}

        await eventually(all_of_them, timeout=timeout)


@contextlib.asynccontextmanager
async def place(database: str, redis: str, outbound: Any = None) -> AsyncIterator[Place]:
    settings = Settings(
        database_url=database,
        redis_url=redis,
        secret_key=SECRET_KEY,
        webhook_allow_private=True,
        database_pool=5,
    )
    runtime, outside, worker = open_runtime(settings), open_runtime(settings), uuid7()
    webhook_dispatcher = WebhookDispatcher(
        runtime, worker, outbound or SafeHttp(allow_private=True)
    )
    made = Place(runtime, webhook_dispatcher, worker, outside)
    await made.rows(
        "INSERT INTO workers (id, host, pid, started_at, alive_until) VALUES (:w, 'test', 1,"
        " clock_timestamp(), clock_timestamp() + interval '1 hour') RETURNING id", w=worker,
    )  # fmt: skip
    try:
        yield made
    finally:
        await webhook_dispatcher.stop(1)
        await runtime.close()
        await outside.close()


READ_ONLY = "ALTER DATABASE {name} SET default_transaction_read_only = {on}"
REFUSING = "ALTER DATABASE {name} ALLOW_CONNECTIONS = {off}"
END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


@pytest.mark.parametrize("fault", [READ_ONLY, REFUSING])
async def test_an_answer_is_kept_until_it_is_written_and_nothing_is_sent_again(
    database: str, redis: str, database_server: DatabaseServer, fault: str
) -> None:
    name = database.partition("/ringline")[2].partition("?")[0]
    name = f"ringline{name}"

    def switch(on: bool) -> None:
        words = {"name": name, "on": "on" if on else "off", "off": "false" if on else "true"}
        database_server.execute(fault.format(**words))
        database_server.execute(END_ALL.format(**words))

    async with receiving() as receiver, place(database, redis) as here:
        receiver.delay = 0.3
        tenant = await here.webhook(receiver.url)
        await here.tell(tenant, 10)
        here.webhook_dispatcher.wake()
        await eventually(lambda: _posts(receiver, 2))
        await asyncio.to_thread(switch, True)
        await asyncio.sleep(1)  # the answers come meanwhile, and as many looks fail
        with contextlib.suppress(Exception):
            await here.webhook_dispatcher.look()
        posts = len(receiver.posts)
        await asyncio.to_thread(switch, False)
        await eventually(lambda: _looked(here))
        await here.delivered(tenant)
        ids = [post.headers["webhook-id"] for post in receiver.posts]
        assert posts >= 2
        assert len(ids) == len(set(ids)) == 10


async def _posts(receiver: Receiver, count: int) -> bool:
    return len(receiver.posts) >= count


async def _looked(here: Place) -> bool:
    with contextlib.suppress(Exception):
        await here.webhook_dispatcher.look()
        return True
    return False


async def test_a_webhook_whose_row_is_locked_holds_up_nobody(database: str, redis: str) -> None:
    async with receiving() as receiver, place(database, redis) as here:
        locked, other = await here.webhook(receiver.url), await here.webhook(receiver.url)
        await here.execute(f"UPDATE webhooks SET failures = 1 WHERE tenant_id = '{locked}'")
        async with here.outside.database.transaction() as session:
            await session.execute(
                text("SELECT id FROM webhooks WHERE tenant_id = :t FOR UPDATE"), {"t": locked}
            )
            await here.tell(locked, 3)
            await here.tell(other, 3)
            here.webhook_dispatcher.wake()
            await here.delivered(other)
            assert "delivered" not in await here.states(locked)
        await here.delivered(locked)
        assert len(receiver.posts) == 6
        (row,) = await here.rows("SELECT failures FROM webhooks WHERE tenant_id = :t", t=locked)
        assert row["failures"] == 0, "it answers, and so it is well again"


class Answering:
    """In the place of the network: answers as it is told."""

    def __init__(self, answer: Callable[[str], Answer]) -> None:
        self._answer = answer
        self.asked: list[str] = []

    def send(
        self, url: str, _headers: Any, _body: bytes, told: Callable[[Answer], object], **_: Any
    ) -> None:
        self.asked.append(url)
        told(self._answer(url))

    async def close(self) -> None:
        pass


class Silent(Answering):
    """The same, and never answers."""

    def __init__(self) -> None:
        super().__init__(lambda _: Answer(None))

    def send(self, url: str, *_: Any, **__: Any) -> None:
        self.asked.append(url)


async def test_places_that_one_webhook_cannot_use_are_anothers_at_once_and_no_look_is_in_vain(
    database: str, redis: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two webhooks of a tenant that has three places: two go to the first, of which one is due."""
    monkeypatch.setitem(webhook_share.PER_TENANT, False, 3)
    monkeypatch.setattr(open_deliveries, "SLOW_AFTER", 600.0)
    silent, looks = Silent(), []
    async with place(database, redis, silent) as here:
        tenant = await here.webhook("http://first/")
        actor = Actor("command")
        await here.tell(tenant)
        await service.create(here.outside, tenant, "http://second/", ["*"], "", actor)
        await here.execute("UPDATE deliveries SET due_at = due_at - interval '1 minute'")
        await here.execute("UPDATE webhooks SET state = 'disabled' WHERE url = 'http://first/'")
        await here.tell(tenant, 5)
        await here.execute("UPDATE webhooks SET state = 'active'")

        def note(*given: Any) -> None:
            looks.append("AS under_way" in given[2])

        engine = here.runtime.database._each.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        here.webhook_dispatcher.wake()

        async def all_asked() -> bool:
            return len(silent.asked) == 3 and here.webhook_dispatcher._claiming is None

        await eventually(all_asked)
        assert sorted(silent.asked) == ["http://first/", "http://second/", "http://second/"]
        assert looks.count(True) == 2, "the first shares, the second gives what was left"
        here.webhook_dispatcher.wake()
        await eventually(all_asked)
        assert looks.count(True) == 3
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "bad", [Answer(2**40, DeliveryError.REFUSED), Answer(200, None, "\0"), Answer(500, "\ud800")]
)
async def test_a_result_that_fits_no_column_holds_up_nobody(
    database: str, redis: str, bad: Answer
) -> None:
    answering = Answering(lambda url: bad if "bad" in url else Answer(204))
    async with place(database, redis, answering) as here:
        odd, well = await here.webhook("http://bad/"), await here.webhook("http://well/")
        await here.tell(odd)
        await here.tell(well)
        here.webhook_dispatcher.wake()
        await here.delivered(well)

        async def recorded() -> bool:
            return await here.states(odd) == ["delivered" if bad.ok else "pending"]

        await eventually(recorded)
        assert not here.webhook_dispatcher._open.keys()
        assert len(answering.asked) == 2


async def test_an_event_that_cannot_be_read_or_is_gone_holds_up_no_other(
    database: str, redis: str
) -> None:
    async with receiving() as receiver, place(database, redis) as here:
        tenant = await here.webhook(receiver.url)
        await here.tell(tenant, 4)
        found = await here.rows("SELECT event_id FROM deliveries ORDER BY event_id")
        bad, gone, *well = [row["event_id"] for row in found]
        await here.execute(f"UPDATE deliveries SET event_id = 'evt_x' WHERE event_id = '{bad}'")
        await here.execute(f"DELETE FROM tenant_events WHERE id = '{UUID(gone[4:])}'")
        here.webhook_dispatcher.wake()

        async def ended() -> bool:
            return sorted(await here.states(tenant)) == [
                "delivered",
                "delivered",
                "failed",
                "pending",
            ]

        await eventually(ended)
        errors = await here.rows("SELECT event_id, error FROM deliveries WHERE error IS NOT NULL")
        assert {row["event_id"]: row["error"] for row in errors} == {
            "evt_x": DeliveryError.INTERNAL_ERROR, gone: DeliveryError.EVENT_NOT_KEPT,
        }  # fmt: skip
        assert sorted(post.headers["webhook-id"] for post in receiver.posts) == sorted(well)


async def test_a_claim_whose_answer_was_lost_is_made_again(database: str, redis: str) -> None:
    async with receiving() as receiver, place(database, redis) as here:
        tenant = await here.webhook(receiver.url)
        await here.tell(tenant)
        await here.rows(
            "UPDATE deliveries SET state = 'sending', claimed_by = :w, fence = fence + 1 RETURNING fence",
            w=here.worker,
        )
        await here.webhook_dispatcher.look()
        await here.delivered(tenant)
        assert len(receiver.posts) == 1


async def test_who_waits_longest_is_first_and_who_cannot_go_yet_takes_no_place(
    database: str, redis: str
) -> None:
    async with place(database, redis) as here:
        tenants_ = [await here.webhook(f"http://127.0.0.1:9/{n}") for n in range(4)]
        for minutes, tenant in zip((1, 3, 2, 4), tenants_, strict=True):
            await here.rows(
                "INSERT INTO deliveries (webhook_id, event_id, tenant_id, type, session_id, seq, created_at, due_at)"
                " SELECT w.id, 'evt_' || n.seq, w.tenant_id, 'call.ended', CAST(:c AS uuid), n.seq,"
                " clock_timestamp(), clock_timestamp() + make_interval(mins => CASE"
                " WHEN :m = 4 AND n.seq = 1 THEN 60 ELSE -:m END)"
                " FROM webhooks w, generate_series(1, 3) AS n(seq) WHERE w.tenant_id = :t RETURNING event_id",
                m=minutes, t=tenant, c=uuid7(),
            )  # fmt: skip
        async with here.outside.database.autocommit() as session:
            found = await claims.work(session, [])
        assert [one.tenant_id for one in found] == [tenants_[1], tenants_[2], tenants_[0]]


async def test_times_are_the_databases(database: str, redis: str) -> None:
    """A signature's time goes on from the time that came with the claim, not by the host's clock."""
    flights = OpenDeliveries(slowed=lambda: None)
    there = time.time() + 3_600
    claim = Delivery(uuid7(), uuid7(), "e", None, None, 1, 1, there, there)
    (one,) = flights.begin([claim])
    moment = flights.moment(one)
    flights.start([one], moment)
    assert 0 <= moment.at.timestamp() - there + 1e-6 < 5
    assert int(moment.second) == int(moment.at.timestamp())
    assert flights.unanswered()
    flights.measure()
    assert [under_way(kind) for kind in ("quick", "slow")] == [1, 0]
    started, finished = flights.answered(one)
    assert there - 1e-6 <= started <= finished < there + 5
    assert not flights.unanswered()
    flights.end(one)
    assert len(flights) == 0
    flights.measure()
    assert under_way("quick") == 0


def under_way(kind: str) -> float | None:
    name = "ringline_webhook_deliveries_under_way"
    return REGISTRY.get_sample_value(name, {"endpoints": kind})


async def test_deliveries_that_cannot_be_claimed_keep_nobody_elses(
    database: str, redis: str
) -> None:
    """A broken page under one webhook's deliveries, say; they go when it is mended."""
    async with receiving() as receiver, receiving() as other, place(database, redis) as here:
        bad, good = await here.webhook(receiver.url), await here.webhook(other.url)
        await here.execute(
            "CREATE FUNCTION bad_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
            " 'a bad row' USING ERRCODE = 'XX001'; END $$"
        )
        await here.execute(
            "CREATE TRIGGER bad_row BEFORE UPDATE ON deliveries FOR EACH ROW"
            f" WHEN (OLD.tenant_id = '{bad}') EXECUTE FUNCTION bad_row()"
        )
        await here.tell(bad, 3)
        await here.tell(good, 3)
        here.webhook_dispatcher.wake()
        await here.delivered(good)
        assert set(await here.states(bad)) == {"pending"}
        await here.execute("DROP TRIGGER bad_row ON deliveries")

        async def looked() -> bool:
            await here.webhook_dispatcher.look()
            return set(await here.states(bad)) == {"delivered"}

        await eventually(looked)
