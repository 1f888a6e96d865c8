"""Output folders: replaced as a whole, or unchanged. Files with the same content stay as they are."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from os import PathLike
from pathlib import Path

from attrs import frozen

from ..errors import SpiceDBError
from ..manifests import release_manifests
from ..props import SpiceDBProps, require
from .yaml import dump

MARK = "Written by cdk8s-spicedb; writing again replaces it."
"""Stands in the first lines of each file, and marks it as written by this package."""


@frozen
class Written:
    """What changed in a folder, by paths in it."""

    changed: frozenset[str]
    """Files that are new or have other content."""
    removed: frozenset[str]
    """Files that are gone."""


def write_files(folder: Path, files: Iterable[tuple[str, str]]) -> Written:
    """Replaces a folder that this package wrote with files, given as pairs of their path in it and their text.

    Either all files are written or nothing changes. Files whose content stays the same are not written again. Raises
    `SpiceDBError` if the folder contains a file that this package did not write: it never removes such a file.
    """
    folder = folder.resolve()
    if Path.cwd().is_relative_to(folder):
        raise SpiceDBError(f"cannot write to {folder}: the current directory is inside it")
    if folder.exists() and not folder.is_dir():
        raise SpiceDBError(f"cannot write to {folder}: it is not a folder; choose another one, or remove it")
    foreign = next((path for path in _files(folder) if not _is_own(path)), None)
    if foreign:
        raise SpiceDBError(
            f"cannot write to {folder}: it contains {foreign.relative_to(folder).as_posix()}, which this program did "
            "not write; choose an empty folder"
        )
    before = {path.relative_to(folder).as_posix() for path in _files(folder)}
    same, changed = set[str](), dict[str, bytes]()
    for path, text in files:
        content = text.encode()
        if path in before and (folder / path).read_bytes() == content:
            same.add(path)
        else:
            changed[path] = content
    written = Written(frozenset(changed), frozenset(before - same - changed.keys()))
    if written.changed or written.removed or not folder.exists():
        _replace(folder, changed, same)
    return written


def _files(folder: Path) -> Iterator[Path]:
    """All files of a folder, and links to folders."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in sorted([*names, *links]))


def _is_own(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(300)
    except OSError:
        return False


def _replace(folder: Path, changed: Mapping[str, bytes], same: Collection[str]) -> None:
    """Replaces a folder. ``same`` are the files that stay."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    # In the same parent, so that the folder only has to be renamed.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as work:
        fresh, old = Path(work, "new"), Path(work, "old")
        fresh.mkdir()
        for parent in {(fresh / path).parent for path in (*changed, *same)}:
            parent.mkdir(parents=True, exist_ok=True)
        for path, content in changed.items():
            (fresh / path).write_bytes(content)
        for path in same:
            try:
                os.link(folder / path, fresh / path)
            except OSError:
                # Not every file system has hard links. A copy has at least the same time.
                shutil.copy2(folder / path, fresh / path)
        if folder.exists():
            folder.rename(old)
        try:
            fresh.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise


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
