"""`make capacity`: what one of each kind costs, measured apart, and the whole held against the sum.

    python -m tests.benchmarks.capacity [--rate N] [--seconds N] [--simulator]

Each kind of work (`app/core/capacity.py` names them) is done alone, at a steady rate (`parts.py`).
Then all kinds are done together, at another rate, and what was used is compared with what the model
makes of the parts. Prints both and their ratio, writes build/capacity.json, which `ringline capacity
--measured` takes. Exits with 1 when the whole is further than 20 % from its prediction.
"""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from app.core.capacity import KINDS, PLACES, Cost, Parts, parts_of, used
from tests.benchmarks import report
from tests.benchmarks.fast_server import fast_server
from tests.benchmarks.house import House, moved_in, running_house
from tests.benchmarks.parts import (
    SHORT,
    STREAMS,
    USERS,
    Bench,
    a_webhook,
    heartbeats,
    joined,
    life_of,
    measured,
)  # fmt: skip
from tests.benchmarks.ring_cpu import RINGS_FOR
from tests.benchmarks.rows import clear
from tests.benchmarks.streams import open_streams

OUT = Path(__file__).resolve().parents[2] / "build" / "capacity.json"
NEAR = 0.20
COUNTED = """
    SELECT (SELECT count(*) FROM deliveries WHERE tenant_id = :t),
           (SELECT count(*) FROM user_events WHERE tenant_id = :t)
"""


async def whole(bench: Bench, parts: Parts, rate: float) -> dict[str, dict[str, float]]:
    """All kinds together at this rate: predicted, found and their ratio, by what is used."""
    ready, seconds, streams = bench.ready, 2 * bench.seconds, STREAMS // 2
    await clear(ready)
    name, members = await joined(bench)
    rings = int(rate * seconds)
    lives, answered = heartbeats(name, members, rings, rate), 0
    for n in range(rings):
        is_answered = n % 10 < 7
        lasts = RINGS_FOR if is_answered else SHORT
        made, one = bench.ring(n / rate, "w", USERS, lasts=lasts)
        lives.append(life_of(made, one) if is_answered else [one])
        answered += is_answered
    async with a_webhook(bench), open_streams(ready, "w", streams):
        bench.rest = Cost(0, 0, 0, 0, 0, 0)  # the model counts it
        (before,) = await ready.sql(COUNTED)
        spent = await bench.spent(lambda: bench.play(lives))
        (after,) = await ready.sql(COUNTED)
        memory = ready.house.api.megabytes()
    done = {
        "ring": rings, "push": rings, "answer": answered, "missed": rings - answered,
        "webhook": after[0] - before[0], "told": after[1] - before[1], "heartbeat": rings,
    }  # fmt: skip
    each = {kind: count / spent.seconds for kind, count in done.items()}
    predicted = asdict(used(parts, each, streams=streams))
    found = {key: value / spent.seconds for key, value in asdict(spent.cost).items()}
    found |= {place: found[place] / 1e6 for place in PLACES}
    predicted["memory"], found["memory"] = parts.api_mib + streams * parts.stream_kib / 1024, memory
    return {
        key: {"predicted": value, "found": found[key], "ratio": found[key] / value}
        for key, value in predicted.items()
    }


UNITS = {"wal": "bytes/s of log", "disk": "bytes/s of tables", "memory": "MiB of the API process"}
LITTLE = 0.01
"""Cores below which a place is shown and not judged: that is one tick of the kernel's in a second."""


def far(held: dict[str, dict[str, float]]) -> list[str]:
    """Which are further from their prediction than they may be."""
    return [
        key for key, one in held.items()
        if not 1 - NEAR <= one["ratio"] <= 1 + NEAR
        and not (key in PLACES and max(one["predicted"], one["found"]) < LITTLE)
    ]  # fmt: skip


async def everything(
    house: House, rate: float, seconds: float, say: Callable[[str], None]
) -> dict[str, Any]:
    """The parts, and the whole at one and a half times their rate."""
    async with moved_in(house) as ready:
        bench = Bench(ready, rate, seconds)
        found = await measured(bench, say)
        say("the whole")
        found["whole_rate"] = 1.5 * rate
        found["whole"] = await whole(bench, parts_of(found), 1.5 * rate)
        found["retried"] = bench.retried
    return found


def show(found: dict[str, Any]) -> None:
    """Print parts, and predicted against found."""
    console = Console(highlight=False, width=120)
    console.print(f"Of one, at {found['rate']:g} rings a second: microseconds of CPU, bytes")
    for kind in ("rest", *KINDS):
        cost = found["rest"] if kind == "rest" else found["costs"][kind]
        console.print(
            f"  {kind:10}" + "".join(f"  {name} {value:9.1f}" for name, value in cost.items())
        )
    console.print(f"All together, at {found['whole_rate']:g} rings a second:")
    for key, one in found["whole"].items():
        console.print(
            f"  {key:10} predicted {one['predicted']:12.3f}  found {one['found']:12.3f}  "
            f"ratio {one['ratio']:.2f}  {UNITS.get(key, 'cores')}"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.capacity", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--rate", type=float, default=100.0, help="rings a second of each part")
    parser.add_argument("--seconds", type=float, default=15.0, help="of each part; the whole twice")
    parser.add_argument("--note", default="", help="a word on the circumstances, kept in the file")
    parser.add_argument("--simulator", action="store_true", help="even if there is Node")
    given = parser.parse_args()

    def say(what: str) -> None:
        print(f"measuring: {what}", file=sys.stderr, flush=True)

    with fast_server(node=not given.simulator) as apple, running_house(apple) as house:
        about = report.surroundings(apple.name)
        found = uvloop.run(everything(house, given.rate, given.seconds, say))
    machine = f"{os.cpu_count()} cores, {about['machine']}, Python {about['python']}, {about['postgresql']}"
    report.write({"at": about["at"][:10], "machine": machine, "note": given.note, **found}, OUT)
    show(found)
    beyond = far(found["whole"])
    print(f"further off than {NEAR:.0%}: {', '.join(beyond) or 'none'}; {OUT}")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
