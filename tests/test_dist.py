"""What is committed in dist/ is what main.py writes, on every machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import ROOT, contents, written


@pytest.mark.parametrize("seed", ["1", "2"])
def test_dist_is_what_main_writes(tmp_path: Path, seed: str) -> None:
    now = written(ROOT / "main.py", tmp_path / "dist", PYTHONHASHSEED=seed)
    assert now == contents(ROOT / "dist"), "dist/ is stale: run make synth"


def test_main_is_small() -> None:
    assert len((ROOT / "main.py").read_text().splitlines()) < 20
