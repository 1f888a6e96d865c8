"""The examples: their output and their files."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from cdk8s_spicedb.files.read import read_props
from cdk8s_spicedb.manifests import release_manifests
from tests.programs import ROOT
from tests.snapshot_files import EXAMPLES, snapshot, stored


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_matches_its_snapshot(example: Path) -> None:
    assert snapshot(example) == stored(example), "run: make snapshots; then review the difference"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_has_a_readme_and_a_cdk8s_config(example: Path) -> None:
    assert (example / "README.md").read_text().startswith("# ")
    assert (ROOT / "cdk8s.yaml").read_text().startswith((example / "cdk8s.yaml").read_text())


def test_the_production_file_has_the_settings_of_the_production_app() -> None:
    example = ROOT / "examples" / "production"
    props = read_props((example / "spicedb.yaml").read_text(), "spicedb.yaml")
    assert release_manifests(props) == release_manifests(runpy.run_path(str(example / "main.py"))["PROPS"])
