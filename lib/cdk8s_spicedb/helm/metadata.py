"""Chart.yaml of a chart, and what Artifact Hub shows of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..files.yaml import dump
from ..manifests.checksum import plain
from ..props import SpiceDBProps
from ..props.chart import ChartMetadata

_HUB = "artifacthub.io"


def chart_yaml(props: SpiceDBProps, name: str, version: str, metadata: ChartMetadata) -> dict[str, Any]:
    """The content of Chart.yaml."""
    description = f"SpiceDB, the open-source permissions database, on {props.datastore.engine}"
    found = {
        "apiVersion": "v2",
        "name": name,
        "description": metadata.description or description,
        "type": "application",
        "version": version,
        "appVersion": props.version,
        # The suffix accepts versions of clouds, such as v1.33.5-gke.100.
        "kubeVersion": ">=1.30.0-0",
        "keywords": list(metadata.keywords),
        "home": metadata.home,
        "icon": metadata.icon,
        "sources": list(metadata.sources),
        "maintainers": plain(metadata.maintainers),
        "annotations": {**_annotations(props, metadata), **metadata.annotations},
    }
    return {key: value for key, value in found.items() if value}


def _annotations(props: SpiceDBProps, metadata: ChartMetadata) -> Mapping[str, str]:
    lists = {
        "images": list(_images(props)),
        "links": plain(metadata.links),
        "changes": plain(metadata.changes),
        "signKey": plain(metadata.sign_key),
    }
    texts = {"category": "security", "license": metadata.license}
    texts |= {name: dump(value) for name, value in lists.items() if value}
    return {f"{_HUB}/{name}": text for name, text in texts.items()}


def _images(props: SpiceDBProps) -> Iterator[dict[str, str]]:
    """Every image of the chart, which Artifact Hub scans."""
    yield {"name": "spicedb", "image": props.full_image}
    if props.datastore.migrates:
        yield {"name": "kubectl", "image": props.cleanup.image}
    clients = {"zed-schema": props.schema, "zed-test": props.test}
    yield from ({"name": name, "image": client.image} for name, client in clients.items() if client)
