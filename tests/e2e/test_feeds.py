"""A user's events are numbered in order of commits: a reader by number misses none."""

import asyncio
from datetime import UTC, datetime

import orjson

from app.live import feeds
from tests.chance import dice, often
from tests.e2e.house import Tenant
from tests.telling import tell_users

WRITERS = 10
EACH = often(15, 30)
USERS = ("bob", "carol", "dave")


async def test_a_reader_by_number_misses_nothing_of_ten_writers(tenant: Tenant) -> None:
    database = tenant.runtime.database
    async with database.transaction() as session:
        keys = [(tenant.id, user) for user in USERS]
        assert await feeds.open_feeds(session, keys) == set(keys)
        began = {user: seq for (_, user), seq in (await feeds.seqs_of(session, keys)).items()}
    done = asyncio.Event()

    async def write(writer: int) -> list[tuple[str, str]]:
        chance = dice(writer)
        written = []
        for n in range(EACH):
            users = chance.sample(USERS, chance.randint(1, 3))
            async with database.transaction() as session:
                await asyncio.sleep(chance.random() * 0.01)
                at = datetime.now(UTC)
                told = [(tenant.id, user, at, {"from": f"{writer}-{n}"}) for user in users]
                await tell_users(session, told)
                await asyncio.sleep(chance.random() * 0.01)  # held open
                if chance.random() < 0.1:
                    await session.rollback()
                    continue
            written += [(user, f"{writer}-{n}") for user in users]
        return written

    async def read(user: str) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = []
        while True:
            last = done.is_set()
            after = found[-1][0] if found else began[user]
            async with database.autocommit() as session:
                page = (await feeds.pages(session, [(tenant.id, user, after)]))[0]
            assert page.whole
            found += [(one.seq, orjson.loads(one.body)["from"]) for one in page.events]
            if last and not page.events:
                return found
            await asyncio.sleep(0.002)

    readers = [asyncio.create_task(read(user)) for user in USERS]
    written = await asyncio.gather(*(write(n) for n in range(WRITERS)))
    done.set()
    for user, reader in zip(USERS, readers, strict=True):
        found = await reader
        assert [seq for seq, _ in found] == [began[user] + n + 1 for n in range(len(found))]
        expected = {what for one in written for who, what in one if who == user}
        assert {what for _, what in found} == expected
        assert len(found) == len(expected)


async def test_a_user_without_a_feed_costs_no_rows(tenant: Tenant) -> None:
    async with tenant.runtime.database.transaction() as session:
        told = [(tenant.id, "nobody", datetime.now(UTC), {})]
        assert await tell_users(session, told) == []
    assert not await tenant.rows("SELECT 1 FROM user_events WHERE tenant_id = :tenant")
