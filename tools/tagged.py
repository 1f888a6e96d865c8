"""Checks that a tag and a repository are those of the package: ``python tools/tagged.py v0.1.0 https://…``

It needs nothing but Python, so that the release workflow can run it first.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def problems(tag: str, repository: str) -> Iterator[str]:
    """What keeps this version from being published from this repository."""
    metadata, changelog = (ROOT / "pyproject.toml").read_text(), (ROOT / "CHANGELOG.md").read_text()
    version, source = (_value(metadata, name) for name in ("version", "Source"))
    if tag != f"v{version}":
        yield f"the tag is {tag}, but pyproject.toml has the version {version}: tag v{version}"
    if repository != source:
        yield f"pyproject.toml names {source} as its source: set the project.urls to {repository}"
    if f"## [{version}]" not in changelog:
        yield f"CHANGELOG.md has no heading for {version}: rename Unreleased"


def _value(text: str, name: str) -> str:
    found = re.search(rf'^{name} = "(.*)"$', text, re.MULTILINE)
    return found[1] if found else "nothing"


if __name__ == "__main__":
    found = list(problems(*sys.argv[1:]))
    print(*found, sep="\n")
    sys.exit(bool(found))
