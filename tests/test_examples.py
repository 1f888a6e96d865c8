"""Every example, as it is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import ROOT, contents, written

_EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/main.py"))


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda example: example.name)
def test_writes_what_its_snapshot_shows(example: Path, tmp_path: Path) -> None:
    snapshot = contents(ROOT / "tests" / "snapshots" / example.name)
    assert written(example / "main.py", tmp_path / "dist") == snapshot, "look at the difference, then make snapshots"


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda example: example.name)
def test_tells_its_story(example: Path) -> None:
    assert (example / "README.md").read_text().startswith("# ")
    assert (ROOT / "cdk8s.yaml").read_text().startswith((example / "cdk8s.yaml").read_text())
