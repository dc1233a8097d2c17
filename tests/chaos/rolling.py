"""`python -m tests.chaos.rolling`: a rolling restart under load behind HAProxy, 0 failed requests.

HAProxy runs with the configuration of `deploy/haproxy/haproxy.cfg`; clients keep their connections
and try nothing twice. Each API process, then each worker, is told to stop (SIGTERM), and started
again when it has. Exits with 1 when a request failed or a ring was lost or doubled; with 2 where
there is no HAProxy.
"""

import asyncio
import shutil
import sys
import time

import uvloop

from tests.chaos import counts
from tests.chaos.counts import Fault
from tests.chaos.house import House, Process, free_port, running_house
from tests.chaos.load import Load
from tests.chaos.nodes import haproxy
from tests.chaos.run import final
from tests.chaos.world import living_in

RATE = 8.0
BETWEEN = 3.0


async def restarted(house: House, one: Process) -> float:
    """Stop it as a supervisor does, start it again; the seconds that stopping took."""
    begun = time.monotonic()
    await asyncio.to_thread(one.stop, 40.0)
    took = time.monotonic() - begun
    one.start()
    await asyncio.to_thread(house.await_ready)
    return took


async def roll(house: House, port: int) -> list[str]:
    """Restart everything in turn under load; returns what failed."""
    async with living_in(house, users=40, followers=6, ports=[port], strict=True) as world:
        since, begin = await world.truth.now(), time.time()
        load = Load(world, world.tenant, ring_time=25)
        world.apple.follow(load.heard)
        load.start(RATE)
        await asyncio.sleep(BETWEEN)
        for one in house.everyone:
            took = await restarted(house, one)
            print(f"{one.name} stopped within {took:.1f} s and was started again", flush=True)
            await asyncio.sleep(BETWEEN)
        await load.stop(within=60)
        await final(world, 40)
        await world.apple.stop()
        sent, fates = await world.apple.sent(), await world.truth.fates(world.tenant.id, since)
        print(f"{len(load.asked)} rings, {world.balancer.asked} requests", flush=True)
        return [
            *(f"failed: {one.what}: {one.status}" for one in world.balancer.refused),
            *load.odd,
            *counts.lost(load.asked, fates, sent),
            *counts.doubled(sent, Fault(begin, time.time())),
        ]


def main() -> int:
    if shutil.which("haproxy") is None:
        print("not run: there is no haproxy here (Debian's package is `haproxy`)")
        return 2
    with running_house() as house:
        port = free_port()
        before = haproxy(house.folder, port, house.ports)
        try:
            failed = uvloop.run(roll(house, port))
        finally:
            before.stop(5.0)
    print(f"{len(failed)} failed", *failed[:10], sep="\n  ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
