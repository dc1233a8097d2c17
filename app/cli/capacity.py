"""`ringline capacity`: what a load needs, from parts that were measured."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from app.cli.answers import answer, columns, command
from app.cli.base import app, fail
from app.cli.options import decimal, whole
from app.core.capacity import Load, Parts, Room, needs, parts_of

MOST = 10**9
"""Of anything that is given: beyond it a sum ends in an infinity that is no machine."""
MEASURED = Path(__file__).with_name("measured.json")


@command(app, "capacity")
def capacity(
    rings: Annotated[float, decimal("Rings a second, at the busiest.", low=0.01, high=MOST)],
    devices: Annotated[int, whole("Devices that are registered.", low=1, high=MOST)] = 100_000,
    streams: Annotated[int, whole("Live streams open at once.", low=0, high=MOST)] = 0,
    webhooks: Annotated[int, whole("Webhooks for all events.", low=0, high=MOST)] = 1,
    reached: Annotated[float, decimal("Devices that a ring reaches.", low=0, high=MOST)] = 1.5,
    answered: Annotated[float, decimal("Share that is answered.", low=0, high=1)] = 0.7,
    heartbeats: Annotated[float, decimal("Heartbeats a second.", low=0, high=MOST)] = 0.0,
    days: Annotated[int, whole("Days for which calls are kept.", low=1, high=MOST)] = 90,
    busy: Annotated[float, decimal("Busiest hours that a day is.", low=0, high=24)] = 6.0,
    cores: Annotated[int, whole("Cores of an application machine.", low=1, high=MOST)] = 8,
    gib: Annotated[int, whole("Its memory, in GiB.", low=1, high=MOST)] = 16,
    spare: Annotated[float, decimal("Share that stays free.", low=0, high=0.9)] = 0.5,
    measured: Annotated[
        Path | None, typer.Option("--measured", help="Parts of your own: see `make capacity`.")
    ] = None,
) -> None:
    """Say which processes, machines and disks a load needs, and what breaks first.

    A sum of parts that were measured: CPU, log and disk of a ring, of a further device, an answer,
    a missed end, a webhook's delivery, an event to a stream, a heartbeat. No server is asked.

    Example: ringline capacity --rings 100 --devices 1000000 --streams 5000

    The parts in the package say when and on which machine they were measured. Yours differs:
    `make capacity` in a clone writes build/capacity.json, which --measured takes.
    """
    data = _read(measured or MEASURED)
    try:
        parts = parts_of(data)
    except (KeyError, TypeError, ValueError) as error:
        fail(f"{measured or MEASURED} is no file of measured parts: {error!r}", code="no_parts")
    load = Load(rings, devices, streams, webhooks, reached, answered, heartbeats, days, busy)
    room = Room(cores, gib, spare)
    found = needs(parts, load, room)
    about = {"at": data.get("at"), "machine": data.get("machine"), "note": data.get("note")}
    told = {"load": asdict(load), "room": asdict(room), **_rounded(found), "measured": about}
    answer(told, lambda: _show(load, room, found, parts, about))


def _read(path: Path) -> dict[str, Any]:
    try:
        data = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        fail(f"{path} is not JSON: {error}", code="no_parts")
    if not isinstance(data, dict):
        fail(f"{path} is no file of measured parts", code="no_parts")
    return data


def _show(
    load: Load, room: Room, found: dict[str, Any], parts: Parts, about: dict[str, Any]
) -> None:
    database, valkey, machines = found["postgresql"], found["valkey"], found["machines"]
    wal = f"{database['wal_mib_a_second']:.2f} MiB/s"
    rows: list[tuple[str, object, str]] = [
        (name, f"{one['processes']} processes",
         f"{one['cores']:.2f} cores, {one['mib_each']:.0f} MiB each")
        for name, one in (("API", found["api"]), ("workers", found["worker"]))
    ]  # fmt: skip
    rows += [
        ("machines for both", machines["application"], f"of {room.cores} cores, {room.gib} GiB"),
        ("PostgreSQL", f"{database['cores']:.1f} cores", f"{database['cache_gib']:.1f} GiB cache"),
        ("its connections", database["connections"], "at most"),
        ("its log (WAL)", wal, f"{database['wal_gib_a_day']:.1f} GiB a day"),
        ("its disk", f"{database['disk_gib']:.1f} GiB", f"with calls kept for {load.days} days"),
        ("Valkey", f"{valkey['cores']:.2f} cores", f"of its one; {valkey['mib']:.0f} MiB"),
    ]  # fmt: skip
    first = found["first"][0]
    typer.echo(columns(("what", "needed", ""), rows))
    typer.echo(
        f"\nBreaks first: {first['what']}, {first['full']:.0%} full with this load."
        f"\n{room.spare:.0%} of everything stays free. Measured {about['at']} at {parts.rate:g} "
        f"rings a second on {about['machine']}{'; ' + about['note'] if about['note'] else ''}."
    )


def _rounded(value: Any) -> Any:
    """Numbers as far as they mean something."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, 3) if isinstance(value, float) else value
