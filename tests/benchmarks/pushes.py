"""What a push costs a worker from the claim's answer to the record's, without a database.

    python -m tests.benchmarks.pushes [--rounds N] [TREE ...]

Claims and records are answered from memory, as a database would; all else is the worker's own, in a
process of its own, against the fast server: groups of 350 with two phones each, which lie in
batches, and rings of one phone, 150 and 30 at a time. CPU is that process's own; the first and the last
phone of a group are in milliseconds from its hint. Trees are measured in turn, this one without
any. Prints the medians, and as its last line JSON.
"""

import argparse
import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from tests.benchmarks.fast_server import BUNDLE, TOPIC, FastServer, fast_server

MEMBERS, DEVICES, OF_A_BATCH = 350, 2, 50
GROUPS, RINGS, MANY, FEW = 10, 6_000, 150, 30
"""The first group, and as many of the rings, do not count."""
NAMES: Final = (
    "id", "session_id", "tenant_id", "kind", "app_id", "environment", "created_at", "deadline",
    "fence", "open_bits", "push_ids", "rings", "token_ids", "device_rows", "users", "tokens",
    "token_registered_at", "token_versions", "call", "credentials", "settings", "moved", "now",
)  # fmt: skip
"""Columns of a claim of batches."""


def some_id() -> Any:
    """An id of the class that the driver reads."""
    from asyncpg.pgproto.pgproto import UUID as Read

    from app.infra.ids import uuid7

    return Read(uuid7().bytes)


def facts(number: int) -> tuple[Any, ...]:
    """What a claim says of a call."""
    name = f"call-{number}"
    return (
        str(some_id()), "default", name, "alice", "Alice", None, None, None, True, None, None, None,
    )  # fmt: skip


class InMemory:
    """A database of which claims take what was put in, and records are always written."""

    def __init__(self) -> None:
        self.vital = self
        self.tenant, self.stamp = some_id(), "1"
        self.batches: deque[tuple[Any, ...]] = deque()
        self.rings: dict[Any, tuple[Any, ...]] = {}

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[None]:
        yield

    transaction = autocommit

    async def answer(self, _: object, statement: object, values: Any) -> Any:
        """What `statements.answer` does."""
        from app.push import batch_claims, claims, records
        from app.push.claimed import ClaimedPush, Look

        if statement is batch_claims.CLAIM_CALLS:
            some = min(values["limit"], len(self.batches))
            return NAMES, [self.batches.popleft() for _ in range(some)]
        if statement is claims.CLAIM_RINGS:
            found = [self.rings.pop(one) for one in values["rings"] if one in self.rings]
            some = [(*row[:4], None, None, *row[6:]) for row in found[1:]]
            return ClaimedPush.__match_args__, found[:1] + some
        if statement is batch_claims.RECORD:
            return (), [(batch, -1, 0) for batch in values["batches"]]
        if statement is records.RECORD:
            return (), [(push, "accepted") for push in values["ids"]]
        if statement is records.TAKEN:
            return (), [(push,) for push in values["ids"]]
        if statement in (batch_claims.LOOK, claims.LOOK):
            found = [(push, False, False, False, True) for push in values["pushes"]]
            return Look.__match_args__, found
        raise AssertionError(statement)

    def add_group(self, number: int) -> None:
        """A call of so many members, in batches."""
        from app.infra import clock

        now, call, said = clock.now(), some_id(), facts(number)
        rings = [some_id() for _ in range(MEMBERS)]
        phones = [(member, rings[member]) for member in range(MEMBERS) for _ in range(DEVICES)]
        for start in range(0, len(phones), OF_A_BATCH):
            some = phones[start : start + OF_A_BATCH]
            size = len(some)
            ids = [[some_id() for _ in some] for _ in range(3)]
            first = start % (2 * OF_A_BATCH) == 0
            self.batches.append((
                some_id(), call, self.tenant, "voip", BUNDLE, "production", now,
                now + timedelta(seconds=45), 1, (1 << size) - 1, ids[0], [ring for _, ring in some],
                ids[1], ids[2], [f"user-{member}" for member, _ in some],
                [os.urandom(32).hex() for _ in some], [now] * size, [1] * size,
                said if first else None, self.stamp if first else None,
                {str(self.tenant): {}} if first else None, None, now,
            ))  # fmt: skip

    def add_rings(self, count: int, worker: Any) -> list[Any]:
        """So many calls of one phone; their rings."""
        from app.infra import clock

        now, found = clock.now(), []
        over = now + timedelta(seconds=45)
        for number in range(count):
            ring = some_id()
            found.append(ring)
            self.rings[ring] = (
                "ring", "voip", "production", facts(number), self.stamp,
                {str(self.tenant): {}}, None, some_id(), ring, some_id(), self.tenant,
                f"user-{number}", some_id(), some_id(), BUNDLE, os.urandom(32).hex(), now, 1, False,
                None, now, over, worker, 1, 1, False, False, None, now, False, False, True, now,
                over,
            )  # fmt: skip
        return found


async def prepare(where: Sequence[str]) -> tuple[Any, InMemory]:
    """A dispatcher of a worker whose credential pushes there."""
    import math

    from app.core.credential import CredentialKind, CredentialState
    from app.core.push import Environment
    from app.credentials import store
    from app.credentials.decrypt import place_of
    from app.credentials.usable import Usable
    from app.infra import db, row_values, vault
    from app.infra.settings import Settings
    from app.push import batch_claims, records
    from app.push.dispatch import Dispatcher

    url, ca_file, pem_file = where
    settings = Settings(
        environment="development",
        apns_production_url=url,
        apns_ca_file=Path(ca_file),
        public_url="https://ring.example.com",
    )
    keyring, memory, credential = vault.keyring(settings), InMemory(), some_id()
    usable = Usable(
        id=credential, version=1, tenant_id=memory.tenant, app_id=BUNDLE,
        kind=CredentialKind.CERTIFICATE, environments=(Environment.PRODUCTION,), topics=(TOPIC,),
        team_id=None, key_id=None, state=CredentialState.ACTIVE, activated_at=None, expired=False,
        refused={}, proven=(),
        sealed=vault.seal(
            keyring, place_of(memory.tenant, credential), Path(pem_file).read_bytes()
        ),
    )  # fmt: skip

    async def for_apps(*_: object) -> list[Usable]:
        return [usable]

    for module in (db, row_values, batch_claims, records):
        module.answer = memory.answer  # type: ignore[attr-defined]
    store.for_apps = for_apps  # type: ignore[assignment]
    runtime = SimpleNamespace(settings=settings, keyring=keyring, traces=None, database=memory)
    dispatcher = Dispatcher(runtime)  # type: ignore[arg-type]
    dispatcher.life.entered = True
    dispatcher.life._renewed = math.inf
    assert await dispatcher._sending.senders.get(usable, Environment.PRODUCTION).warm()
    return dispatcher, memory


async def client(where: Sequence[str]) -> dict[str, Any]:
    """Microseconds of CPU a push, and when each group was begun (`time.monotonic()`)."""
    from app.infra.process import settle_memory
    from app.infra.push_hints import HintOf, PushHint

    dispatcher, memory = await prepare(where)
    settle_memory()

    async def recorded(most: int = 0) -> None:
        while len(dispatcher._held) > most:
            await asyncio.sleep(0.005)
            await dispatcher.look()  # as a worker's loop does

    async def rings(count: int, at_a_time: int) -> float:
        some = memory.add_rings(count, dispatcher.life.id)
        used = time.process_time()
        for start in range(0, count, at_a_time):
            hints = [PushHint(HintOf.RING, one) for one in some[start : start + at_a_time]]
            await dispatcher.send(hints)
            await recorded(MANY)
        await recorded()
        return time.process_time() - used

    begun, groups = [], []
    for number in range(GROUPS):
        memory.add_group(number)
        hint = PushHint(HintOf.BATCH, memory.batches[0][1])
        begun.append(time.monotonic())
        used = time.process_time()
        await dispatcher.send([hint])
        await recorded()
        groups.append(time.process_time() - used)
        await asyncio.sleep(0.2)
    await rings(MEMBERS, MANY)
    many, few = await rings(RINGS, MANY), await rings(RINGS, FEW)
    await dispatcher._sending.senders.close()
    return {
        "group_us": statistics.median(groups[1:]) / MEMBERS / DEVICES * 1e6,
        "many_us": many / RINGS * 1e6,
        "few_us": few / RINGS * 1e6,
        "begun": begun,
    }


def run_client(tree: str, server: FastServer) -> dict[str, float]:
    """One process of one tree; what the server got must be all that was sent."""
    server.arrivals()
    command = [sys.executable, "-B", "-m", "tests.benchmarks.pushes", "--client"]
    command += [server.url, str(server.ca_file), str(server.pem_file)]
    told = subprocess.check_output(command, cwd=tree)
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    arrived, begun = server.arrivals(), found.pop("begun")
    assert len({one.apns_id for one in arrived}) == len(arrived)
    assert len(arrived) == GROUPS * MEMBERS * DEVICES + MEMBERS + 2 * RINGS, (
        f"{len(arrived)} arrived"
    )
    firsts, lasts = [], []
    for number, at in enumerate(begun[1:], 1):
        mine = sorted(one.at - at for one in arrived if one.at >= at)[: MEMBERS * DEVICES]
        assert number == GROUPS - 1 or at + mine[-1] < begun[number + 1]
        firsts.append(mine[0])
        lasts.append(mine[-1])
    found["first_ms"] = statistics.median(firsts) * 1e3
    found["last_ms"] = statistics.median(lasts) * 1e3
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--client", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("trees", nargs="*")
    given = parser.parse_args()
    if given.client:
        import structlog

        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        try:
            import uvloop as loops  # as the worker does
        except ImportError:
            loops = asyncio  # type: ignore[misc]
        with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
            print(json.dumps(runner.run(client(given.trees))))
        return
    trees = given.trees or ["."]
    runs: dict[str, list[dict[str, float]]] = {tree: [] for tree in trees}
    with fast_server() as server:
        for _ in range(given.rounds):
            for tree, found in runs.items():
                found.append(run_client(tree, server))
    medians = {
        tree: {key: round(statistics.median(x[key] for x in found), 1) for key in found[0]}
        for tree, found in runs.items()
    }
    for tree, one in medians.items():
        print(f"{tree:30} " + "  ".join(f"{key} {value:7.1f}" for key, value in one.items()))
    print(json.dumps({"medians": medians, "runs": runs}))


if __name__ == "__main__":
    main()
