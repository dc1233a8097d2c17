"""Redis flushed in the middle of 100 calls: all states right, all streams recover, no ring lost."""

import asyncio
import contextlib
import secrets
from typing import Any

import pytest
import redis.asyncio

from devkit.embedded import running_valkey
from devkit.phone import EndedReason, Identity, Phone, SimulatorPushes, Step, shared_client
from tests.e2e.house import Tenant, eventually, member, new_tenant
from tests.houses import HouseMaker

BUNDLE = "com.example.app"
CALLS = 100
WITH_STREAM = 10


async def make_phones(tenant: Tenant) -> dict[str, str]:
    """A token for each of 100 users, by one request each."""
    tokens = {f"u{n}": secrets.token_hex(32) for n in range(CALLS)}
    tenant.sim.live(*tokens.values(), topic=f"{BUNDLE}.voip")
    body = [
        {"user_id": user, "device_id": "d",
         "tokens": [{"kind": "voip", "token": token, "app_id": BUNDLE}]}
        for user, token in tokens.items()
    ]  # fmt: skip
    answers = await asyncio.gather(*(tenant.api.post("/v1/devices", json=one) for one in body))
    assert {answer.status_code for answer in answers} == {200}
    return tokens


@pytest.mark.long(20)
async def test_redis_flushed_in_the_middle_of_100_calls(make_house: HouseMaker) -> None:
    async with contextlib.AsyncExitStack() as stack:
        valkey = stack.enter_context(running_valkey())
        house = make_house(redis_url=valkey.url, apis=1, workers=2)
        tenant = await stack.enter_async_context(new_tenant(house))
        tokens = await make_phones(tenant)
        watchers = await listening(tenant, stack)
        client = redis.asyncio.Redis.from_url(valkey.url)
        stack.push_async_callback(client.aclose)

        async def ring(n: int) -> dict[str, Any]:
            if n % 10 == 0:
                await client.flushall()
            return await tenant.ring(f"u{n}", id=f"c{n}")

        calls = [await ring(n) for n in range(CALLS)]

        async def all_rung() -> bool:
            return all(tenant.sim.arrivals(token) for token in tokens.values())

        await eventually(all_rung)
        for n in range(0, CALLS, 2):
            answer = await tenant.act(calls[n], "accept", f"u{n}", "d")
            assert answer.status_code == 200, answer.text
            await client.flushall()
        for n in range(1, CALLS, 2):
            await tenant.act(calls[n], "cancel")
        for n, call in enumerate(calls):
            read = await tenant.read(call)
            assert read["state"] == ("active" if n % 2 == 0 else "ended"), read
            assert member(read, f"u{n}")["state"] == ("joined" if n % 2 == 0 else "missed")
        await all_told(watchers, calls)
        assert all(len(tenant.sim.arrivals(token)) == 1 for token in tokens.values())
        states = await tenant.rows(
            "SELECT DISTINCT state FROM pushes WHERE tenant_id = :tenant AND purpose = 'ring' "
            "AND token = ANY(:tokens)", tokens=list(tokens.values()),
        )  # fmt: skip
        assert {row["state"] for row in states} == {"accepted"}


async def listening(tenant: Tenant, stack: contextlib.AsyncExitStack) -> dict[int, Phone]:
    """Second phones of some users, with a live stream each."""
    source = await stack.enter_async_context(SimulatorPushes(tenant.sim.control_url))
    client = await stack.enter_async_context(shared_client())
    phones = {}
    for n in range(WITH_STREAM):
        user = f"u{n}"
        identity = Identity(user, tenant.token_for(user), app_id=BUNDLE, environment="production")
        await source.switch_on(identity)
        phone = Phone(
            identity, api=tenant.house.apis[0].url, source=source, client=client, stream=True
        )
        await stack.enter_async_context(phone)
        await phone.log.wait_for(Step.STREAM_OPEN)
        phones[n] = phone
    return phones


async def all_told(watchers: dict[int, Phone], calls: list[dict[str, Any]]) -> None:
    for n, phone in watchers.items():
        uuid = member(calls[n], f"u{n}")["ring"]["uuid"]
        ended = await phone.log.wait_for(Step.ENDED, uuid=uuid, seconds=10)
        elsewhere, remote = EndedReason.ANSWERED_ELSEWHERE, EndedReason.REMOTE_ENDED
        assert ended.detail["reason"] == (elsewhere if n % 2 == 0 else remote)
