"""Latencies of checks: their percentiles, and a picture of them over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape

from attrs import frozen

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 900, 360, 70, 40, 40
LEAST, MOST = 1.0, 1000.0
"""Milliseconds at the bottom and at the top."""
GRID = (1, 3, 10, 30, 100, 300, 1000)
EVERY_SECONDS = 0.5
LINES = {"median": (50, "#3367d6"), "slowest": (100, "#d64533")}
STYLE = "text{font:13px sans-serif;fill:#444}.grid{stroke:#ddd}.phase{fill:#f3f0e6}polyline{fill:none;stroke-width:1.5}"


@frozen
class Check:
    """One check of a permission."""

    due: float
    milliseconds: float
    error: str

    @classmethod
    def parse(cls, line: str) -> Check:
        """A line of bench/load.py."""
        due, milliseconds, error = line.rstrip("\n").split(" ", 2)
        return cls(float(due), float(milliseconds), error)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that is at least as large as ``percent`` of them."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def draw(checks: Sequence[Check], phases: Mapping[str, tuple[float, float]]) -> str:
    """A picture (SVG) of the median and the slowest check of each half second, with the phases shaded."""
    start, end = min(first for first, _ in phases.values()), max(last for _, last in phases.values())

    def x(moment: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * (moment - start) / (end - start)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>Latency of checks over time</title><style>{STYLE}</style>",
        *_phases(phases, x),
        *_grid(start, end, x),
        *_lines([check for check in checks if start <= check.due < end], start, x),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _y(milliseconds: float) -> float:
    share = math.log(min(max(milliseconds, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _phases(phases: Mapping[str, tuple[float, float]], x: Callable[[float], float]) -> Iterator[str]:
    for name, (first, last) in phases.items():
        left, width = x(first), x(last) - x(first)
        yield f'<rect class="phase" x="{left:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
        yield f'<text x="{left + 5:.1f}" y="{TOP - 8}">{escape(name)}</text>'


def _grid(start: float, end: float, x: Callable[[float], float]) -> Iterator[str]:
    for value in GRID:
        y = _y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value} ms</text>'
    for seconds in range(0, int(end - start) + 1, 10):
        yield f'<text x="{x(start + seconds):.1f}" y="{HEIGHT - 20}" text-anchor="middle">{seconds} s</text>'


def _lines(checks: Sequence[Check], start: float, x: Callable[[float], float]) -> Iterator[str]:
    parts: dict[int, list[float]] = {}
    for check in checks:
        parts.setdefault(int((check.due - start) / EVERY_SECONDS), []).append(check.milliseconds)
    for number, (name, (percent, color)) in enumerate(LINES.items()):
        points = [
            f"{x(start + (part + 0.5) * EVERY_SECONDS):.1f},{_y(percentile(values, percent)):.1f}"
            for part, values in sorted(parts.items())
        ]
        yield f'<polyline stroke="{color}" points="{" ".join(points)}"/>'
        place = f'x="{WIDTH - 10}" y="{TOP + 18 + 18 * number}" text-anchor="end"'
        yield f'<text {place} style="fill:{color}">{name}</text>'
