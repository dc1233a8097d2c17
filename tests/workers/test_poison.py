"""What anybody puts into the broker ends no worker: its consumer is started again."""

import time

import pytest
import redis as redis_client

from tests.e2e.house import new_tenant
from tests.houses import HouseMaker

POISON: list[bytes] = [
    b"not json",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"7",
    b"{}",
    b'{"body": "x", "headers": null, "properties": null, "content-type": "application/json"}',
    (
        b'{"body": "gANOLg==", "headers": {"task": "push.send", "id": "1"}, "content-type":'
        b' "application/x-python-serialize", "content-encoding": "binary", "properties":'
        b' {"body_encoding": "base64", "delivery_tag": "1", "delivery_info": {}}}'
    ),
    (
        b'{"body": "W1tbIm5vIHV1aWQiXV0se30se31d", "headers": {"task": "push.send", "id": "1", "lang":'
        b' "py"}, "content-type": "application/json", "content-encoding": "utf-8", "properties":'
        b' {"body_encoding": "base64", "delivery_tag": "2", "delivery_info": {"exchange": "",'
        b' "routing_key": "ringline"}}}'
    ),
    b"[" * 100_000,
]


@pytest.mark.timeout(180)
async def test_the_worker_outlives_its_consumer(make_house: HouseMaker, redis: str) -> None:
    house = make_house()
    house.may_log.add("task_failed")
    async with new_tenant(house) as tenant:
        phone = await tenant.phone("bob")
        with redis_client.Redis.from_url(redis) as broker:
            for message in POISON:
                broker.lpush("ringline", message)
            broker.hset("unacked", "poison", b"not json")
            broker.zadd("unacked_index", {"poison": time.time() - 3_600})
            end = time.monotonic() + 60
            while broker.llen("ringline"):
                assert time.monotonic() < end, house.workers[0].output()[-3000:]
                time.sleep(0.05)
        await tenant.ring("bob", ring_time=30)
        await tenant.sim.arrived(1, token=phone.voip)
    worker = house.workers[0]
    assert worker._child.poll() is None
    assert '"task": "worker.consume"' in worker.output() or "worker.consume" in worker.output()
    assert "Unrecoverable error" not in worker.output()
