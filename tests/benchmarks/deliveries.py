"""What a delivery costs a worker's dispatcher, and PostgreSQL, with nothing else in the process.

    python -m tests.benchmarks.deliveries [--rounds N] [--calls N] [TREE ...]

A dispatcher in a process of its own, one for each tree, which live side by side and are asked in
turn; a durable PostgreSQL, and the endpoint of the webhooks' benchmark. Beside it a bare POST by
that tree's client. Prints medians of microseconds of CPU a delivery, and as its last line JSON.
"""

import argparse
import asyncio
import json
import logging
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.infra.settings import Settings
from devkit.embedded.postgres import running_postgres
from tests.benchmarks.endpoint import running_endpoint
from tests.benchmarks.processes import Group
from tests.benchmarks.webhooks import AT_ONCE, CLEAR, EVENTS, TENANTS, WEBHOOKS_EACH, Backends

FORGET = "TRUNCATE calls, events, tenant_events"
WORKER = """
    INSERT INTO workers (id, host, pid, started_at, alive_until)
    VALUES (:id, 'bench', 1, clock_timestamp(), clock_timestamp() + interval '1 hour')
"""


class Door:
    """A runtime, and its database for the benchmark's own statements."""

    def __init__(self, runtime: Any) -> None:
        self.runtime = runtime

    async def sql(self, statement: str, **values: object) -> list[tuple[Any, ...]]:
        """One statement in a transaction of its own."""
        async with self.runtime.database.patient.transaction() as session:
            result = await session.execute(text(statement), values)
            return [tuple(row) for row in result] if result.returns_rows else []


def runtime_of(settings: Settings) -> Any:
    """What a dispatcher needs of one."""
    from app.infra.db import Database
    from app.infra.vault import keyring

    database = Database(settings.sqlalchemy_url)
    return SimpleNamespace(
        settings=settings, keyring=keyring(settings), traces=None, database=database
    )


async def client(given: dict[str, str]) -> None:
    """A dispatcher; for each line that comes it delivers what is due, and says what that took."""
    from app.infra.process import settle_memory
    from app.webhooks.dispatcher import WebhookDispatcher

    runtime = runtime_of(Settings.model_validate(given))
    dispatcher = WebhookDispatcher(runtime, UUID(given["worker"]))
    settle_memory()
    while await asyncio.to_thread(sys.stdin.readline):
        used, begun, idle = time.process_time(), time.monotonic(), 0
        dispatcher.wake()
        while idle < 3:
            await asyncio.sleep(0.01)
            busy = len(dispatcher._open) or dispatcher._claiming is not None
            idle = 0 if busy else idle + 1
        took = time.monotonic() - begun - 0.03
        print(json.dumps([time.process_time() - used, took]), flush=True)
    await dispatcher.stop(1)
    await runtime.database.close()


class Client:
    """A process of one tree."""

    def __init__(self, tree: str, settings: dict[str, str], worker: UUID, under: list[str]) -> None:
        command = [sys.executable, "-B", *under, "-m", "tests.benchmarks.deliveries", "--client"]
        command += [json.dumps(settings | {"worker": str(worker)})]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=tree, stdin=pipe, stdout=pipe, text=True)

    def deliver(self) -> tuple[float, float]:
        """Seconds of its CPU, and of time, for all that is due."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        used, took = json.loads(self.process.stdout.readline())
        return used, took

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(20)


async def measure(
    trees: list[str], rounds: int, calls: int, under: list[str]
) -> dict[str, list[dict[str, float]]]:
    """By tree, what each round found; the first does not count."""
    from app.infra.ids import uuid7
    from app.infra.schema import upgrade

    found: dict[str, list[dict[str, float]]] = {tree: [] for tree in trees}
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory()))
        postgres = parts.enter_context(running_postgres(folder / "postgres", durable=True))
        endpoint = parts.enter_context(running_endpoint())
        given = {
            "database_url": postgres.url,
            "secret_key": secrets.token_urlsafe(32),
            "webhook_allow_private": "true",
        }
        settings = Settings.model_validate(given)
        await asyncio.to_thread(upgrade, settings.sqlalchemy_url)
        door, server = Door(runtime_of(settings)), Group(postgres.pid)
        backends = Backends(door, endpoint)
        await backends.move_in()
        clients = {}
        for tree in trees:
            worker = uuid7()
            await door.sql(WORKER, id=worker)
            clients[tree] = parts.enter_context(Client(tree, given, worker, under))
        for n in range(rounds + 1):
            for tree, one in clients.items():
                await backends.tell(calls)
                before = server.cpu()
                used, took = one.deliver()
                told = server.cpu() - before
                posts = await backends.agree(calls)
                await door.sql(CLEAR)
                await door.sql(FORGET)
                bare = endpoint.bare_post_us(posts[0].body, len(posts), AT_ONCE, tree)
                each = 1e6 / len(posts)
                if n:
                    found[tree].append({
                        "delivery_us": used * each, "bare_us": bare,
                        "ratio": used * each / bare, "postgres_us": told * each,
                        "a_second": len(posts) / took,
                    })  # fmt: skip
        await door.runtime.database.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--calls", type=int, default=400, help="of each of four tenants")
    parser.add_argument("--under", default="", help=argparse.SUPPRESS)
    parser.add_argument("--client", help=argparse.SUPPRESS)
    parser.add_argument("trees", nargs="*")
    asked = parser.parse_args()
    if asked.client:
        import structlog
        import uvloop

        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        uvloop.run(client(json.loads(asked.client)))
        return
    trees = [str(Path(one).resolve()) for one in asked.trees or ["."]]
    runs = asyncio.run(measure(trees, asked.rounds, asked.calls, asked.under.split()))
    medians = {
        tree: {key: round(statistics.median(one[key] for one in some), 2) for key in some[0]}
        for tree, some in runs.items()
    }
    deliveries = asked.calls * len(EVENTS) * TENANTS * WEBHOOKS_EACH
    print(f"{deliveries} deliveries a round")
    for tree, one in medians.items():
        print(f"{tree:30} " + "  ".join(f"{key} {value:8.2f}" for key, value in one.items()))
    print(json.dumps({"medians": medians, "runs": runs}))


if __name__ == "__main__":
    main()
