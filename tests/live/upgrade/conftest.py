"""Prints the figures of the matrix of faults."""

from __future__ import annotations

from collections import Counter
from typing import Any


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each scenario: its calls, its faults, and what became of them."""
    calls, states = dict[str, int](), dict[str, Counter[str]]()
    for report in terminalreporter.stats.get("passed", ()):
        for name, value in getattr(report, "user_properties", ()):
            if name == "matrix":
                scenario, calls[value[0]], found = value
                states.setdefault(scenario, Counter()).update(found)
    for scenario, found in sorted(states.items()):
        text = ", ".join(f"{count:,} {state}" for state, count in sorted(found.items()))
        terminalreporter.write_line(f"{scenario}: {calls[scenario]} calls, {found.total():,} faults: {text}")
    if states:
        total = sum(each.total() for each in states.values())
        terminalreporter.write_line(f"{total:,} faults at {sum(calls.values())} calls")
