"""`make outbox`: explores the outbox's model, then takes each rule out and says what then breaks.

python -m tests.outbox.run              every world with every rule, then each rule out
python -m tests.outbox.run without NAME one rule out, with the steps that break the promise
"""

import sys
import time

from tests.outbox.explore import ALL, Explored, explore
from tests.outbox.rules import FAULTS, RULES, SHOWN, WORLDS

NAMED = {world.name: world for world in WORLDS}


def every_world() -> bool:
    """Whether no promise breaks in any world; prints how many states each has."""
    begun, states, well = time.process_time(), 0, True
    for world in WORLDS:
        found = explore(world)
        states += found.states
        well = well and not found.broken
        print(f"{found.states:8}  {world.name:24}{found.broken or 'holds'}", flush=True)
        tell(found)
    print(f"{states:8}  states in {time.process_time() - begun:.0f} s of CPU", flush=True)
    return well


def without(rule: str) -> Explored:
    """What the lack of a rule breaks in the world that shows it."""
    return explore(NAMED[SHOWN[rule]], ALL - {rule})


def table() -> bool:
    """Whether each rule's lack is found; prints a row of a table for each."""
    mended = {rule: fault for fault, rules in FAULTS.items() for rule in rules}
    well = True
    print("| without | in the world | breaks | steps | found by use as |\n|---|---|---|---|---|")
    for rule in RULES:
        found = without(rule)
        well = well and bool(found.broken)
        broken = found.broken or "NOTHING"
        fault = mended.get(rule, "")
        print(f"| {rule} | {SHOWN[rule]} | {broken} | {len(found.trace)} | {fault} |", flush=True)
    return well


def tell(found: Explored) -> None:
    """The steps that break a promise."""
    for n, step in enumerate(found.trace, 1):
        print(f"          {n:2}. {step}")


def main(words: list[str]) -> int:
    if words[:1] == ["without"]:
        for rule in words[1:]:
            found = without(rule)
            print(f"{rule}: {found.broken or 'NOTHING'}")
            tell(found)
        return 0
    return 0 if every_world() & table() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
