"""Helm charts: writes them for tests, and renders them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml

from tests import fast_yaml
from tests.synth import Object


def write_chart(folder: Path, objects: Iterable[Object]) -> Path:
    """Writes a chart with the objects, and with the files and metadata that a chart should have."""
    (folder / "templates").mkdir(parents=True, exist_ok=True)
    metadata = {"apiVersion": "v2", "name": "spicedb", "version": "1.0.0", "icon": "https://example.com/icon.svg"}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(metadata))
    (folder / "values.yaml").write_text("{}\n")
    (folder / "templates" / "spicedb.yaml").write_text(fast_yaml.dump_all(objects))
    return folder


def texts(folder: Path, values: Mapping[str, Any] | None = None) -> dict[str, str]:
    """The files that Helm renders of a chart, by the name of their template."""
    with helm.Chart.load(folder) as chart:
        rendered = chart.render(name="release", namespace="authz", values=dict(values or {}))
    return {name.rpartition("/")[2]: text for name, text in rendered.items()}


def rendered(folder: Path, values: Mapping[str, Any] | None = None) -> list[Object]:
    """The objects that Helm renders of a chart."""
    files = (text for name, text in texts(folder, values).items() if name != "NOTES.txt")
    return [manifest for text in files for manifest in fast_yaml.load_all(text) if manifest]


CHART_LABELS = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
"""Labels that only objects of charts have."""


def without_chart_labels(objects: Iterable[Object]) -> list[Object]:
    """Objects of a chart as the constructs render them. Fails if one does not have a chart's labels."""
    found = deepcopy(list(objects))
    for manifest in found:
        labels = manifest["metadata"]["labels"]
        assert set(CHART_LABELS) <= set(labels)
        manifest["metadata"]["labels"] = {name: text for name, text in labels.items() if name not in CHART_LABELS}
    return found


def same(some: Iterable[Object], others: Iterable[Object]) -> bool:
    """Whether they are the same objects, in any order."""

    def key(manifest: Object) -> tuple[str, str]:
        return manifest["kind"], manifest["metadata"]["name"]

    return sorted(some, key=key) == sorted(others, key=key)
