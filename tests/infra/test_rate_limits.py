"""Rate limits of several processes: each judges by itself, and by what the others have told."""

from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis

from app.core.rate_limits import RateLimits
from app.infra import rate_limits, redis_client
from app.infra.rate_limits import RateLimited, RateLimiter
from app.infra.settings import Settings
from tests.e2e.house import eventually

FEW = RateLimits(rings_per_caller=16, rings_per_callee=3)
BOB = ("rings_per_callee", "bob")
ALICE = ("rings_per_caller", "alice")


def away() -> Redis:
    """A client of a server that is not there."""
    return redis_client.connect(Settings(redis_url="redis://127.0.0.1:1/0"))


def taken(limiter: RateLimiter, tenant: UUID, *asked: tuple[str, str]) -> bool:
    try:
        limiter.take(tenant, FEW, "too_many_rings", asked)
    except RateLimited:
        return False
    return True


@pytest.fixture
async def limiters(redis: str):
    client = redis_client.connect(Settings(redis_url=redis))
    yield [RateLimiter(client), RateLimiter(client)]
    await client.aclose()


async def test_what_one_process_counted_counts_in_another(limiters: list[RateLimiter]) -> None:
    here, there = limiters

    async def told() -> bool:
        """Of a tenant of its own each time: the minute may turn between the two."""
        tenant = uuid4()
        assert [taken(here, tenant, ALICE) for _ in range(17)] == [True] * 16 + [False]
        passed = 0
        for _ in range(15):  # it needs two looks: to say that it counts, and to hear the sum
            await there.tell()
            await here.tell()
            passed += taken(there, tenant, ALICE)
        return passed <= 2

    await eventually(told)


async def test_nothing_is_told_of_who_is_far_from_a_limit_and_no_name_is_readable(
    limiters: list[RateLimiter],
) -> None:
    here, _ = limiters
    many, tenant = RateLimits(), uuid4()
    for n in range(100):
        here.take(tenant, many, "too_many_rings", [("rings_per_caller", f"user-{n}"), ALICE])
    await here.tell()
    assert not await here._redis.keys("ringline:rate:*")
    assert taken(here, tenant, BOB)

    async def kept() -> list[bytes]:
        await here.tell()
        return await here._redis.keys("ringline:rate:*")

    for name in await eventually(kept):
        assert b"bob" not in name
        assert 0 < await here._redis.ttl(name) <= rate_limits.KEPT


async def test_one_tenants_counts_are_no_others_and_a_refusal_counts_nothing() -> None:
    limiter = RateLimiter(away())
    mine, other = uuid4(), uuid4()
    assert [taken(limiter, mine, ALICE, BOB) for _ in range(5)] == [True] * 3 + [False] * 2
    assert taken(limiter, other, ALICE, BOB)
    # alice was not charged for the two that bob's limit refused
    assert [taken(limiter, mine, ALICE) for _ in range(14)] == [True] * 13 + [False]
    await limiter._redis.aclose()


async def test_the_minute_before_counts_as_far_as_the_window_reaches() -> None:
    limiter = RateLimiter(away())
    tenant = uuid4()
    assert [taken(limiter, tenant, BOB) for _ in range(4)] == [True] * 3 + [False]
    limiter._window -= 1  # a minute passes
    with pytest.raises(RateLimited) as told:
        for _ in range(4):
            limiter.take(tenant, FEW, "too_many_rings", [BOB])
    assert 1 <= told.value.retry_after <= 80
    limiter._window -= 2  # and two more
    assert taken(limiter, tenant, BOB)
    await limiter._redis.aclose()


async def test_more_users_than_are_counted_leave_keys_and_other_tenants_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rate_limits, "MOST_COUNTED", 50)
    limiter = RateLimiter(away())
    tenant, other, few = uuid4(), uuid4(), RateLimits(rings_per_key=60, rings_per_callee=3)
    key = ("rings_per_key", "k")
    for n in range(59):
        limiter.take(tenant, few, "too_many_rings", [key, ("rings_per_callee", f"u{n}")])
    assert len(limiter._of[tenant].here) == 50
    limiter.take(tenant, few, "too_many_rings", [key])
    with pytest.raises(RateLimited):
        limiter.take(tenant, few, "too_many_rings", [key])
    assert [taken(limiter, other, BOB) for _ in range(4)] == [True] * 3 + [False]
    await limiter._redis.aclose()


async def test_what_was_counted_while_redis_was_away_is_told_when_it_is_back(redis: str) -> None:
    limiter, tenant = RateLimiter(away()), uuid4()
    assert [taken(limiter, tenant, ALICE) for _ in range(17)] == [True] * 16 + [False]
    await limiter.tell()
    assert not taken(limiter, tenant, ALICE)
    await limiter._redis.aclose()
    client = limiter._redis = redis_client.connect(Settings(redis_url=redis))

    async def kept() -> list[int]:
        taken(limiter, tenant, ("rings_per_caller", str(uuid4())))
        await limiter.tell()
        return [int(await client.get(one)) for one in await client.keys("ringline:rate:*")]

    assert await eventually(kept)
    await client.aclose()
