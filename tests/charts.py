"""Chart folders of rendered objects."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import yaml

from tests.synth import Object


def write_chart(folder: Path, objects: Iterable[Object]) -> Path:
    """A chart of the objects, with all that a chart should have."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    metadata = {"apiVersion": "v2", "name": "spicedb", "version": "1.0.0", "icon": "https://example.com/icon.svg"}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    (folder / "values.yaml").write_text("{}\n")
    (folder / "templates" / "spicedb.yaml").write_text(yaml.safe_dump_all(objects))
    return folder
