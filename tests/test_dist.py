"""The manifests in dist/, which are committed so that a change of theirs is seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import ROOT, contents, written


@pytest.mark.parametrize("seed", ["1", "2"])
def test_dist_is_what_the_app_writes(seed: str, tmp_path: Path) -> None:
    found = written(ROOT / "main.py", tmp_path / "dist", PYTHONHASHSEED=seed)
    assert found
    assert found == contents(ROOT / "dist"), "dist/ is out of date: run make synth"


def test_the_app_has_fewer_than_twenty_lines() -> None:
    assert len((ROOT / "main.py").read_text("utf-8").splitlines()) < 20
