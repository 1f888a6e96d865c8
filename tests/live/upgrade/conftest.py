"""Prints the figures of the matrix of faults, as the table in docs/operate/faults.md has them."""

from __future__ import annotations

from collections import Counter
from typing import Any

_STATES = ("done", "refused", "rolled back", "stopped", "interrupted", "killed")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One row for each scenario: its calls, its faults, and what became of them."""
    calls, states = dict[str, int](), dict[str, Counter[str]]()
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in getattr(report, "user_properties", ()):
            if name == "matrix":
                scenario, calls[value[0]], found = value
                for state, count in found.items():
                    states.setdefault(scenario, Counter())[state.partition(",")[0]] += count
    for scenario, found in states.items():
        numbers = [calls[scenario], sum(found.values()), *(found[state] for state in _STATES)]
        terminalreporter.write_line(f"| {scenario} | {' | '.join(f'{each:,}' for each in numbers)} |")
