"""Series as a picture: small panels, one a measure, the faults as lines. SVG, without a library."""

from collections.abc import Mapping, Sequence
from html import escape

from tests.soak.flat import Series

COLOURS = ("#2563eb", "#d97706", "#059669", "#dc2626", "#7c3aed", "#475569")
WIDTH, HEIGHT, LEFT, TOP = 440, 170, 52, 44
ACROSS = 2
POINTS = 240


def picture(panels: Mapping[str, Mapping[str, Series]], faults: Sequence[float], title: str) -> str:
    """An SVG document; `panels`: by measure, by whose it is, (seconds, value) by time."""
    down = -(-len(panels) // ACROSS)
    width, height = ACROSS * WIDTH, down * HEIGHT + TOP
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
            f'font-family="sans-serif" font-size="11"><title>{escape(title)}</title>'
        ),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    first, _, rest = title.partition("; ")
    parts += [f'<text x="12" y="16">{escape(first)}</text>',
              f'<text x="12" y="31" fill="#475569">{escape(rest)}</text>']  # fmt: skip
    for n, (name, lines) in enumerate(panels.items()):
        at = f"translate({n % ACROSS * WIDTH},{n // ACROSS * HEIGHT + TOP})"
        parts.append(f'<g transform="{at}">{_panel(name, lines, faults)}</g>')
    return "\n".join([*parts, "</svg>\n"])


def _panel(name: str, lines: Mapping[str, Series], faults: Sequence[float]) -> str:
    """One measure from 0 up, over minutes."""
    end = max((seen[-1][0] for seen in lines.values()), default=1.0) or 1.0
    most = max((value for seen in lines.values() for _, value in seen), default=1.0) * 1.1 or 1.0
    wide, high = WIDTH - LEFT - 14, HEIGHT - 56

    def place(at: float, value: float) -> str:
        return f"{LEFT + wide * at / end:.1f},{24 + high * (1 - value / most):.1f}"

    parts = [f'<text x="{LEFT}" y="14" font-weight="bold">{escape(name)}</text>']
    for fault in faults:
        x = place(fault, 0).partition(",")[0]
        parts.append(f'<path d="M{x},24v{high}" stroke="#e2e8f0"/>')
    for share in (0.0, 0.5, 1.0):
        x, y = place(0, share * most).split(",")
        parts.append(f'<path d="M{x},{y}h{wide}" stroke="#cbd5e1" stroke-width="0.5"/>')
        parts.append(
            f'<text x="{LEFT - 4}" y="{float(y) + 4}" text-anchor="end">{share * most:,.4g}</text>'
        )
    parts.append(
        f'<text x="{LEFT + wide}" y="{HEIGHT - 20}" text-anchor="end">{end / 60:.3g} min</text>'
    )
    x = LEFT
    for n, (whose, seen) in enumerate(lines.items()):
        colour = COLOURS[n % len(COLOURS)]
        points = " ".join(place(*one) for one in seen[:: -(-len(seen) // POINTS) or 1])
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/>')
        parts.append(f'<text x="{x}" y="{HEIGHT - 20}" fill="{colour}">{escape(whose)}</text>')
        x += 7 * len(whose) + 14
    return "".join(parts)
