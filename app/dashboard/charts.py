"""Sizes of what the overview draws. The templates draw it as SVG; all numbers are shown as well."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.dashboard.store_counts import BOUNDS

WIDTH, HEIGHT, LEFT, BOTTOM = 640.0, 190.0, 34.0, 22.0


def _ceiling(most: float) -> float:
    """The next round number: the top of an axis."""
    if most <= 4:
        return 4.0
    size = 10.0 ** (len(str(int(most))) - 1)
    return next(step * size for step in (1, 2, 4, 5, 8, 10) if step * size >= most)


def _axis(top: float) -> list[dict[str, Any]]:
    return [
        {"y": round(_y(top * share, top), 1), "label": _count(top * share, top)}
        for share in (0, 0.5, 1)
    ]


def _count(value: float, top: float) -> str:
    """A count beside an axis: short, as there is little room."""
    return f"{value / 1000:g}k" if top >= 10_000 and value else f"{value:,.0f}"


def _y(value: float, top: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - BOTTOM - 10) * value / top


def stacked(rows: Sequence[tuple[str, float, float]]) -> dict[str, Any]:
    """Bars over time: (label, all, those marked). `bars` have x, width, and two heights."""
    top = _ceiling(max((whole for _, whole, _ in rows), default=0))
    room = (WIDTH - LEFT) / max(1, len(rows))
    bars = []
    for n, (label, whole, marked) in enumerate(rows):
        bars.append(
            {
                "x": round(LEFT + n * room + room * 0.12, 2),
                "width": round(room * 0.76, 2),
                "y": round(_y(whole, top), 1),
                "height": round(_y(0, top) - _y(whole, top), 1),
                "y2": round(_y(marked, top), 1),
                "height2": round(_y(0, top) - _y(marked, top), 1),
                "label": label,
                "shown": n % max(1, len(rows) // 6) == 0,
            }
        )
    return {"width": WIDTH, "height": HEIGHT, "axis": _axis(top), "bars": bars, "left": LEFT}


def percentile(counts: Mapping[int, float], share: float) -> float | None:
    """The value below which `share` of what was counted lies, in ms, by linear interpolation."""
    total = sum(counts.values())
    if not total:
        return None
    wanted, before, low = total * share, 0.0, 0
    for bound in BOUNDS:
        here = counts.get(bound, 0)
        if here and before + here >= wanted:
            return low + (bound - low) * (wanted - before) / here
        before, low = before + here, bound
    return float(BOUNDS[-1])


def histogram(counts: Mapping[int, float]) -> dict[str, Any]:
    """Bars by bound of time, with p50 and p99 and where they lie."""
    used = [n for n, bound in enumerate(BOUNDS) if counts.get(bound)]
    low, high = (min(used), max(used)) if used else (0, 6)
    shown = BOUNDS[max(0, low - 1) : high + 2]
    top = _ceiling(max(counts.values(), default=0))
    room = (WIDTH - LEFT) / len(shown)
    bars = []
    for n, bound in enumerate(shown):
        count = counts.get(bound, 0)
        bars.append(
            {
                "x": round(LEFT + n * room + 2, 2),
                "width": round(room - 4, 2),
                "y": round(_y(count, top), 1),
                "height": round(_y(0, top) - _y(count, top), 1),
                "label": _milliseconds(bound),
                "count": count,
                "shown": len(shown) < 10 or n % 2 == 0,
            }
        )
    marks = []
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        value = percentile(counts, share)
        if value is not None:
            marks.append({"name": name, "value": value, "x": round(_place(value, shown, room), 1)})
    sizes = {"width": WIDTH, "height": HEIGHT, "left": LEFT}
    return sizes | {"axis": _axis(top), "bars": bars, "marks": marks}


def _place(value: float, shown: Sequence[int], room: float) -> float:
    first = BOUNDS.index(shown[0])
    low = float(BOUNDS[first - 1]) if first else 0.0
    for n, bound in enumerate(shown):
        if value <= bound:
            return LEFT + room * (n + (value - low) / (bound - low))
        low = float(bound)
    return WIDTH


def _milliseconds(bound: int) -> str:
    return f"{bound} ms" if bound < 1000 else f"{bound // 1000} s"


def shares(parts: Sequence[tuple[str, str, float]]) -> list[dict[str, Any]]:
    """One bar in parts: (name, kind, count), each with its place in percent."""
    total = sum(count for _, _, count in parts)
    place, found = 0.0, []
    for name, kind, count in parts:
        share = 100 * count / total if total else 0.0
        part = {"name": name, "kind": kind, "count": count}
        found.append(part | {"x": round(place, 2), "width": round(share, 2)})
        place += share
    return found
