"""Writes the tables of measured figures into the pages that have them: ``make reference``

The figures are in ``bench/figures.json``. In the pages, each table is between two comments, and the first one names it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bench.figures import Table, read
from tools.pages import table

_DOCS = Path(__file__).parent.parent / "docs"
TABLE = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->\n)", re.DOTALL)
PAGES = [page for page in sorted(_DOCS.glob("*/*.md")) if TABLE.search(page.read_text("utf-8"))]


def filled(page: str, tables: Mapping[str, Table]) -> str:
    """A page with these figures in its tables."""
    return TABLE.sub(lambda found: f"{found[1]}\n{table(*tables[found[2]])}\n{found[3]}", page)


if __name__ == "__main__":
    for page in PAGES:
        page.write_text(filled(page.read_text("utf-8"), read()), "utf-8")
