"""The examples: their output and their files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import ROOT, contents, written

_EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/main.py"))


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda example: example.name)
def test_example_matches_its_snapshot(example: Path, tmp_path: Path) -> None:
    snapshot = contents(ROOT / "tests" / "snapshots" / example.name)
    assert written(example / "main.py", tmp_path / "dist") == snapshot, (
        "review the difference, then run: make snapshots"
    )


@pytest.mark.parametrize("example", _EXAMPLES, ids=lambda example: example.name)
def test_example_has_a_readme_and_a_cdk8s_config(example: Path) -> None:
    assert (example / "README.md").read_text().startswith("# ")
    assert (ROOT / "cdk8s.yaml").read_text().startswith((example / "cdk8s.yaml").read_text())
