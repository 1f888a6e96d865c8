"""The pages of the documentation, and their blocks of code."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

from tests.programs import ROOT
from tools.pages import NOTE

PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    ROOT / "imports" / "README.md",
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("examples/*/README.md")),
]


def is_generated(page: Path) -> bool:
    """Whether `make reference` writes the whole page."""
    return page.read_text().startswith(NOTE)


def blocks(language: str, page: Path) -> list[str]:
    """The blocks of code in a language, also those in lists."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page.read_text(), re.MULTILINE | re.DOTALL)
    return [dedent(text) for _, text in found]


BY_HAND = [page for page in PAGES if not is_generated(page)]
"""The pages that people write."""


def section(page: Path, heading: str) -> str:
    """The text below a heading of a page, up to the next one of its level or above."""
    level = heading.index(" ")
    pattern = rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{level}}} |\Z)"
    (found,) = re.findall(pattern, page.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)
