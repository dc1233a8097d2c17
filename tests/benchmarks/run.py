"""`make bench`: every figure, in ratios to peers measured in the same run.

    python -m tests.benchmarks.run [--only NAME] [--quick] [--rings N] [--rows N] [--simulator]

Prints a table, writes build/bench.json. Fails loudly when what was asked, the rows and what
arrived do not agree exactly.
"""

import argparse
import asyncio
import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.benchmarks import fcm, peers, relay, report, web_push
from tests.benchmarks.engine import compare
from tests.benchmarks.fanout import DEVICES, MEMBERS, push_group_bare, ring_group
from tests.benchmarks.fast_server import FastServer, fast_server
from tests.benchmarks.growth import SMALL, grow
from tests.benchmarks.heartbeats import MEMBERS as HEARTS
from tests.benchmarks.heartbeats import heartbeat_costs
from tests.benchmarks.house import House, Ready, more_workers, moved_in, running_house
from tests.benchmarks.large import accept_costs
from tests.benchmarks.missed import missed_ends
from tests.benchmarks.neighbour import neighbour as beside_a_flood
from tests.benchmarks.rest import WORKERS, statements_at_rest
from tests.benchmarks.ring_cpu import ring_many
from tests.benchmarks.ring_latency import ring_latencies
from tests.benchmarks.rows import add_users, clear, forget_users
from tests.benchmarks.told import PHONES, told_times
from tests.benchmarks.webhooks import webhook_costs
from tests.benchmarks.wishes import wished

OUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"
NAMES = (
    "engine", "webpush", "fcm", "sygnal", "ring", "workers", "latency", "fanout", "told", "heartbeat", "large", "missed", "rest",
    "neighbour", "webhooks", "wishes", "memory", "growth",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of each."""

    rounds: int
    pushes: int
    rings: int
    singles: int
    groups: int
    accepts: int
    rows: int
    memory_rings: int
    missed: int


DEFAULT = Sizes(3, 10_000, 3_000, 100, 7, 10, 100_000, 0, 20_000)
QUICK = Sizes(1, 4_000, 1_000, 30, 3, 3, 10_000, 0, 2_000)


def middle(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)


async def ring(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """CPU a ring at saturation, beside raw aioapns and FastAPI in alternation."""
    await ring_many(ready, "warm", 1_000, SMALL)
    await clear(ready)
    rounds = []
    for n in range(sizes.rounds):
        raw = peers.raw_aioapns_us(ready.house.apple, sizes.pushes // 3)
        post = await peers.bare_fastapi_us(sizes.rings)
        one = await ring_many(ready, f"ring{n}", sizes.rings, SMALL)
        rounds.append(one | {"raw_us": raw, "post_us": post, "ratio": one["ours_us"] / raw})
    await clear(ready)

    def of(key: str) -> float:
        return round(middle([one[key] for one in rounds]), 1)

    return {
        "ring_cpu_ratio": round(middle([one["ratio"] for one in rounds]), 3),
        "ring_cpu_ratios": [round(one["ratio"], 3) for one in rounds],
        "ring_cpu_us": of("ours_us"),
        "ring_postgres_ratio": round(
            middle([one["postgres_us"] / one["raw_us"] for one in rounds]), 3
        ),
        "ring_cpu_api_us": of("api_us"),
        "ring_cpu_worker_us": of("worker_us"),
        "ring_cpu_postgres_us": of("postgres_us"),
        "ring_cpu_valkey_us": of("valkey_us"),
        "raw_aioapns_us": of("raw_us"),
        "bare_fastapi_post_us": of("post_us"),
        "ring_cpu_over_fastapi_post": round(of("ours_us") / of("post_us"), 3),
        "rings_a_second": of("rings_a_second"),
    }


async def latency(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """Ten rings a second, beside ten bare Celery tasks a second in alternation."""
    rings: list[float] = []
    tasks: list[float] = []
    await ring_latencies(ready, "warm", 20, SMALL)
    async with peers.running_bare_celery(ready.house.settings.redis_url) as celery:
        for n in range(sizes.rounds):
            tasks += await celery.latencies(sizes.singles, 10)
            rings += await ring_latencies(ready, f"single{n}", sizes.singles, SMALL)
    await clear(ready)
    rings.sort()
    p50, p99 = middle(rings), rings[int(len(rings) * 0.99)]
    return {
        "ring_latency_ratio": round(p50 / middle(tasks), 3),
        "ring_latency_p99_over_p50": round(p99 / p50, 3),
        "ring_latency_p50_ms": round(p50 * 1e3, 2),
        "ring_latency_p99_ms": round(p99 * 1e3, 2),
        "ring_latency_samples": len(rings),
        "bare_celery_p50_ms": round(middle(tasks) * 1e3, 2),
    }


async def fanout(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """One group ring, and the bare engine, in alternation."""
    await add_users(ready, "g", MEMBERS, each=DEVICES)
    first, ours, bare = [], [], []
    await ring_group(ready, "group-warm")
    for n in range(sizes.groups):
        bare.append(push_group_bare(ready.house.apple))
        begin, end = await ring_group(ready, f"group{n}")
        first.append(begin)
        ours.append(end)
    await clear(ready)
    return {
        "fanout_ratio": round(middle(ours) / middle(bare), 3),
        "fanout_ms": round(middle(ours) * 1e3, 1),
        "fanout_bare_ms": round(middle(bare) * 1e3, 1),
        "first_phone_ms": round(middle(first) * 1e3, 1),
    }


async def told(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """An accept told to 49 other phones, with 2,000 streams open."""
    await add_users(ready, "p", 1, each=PHONES)
    found = await told_times(ready, "told", sizes.accepts)
    await clear(ready)
    return {
        "told_ratio": round(found["told"] / found["read"], 3),
        "told_over_accept": round(found["told"] / found["accept"], 3),
        **{f"told_{key}_ms": round(value * 1e3, 2) for key, value in found.items()},
    }


async def heartbeat(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """A heartbeat in a large call."""
    await add_users(ready, "b", HEARTS)
    found = await heartbeat_costs(ready, "hearts", sizes.groups)
    await clear(ready)
    await forget_users(ready, "b", HEARTS)
    return found


async def neighbour(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """One tenant's rings beside another tenant's flood."""
    return await beside_a_flood(ready, sizes.rounds, sizes.singles)


async def webhooks(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """A worker's CPU for a delivery, beside a bare POST by the same client in alternation."""
    found = await webhook_costs(ready, sizes.rounds, 3 * sizes.rings)
    ours, bare = middle(found["ours_us"]), middle(found["bare_us"])
    ratios = [one / other for one, other in zip(found["ours_us"], found["bare_us"], strict=True)]
    return {
        "webhook_cpu_ratio": round(middle(ratios), 3),
        "webhook_cpu_us": round(ours, 1),
        "bare_webhook_post_us": round(bare, 1),
        "webhook_postgres_us": round(middle(found["postgres_us"]), 1),
        "webhook_deliveries_a_second": round(1 / middle(found["seconds_each"])),
        "webhook_connections": found["connections"],
    }


async def workers(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """The same rings as `ring` with four workers: they share the work, and look at what others do."""
    with more_workers(ready.house, WORKERS - 1) as others:
        await asyncio.sleep(2.5)  # each opens a connection to the service
        before = sum(group.cpu() for group in others)
        one = await ring_many(ready, "shared", sizes.rings, SMALL)
        used = sum(group.cpu() for group in others) - before
    await clear(ready)
    return {
        "workers_ring_cpu_us": round(one["ours_us"] + used / sizes.rings * 1e6, 1),
        "workers_ring_postgres_us": one["postgres_us"],
        "workers_rings_a_second": one["rings_a_second"],
    }


async def large(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """Accepts in a large call."""
    await add_users(ready, "b", HEARTS)
    found = await accept_costs(ready, sizes.rounds)
    await clear(ready)
    await forget_users(ready, "b", HEARTS)
    return found


async def missed(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """Rings that end unanswered, all at once."""
    await add_users(ready, "u", sizes.missed, first=SMALL + 1)
    found = await missed_ends(ready, sizes.missed)
    await clear(ready)
    await forget_users(ready, "u", sizes.missed, first=SMALL + 1)
    return found


async def rest(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """What is asked of PostgreSQL when nothing happens."""
    return await statements_at_rest(ready)


async def wishes(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """The ring's CPU where users have preferences, blocks and histories."""
    return await wished(ready, sizes.rounds, sizes.rings, SMALL)


def growth(apple: FastServer, sizes: Sizes) -> dict[str, Any]:
    """The ring's CPU when there is much in the tables, and in a house beside when there is not."""
    with running_house(apple) as empty, running_house(apple) as full:
        work = grow((empty, full), sizes.rows, sizes.rounds, sizes.rings, sizes.singles)
        return asyncio.run(work)


async def memory(ready: Ready, sizes: Sizes) -> dict[str, Any]:
    """Resident memory of API and worker over many rings."""
    if not sizes.memory_rings:
        return {}
    share = max(1_000, sizes.memory_rings // 20)
    seen = []
    for n in range(max(1, sizes.memory_rings // share)):
        one = await ring_many(ready, f"many{n}", share, SMALL)
        seen.append((one["api_mb"], one["worker_mb"]))
    await clear(ready)
    return {
        "memory_rings": share * len(seen),
        "memory_api_mb": [api for api, _ in seen],
        "memory_worker_mb": [worker for _, worker in seen],
    }


PARTS = {
    "ring": ring,
    "workers": workers,
    "latency": latency,
    "fanout": fanout,
    "told": told,
    "heartbeat": heartbeat,
    "neighbour": neighbour,
    "large": large,
    "missed": missed,
    "rest": rest,
    "wishes": wishes,
    "webhooks": webhooks,
    "memory": memory,
}


async def in_house(house: House, names: list[str], sizes: Sizes, say: Console) -> dict[str, Any]:
    """Each of these benchmarks on one house and tenant, one after another."""
    found: dict[str, Any] = {}
    async with moved_in(house) as ready:
        await add_users(ready, "u", SMALL)
        await ready.maintain()
        for name in names:
            say.print(f"measuring: {name}")
            os.sync()  # what was left to be written before is no part of it
            found |= await PARTS[name](ready, sizes)
    return found


BY_THEMSELVES = {"engine", "webpush", "fcm", "sygnal", "growth"}


def measure(apple: FastServer, names: list[str], sizes: Sizes, say: Console) -> dict[str, Any]:
    """All that was asked for."""
    found: dict[str, Any] = {}
    if "engine" in names:
        say.print("measuring: engine")
        one = compare(apple, sizes.rounds, sizes.pushes, "asyncio")
        found["engine_cpu_ratio"] = one["engine_cpu_ratio"]
        found |= {f"engine_{key}": value for key, value in one.items() if key[:6] != "engine"}
        found |= peers.server_ceiling(apple, sizes.pushes)
        apple.arrivals()
    if "webpush" in names:
        say.print("measuring: webpush")
        found |= web_push.compare(apple, sizes.rounds, sizes.pushes // 5)
    if "fcm" in names:
        say.print("measuring: fcm")
        found |= fcm.compare(apple, sizes.rounds, sizes.pushes // 5)
    if "sygnal" in names and relay.PYTHON:
        say.print("measuring: sygnal")
        found |= asyncio.run(relay.beside(apple, sizes.rounds, sizes.rings, sizes.singles))
    if "growth" in names:
        say.print("measuring: growth")
        found |= growth(apple, sizes)
    inside = [name for name in names if name not in BY_THEMSELVES]
    if inside:
        with running_house(apple) as house:
            found |= asyncio.run(in_house(house, inside, sizes, say))
    if "ring_cpu_us" in found and "sygnal_push_us" in found:
        found["ring_over_sygnal"] = round(found["ring_cpu_us"] / found["sygnal_push_us"], 3)
    if "first_phone_ms" in found and "ring_latency_p50_ms" in found:
        ratio = found["first_phone_ms"] / found["ring_latency_p50_ms"]
        found["first_phone_ms_ratio"] = round(ratio, 3)
    return found


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=NAMES, action="append", help="may be given several times")
    parser.add_argument("--quick", action="store_true", help="a look, not a figure")
    parser.add_argument("--rows", type=int, help="devices, and past calls, for growth")
    parser.add_argument("--rings", type=int, help="watch memory over so many rings, 200000 say")
    parser.add_argument("--simulator", action="store_true", help="even if there is Node")
    given = parser.parse_args()
    sizes = QUICK if given.quick else DEFAULT
    changed = {"rows": given.rows, "memory_rings": given.rings}
    sizes = Sizes(
        **{name: getattr(sizes, name) for name in Sizes.__slots__}
        | {name: value for name, value in changed.items() if value}
    )
    names = [name for name in NAMES if not given.only or name in given.only]
    with fast_server(node=not given.simulator) as apple:
        about = report.surroundings(apple.name)
        found = measure(apple, names, sizes, Console(stderr=True, highlight=False))
    report.show(found)
    report.write({**found, "about": about}, OUT)


if __name__ == "__main__":
    main()
