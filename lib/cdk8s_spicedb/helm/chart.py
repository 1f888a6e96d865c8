"""Writes Helm charts of SpiceDBs."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Annotated, Any

from attrs import evolve, frozen

from ..errors import InvalidProps, Problem
from ..files.folder import MARK, manifest_files, write_files
from ..files.yaml import dump
from ..manifests.jobs import plain
from ..props import SpiceDBProps, problems, require
from ..props.chart import ChartMetadata
from ..props.fields import Message, Pattern
from ..props.fieldtypes import show
from .templates import templates
from .texts import notes, readme
from .value import PULL_SECRETS, Value
from .values import chart_values


def _chart_yaml(props: SpiceDBProps, name: str, version: str, metadata: ChartMetadata) -> dict[str, Any]:
    description = f"SpiceDB, the open-source permissions database, on {props.datastore.engine}"
    given = plain(metadata)
    found = {
        "apiVersion": "v2",
        "name": name,
        "description": metadata.description or description,
        "type": "application",
        "version": version,
        "appVersion": props.version,
        # The suffix accepts versions of clouds, such as v1.33.5-gke.100.
        "kubeVersion": ">=1.30.0-0",
        **{key: given.get(key) for key in ("keywords", "home", "icon", "sources", "maintainers")},
        "annotations": {**_annotations(props, given), **metadata.annotations},
    }
    return {key: value for key, value in found.items() if value}


def _annotations(props: SpiceDBProps, given: Mapping[str, Any]) -> Mapping[str, str]:
    """What Artifact Hub shows. It also scans the images."""
    cleanup = props.cleanup if props.datastore.migrates else None
    clients = {"kubectl": cleanup, "zed-schema": props.schema, "zed-test": props.test, "zed-backup": props.backup}
    images = {"spicedb": props.full_image, **{name: each.image for name, each in clients.items() if each}}
    images |= {"shell": props.backup.shell_image} if props.backup else {}
    lists: dict[str, Any] = {"images": [{"name": name, "image": image} for name, image in images.items()]}
    lists |= {name: given.get(name) for name in ("links", "changes", "signKey")}
    texts = {"category": "security", "license": given["license"]}
    texts |= {name: dump(value) for name, value in lists.items() if value}
    return {f"artifacthub.io/{name}": text for name, text in texts.items()}


def _values_yaml(values: list[Value]) -> str:
    """values.yaml: each value below its documentation."""
    text = "Set these values when you install or upgrade. Each default is the setting with which the chart was written."
    return f"# {MARK}\n# {text}\n" + "\n".join(_lines(values, "", "")) + "\n"


def _lines(values: list[Value], prefix: str, indent: str) -> Iterator[str]:
    for name, inner in _grouped(values, prefix).items():
        yield from [""] if not indent else []
        if isinstance(inner, list):
            yield f"{indent}{name}:"
            yield from _lines(inner, f"{prefix}{name}.", f"{indent}  ")
        else:
            yield from _comment(inner.text, f"{indent}# ")
            yield textwrap.indent(dump({name: inner.default}).rstrip(), indent)


@lru_cache(maxsize=1_000)
def _comment(text: str, start: str) -> Sequence[str]:
    """The lines of a comment. Many charts have the same comments, and wrapping them takes time."""
    return textwrap.wrap(text, 118, initial_indent=start, subsequent_indent=start, break_on_hyphens=False)


def _grouped(values: list[Value], prefix: str) -> dict[str, Value | list[Value]]:
    """Values by the next part of their paths; those with more parts together."""
    found: dict[str, Any] = {}
    for value in values:
        name, _, deeper = value.path.removeprefix(prefix).partition(".")
        if deeper:
            found.setdefault(name, []).append(value)
        else:
            found[name] = value
    return found


def _values_schema(values: list[Value]) -> str:
    """values.schema.json: Helm stops at a misspelled or invalid value before it applies anything."""
    root = {"$comment": MARK, "$schema": "http://json-schema.org/draft-07/schema#", **_schema(values, "")}
    # Helm passes these values to the charts on which another chart depends.
    text = (
        "Values that all charts of a release share. This chart reads imageRegistry, the registry of all images, and "
        "imagePullSecrets, the names of more Secrets to pull them."
    )
    shared = {"type": "object", "properties": {"imageRegistry": {"type": "string"}, "imagePullSecrets": PULL_SECRETS}}
    root["properties"]["global"] = {"description": text, **shared}
    text = "For the condition of a chart that depends on this one. Without a condition, false is an error."
    root["properties"]["enabled"] = {"description": text, "const": True}
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def _schema(values: list[Value], prefix: str) -> dict[str, Any]:
    grouped = _grouped(values, prefix)
    properties = {
        name: _schema(each, f"{prefix}{name}.") if isinstance(each, list) else {"description": each.text, **each.schema}
        for name, each in grouped.items()
    }
    # Helm removes a value that is set to null.
    required = [name for name, each in grouped.items() if isinstance(each, list) or not each.optional]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


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
            "use a version such as '1.0.0'. It is the version of the chart. That of SpiceDB is `version` in the file",
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
    the name or the version, and `SpiceDBError` if the folder cannot be written, or contains a file that this package
    did not write.
    """
    require_helm(props)
    name, metadata = name or props.name, metadata or ChartMetadata()
    require_chart(name, version, metadata)
    write_files(Path(folder), chart_files(props, name, version, metadata).items())


def write_release(
    folder: str | PathLike[str], props: SpiceDBProps, *, version: str, metadata: ChartMetadata | None = None
) -> None:
    """Writes one SpiceDB by its delivery: a Helm chart, with a version and metadata that `require_chart` accepts, or
    manifests. Either the whole folder is written or nothing changes."""
    require(props)
    write_files(Path(folder), release_files(props, version, metadata).items())


def release_files(props: SpiceDBProps, version: str, metadata: ChartMetadata | None = None) -> Mapping[str, str]:
    """The files of one SpiceDB by its delivery: those of a Helm chart, or manifests."""
    return chart_files(props, props.name, version, metadata) if props.delivery.is_chart else manifest_files(props)


def require_chart(name: str, version: str, metadata: ChartMetadata) -> None:
    """Raises `InvalidProps` unless Helm accepts the name and the version of a chart, and its metadata is valid."""
    found = [*problems(_Chart(name=name, version=version)), *problems(metadata)]
    if found:
        raise InvalidProps("write_helm_chart", found)


def require_helm(props: SpiceDBProps) -> None:
    """Raises `InvalidProps` unless props are valid and for Helm."""
    require(props)
    if not props.delivery.is_chart:
        fix = "remove delivery; Argo CD and Flux install Helm charts too, and run their hooks"
        problem = Problem("delivery", show(props.delivery), "helm: a chart is for Helm", fix)
        raise InvalidProps(type(props).__name__, [problem])


def chart_files(props: SpiceDBProps, name: str, version: str, metadata: ChartMetadata | None = None) -> dict[str, str]:
    """The files of a chart of one SpiceDB, by their paths in the chart."""
    values = chart_values(props)
    return {
        "Chart.yaml": f"# {MARK}\n{dump(_chart_yaml(props, name, version, metadata or ChartMetadata()))}",
        "README.md": readme(props, name, values),
        "values.yaml": _values_yaml(values),
        "values.schema.json": _values_schema(values),
        ".helmignore": f"# {MARK}\n.git/\n*.swp\n*.tmp\n",
        "templates/NOTES.txt": notes(props, name),
        **{f"templates/{file}": text for file, text in templates(props, name, values).items()},
    }


def write_all(
    folder: str | PathLike[str],
    props: Mapping[str, SpiceDBProps],
    *,
    version: str = "0.1.0",
    metadata: ChartMetadata | None = None,
) -> frozenset[str]:
    """Writes many SpiceDBs, each into its own folder inside ``folder``: a Helm chart or manifests, by its delivery.

    ``props`` has the SpiceDB of each folder, by the folder's name. ``version`` is that of the charts, and ``metadata``
    says who distributes them. Either all folders are written or nothing changes. Files whose content stays the same
    keep their time, and folders that ``props`` no longer has are removed. Returns the names of the folders that are
    new, changed or removed. Raises `InvalidProps` with every problem of all props, each after its folder's name, and
    `SpiceDBError` if the folder cannot be written, or contains a file that this package did not write.
    """
    metadata = metadata or ChartMetadata()
    require_chart("spicedb", version, metadata)
    found = [problem for name, each in props.items() for problem in _problems(name, each)]
    if found:
        raise InvalidProps("SpiceDBProps", found)
    written = write_files(Path(folder), _files(props, version, metadata))
    return frozenset(path.split("/")[0] for path in (*written.changed, *written.removed))


def _problems(name: str, props: SpiceDBProps) -> Iterator[Problem]:
    if name in ("", ".", "..") or re.search(r"[/\\\x00-\x1f\x7f]", name):
        allowed = "a name without /, \\ and control characters"
        yield Problem("(name of a folder)", show(name), allowed, "use a name such as 'tenant-a'")
    yield from _named(name, problems(props))


def _named(name: str, found: Iterable[Problem]) -> list[Problem]:
    """Problems with the name of the folder that they are about."""
    return [evolve(problem, field=f"{name}.{problem.field}") for problem in found]


def _files(props: Mapping[str, SpiceDBProps], version: str, metadata: ChartMetadata) -> Iterator[tuple[str, str]]:
    """The files of all folders, one by one, so that only those that change are in memory together."""
    for name, each in props.items():
        try:
            files = release_files(each, version, metadata)
        except InvalidProps as error:
            # A patch that fits no object.
            raise InvalidProps(error.subject, _named(name, error.problems)) from None
        yield from ((f"{name}/{path}", text) for path, text in files.items())
