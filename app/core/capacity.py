"""What a load needs: a sum of measured parts, and the machines that have it. Pure.

Linear on purpose: so many rings a second cost so many times what one costs, and so on for each kind
of work. What is done at once in batches costs less the more there is of it, so that the sum errs
to the safe side at rates above the one that the parts were measured at (`Parts.rate`).
`tests/benchmarks/capacity.py` measures parts and, beside them, a whole to hold the sum against.
"""

from collections.abc import Mapping
from dataclasses import fields
from math import ceil
from typing import Any, Final

from app.core.frozen import frozen

KINDS: Final = ("ring", "push", "answer", "missed", "webhook", "told", "heartbeat")
"""ring: one that reaches one device. push: a further device of it. answer: accepted, and later
ended. missed: its end unanswered. webhook: one delivery. told: one event to one open stream.
heartbeat: one of a member."""
PLACES: Final = ("api", "worker", "postgres", "valkey")


@frozen
class Cost:
    """Of one of a kind: microseconds of CPU by place, bytes of write-ahead log and of tables."""

    api: float
    worker: float
    postgres: float
    valkey: float
    wal: float
    disk: float


@frozen
class Parts:
    """What was measured, at `rate` rings a second.

    `rest`: a second of one API process and one worker at rest (a stream's is apart). MiB of a
    process at its start; KiB of an API process an open stream, and microseconds a second of it;
    bytes of tables and indexes a device, and MiB of Valkey at rest. `pool`: connections to
    PostgreSQL of one process at most. `told`, `hooks`: events of a ring that is answered, to a
    stream of its callee's and to a webhook for all of them.
    """

    rate: float
    costs: Mapping[str, Cost]
    rest: Cost
    api_mib: float
    worker_mib: float
    stream_kib: float
    stream_us: float
    device_bytes: float
    valkey_mib: float
    pool: int
    told: float
    hooks: float


@frozen
class Load:
    """What is to be served, at its busiest. `answered`: share of rings; `days` that calls are kept.

    `reached`: devices that one ring reaches. `busy`: hours of a day's rings at this rate, so that
    6 means a day has as many as six such hours.
    """

    rings: float
    devices: int = 100_000
    streams: int = 0
    webhooks: int = 1
    reached: float = 1.5
    answered: float = 0.7
    heartbeats: float = 0.0
    days: int = 90
    busy: float = 6.0


@frozen
class Room:
    """What is given: of a machine its cores and GiB; how full each may be run.

    One process does its work on one core. `spare`: share of each that stays free for what comes
    at once, and for what a machine that fails leaves to the others.
    """

    cores: int = 8
    gib: int = 16
    spare: float = 0.5
    streams: int = 10_000


@frozen
class Used:
    """By a second: cores of each place; bytes of log and of tables."""

    api: float
    worker: float
    postgres: float
    valkey: float
    wal: float
    disk: float


def counts(parts: Parts, load: Load) -> dict[str, float]:
    """How many of each kind a second. Who has a stream is taken to be rung as often as others."""
    online = min(1.0, load.streams / load.devices) if load.devices else 0.0
    return {
        "ring": load.rings,
        "push": load.rings * max(0.0, load.reached - 1),
        "answer": load.rings * load.answered,
        "missed": load.rings * (1 - load.answered),
        "webhook": load.rings * parts.hooks * load.webhooks,
        "told": load.rings * parts.told * online * load.reached,
        "heartbeat": load.heartbeats,
    }


def used(
    parts: Parts, each: Mapping[str, float], *, streams: float, apis: int = 1, workers: int = 1
) -> Used:
    """The sum: so many of each kind a second, so many open streams, and processes at rest."""
    rest = parts.rest

    def total(place: str, at_rest: float) -> float:
        costs = parts.costs
        made: float = sum(count * getattr(costs[kind], place) for kind, count in each.items())
        return at_rest + made

    return Used(
        api=total("api", apis * rest.api + streams * parts.stream_us) / 1e6,
        worker=total("worker", workers * rest.worker) / 1e6,
        postgres=total("postgres", max(apis, workers) * rest.postgres) / 1e6,
        valkey=total("valkey", max(apis, workers) * rest.valkey) / 1e6,
        wal=total("wal", rest.wal),
        disk=total("disk", 0.0),
    )


def needs(parts: Parts, load: Load, room: Room) -> dict[str, Any]:
    """Processes, memory, disk and machines, ready to be shown; two of each process at least."""
    each = counts(parts, load)
    one = used(parts, each, streams=load.streams)
    full = 1 - room.spare
    apis = max(2, ceil(one.api / full), ceil(load.streams / (room.streams * full)))
    workers = max(2, ceil(one.worker / full))
    whole = used(parts, each, streams=load.streams, apis=apis, workers=workers)
    api_mib = parts.api_mib + load.streams / apis * parts.stream_kib / 1024
    processes_gib = (apis * api_mib + workers * parts.worker_mib) / 1024
    cores = (whole.api + whole.worker) / full
    kept = whole.disk * load.busy * 3_600 * load.days
    devices = parts.device_bytes * load.devices
    return {
        "each_second": each,
        "api": {"processes": apis, "cores": whole.api, "mib_each": api_mib},
        "worker": {"processes": workers, "cores": whole.worker, "mib_each": parts.worker_mib},
        "postgresql": {
            "cores": whole.postgres / full,
            "connections": parts.pool * (apis + workers),
            "wal_mib_a_second": whole.wal / 2**20,
            "wal_gib_a_day": whole.wal * load.busy * 3_600 / 2**30,
            "disk_gib": (kept + devices) / 2**30,
            # devices, and the rows that an hour of ringing comes back to
            "cache_gib": (devices + whole.disk * 3_600) / 2**30,
        },
        "valkey": {"cores": whole.valkey, "mib": parts.valkey_mib},
        "machines": {
            "application": max(2, ceil(cores / room.cores), ceil(processes_gib / room.gib)),
            "of_cores": room.cores,
            "of_gib": room.gib,
        },
        "first": first(whole, room),
    }


HARD: Final = {
    "PostgreSQL's CPU": ("postgres", 32.0),
    "PostgreSQL's write-ahead log": ("wal", 300 * 2**20),
    "Valkey's one core": ("valkey", 1.0),
}
"""What is not divided among machines: cores of a large server, bytes a second of a fast disk, and
the one thread that serves Valkey's commands. All else grows by adding processes."""


def first(whole: Used, room: Room) -> list[dict[str, Any]]:
    """What breaks first as the load grows: how full it is, and how many times the load fits."""
    full = 1 - room.spare
    found = []
    for name, (place, most) in HARD.items():
        share = getattr(whole, place) / (most * full)
        found.append({"what": name, "full": share, "times": 1 / share if share else None})
    return sorted(found, key=lambda one: -one["full"])


def parts_of(data: Mapping[str, Any]) -> Parts:
    """From a file's JSON. KeyError, TypeError or ValueError when it is not of that shape."""
    names = [one.name for one in fields(Parts) if one.name not in {"costs", "rest"}]
    values = {name: data[name] for name in names}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError(f"{name} is no number of 0 or more")
    costs = {kind: Cost(**data["costs"][kind]) for kind in KINDS}
    return Parts(costs=costs, rest=Cost(**data["rest"]), **values)
