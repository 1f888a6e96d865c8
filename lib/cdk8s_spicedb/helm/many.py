"""Writes many SpiceDBs at once, each into its own folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path

from attrs import evolve

from ..delivery import Delivery
from ..errors import InvalidProps, Problem
from ..files.folder import write_files
from ..files.write import manifest_files
from ..props import SpiceDBProps, problems
from ..props.chart import ChartMetadata
from ..props.kinds import show
from .chart import chart_files, require_chart


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
    `SpiceDBError` if the folder contains a file that this package did not write.
    """
    metadata = metadata or ChartMetadata()
    require_chart("spicedb", version, metadata)
    found = [problem for name, each in props.items() for problem in _problems(name, each)]
    if found:
        raise InvalidProps("SpiceDBProps", found)
    # Made one by one, so that only the files that change are in memory together.
    files = (
        (f"{name}/{path}", text)
        for name, each in props.items()
        for path, text in _files(name, each, version, metadata).items()
    )
    written = write_files(Path(folder), files)
    return frozenset(path.split("/")[0] for path in (*written.changed, *written.removed))


def _problems(name: str, props: SpiceDBProps) -> Iterator[Problem]:
    if name in ("", ".", "..") or re.search(r"[/\\\0]", name):
        yield Problem("(name of a folder)", show(name), "a name without / and \\", "use a name such as 'tenant-a'")
    yield from _named(name, problems(props))


def _named(name: str, found: Iterator[Problem]) -> Iterator[Problem]:
    """Problems with the name of the folder that they are about."""
    return (evolve(problem, field=f"{name}.{problem.field}") for problem in found)


def _files(name: str, props: SpiceDBProps, version: str, metadata: ChartMetadata) -> Mapping[str, str]:
    """The files of the folder of one SpiceDB."""
    try:
        if props.delivery is Delivery.HELM:
            return chart_files(props, props.name, version, metadata)
        return manifest_files(props)
    except InvalidProps as error:
        # A patch that fits no object.
        raise InvalidProps(error.subject, list(_named(name, iter(error.problems)))) from None
