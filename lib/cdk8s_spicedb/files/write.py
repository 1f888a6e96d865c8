"""Writes manifests into a folder."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ..manifests import release_manifests
from ..props import SpiceDBProps, require
from .folder import MARK, write_files
from .yaml import dump


def write_manifests(folder: str | PathLike[str], props: SpiceDBProps) -> None:
    """Writes the manifests of one SpiceDB into a folder of their own, for Argo CD, Flux or ``kubectl apply``.

    Either the whole folder is written or nothing changes. Raises `InvalidProps` if the props are invalid, and
    `SpiceDBError` if the folder contains a file that this package did not write.
    """
    require(props)
    write_files(Path(folder), manifest_files(props).items())


def manifest_files(props: SpiceDBProps) -> dict[str, str]:
    """The file with the manifests of one SpiceDB, by its name."""
    return {f"{props.name}.k8s.yaml": f"# {MARK}\n{dump(*release_manifests(props))}"}
