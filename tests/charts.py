"""Chart folders of rendered objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
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


def texts(folder: Path, values: Mapping[str, Any] | None = None) -> dict[str, str]:
    """What Helm makes of a chart, by template."""
    with helm.Chart.load(folder) as chart:
        rendered = chart.render(name="release", namespace="authz", values=dict(values or {}))
    return {name.rpartition("/")[2]: text for name, text in rendered.items()}


def rendered(folder: Path, values: Mapping[str, Any] | None = None) -> list[Object]:
    """The objects that Helm makes of a chart."""
    found = (text for name, text in texts(folder, values).items() if name != "NOTES.txt")
    return [each for text in found for each in yaml.safe_load_all(text) if each]


def same(some: Iterable[Object], others: Iterable[Object]) -> bool:
    """Whether they are the same objects, in whatever order."""

    def key(each: Object) -> tuple[str, str]:
        return each["kind"], each["metadata"]["name"]

    return sorted(some, key=key) == sorted(others, key=key)
