"""`python -m tests.chaos.run [--only NAME] [--smoke] [--markdown]`: every fault in turn, and a table.

Steady ringing at half of what the house can do, measured first; each fault of `faults.py` is put
into it; afterwards is counted what `counts.py` says. Exits with 1 when a promise is broken.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import asyncpg
import uvloop

from tests.chaos import counts
from tests.chaos.counts import Fault, Owed
from tests.chaos.faults import ROWS, Spec
from tests.chaos.house import ROOT, House, running_house
from tests.chaos.load import Load
from tests.chaos.world import World, living_in
from tests.webhooks.receiver import Post

MOST_RATE = 40.0
SMOKE = ("worker-killed", "postgres-recovering", "valkey-frozen")
OTHERS_RATIO = 2.0
FLOOR = 0.05
"""Seconds: waits below this are not compared, so near to what scheduling on two cores adds."""
ALONE = 20
"""Seconds before the fault of a tenant: of some 270 rings the third worst is the 99th percentile,
so that one pause of one process does not decide."""
PROMPT = 1.0
SETTLED = 3.0
REPORTS = ROOT / "build" / "chaos"
PAPER = ROOT / "docs" / "faults.md"
BEGIN, END = "<!-- make chaos -->", "<!-- end -->"
COUNTS = ("lost", "doubled", "dead", "stuck", "late", "feeds", "hooks", "wrong")


@dataclass
class Outcome:
    """One row of the table. `breaches`: sentences by count."""

    name: str
    what: str
    not_run: str | None = None
    rings: int = 0
    refused: int = 0
    repeated: int = 0
    recovery: float = 0.0
    hurt: float = 0.0
    """Seconds from the fault's first moment to the last push that was slow, or refused request."""
    worst: float = 0.0
    """The longest wait from a request to its first push, in seconds."""
    held: float = 0.0
    """Rings a second."""
    waits: dict[str, float] = field(default_factory=dict)
    """99th percentiles, in seconds: before the fault and under it, to the answer and to the push."""
    ratio: float | None = None
    breaches: dict[str, list[str]] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Whether every promise held."""
        slow = self.recovery > counts.RECOVERED_WITHIN
        unfair = self.ratio is not None and self.ratio > OTHERS_RATIO
        return not (slow or unfair or any(self.breaches.values()))


async def measured(world: World, seconds: float, callees: int = 1) -> float:
    """Calls a second, from the request over push and answer to the end, that the house can do."""
    load = Load(world, world.tenant, ring_time=30, callees=callees)
    world.apple.follow(load.heard)
    await load.closed(8, 1.0)
    rate = await load.closed(24, seconds)
    await world.apple.stop()
    return rate


async def row(world: World, spec: Spec, rate: float, callees: int = 1) -> Outcome:
    """Put this fault into the ringing, of so many calls a second, and count."""
    reason = spec.impossible(world)
    if reason is not None:
        return Outcome(spec.name, spec.what, not_run=reason)
    truth, since, mark = world.truth, await world.truth.now(), world.apple.newest
    posts = len(world.receiver.posts)
    begins = {one.user: one.last or 0 for one in world.followers}
    resets = sum(one.resets for one in world.followers)
    world.balancer.refused.clear()
    ring_time = max(25.0, spec.lasts + 15)
    load = Load(world, world.tenant, ring_time=ring_time, callees=callees)
    world.apple.follow(load.heard)
    begun = time.monotonic()
    load.start(rate)
    load.leave_alone(3, ring_time=8)
    try:
        await asyncio.sleep(ALONE if spec.one_tenant else 2)
        fault = await _put(world, spec)
        await _recovered(world, load, fault)
    except BaseException:
        await load.stop(within=0)  # or it rings on under the next row, which counts its calls
        raise
    rung, seconds = len(load.asked), time.monotonic() - begun
    await load.stop(within=60)
    await final(world, 45)
    await world.apple.stop()
    sent, fates = await world.apple.sent(mark), await truth.fates(world.tenant.id, since)
    refused = list(world.balancer.refused)
    heard = await unheard(world, since, begins)
    if sum(one.resets for one in world.followers) > resets:
        heard.append("a stream was reset")
    came, owed = world.receiver.posts[posts:], await truth.owed(world.webhook, since)
    tenants = [r["id"] for r in await truth.fetch("SELECT id FROM tenants")]
    outcome = Outcome(spec.name, spec.what, rings=len(load.asked), refused=len(refused))
    outcome.repeated = counts.repeated(sent)
    outcome.recovery = counts.recovery(load.asked, sent, refused, fault, prompt=PROMPT)
    outcome.held = rung / seconds
    outcome.breaches = {
        "lost": counts.lost(load.asked, fates, sent),
        "doubled": counts.doubled(sent, fault),
        "dead": counts.dead(fates, sent),
        "stuck": counts.stuck(
            await truth.open(tenants) + await truth.open_hooks(world.webhook), await truth.now()
        ),
        "late": counts.late(load.asked, sent, fault),
        "feeds": heard,
        "hooks": counts.unhooked([post.headers["webhook-id"] for post in came], owed)
        + await truth.undelivered(world.webhook, world.tenant.id, since, world.hooked),
        "wrong": counts.broken(refused) + load.odd,
    }
    pushed = _waits(load, sent)
    without = [wait for at, wait in pushed if at < fault.begin]
    under = [wait for at, wait in pushed if fault.begin <= at < fault.end]
    slow = [at + wait for at, wait in pushed if wait > PROMPT] + [one.at for one in refused]
    outcome.hurt = max((at - fault.begin for at in slow if at > fault.begin), default=0.0)
    outcome.worst = max((wait for _, wait in pushed), default=0.0)
    answers = [(one.asked, one.answered - one.asked) for one in load.asked]
    outcome.waits = {
        "answer before": counts.percentile([wait for at, wait in answers if at < fault.begin]),
        "answer under": counts.percentile(
            [wait for at, wait in answers if fault.begin <= at < fault.end]
        ),
        "push before": counts.percentile(without),
        "push under": counts.percentile(under),
    }
    if spec.one_tenant:
        outcome.ratio = counts.ratio(without, under, floor=FLOOR)
        outcome.breaches["hooks"] += counts.slow_hooks(*_hook_waits(came, owed, fault))
    return outcome


async def _put(world: World, spec: Spec) -> Fault:
    begin = time.time()
    async with spec.put(world):
        begin = begin if not spec.one_tenant else time.time()
        await asyncio.sleep(spec.lasts)
        end = time.time()
    # what is started anew is out for as long as it takes to be ready: that is recovery
    end = end if spec.one_tenant else time.time()
    return Fault(begin, end, spec.repeats)


async def _recovered(world: World, load: Load, fault: Fault) -> None:
    """Until requests have been served without a refusal for SETTLED s, and a little more."""
    while True:
        await asyncio.sleep(0.25)
        now = time.time()
        last = max((one.at for one in world.balancer.refused), default=0.0)
        if now > max(fault.end, last) + SETTLED or now > fault.end + 20:
            return


async def final(world: World, within: float) -> None:
    """Until every row of ours is final and every stream has heard all, or that takes too long.

    Given up before that only when nothing has become less for longer than any row may take.
    """
    end = time.monotonic() + within
    least, since = 10**9, time.monotonic()
    while time.monotonic() < end:
        rows = await world.truth.open([world.tenant.id])
        hooks = await world.truth.open_hooks(world.webhook)
        users = [one.user for one in world.followers]
        told = await world.truth.told(world.tenant.id, await world.truth.now() - 120, users)
        behind = [
            one for one in world.followers if told[one.user] and told[one.user][-1][0] != one.last
        ]
        left = len(rows) + len(hooks) + len(behind)
        if not left:
            return
        if left < least:
            least, since = left, time.monotonic()
        now = await world.truth.now()
        overdue = all(now > row.due + counts.FINAL_WITHIN + 1 for row in rows)
        if overdue and time.monotonic() > since + counts.FINAL_WITHIN + 2:
            return
        await asyncio.sleep(0.3)


async def unheard(world: World, since: float, begins: dict[str, int]) -> list[str]:
    """What followers were told of since then and have not heard, each from its own begin on."""
    told = await world.truth.told(world.tenant.id, since, list(begins))
    found = []
    for one in world.followers:
        begin = begins[one.user]
        heard = [item for item in one.heard if item[0] > begin]
        rows = [item for item in told[one.user] if item[0] > begin]
        found += counts.incomplete(one.user, heard, rows)
    return found


def _waits(load: Load, sent: Sequence[counts.Sent]) -> list[tuple[float, float]]:
    """When each ring that was pushed was asked for, and the seconds from there to its first push."""
    first = counts.first(sent)
    return [(one.asked, first[one.uuid] - one.asked) for one in load.asked if one.uuid in first]


def _hook_waits(
    came: Sequence[Post], owed: Mapping[str, Owed], fault: Fault
) -> tuple[list[float], list[float]]:
    """Seconds from commit to arrival of webhooks, before the fault and under it."""
    ahead = time.time() - time.monotonic()
    waits: dict[str, tuple[float, float]] = {}
    for post in came:
        one = owed.get(key := post.headers["webhook-id"])
        if one is not None and key not in waits:
            waits[key] = (one.at, post.at + ahead - one.at)
    without = [wait for at, wait in waits.values() if at < fault.begin]
    return without, [wait for at, wait in waits.values() if fault.begin <= at < fault.end]


def chaos(
    only: Sequence[str] = (),
    *,
    smoke: bool = False,
    rate: float | None = None,
    direct_hints: bool = True,
) -> tuple[float, list[Outcome]]:
    """Every row, or these; the rate of calls that was rung at and the outcomes."""
    chosen = [spec for spec in ROWS if not only or spec.name in only]
    with running_house(direct_hints=direct_hints, forked=smoke) as house:
        return uvloop.run(_all(house, chosen, smoke, rate))


async def _all(
    house: House, chosen: Sequence[Spec], smoke: bool, rate: float | None
) -> tuple[float, list[Outcome]]:
    async with living_in(house, users=40 if smoke else 60, followers=8) as world:
        half = rate or min(MOST_RATE, await measured(world, 2 if smoke else 5) / 2)
        print(f"ringing at {half:.1f} calls a second", file=sys.stderr, flush=True)
        return half, await all_rows(world, chosen, half)


async def all_rows(
    world: World, chosen: Sequence[Spec], rate: float, callees: int = 1
) -> list[Outcome]:
    """Each fault in turn, told of as it has been seen."""
    outcomes = []
    for spec in chosen:
        try:
            outcome = await row(world, spec, rate, callees)
        except (AssertionError, OSError, TimeoutError, asyncpg.PostgresError) as error:
            # one row that cannot be made keeps no other from being seen
            outcome = Outcome(spec.name, spec.what, breaches={"wrong": [str(error)]})
            await world.apple.stop()
        outcomes.append(outcome)
        print(line(outcome), file=sys.stderr, flush=True)
        if spec.one_tenant:
            told = ", ".join(f"{what} {took:.3f} s" for what, took in outcome.waits.items())
            print(f"    99 of 100 waited at most: {told}", file=sys.stderr, flush=True)
        for kind, found in outcome.breaches.items():
            for breach in found[:3]:
                print(f"    {kind}: {breach[:2_000]}", file=sys.stderr, flush=True)
        if not outcome.good:
            await _keep(world, outcome)
        await _healthy(world, outcome)
    return outcomes


async def _keep(world: World, outcome: Outcome) -> None:
    """What a person needs who looks into it: every breach, the rows and the logs."""
    folder = REPORTS / outcome.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "rows.txt").write_text(await world.truth.evidence())
    (folder / "breaches.json").write_text(json.dumps(outcome.breaches, indent=1))
    for one in world.house.everyone:
        (folder / f"{one.name}.log").write_text(one.output()[-400_000:])


async def _healthy(world: World, outcome: Outcome) -> None:
    """For the next row: what does not get well by itself is started anew, and that is a breach."""
    house = world.house
    try:
        await asyncio.to_thread(house.await_ready, 15)
    except TimeoutError:
        outcome.breaches.setdefault("stuck", []).append("a person was needed: it was not ready")
        for one in house.everyone:
            await asyncio.to_thread(one.stop, 5.0)
        house.mend()
        await asyncio.to_thread(house.await_ready)


def line(one: Outcome) -> str:
    """A row of the table, for a terminal."""
    return aligned(cells(one), WIDTHS)


def aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Cells below those of other rows."""
    return " | ".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))


HEAD = ("fault", "rings", *COUNTS, "repeats", "refused", "recovery", "others' wait", "")
WIDTHS = (44, 6, *(7 for _ in COUNTS), 7, 7, 8, 12, 6)


def cells(one: Outcome) -> list[str]:
    """What the table says of an outcome."""
    if one.not_run is not None:
        return [one.what, *([""] * (len(HEAD) - 2)), f"not run: {one.not_run}"]
    return [
        one.what, str(one.rings), *(str(len(one.breaches.get(kind, []))) for kind in COUNTS),
        str(one.repeated), str(one.refused), f"{one.recovery:.1f} s",
        "" if one.ratio is None else f"x {one.ratio:.1f}", "good" if one.good else "BROKEN",
    ]  # fmt: skip


def markdown(rate: float, outcomes: Sequence[Outcome]) -> str:
    """The table for the docs."""
    return f"At {rate:.0f} calls a second:\n\n{table(HEAD, map(cells, outcomes))}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in lines)


def write_down(paper: Path, begin: str, text: str) -> None:
    """Put what was measured into its place in a paper, in place of what was there before."""
    before, found, rest = paper.read_text().partition(begin)
    _, closed, after = rest.partition(END)
    if not (found and closed):
        raise ValueError(f"{paper} has no place for the table")
    paper.write_text(f"{before}{begin}\n\n## Measured\n\n{text}\n{END}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--only", action="append", default=[], choices=[spec.name for spec in ROWS])
    parser.add_argument("--smoke", action="store_true", help="a minute's worth")
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="the table for the docs: printed; whole, written too",
    )
    parser.add_argument("--rate", type=float, help="calls a second, instead of measuring")
    parser.add_argument(
        "--by-celery", action="store_true", help="without direct hints beside Celery's messages"
    )
    given = parser.parse_args()
    only = given.only or (SMOKE if given.smoke else ())
    rate, outcomes = chaos(
        only, smoke=given.smoke, rate=given.rate, direct_hints=not given.by_celery
    )
    report = ROOT / "build" / "chaos.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(
        json.dumps({"rate": rate, "rows": [asdict(one) for one in outcomes]}, indent=1)
    )
    if given.markdown:
        print(markdown(rate, outcomes))
        if not only:
            write_down(PAPER, BEGIN, markdown(rate, outcomes))
    else:
        print(aligned(HEAD, WIDTHS))
        print("\n".join(map(line, outcomes)))
    return 0 if all(one.good for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
