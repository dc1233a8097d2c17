"""`python -m tests.operating.record [--expect] [NAME ...]`: series for the tests of alarms, from real faults.

A house of real processes is rung at a steady rate and scraped every five seconds, as Prometheus
would; each fault of `cases.py` is put into it. What the rules read goes, with the alarms that are
to go off, into `deploy/prometheus/tests/`. Times in series begin at 0, as promtool's do.
"""

import argparse
import asyncio
import re
import sys
import time
from collections.abc import Mapping, Sequence, Set

import httpx
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from tests.chaos.house import House, Process, free_port, running_house
from tests.chaos.load import Load
from tests.chaos.world import World, living_in
from tests.operating.cases import CASES, Case
from tests.operating.rules import RECORDED, RULES, names_in

STEP = 5
EXPECTED = "    promql_expr_test:"
CALM = 30
RATE = 3.0
EXPIRY = "ringline_credential_expiry_timestamp_seconds"
Series = dict[str, list[float | None]]


class Scraper:
    """Asks every process of a house for its metrics, and keeps what is wanted."""

    def __init__(self, targets: Mapping[tuple[str, str], str], wanted: Set[str]) -> None:
        self._targets = targets
        self._wanted = wanted
        self._client = httpx.AsyncClient(timeout=STEP - 1)
        self.series: Series = {}
        self.taken = 0
        self._begun = 0.0

    def forget(self) -> None:
        self.series, self.taken, self._begun = {}, 0, time.time()

    async def run(self, seconds: int) -> None:
        """Scrape for so long."""
        for _ in range(seconds // STEP):
            due = self._begun + self.taken * STEP
            await asyncio.sleep(max(0.0, due - time.time()))
            await asyncio.gather(*(self._scrape(*one) for one in self._targets.items()))
            self.taken += 1

    async def close(self) -> None:
        await self._client.aclose()

    async def _scrape(self, target: tuple[str, str], url: str) -> None:
        try:
            answer = await self._client.get(f"{url}/metrics")
        except httpx.HTTPError:
            self._keep("up", {}, target, 0)
            return
        self._keep("up", {}, target, 1)
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name in self._wanted:
                    value = sample.value - (self._begun if sample.name == EXPIRY else 0)
                    self._keep(sample.name, sample.labels, target, value)

    def _keep(
        self, name: str, labels: Mapping[str, str], target: tuple[str, str], value: float
    ) -> None:
        job, instance = target
        told = {"job": job, "instance": instance, **labels}
        key = name + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(told.items())) + "}"
        values = self.series.setdefault(key, [])
        values += [None] * (self.taken - len(values))
        values.append(round(value, 3))


def notation(values: Sequence[float | None], length: int) -> str:
    """promtool's: `5x3` is 5 and three more, `_` nothing, `stale` where a series ends."""
    told: list[str] = []
    ended = True
    for value in [*values, *[None] * (length - len(values))]:
        word = (
            ("_" if ended else "stale")
            if value is None
            else f"{value:g}"
            if value < 1e5
            else f"{value:.0f}"
        )
        ended = value is None
        told.append(word)
    runs: list[tuple[str, int]] = []
    for word in told:
        if runs and runs[-1][0] == word and word != "stale":
            runs[-1] = (word, runs[-1][1] + 1)
        else:
            runs.append((word, 1))
    return " ".join(
        word if n == 1 else f"_x{n}" if word == "_" else f"{word}x{n - 1}" for word, n in runs
    )


def as_test(case: Case, series: Series, length: int) -> str:
    """A file of promtool's: the series, no alarm in the calm, and at the end those of the case."""
    lines = [
        f"# {case.what}. Written by `python -m tests.operating.record {case.name}`.",
        f"rule_files: [../{RULES.name}]",
        f"evaluation_interval: {STEP}s",
        "tests:",
        f"  - interval: {STEP}s",
        f"    name: {case.name}",
        "    input_series:",
    ]
    for key, values in sorted(series.items()):
        lines += [f"      - series: '{key}'", f"        values: '{notation(values, length)}'"]
    return "\n".join(lines) + "\n" + expected(case, length)


def expected(case: Case, length: int) -> str:
    """No alarm in the calm, and at the end those of the case: no more and no fewer."""
    firing = 'group by (alertname) (ALERTS{alertstate="firing"})'
    lines = [EXPECTED]
    for at, alarms in ((CALM - STEP, frozenset[str]()), ((length - 1) * STEP, case.alarms)):
        lines += [f"      - expr: {firing}", f"        eval_time: {at}s", "        exp_samples:"]
        if not alarms:
            lines[-1] += " []"
        for name in sorted(alarms):
            lines += [f"          - labels: '{{alertname=\"{name}\"}}'", "            value: 1"]
    return "\n".join(lines) + "\n"


def expect_anew(case: Case) -> None:
    """Write what is to go off, of a recording that stays as it is."""
    file = RECORDED / f"{case.name}.yaml"
    text = file.read_text()
    length = int(re.findall(r"eval_time: (\d+)s", text)[-1]) // STEP + 1
    file.write_text(text.partition(EXPECTED)[0] + expected(case, length))


async def record(world: World, scraper: Scraper, case: Case) -> str:
    load = Load(world, world.tenant, ring_time=20)
    world.apple.follow(load.heard)
    load.start(RATE)
    await asyncio.sleep(STEP)
    scraper.forget()
    await scraper.run(CALM)
    async with case.put(world):
        await scraper.run(case.seconds)
    text = as_test(case, scraper.series, scraper.taken)
    await load.stop(within=30)
    await world.apple.stop()
    await asyncio.to_thread(world.house.mend)
    await asyncio.to_thread(world.house.await_ready, 60)
    return text


def targets_of(house: House) -> dict[tuple[str, str], str]:
    """Has each worker serve its metrics; where everybody does."""
    found = {
        ("ringline-api", f"api-{n}"): f"http://127.0.0.1:{p}" for n, p in enumerate(house.ports)
    }
    for n, worker in enumerate(house.workers):
        port = free_port()
        _always(worker, {"RINGLINE_WORKER_METRICS": f"127.0.0.1:{port}"})
        found["ringline-worker", f"worker-{n}"] = f"http://127.0.0.1:{port}"
    return found


def _always(one: Process, extra: Mapping[str, str]) -> None:
    start = one._start
    one._start = lambda more: start({**extra, **more})
    one.stop()
    one.start()


async def main(cases: Sequence[Case], house: House, targets: Mapping[tuple[str, str], str]) -> None:
    async with living_in(house, users=20, followers=2) as world:
        scraper = Scraper(targets, names_in(RULES.read_text()))
        for case in cases:
            text = await record(world, scraper, case)
            (RECORDED / f"{case.name}.yaml").write_text(text)
            print(f"{case.name}: {scraper.taken} scrapes, {len(scraper.series)} series", flush=True)
        await scraper.close()


if __name__ == "__main__":
    asked = argparse.ArgumentParser()
    asked.add_argument("names", nargs="*", default=[case.name for case in CASES])
    asked.add_argument("--expect", action="store_true", help="record nothing, expect anew")
    names = asked.parse_args().names
    if asked.parse_args().expect:
        for one in CASES:
            expect_anew(one)
        sys.exit()
    RECORDED.mkdir(parents=True, exist_ok=True)
    with running_house(apis=1, workers=1) as made:
        places = targets_of(made)
        made.await_ready()
        uvloop.run(main([case for case in CASES if case.name in names], made, places))
