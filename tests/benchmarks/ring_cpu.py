"""CPU of a durable ring of one device at saturation: from POST /v1/calls to Apple's answer recorded."""

import json
import time
from typing import Any

from tests.benchmarks.house import Ready
from tests.benchmarks.load import post_all
from tests.benchmarks.rows import agree, all_sent

CONNECTIONS = 64
RINGS_FOR = 180
"""Seconds of ringing: what is rung here must not be missed while it is measured."""


def ring_body(call_type: str, *callees: str) -> bytes:
    """A request to ring as a backend sends it."""
    request = {"type": call_type, "caller": {"id": "alice", "name": "Alice"}}
    more = {"callees": list(callees), "video": True, "ring_time": RINGS_FOR}
    return json.dumps(request | more).encode()


async def ring_many(
    ready: Ready, call_type: str, rings: int, users: int, step: int = 1
) -> dict[str, Any]:
    """Ring one user after another; CPU in microseconds a ring of each group of processes.

    `step` spreads the rings over users far apart.
    """
    house = ready.house
    bodies = [ring_body(call_type, f"u{1 + n * step % users}") for n in range(rings)]
    groups = {name: getattr(house, name) for name in ("api", "worker", "postgres", "valkey")}
    house.apple.arrivals()
    began = time.monotonic()
    before = {name: group.cpu() for name, group in groups.items()}
    key = ready.tenant.api_key
    load = await post_all(
        "127.0.0.1", house.port, "/v1/calls", key, bodies, connections=CONNECTIONS
    )
    await all_sent(ready)
    used = {name: group.cpu() - before[name] for name, group in groups.items()}
    took = time.monotonic() - began
    assert load.statuses == {202: rings}, load.statuses
    await agree(ready, call_type, house.apple.arrivals(), calls=rings, rings=rings, pushes=rings)
    found = {f"{name}_us": round(seconds / rings * 1e6, 1) for name, seconds in used.items()}
    return found | {
        "ours_us": round((used["api"] + used["worker"]) / rings * 1e6, 1),
        "rings": rings,
        "rings_a_second": round(rings / took, 1),
        "api_mb": round(house.api.megabytes(), 1),
        "worker_mb": round(house.worker.megabytes(), 1),
    }
