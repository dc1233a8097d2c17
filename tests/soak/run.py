"""`make soak` (MINUTES=30): a house rings, is killed in turn and rings on; is anything not flat?

    python -m tests.soak.run [--minutes N] [--rate N]

Two API processes and two workers ring steadily, with answers, streams and a webhook. Each minute
(more often in a shorter run) one of four things is done to them: kill -9 of the first API process, or
of the first worker; Valkey ended and started anew, or PostgreSQL. The second of each kind is never
touched, so that its memory is that of the whole time. Every few seconds is looked at everything that
could grow (`samples.py`), and at the end by one rule whether it has (`flat.py`), and whether a ring
was lost meanwhile, doubled or stuck, as in `make chaos`.

Prints a table; writes build/soak.json and build/soak.svg. Exits with 1 when something was not flat
or a promise was broken.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

from tests.chaos import counts, faults
from tests.chaos.counts import Fault, Sent
from tests.chaos.faults import Spec
from tests.chaos.house import ROOT, House, running_house
from tests.chaos.load import Load
from tests.chaos.run import final, unheard
from tests.chaos.world import World, living_in
from tests.soak.flat import Verdict, judge
from tests.soak.picture import picture
from tests.soak.samples import RULES, Watch

OUT = ROOT / "build" / "soak.json"
PICTURE = OUT.with_suffix(".svg")
USERS, STREAMS = 30, 16
RING_TIME = 30.0
TURNS = (
    Spec("api", "kill -9 of an API process", faults.killed(faults.an_api)),
    Spec("worker", "kill -9 of a worker", faults.killed(faults.a_worker), repeats=True),
    Spec("valkey", "Valkey anew", faults.valkey_gone, 1.0),
    Spec("postgres", "PostgreSQL anew", faults.postgres_restarted),
)
BORN = frozenset({"api-0", "worker-0"})
"""Those that are started anew: they are looked at and not judged."""


@dataclass
class Soaked:
    """What came of it."""

    minutes: float
    rate: float
    rings: int = 0
    requests: int = 0
    refused: int = 0
    hooks: int = 0
    faults: list[tuple[float, str]] = field(default_factory=list)
    """(seconds since the begin, what)."""
    breaches: dict[str, list[str]] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return all(one.flat for one in self.verdicts.values()) and not any(self.breaches.values())


@dataclass
class Evidence:
    """What is collected on the way, so that nothing of it is forgotten where it came in."""

    world: World
    mark: int
    sent: list[Sent] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)

    async def collect(self) -> None:
        """The requests to Apple and the webhooks' posts since the last time."""
        found, self.mark = await self.world.apple.since(self.mark)
        self.sent += found
        posts = self.world.receiver.posts
        self.hooks += [one.headers["webhook-id"] for one in posts]
        posts.clear()


async def soak(house: House, minutes: float, rate: float) -> tuple[Soaked, Watch]:
    """Ring and be killed for so long; what came of it."""
    async with living_in(house, users=USERS, followers=STREAMS) as world:
        since, evidence = await world.truth.now(), Evidence(world, await _newest(world))
        begins = {one.user: one.last or 0 for one in world.followers}
        world.balancer.refused.clear()
        load = Load(world, world.tenant, ring_time=RING_TIME)
        world.apple.newest = evidence.mark
        world.apple.follow(load.heard)
        watch, soaked = Watch(world), Soaked(minutes, rate)
        watching = asyncio.create_task(watch.run(min(5.0, minutes * 60 / 60)))
        load.start(rate)
        windows = []
        async for begin, spec in _turns(minutes * 60):
            load.leave_alone(2, ring_time=8)
            soaked.faults.append((watch.now(), spec.what))
            async with spec.put(world):
                await asyncio.sleep(spec.lasts)
            windows.append((begin, Fault(begin, time.time(), spec.repeats)))
            await evidence.collect()
            _say(f"{watch.now() / 60:4.1f} min: {spec.what}; {len(load.asked)} rings")
            if watching.done():
                watching.result()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await world.truth.close()  # what it was asked last need not have been answered
        await load.stop(within=60)
        await final(world, 45)
        await world.apple.stop()
        await evidence.collect()
        await _count(world, load, evidence, windows, since, begins, soaked)
    soaked.verdicts = {
        f"{whose}: {what}": judge(seen, RULES[what])
        for (whose, what), seen in watch.judged(BORN).items()
    }
    return soaked, watch


async def _newest(world: World) -> int:
    """The number of the newest request that Apple has had."""
    found = await world.apple.ask("GET", "/arrivals?limit=100000")
    newest: int = found["after"]
    return newest


async def _turns(seconds: float) -> AsyncIterator[tuple[float, Spec]]:
    """What is put into it next, when its time has come; ends when the time is over.

    The last turn is left out, so that it ends in calm.
    """
    every = max(10.0, min(60.0, seconds / 8))
    began = time.monotonic()
    for n in range(int(seconds / every) - 1):
        await asyncio.sleep(max(0.0, began + (n + 0.5) * every - time.monotonic()))
        yield time.time(), TURNS[n % len(TURNS)]
    await asyncio.sleep(max(0.0, began + seconds - time.monotonic()))


async def _count(
    world: World,
    load: Load,
    evidence: Evidence,
    windows: list[tuple[float, Fault]],
    since: float,
    begins: dict[str, int],
    soaked: Soaked,
) -> None:
    """Whether a promise was broken on the way."""
    truth, sent = world.truth, evidence.sent
    fates = await truth.fates(world.tenant.id, since)
    feeds = await unheard(world, since, begins)
    owed = await truth.owed(world.webhook, since)
    open_rows = await truth.open([world.tenant.id]) + await truth.open_hooks(world.webhook)
    soaked.rings, soaked.requests = len(load.asked), world.balancer.asked
    soaked.refused, soaked.hooks = len(world.balancer.refused), len(evidence.hooks)
    soaked.breaches = {
        "lost": counts.lost(load.asked, fates, sent),
        "doubled": _doubled(sent, [fault for _, fault in windows]),
        "dead": counts.dead(fates, sent),
        "stuck": counts.stuck(open_rows, await truth.now()),
        "feeds": feeds,
        "hooks": counts.unhooked(evidence.hooks, owed)
        + await truth.undelivered(world.webhook, world.tenant.id, since),
        "wrong": counts.broken(world.balancer.refused) + load.odd,
    }


def _doubled(sent: list[Sent], put: list[Fault]) -> list[str]:
    """Those of each fault by its own allowance: a ring belongs to the fault nearest to its begin."""
    first: dict[str, float] = {}
    for one in sent:
        first[one.ring] = min(one.at, first.get(one.ring, one.at))
    nearest = {ring: min(put, key=lambda one: abs(one.begin - at)) for ring, at in first.items()}
    return [
        breach
        for fault in put
        for breach in counts.doubled([one for one in sent if nearest[one.ring] is fault], fault)
    ]


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def table(soaked: Soaked) -> Table:
    """The verdict on each series."""
    made = Table(title=headline(soaked), title_justify="left")
    for column in ("what", "level", "rose by", "may", "most", ""):
        made.add_column(column, justify="left" if column in {"what", ""} else "right")
    for name, one in soaked.verdicts.items():
        numbers = (one.level, one.rise, one.bound, one.most)
        made.add_row(name, *(f"{value:,.1f}" for value in numbers), "flat" if one.flat else "RISES")
    return made


def markdown(soaked: Soaked) -> str:
    """The same for the papers."""
    rows = ["| what | level | rose by | may | |", "|---|---|---|---|---|"]
    for name, one in soaked.verdicts.items():
        cells = (f"{value:,.1f}" for value in (one.level, one.rise, one.bound))
        rows.append(f"| {name} | {' | '.join(cells)} | {'flat' if one.flat else '**rises**'} |")
    return "\n".join([headline(soaked), "", *rows])


def headline(soaked: Soaked) -> str:
    """One sentence of figures."""
    broken = ", ".join(f"{len(found)} {kind}" for kind, found in soaked.breaches.items())
    return (
        f"{soaked.minutes:g} minutes at {soaked.rate:g} calls a second: {soaked.rings:,} rings, "
        f"{soaked.hooks:,} webhooks, {len(soaked.faults)} faults, {soaked.refused:,} of "
        f"{soaked.requests:,} requests refused and tried again; {broken}"
    )


def report(soaked: Soaked, watch: Watch) -> None:
    """Print the table, write the files."""
    shown: dict[str, Any] = {
        f"{whose}: {what}": seen for (whose, what), seen in watch.series.items()
    }
    shown |= {f"table {name}": seen for name, seen in watch.tables.items()}
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(asdict(soaked) | {"series": shown}, indent=1) + "\n")
    panels = {
        what: {w: seen for (w, x), seen in watch.series.items() if x == what} for what in SHOWN
    }
    PICTURE.write_text(picture(panels, [at for at, _ in soaked.faults], headline(soaked)))
    Console(highlight=False, width=130).print(table(soaked))
    print(markdown(soaked))
    for kind, found in soaked.breaches.items():
        for breach in found[:5]:
            _say(f"    {kind}: {breach[:500]}")
    _say(f"{OUT} and {PICTURE} have it all; {'all is flat' if soaked.good else 'NOT as promised'}")


SHOWN = (
    "memory, MiB", "descriptors", "sockets", "tasks", "connections", "dead rows of 100",
    "small tables, KiB", "used, MiB",
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak.run", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=8.0, help="calls a second")
    given = parser.parse_args()
    with running_house() as house:
        soaked, watch = uvloop.run(soak(house, given.minutes, given.rate))
    report(soaked, watch)
    return 0 if soaked.good else 1


if __name__ == "__main__":
    sys.exit(main())
