"""The files of a chart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..dump import dump
from ..folder import MARK
from ..props import SpiceDBProps
from .notes import notes
from .readme import readme
from .templates import templates
from .values import chart_values, values_schema, values_yaml


def chart_files(props: SpiceDBProps, name: str, version: str) -> dict[str, str]:
    """The files of a chart of one SpiceDB, by their paths in it."""
    values = chart_values(props)
    return {
        "Chart.yaml": f"# {MARK}\n{dump(_metadata(props, name, version))}",
        "README.md": readme(props, name, values),
        "values.yaml": values_yaml(values),
        "values.schema.json": values_schema(values),
        ".helmignore": f"# {MARK}\n.git/\n*.swp\n*.tmp\n",
        "templates/NOTES.txt": notes(props),
        **{f"templates/{file}": text for file, text in templates(props, name).items()},
    }


def _metadata(props: SpiceDBProps, name: str, version: str) -> dict[str, Any]:
    return {
        "apiVersion": "v2",
        "name": name,
        "description": f"SpiceDB, the open-source permissions database, on {props.datastore.engine}",
        "type": "application",
        "version": version,
        "appVersion": props.version,
        # The suffix lets in what clouds add to a version, such as v1.33.5-gke.100.
        "kubeVersion": ">=1.30.0-0",
        "keywords": ["authorization", "permissions", "spicedb", "zanzibar"],
        "home": "https://authzed.com/spicedb",
        "sources": ["https://github.com/authzed/spicedb"],
        "annotations": {
            "artifacthub.io/category": "security",
            "artifacthub.io/license": "Apache-2.0",
            "artifacthub.io/images": dump(list(_images(props))),
            "artifacthub.io/links": dump([{"name": "SpiceDB's documentation", "url": "https://authzed.com/docs"}]),
        },
    }


def _images(props: SpiceDBProps) -> Iterator[dict[str, str]]:
    yield {"name": "spicedb", "image": props.full_image}
    if props.datastore.migrates:
        yield {"name": "kubectl", "image": props.cleanup.image}
