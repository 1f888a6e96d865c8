"""The figures of the last measurements: `figures.json`, from which ``make reference`` writes the tables of pages.

A benchmark calls `keep` with its table. The cells are text, as on the pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

DATA = Path(__file__).with_name("figures.json")
Table = Sequence[Sequence[str]]
"""Rows of cells. The first row has the headings."""


def read() -> dict[str, Table]:
    """All tables, by name."""
    tables: dict[str, Table] = json.loads(DATA.read_text("utf-8"))
    return tables


def keep(name: str, headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Replaces the figures of a table. Raises `ValueError` if a row has other cells than the headings."""
    table = [list(headings), *map(list, rows)]
    if any(len(row) != len(headings) for row in table):
        raise ValueError(f"{name}: each row needs {len(headings)} cells")
    DATA.write_text(text({**read(), name: table}), "utf-8")


def text(tables: Mapping[str, Table]) -> str:
    """The file with these tables. Each row is a line, so that a diff shows what a measurement changed."""
    parts = (
        f"  {json.dumps(name)}: [\n"
        + ",\n".join(f"    {json.dumps(list(row), ensure_ascii=False)}" for row in table)
        + "\n  ]"
        for name, table in tables.items()
    )
    return "{\n" + ",\n".join(parts) + "\n}\n"


def print_row(cells: Sequence[str]) -> None:
    """Prints a row of a table as soon as it is measured."""
    print(f"| {' | '.join(cells)} |", flush=True)
