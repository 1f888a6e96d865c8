"""The manifests in dist/. They are committed, so that reviews show their changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import ROOT, contents, written


@pytest.mark.parametrize("seed", ["1", "2"])
def test_dist_is_up_to_date(seed: str, tmp_path: Path) -> None:
    files = written(ROOT / "main.py", tmp_path / "dist", PYTHONHASHSEED=seed)
    assert files
    assert files == contents(ROOT / "dist"), "dist/ is out of date: run make synth"


def test_main_has_fewer_than_20_lines() -> None:
    assert len((ROOT / "main.py").read_text("utf-8").splitlines()) < 20
