"""`python -m tests.operating.roll`: an upgrade that stops nothing, and back, while it rings.

Older code out of git's history (the commit that docs/releases.md names for it) rings on its own
schema. The database is migrated beneath it, this tree's processes run beside its own, each takes the
answers of calls that the other rang, the older ones stop, and come back in place of this tree's.
All the while somebody rings: each ring must be on the phone once. Exits with 1 when it is not so.
"""

import re
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from devkit.embedded import running_postgres, running_valkey
from devkit.simulator import Simulator
from tests.conftest import DatabaseServer
from tests.operating.upgrade import PAGE, ROOT, Journey, Version, environment, say, unpacked, until

EVERY = 0.3
PHONE = {"user_id": "bob", "device_id": "d-1"}


def older() -> tuple[str, str]:
    """The commit from which upgrades roll, and its schema."""
    found = re.search(r"\b([0-9a-f]{7,40}),\s+whose schema is (\d{4})", PAGE.read_text())
    assert found, f"{PAGE.name} names no commit from which upgrades roll"
    return found[1], found[2]


class Ringing:
    """Somebody who rings bob again and again, by those versions that serve, in turn."""

    def __init__(self, journey: Journey) -> None:
        self._journey = journey
        self._over = threading.Event()
        self.serving: list[Version] = []
        self.calls: list[str] = []
        self.failures: list[BaseException] = []

    def run(self) -> None:
        turn = 0
        while not self._over.wait(EVERY):
            serving = self.serving[:]
            body = {"caller": {"id": "carol"}, "callees": ["bob"], "ring_time": 5}
            turn += 1
            try:
                call = self._journey.ask(serving[turn % len(serving)], "POST", "/v1/calls", body)
            except BaseException as error:
                self.failures.append(error)
                return
            self.calls.append(str(call["session_id"]))

    @contextmanager
    def going(self) -> Iterator[None]:
        """While this lasts."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
        if self.failures:
            raise self.failures[0]


def answered(journey: Journey, rung_by: Version, by: Version) -> None:
    """A call that one version rings, another takes the answer of, and both know."""
    session = journey.ring(rung_by)
    journey.ask(by, "POST", f"/v1/calls/{session}/accept", PHONE)
    states = [journey.ask(one, "GET", f"/v1/calls/{session}")["state"] for one in (rung_by, by)]
    assert states == ["active", "active"], states
    journey.ask(rung_by, "POST", f"/v1/calls/{session}/end", {})


def roll(old: Version, new: Version, journey: Journey) -> int:
    """There and back; how many rings came meanwhile. Raises AssertionError with what is not so."""
    old.command("migrate")
    old.start()
    journey.settle(old, "app_id")
    ringing = Ringing(journey)
    ringing.serving = [old]
    with ringing.going():
        first = journey.ring(old)
        new.command("migrate")
        say(f"migrated; {journey.put_off} requests were told to try again")
        journey.ring(old)
        say(f"{old.name} rings on, on this tree's schema")
        new.start()
        ringing.serving = [old, new]
        journey.ask(new, "POST", f"/v1/calls/{first}/accept", PHONE)
        answered(journey, old, new)
        answered(journey, new, old)
        say("both ring side by side, and take the answers of each other's calls")
        ringing.serving = [new]
        old.stop()
        second = journey.ring(new)
        old.start()
        ringing.serving = [old]
        new.stop()
        journey.ask(old, "POST", f"/v1/calls/{second}/accept", PHONE)
        journey.ring(old)
    wanted = Counter(dict.fromkeys([*ringing.calls], 1))

    def all_came() -> bool:
        return journey.rung().keys() >= wanted.keys()

    until(all_came, lambda: f"lost: {wanted.keys() - journey.rung().keys()}")
    twice = {call: n for call, n in journey.rung().items() if n > 1}
    assert not twice, f"rung twice: {twice}"
    return len(wanted)


def main() -> None:
    """All servers are real, and end with this process."""
    commit, schema = older()
    with (
        tempfile.TemporaryDirectory(prefix="ringline-roll-") as name,
        running_postgres() as postgres,
        running_valkey() as valkey,
        Simulator.running() as sim,
    ):
        folder = Path(name)
        tree = unpacked(commit, folder / "older")
        numbers = [path.name[:4] for path in (tree / "migrations" / "versions").glob("[0-9]*.py")]
        assert max(numbers) == schema, f"docs/releases.md says {schema} of {commit}"
        server = DatabaseServer(postgres.url)
        server.execute("CREATE DATABASE roll")
        env = environment(postgres.url_for("roll").replace("+asyncpg", ""), valkey.url, sim)
        old, new = Version(commit, tree, env, folder), Version("this tree", ROOT, env, folder)
        try:
            journey = Journey(sim)
            rings = roll(old, new, journey)
        finally:
            old.stop()
            new.stop()
            server.close()
    say(
        f"{rings} rings of all versions meanwhile: each on the phone once, {journey.put_off} put off"
    )


if __name__ == "__main__":
    sys.exit(main())
