"""Heartbeats in a call of 351 who have all joined: what one costs, and how long it takes."""

import asyncio
import json
import statistics
from typing import Any

from tests.benchmarks.house import Ready
from tests.benchmarks.load import post_all
from tests.benchmarks.ring_cpu import ring_body

MEMBERS = 350
CONNECTIONS = 16


async def heartbeat_costs(ready: Ready, call_type: str, rounds: int) -> dict[str, Any]:
    """Seconds of a heartbeat sent alone, and CPU in microseconds of one at saturation.

    Users are `b1` to `b350`; each round is one heartbeat of each.
    """
    house, key = ready.house, ready.tenant.api_key
    path = f"/v1/calls/{call_type}:beat"

    async def post(to: str, bodies: list[bytes], connections: int) -> list[float]:
        load = await post_all("127.0.0.1", house.port, to, key, bodies, connections=connections)
        assert set(load.statuses) <= {200, 202}, load.statuses
        return load.latencies

    users = [f"b{n + 1}" for n in range(MEMBERS)]
    ring = json.loads(ring_body(call_type, *users)) | {"id": "beat"}
    await post("/v1/calls", [json.dumps(ring).encode()], 1)
    acts = [json.dumps({"user_id": user, "device_id": "d1"}).encode() for user in users]
    await post(f"{path}/accept", acts, CONNECTIONS)
    await post(f"{path}/heartbeat", acts, CONNECTIONS)
    await asyncio.sleep(2)  # what the accepts have left to do is done
    alone = await post(f"{path}/heartbeat", acts, 1)
    before = house.api.cpu(), house.postgres.cpu()
    for _ in range(rounds):
        await post(f"{path}/heartbeat", acts, CONNECTIONS)
    api, postgres = house.api.cpu() - before[0], house.postgres.cpu() - before[1]
    (joined,) = await ready.sql(
        "SELECT count(*) FROM members WHERE tenant_id = :t AND state = 'joined' "
        "AND starts_with(user_id, 'b') AND seen_at > now() - interval '30 seconds'"
    )
    assert joined == (MEMBERS,), joined
    await post(f"{path}/end", [b"{}"], 1)
    beats = rounds * MEMBERS
    alone.sort()
    return {
        "heartbeat_p50_ms": round(statistics.median(alone) * 1e3, 2),
        "heartbeat_p99_ms": round(alone[int(len(alone) * 0.99)] * 1e3, 2),
        "heartbeat_api_us": round(api / beats * 1e6, 1),
        "heartbeat_postgres_us": round(postgres / beats * 1e6, 1),
    }
