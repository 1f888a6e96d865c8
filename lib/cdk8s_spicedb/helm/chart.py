"""Writes a Helm chart of one SpiceDB."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Annotated

from attrs import frozen

from ..delivery import Delivery
from ..errors import InvalidProps, Problem
from ..files.folder import MARK, write_files
from ..files.yaml import dump
from ..props import SpiceDBProps, problems, require
from ..props.annotations import Message, Pattern
from ..props.chart import ChartMetadata
from ..props.kinds import show
from .metadata import chart_yaml
from .notes import notes
from .readme import readme
from .templates import templates
from .values import chart_values
from .values_files import values_schema, values_yaml


@frozen(kw_only=True)
class _Chart:
    """Name and version of a chart."""

    name: Annotated[
        str,
        Pattern(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"),
        Message("a chart's name: lower-case letters, digits and '-'", "leave it out to use the props' name"),
    ]
    version: Annotated[
        str,
        Pattern(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"),
        Message(
            "a version of Semantic Versioning",
            "use a version such as '1.0.0'. It is the chart's own; the release of SpiceDB is SpiceDBProps.version",
        ),
    ]


def write_helm_chart(
    folder: str | PathLike[str],
    props: SpiceDBProps,
    *,
    version: str = "0.1.0",
    name: str | None = None,
    metadata: ChartMetadata | None = None,
) -> None:
    """Writes a complete Helm chart of one SpiceDB, for people who install it without Python.

    It has values for what people set when they install it, such as the image, replicas, resources, Secrets, migration
    and clean-up. Their defaults are the props, so that the chart renders the same objects as the constructs.
    ``version`` is the chart's own; set it if you publish the chart. ``name`` is the chart's; it defaults to the props'
    name. ``metadata`` says who distributes the chart. Either the whole folder is written or nothing changes. Raises
    `InvalidProps` if the props or the metadata are invalid, if the props are not for Helm, or if Helm does not accept
    the name or the version, and `SpiceDBError` if the folder contains a file that this package did not write.
    """
    require_helm(props)
    name, metadata = name or props.name, metadata or ChartMetadata()
    require_chart(name, version, metadata)
    write_files(Path(folder), chart_files(props, name, version, metadata).items())


def require_chart(name: str, version: str, metadata: ChartMetadata) -> None:
    """Raises `InvalidProps` unless Helm accepts the name and the version of a chart, and its metadata is valid."""
    found = [*problems(_Chart(name=name, version=version)), *problems(metadata)]
    if found:
        raise InvalidProps("write_helm_chart", found)


def require_helm(props: SpiceDBProps) -> None:
    """Raises `InvalidProps` unless props are valid and for Helm."""
    require(props)
    if props.delivery is not Delivery.HELM:
        fix = "remove delivery; Argo CD and Flux install Helm charts too, and run their hooks"
        problem = Problem("delivery", show(props.delivery), "helm: a chart is for Helm", fix)
        raise InvalidProps(type(props).__name__, [problem])


def chart_files(props: SpiceDBProps, name: str, version: str, metadata: ChartMetadata | None = None) -> dict[str, str]:
    """The files of a chart of one SpiceDB, by their paths in the chart."""
    values = chart_values(props)
    return {
        "Chart.yaml": f"# {MARK}\n{dump(chart_yaml(props, name, version, metadata or ChartMetadata()))}",
        "README.md": readme(props, name, values),
        "values.yaml": values_yaml(values),
        "values.schema.json": values_schema(values),
        ".helmignore": f"# {MARK}\n.git/\n*.swp\n*.tmp\n",
        "templates/NOTES.txt": notes(props, name),
        **{f"templates/{file}": text for file, text in templates(props, name, values).items()},
    }
