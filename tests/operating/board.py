"""`python -m tests.operating.board [--record]`: each query of the board finds something.

With `--record` a house of real processes is rung, with faults, and scraped as Prometheus would; what
the board reads goes, with each of its queries, into `deploy/grafana/tests/board.yaml`, which promtool
runs. Without it only the queries are written anew, on the series that were recorded.
"""

import argparse
import asyncio
import contextlib
import json
import re
from collections.abc import Iterator

import uvloop

from tests.chaos import faults
from tests.chaos.house import House, running_house
from tests.chaos.load import Load
from tests.chaos.world import World, living_in
from tests.operating import cases
from tests.operating.record import EXPECTED, RATE, STEP, Scraper, notation, targets_of
from tests.operating.rules import BOARD, names_in

FILE = BOARD.parent / "tests" / "board.yaml"
WINDOW = "1m"
"""What Grafana makes of `$__rate_interval` when it is scraped every 15 s."""
ALL = ((faults.valkey_gone, 5), (faults.postgres_restarted, 20), (cases.broken_table, 10))
"""What is put into it, and for how long: what is counted of faults is to be seen too."""


def queries() -> Iterator[tuple[str, str]]:
    """(panel, query) of the whole board, as Prometheus gets it."""
    for panel in json.loads(BOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", WINDOW)


def expected(length: int) -> str:
    """That each finds at least one number at the end, and that is what promtool can be asked."""
    lines = [EXPECTED]
    for panel, query in queries():
        lines += [
            f"      # {panel}",
            f"      - expr: 'count(({query}) > -Inf) > bool 0'",
            f"        eval_time: {(length - 1) * STEP}s",
            "        exp_samples: [{ value: 1 }]",
        ]
    return "\n".join(lines) + "\n"


def write(scraper: Scraper) -> None:
    """A file of promtool's."""
    lines = [
        "# What the board reads of a house with faults. Written by `python -m tests.operating.board --record`.",
        f"evaluation_interval: {STEP}s",
        "tests:",
        f"  - interval: {STEP}s",
        "    name: board",
        "    input_series:",
    ]
    for key, values in sorted(scraper.series.items()):
        told = notation(values, scraper.taken)
        lines += [f"      - series: '{key}'", f"        values: '{told}'"]
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text("\n".join(lines) + "\n" + expected(scraper.taken))


def expect_anew(text: str) -> str:
    """The recording with the queries of now."""
    length = int(re.findall(r"eval_time: (\d+)s", text)[-1]) // STEP + 1
    return text.partition(EXPECTED)[0] + expected(length)


async def _record(house: House) -> None:
    targets = targets_of(house)
    await asyncio.to_thread(house.await_ready)
    async with living_in(house, users=20, followers=4) as world:
        scraper = Scraper(targets, names_in(BOARD.read_text()))
        load = Load(world, world.tenant, ring_time=20)
        reports = asyncio.Queue[tuple[str, str]]()
        world.apple.follow(lambda arrival: (load.heard(arrival), _to_report(arrival, reports))[0])
        reporting = asyncio.create_task(_report(world, reports))
        load.start(RATE)
        scraper.forget()
        await scraper.run(2 * STEP)
        async with cases.unreadable_call(world):
            for put, seconds in ALL:
                async with put(world):
                    await scraper.run(seconds)
                await scraper.run(2 * STEP)
        reporting.cancel()
        await load.stop(within=30)
        await world.apple.stop()
        await scraper.close()
        write(scraper)


def _to_report(arrival: dict, reports: "asyncio.Queue[tuple[str, str]]") -> None:
    ring = arrival["payload"].get("ring") if isinstance(arrival["payload"], dict) else None
    if isinstance(ring, dict) and "token" in ring:
        reports.put_nowait((ring["session_id"], ring["token"]))


async def _report(world: World, reports: "asyncio.Queue[tuple[str, str]]") -> None:
    """Each phone says that it is on its screen."""
    while True:
        session, token = await reports.get()
        body = {"status": "delivered"}
        with contextlib.suppress(AssertionError):
            await world.balancer.ask(
                "POST", f"/v1/calls/{session}/report", bearer=token, body=body, within=1
            )


if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("--record", action="store_true", help="from a running house")
    if asked.parse_args().record:
        with running_house(apis=1, workers=1) as made:
            uvloop.run(_record(made))
    else:
        FILE.write_text(expect_anew(FILE.read_text()))
