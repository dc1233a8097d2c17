"""`python -m tests.chaos.drill [--short] [--rate N] [--only NAME] [--markdown]`: each part in turn.

Three nodes (`nodes.py`) ring while each part is killed, cut off, frozen and upgraded; counted as in
`make chaos` (`counts.py`). Exits with 1 when a ring was lost, doubled or rung after it was over, or
a fault could not be put.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import uvloop

from devkit.embedded.postgres import Postgres
from tests.chaos.faults import (
    RESTART_AFTER,
    Put,
    Spec,
    a_worker,
    an_api,
    frozen,
    killed,
    nothing,
    postgres,
    server_frozen,
    valkey,
)
from tests.chaos.house import ROOT, Process, send_all
from tests.chaos.nodes import Nodes, running_nodes
from tests.chaos.rolling import restarted
from tests.chaos.run import Outcome, aligned, all_rows, measured, table, write_down
from tests.chaos.world import World, living_in

MOST_RATE = 100.0
"""Rings a second."""
OF_MEASURED = 0.6
"""What is rung of what the machine can do: the rest is for what a fault leaves to be caught up."""
CALLEES = 8
NOTICED = 1.0
"""Seconds until whoever watches the database promotes its standby."""
SHORT = ("api-upgraded", "worker-killed", "database-killed", "valkey-killed")
MUST_NOT = ("lost", "doubled", "dead")
PAPER = ROOT / "docs" / "guides" / "high-availability.md"
BEGIN = "<!-- make drill -->"


def nodes(world: World) -> Nodes:
    assert isinstance(world.house, Nodes)
    return world.house


def cut(which: Callable[[Nodes], str], then: Put = nothing) -> Put:
    """Off the network, without a word, for the length of the block."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        name = which(nodes(world))
        async with then(world):
            nodes(world).cut(name)
            try:
                yield
            finally:
                nodes(world).joined(name)

    return put


def upgraded(which: Callable[[World], Sequence[Process]]) -> Put:
    """Each is told to stop, and a new process is ready, before the next."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        for one in which(world):
            await restarted(world.house, one)
        yield

    return put


def succeeded(harm: Callable[[Nodes], Awaitable[None]], noticed: float = NOTICED) -> Put:
    """Something is done to the primary; its standby is promoted, and what was the primary follows."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        await harm(nodes(world))
        await asyncio.sleep(noticed)
        await nodes(world).promote()
        yield
        await nodes(world).rebuild()

    return put


async def kill_primary(of: Nodes) -> None:
    send_all(of.postgres.pid, signal.SIGKILL)


async def cut_primary(of: Nodes) -> None:
    of.cut(of.postgres.home.name)


async def upgrade_databases(of: Nodes) -> None:
    """The standby first. The primary, told to stop, sees to it that the standby has everything."""
    await asyncio.to_thread(of.standby.stop)
    await asyncio.to_thread(of.standby.start)
    await of.in_step()
    await asyncio.to_thread(of.postgres.stop)


def followed(harm: Put) -> Put:
    """Something is done to the standby; over when it has caught up."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        async with harm(world):
            yield
        await nodes(world).in_step()

    return put


@contextlib.asynccontextmanager
async def standby_killed(world: World) -> AsyncIterator[None]:
    send_all(nodes(world).standby.pid, signal.SIGKILL)
    await asyncio.sleep(RESTART_AFTER)
    await asyncio.to_thread(nodes(world).standby.start)
    yield


def standby(world: World) -> Postgres:
    return nodes(world).standby


def watched(harm: Put) -> Put:
    """Something is done to Valkey's master; over when the sentinels have made it a replica."""

    @contextlib.asynccontextmanager
    async def put(world: World) -> AsyncIterator[None]:
        async with harm(world):
            yield
        await asyncio.to_thread(nodes(world).agreed)

    return put


@contextlib.asynccontextmanager
async def valkey_killed(world: World) -> AsyncIterator[None]:
    old = world.house.valkey
    os.kill(old.pid, signal.SIGKILL)
    await asyncio.to_thread(nodes(world).moved)
    await asyncio.to_thread(old.start)
    yield


@contextlib.asynccontextmanager
async def valkey_upgraded(world: World) -> AsyncIterator[None]:
    """The replica first; then a sentinel is asked to make it the master."""
    of = nodes(world)
    old = of.valkey
    (replica,) = (one for one in of.valkeys.values() if one is not old)
    for one in (replica, old):
        await asyncio.to_thread(one.stop)
        await asyncio.to_thread(one.start)
        await asyncio.to_thread(of.follow, one)
        await asyncio.to_thread(of.agreed)
        if one is replica:
            await asyncio.to_thread(of.fail_over)
            await asyncio.to_thread(of.moved)
            await asyncio.to_thread(of.agreed)
    yield


@contextlib.asynccontextmanager
async def haproxy_reloaded(world: World) -> AsyncIterator[None]:
    """`systemctl reload haproxy`: a new process takes over the sockets."""
    os.kill(haproxy(world)[0].pid, signal.SIGUSR2)
    yield


def haproxy(world: World) -> list[Process]:
    one = nodes(world).haproxy
    return [one] if one else []


def no_haproxy(world: World) -> str | None:
    return None if haproxy(world) else "no HAProxy here (Debian's package `haproxy`)"


def a_sentinel(world: World) -> list[Process]:
    return list(nodes(world).sentinels.values())[:1]


def apis(world: World) -> list[Process]:
    return world.house.apis


def workers(world: World) -> list[Process]:
    return world.house.workers


DRILL = (
    Spec("calm", "nothing", nothing, 5),
    Spec("api-killed", "API process: kill -9", killed(an_api)),
    Spec("api-cut", "API process: cut off, 5 s", cut(lambda _: "api-0"), 5),
    Spec("api-frozen", "API process: frozen, 5 s", frozen(an_api), 5),
    Spec("api-upgraded", "API processes: upgraded in turn", upgraded(apis)),
    Spec("worker-killed", "worker: kill -9", killed(a_worker), repeats=True),
    Spec("worker-cut", "worker: cut off from both databases, 6 s", cut(lambda _: "worker-0"), 6,
         repeats=True),
    Spec("worker-frozen", "worker: frozen, 6 s", frozen(a_worker), 6, repeats=True),
    Spec("worker-upgraded", "workers: upgraded in turn", upgraded(workers)),
    Spec("database-killed", "primary: kill -9, standby promoted", succeeded(kill_primary),
         repeats=True),
    Spec("database-cut", "primary: cut off, standby promoted", succeeded(cut_primary),
         repeats=True),
    Spec("database-frozen", "primary: frozen, 5 s", server_frozen(postgres), 5, repeats=True),
    Spec("database-upgraded", "databases: upgraded in turn", succeeded(upgrade_databases, 0),
         repeats=True),
    Spec("standby-killed", "standby: kill -9", followed(standby_killed), repeats=True),
    Spec("standby-cut", "standby: cut off, 3 s", followed(cut(lambda of: of.standby.home.name)), 3,
         repeats=True),
    Spec("standby-frozen", "standby: frozen, 3 s", followed(server_frozen(standby)), 3, repeats=True),
    Spec("valkey-killed", "Valkey's master: kill -9", watched(valkey_killed)),
    Spec("valkey-cut", "Valkey's master: cut off, 5 s", watched(cut(lambda of: of.master)), 5),
    Spec("valkey-frozen", "Valkey's master: frozen, 5 s", watched(server_frozen(valkey)), 5),
    Spec("valkey-upgraded", "both Valkeys: upgraded in turn", valkey_upgraded),
    Spec("sentinel-killed", "a sentinel: kill -9", killed(a_sentinel)),
    Spec("haproxy-killed", "HAProxy: kill -9", killed(haproxy), impossible=no_haproxy),
    Spec("haproxy-cut", "HAProxy: cut off, 3 s", cut(lambda _: "haproxy"), 3,
         impossible=no_haproxy),
    Spec("haproxy-frozen", "HAProxy: frozen, 3 s", frozen(haproxy), 3, impossible=no_haproxy),
    Spec("haproxy-upgraded", "HAProxy: reloaded", haproxy_reloaded, 1, impossible=no_haproxy),
)  # fmt: skip
HEAD = ("fault", "rings", "a second", "lost", "doubled", "dead", "repeats", "refused",
        "worst delay", "over after")  # fmt: skip
WIDTHS = (42, 6, 9, 5, 8, 5, 8, 8, 12, 11)


def cells(one: Outcome) -> list[str]:
    """What the table says of a fault."""
    if one.not_run is not None:
        return [f"{one.what} (not run: {one.not_run})", *([""] * (len(HEAD) - 1))]
    return [
        one.what, str(one.rings), f"{one.held:.0f}",
        *(str(len(one.breaches.get(kind, []))) for kind in MUST_NOT),
        str(one.repeated), str(one.refused), f"{one.worst:.1f} s", f"{one.hurt:.1f} s",
    ]  # fmt: skip


def good(one: Outcome) -> bool:
    broken = any(one.breaches.get(kind) for kind in MUST_NOT)
    return one.not_run is not None or (one.rings > 0 and not broken)


async def drill(
    house: Nodes, chosen: Sequence[Spec], rate: float | None
) -> tuple[str, list[Outcome]]:
    """A sentence on the rate, and what came of each fault."""
    async with living_in(
        house, users=100, followers=6, devices=1, hooked=["call.ended"], ports=house.entrance
    ) as world:
        asked = rate or min(MOST_RATE, await measured(world, 5, CALLEES) * CALLEES * OF_MEASURED)
        print(f"ringing {asked:.0f} a second, in calls of {CALLEES}", file=sys.stderr, flush=True)
        outcomes = await all_rows(world, chosen, asked / CALLEES, CALLEES)
    run = [one for one in outcomes if one.rings]
    held = sum(one.held for one in run) / max(len(run), 1)
    return (
        f"Asked for {asked:.0f} rings a second in calls of {CALLEES}; held {held:.0f}, over all faults."
    ), outcomes


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.drill", description=__doc__)
    parser.add_argument("--only", action="append", default=[], choices=[one.name for one in DRILL])
    parser.add_argument("--short", action="store_true", help="a minute's worth")
    parser.add_argument("--rate", type=float, help=f"rings a second; else {MOST_RATE:.0f}, or "
                        f"{OF_MEASURED} of what is measured where that is less")  # fmt: skip
    parser.add_argument("--markdown", action="store_true", help="write the table into the guide")
    given = parser.parse_args()
    only = given.only or (SHORT if given.short else ())
    chosen = [one for one in DRILL if not only or one.name in only]
    with running_nodes() as house:
        sentence, outcomes = uvloop.run(drill(house, chosen, given.rate))
    rows = [cells(one) for one in outcomes]
    print(sentence, *(aligned(one, WIDTHS) for one in (HEAD, *rows)), sep="\n")
    if given.markdown:
        write_down(PAPER, BEGIN, f"{sentence}\n\n{table(HEAD, rows)}")
    return 0 if all(map(good, outcomes)) else 1


if __name__ == "__main__":
    sys.exit(main())
