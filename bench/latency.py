"""Checks and their latencies, and pictures of them over time."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from html import escape

from attrs import frozen

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 900, 360, 70, 40, 40
COLORS = ("#3367d6", "#d64533", "#2e8b57", "#8a5cb8")
STYLE = "text{font:13px sans-serif;fill:#444}.grid{stroke:#ddd}.phase{fill:#f3f0e6}polyline{fill:none;stroke-width:1.5}"
Phases = Mapping[str, tuple[float, float]]
"""When parts of a measurement began and ended, by name."""


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


def failures(checks: Collection[Check]) -> str:
    """How many checks failed, and of how many, as a cell of a table."""
    return f"{sum(1 for check in checks if check.error):,} of {len(checks):,}"


def failed(checks: Sequence[Check]) -> float:
    """The share of checks that failed, from 0 to 1."""
    return sum(1 for check in checks if check.error) / len(checks)


@frozen
class Axis:
    """What a picture shows of the checks of each half second."""

    title: str
    grid: Mapping[float, str]
    """Values at which there is a line, with their texts."""
    share: Callable[[float], float]
    """How high a value is in the picture, from 0 to 1."""
    every_seconds: float = 0.5


LATENCY = Axis(
    "Latency of checks over time",
    {value: f"{value} ms" for value in (1, 3, 10, 30, 100, 300, 1000)},
    lambda milliseconds: min(max(math.log10(milliseconds) / 3, 0), 1),
)
FAILURES = Axis("Failed checks over time", {n / 4: f"{25 * n} %" for n in range(5)}, float, every_seconds=1)
Line = tuple[Sequence[Check], Callable[[Sequence[Check]], float]]
"""Checks, and the value of those that were due in the same moment."""


def draw(checks: Sequence[Check], phases: Phases) -> str:
    """A picture (SVG) of the median and the slowest check of each half second, with the phases shaded."""

    def slower_than(percent: float) -> Callable[[Sequence[Check]], float]:
        return lambda part: percentile([check.milliseconds for check in part], percent)

    return picture(LATENCY, {"median": (checks, slower_than(50)), "slowest": (checks, slower_than(100))}, phases)


def picture(axis: Axis, lines: Mapping[str, Line], phases: Phases, zero: float | None = None) -> str:
    """A picture (SVG) of values over time, with the phases shaded. ``zero`` is the moment that has the label 0 s. It
    defaults to the start."""
    start, end = min(first for first, _ in phases.values()), max(last for _, last in phases.values())
    shift = 0 if zero is None else start - zero

    def x(moment: float) -> float:
        return LEFT + (WIDTH - LEFT - 10) * (moment - start) / (end - start)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{axis.title}</title><style>{STYLE}</style>",
        *_phases(phases, x),
        *_grid(axis, start, end, shift, x),
        *(
            part
            for number, (name, line) in enumerate(lines.items())
            for part in _line(axis, number, name, line, start, end, x)
        ),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _phases(phases: Phases, x: Callable[[float], float]) -> Iterator[str]:
    for name, (first, last) in phases.items():
        left, width = x(first), x(last) - x(first)
        yield f'<rect class="phase" x="{left:.1f}" y="{TOP}" width="{width:.1f}" height="{HEIGHT - TOP - BOTTOM}"/>'
        yield f'<text x="{left + 5:.1f}" y="{TOP - 8}">{escape(name)}</text>'


def _grid(axis: Axis, start: float, end: float, shift: float, x: Callable[[float], float]) -> Iterator[str]:
    for value, text in axis.grid.items():
        y = _y(axis.share(value))
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 10}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    for seconds in range(0, int(end - start) + 1, 10):
        place = f'x="{x(start + seconds):.1f}" y="{HEIGHT - 20}" text-anchor="middle"'
        yield f"<text {place}>{seconds + shift:.0f} s</text>"


def _line(
    axis: Axis, number: int, name: str, line: Line, start: float, end: float, x: Callable[[float], float]
) -> Iterator[str]:
    (checks, value), parts = line, dict[int, list[Check]]()
    for check in checks:
        if start <= check.due < end:
            parts.setdefault(int((check.due - start) / axis.every_seconds), []).append(check)
    points = [
        f"{x(start + (part + 0.5) * axis.every_seconds):.1f},{_y(axis.share(value(found))):.1f}"
        for part, found in sorted(parts.items())
    ]
    yield f'<polyline stroke="{COLORS[number]}" points="{" ".join(points)}"/>'
    place = f'x="{WIDTH - 10}" y="{TOP + 18 + 18 * number}" text-anchor="end"'
    yield f'<text {place} style="fill:{COLORS[number]}">{escape(name)}</text>'
