"""The tables and the picture of docs/guides/capacity.md, from the parts that are committed.

    python -m tests.benchmarks.capacity_paper [FILE]

With a FILE that `make capacity` has written it becomes the one that is committed first.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from html import escape
from math import log10
from pathlib import Path
from typing import Any

from app.cli.capacity import MEASURED
from app.core.capacity import HARD, KINDS, PLACES, Load, Parts, Room, counts, needs, parts_of, used

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guides" / "capacity.md"
PICTURE = ROOT / "docs" / "screenshots" / "capacity.svg"
BEGIN, END = "<!-- make capacity -->", "<!-- end -->"
LOADS = (
    Load(10, devices=100_000, streams=500),
    Load(100, devices=1_000_000, streams=5_000),
    Load(1_000, devices=10_000_000, streams=50_000, days=30),
    Load(10_000, devices=100_000_000, streams=500_000, days=7),
)
COLOURS = {"api": "#2563eb", "worker": "#d97706", "postgres": "#059669", "valkey": "#7c3aed"}
NAMES = {"api": "API", "worker": "workers", "postgres": "PostgreSQL", "valkey": "Valkey"}
WIDTH, HEIGHT, LEFT, TOP = 620, 300, 56, 40
LEAST, MOST = 0.01, 1_000.0
"""Cores at the foot and the head of the picture."""


def tables(data: Mapping[str, Any]) -> str:
    """What the page says between its marks."""
    parts = parts_of(data)
    note = f" ({data['note']})" if data.get("note") else ""
    lines = [
        f"Measured {data['at']} at {parts.rate:g} rings a second on {data['machine']}{note}.", "",
        "| one | API, us | worker, us | PostgreSQL, us | Valkey, us | log, bytes | tables, bytes |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for kind, cost in (("second at rest", parts.rest), *((k, parts.costs[k]) for k in KINDS)):
        values = (*(getattr(cost, place) for place in PLACES), cost.wal, cost.disk)
        lines.append(f"| {kind} | {' | '.join(f'{value:,.0f}' for value in values)} |")
    lines += [
        "",
        (
            f"A stream takes {parts.stream_kib:.0f} KiB of an API process, a device "
            f"{parts.device_bytes:,.0f} bytes of tables and indexes; an answered ring tells a stream "
            f"{parts.told:.1f} events and a webhook {parts.hooks:.1f}."
        ), "",
        f"All kinds together at {data['whole_rate']:g} rings a second, {len(KINDS)} kinds in one run:", "",
        "| | predicted | found | found over predicted |", "|---|---|---|---|",
    ]  # fmt: skip
    for key, one in data["whole"].items():
        unit = {"wal": "log, bytes/s", "disk": "tables, bytes/s", "memory": "an API process, MiB"}
        name = unit.get(key) or f"{NAMES[key]}, cores"
        digits = 3 if key in PLACES else 0
        cells = f"{one['predicted']:,.{digits}f} | {one['found']:,.{digits}f} | {one['ratio']:.2f}"
        lines.append(f"| {name} | {cells} |")
    lines += ["", "What the model makes of it:", "", *_loads(parts)]
    return "\n".join(lines)


def _loads(parts: Parts) -> list[str]:
    found = [needs(parts, load, Room()) for load in LOADS]
    rows: list[tuple[str, list[str]]] = [
        ("rings a second", [f"{load.rings:,.0f}" for load in LOADS]),
        ("devices", [f"{load.devices:,}" for load in LOADS]),
        ("streams", [f"{load.streams:,}" for load in LOADS]),
        ("days that calls are kept", [f"{load.days}" for load in LOADS]),
        ("API processes", [f"{one['api']['processes']:,}" for one in found]),
        ("worker processes", [f"{one['worker']['processes']:,}" for one in found]),
        ("machines of 8 cores for both", [f"{one['machines']['application']}" for one in found]),
        ("PostgreSQL, cores", [f"{one['postgresql']['cores']:,.1f}" for one in found]),
        ("its log, MiB/s", [f"{one['postgresql']['wal_mib_a_second']:,.1f}" for one in found]),
        ("its disk, GiB", [f"{one['postgresql']['disk_gib']:,.0f}" for one in found]),
        ("its connections", [f"{one['postgresql']['connections']:,}" for one in found]),
        ("fullest", [f"{one['first'][0]['what']}, {one['first'][0]['full']:.0%}" for one in found]),
    ]
    head, *rest = (f"| {name} | {' | '.join(cells)} |" for name, cells in rows)
    return [head, "|---" * (len(LOADS) + 1) + "|", *rest]


def picture(parts: Parts) -> str:
    """Cores that are used by rings a second, both logarithmic; where PostgreSQL is full."""
    wide, high = WIDTH - LEFT - 110, HEIGHT - TOP - 40

    def place(rings: float, cores: float) -> str:
        up = log10(max(cores, LEAST) / LEAST) / log10(MOST / LEAST)
        return f"{LEFT + wide * (log10(rings) - 1) / 3:.1f},{TOP + high * (1 - up):.1f}"

    title = "Cores in use by rings a second (1,000 devices and 50 streams for each ten)"
    made = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="11"><title>{escape(title)}</title>'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="18" font-weight="bold">{escape(title)}</text>',
    ]
    for cores in (0.01, 0.1, 1, 10, 100, 1_000):
        x, y = place(10, cores).split(",")
        made.append(f'<path d="M{x},{y}h{wide}" stroke="#e2e8f0"/>')
        made.append(f'<text x="{LEFT - 6}" y="{float(y) + 4}" text-anchor="end">{cores:g}</text>')
    for rings in (10, 100, 1_000, 10_000):
        x, y = place(rings, LEAST).split(",")
        made.append(f'<text x="{x}" y="{float(y) + 16}" text-anchor="middle">{rings:,}</text>')
    full = HARD["PostgreSQL's CPU"][1] / 2
    x, y = place(10, full).split(",")
    made.append(f'<path d="M{x},{y}h{wide}" stroke="#dc2626" stroke-dasharray="4 3"/>')
    made.append(
        f'<text x="{x}" y="{float(y) - 5}" fill="#dc2626"> one large server, half full: {full:g}</text>'
    )
    by_load = [
        (load.rings, used(parts, counts(parts, load), streams=load.streams)) for load in LOADS
    ]
    ends = sorted(PLACES, key=lambda name: -getattr(by_load[-1][1], name))
    last = 0.0
    for name in ends:
        points = [place(rings, getattr(one, name)) for rings, one in by_load]
        line = f'<polyline points="{" ".join(points)}" fill="none" stroke="{COLOURS[name]}" '
        made.append(f'{line}stroke-width="2"/>')
        x, y = points[-1].split(",")
        last = max(float(y), last + 13)
        made.append(
            f'<text x="{float(x) + 6}" y="{last + 4}" fill="{COLOURS[name]}">{NAMES[name]}</text>'
        )
    return "\n".join([*made, "</svg>\n"])


def page(before: str, data: Mapping[str, Any]) -> str:
    """The page with these figures in place of those before."""
    head, _, rest = before.partition(BEGIN)
    tail = rest.partition(END)[2]
    return f"{head}{BEGIN}\n\n{tables(data)}\n\n{END}{tail}"


def main() -> None:
    if len(sys.argv) > 1:
        shutil.copyfile(sys.argv[1], MEASURED)
    data = json.loads(MEASURED.read_bytes())
    PAGE.write_text(page(PAGE.read_text(), data))
    PICTURE.write_text(picture(parts_of(data)))


if __name__ == "__main__":
    main()
