"""Output folders: replaced as a whole, or unchanged."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import SpiceDBError

MARK = "Written by cdk8s-spicedb; writing again replaces it."
"""Stands in the first lines of each file, and marks it as written by this package."""


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Replaces a folder that this package wrote with files, given by their paths in it.

    Either all files are written or nothing changes. Raises `SpiceDBError` if the folder contains a file that this
    package did not write: it never removes such a file.
    """
    folder = folder.resolve()
    if Path.cwd().is_relative_to(folder):
        raise SpiceDBError(f"cannot write to {folder}: the current directory is inside it")
    if folder.exists() and not folder.is_dir():
        raise SpiceDBError(f"cannot write to {folder}: it is not a folder; choose another one, or remove it")
    foreign = next(_foreign_files(folder), None)
    if foreign is not None:
        raise SpiceDBError(
            f"cannot write to {folder}: it contains {foreign.relative_to(folder).as_posix()}, which this program did "
            "not write; choose an empty folder"
        )
    _replace(folder, files)


def _foreign_files(folder: Path) -> Iterator[Path]:
    """The files that this package did not write."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (path for name in sorted([*names, *links]) if not _is_own(path := Path(parent, name)))


def _is_own(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(300)
    except OSError:
        return False


def _replace(folder: Path, files: Mapping[str, str]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # In the same parent, so that the folder only has to be renamed.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as work:
        fresh, old = Path(work, "new"), Path(work, "old")
        for path, text in files.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_text(text, "utf-8")
        if folder.exists():
            folder.rename(old)
        try:
            fresh.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
