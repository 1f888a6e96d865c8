"""Output folders: complete, or as they were."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from .errors import SpiceDBError

MARK = "Written by cdk8s-spicedb; writing again replaces it."
"""In the first lines of each file, by which it is known as written here."""


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Puts files, by their paths in it, in the place of a folder that was written here."""

    def write(fresh: Path) -> None:
        for path, text in files.items():
            (fresh / path).parent.mkdir(parents=True, exist_ok=True)
            (fresh / path).write_text(text, "utf-8")

    replace_folder(folder, write, own=lambda _, file: MARK.encode() in file.read_bytes()[:300])


def replace_folder(folder: Path, write: Callable[[Path], None], *, own: Callable[[str, Path], bool]) -> None:
    """Puts what ``write`` writes in the place of ``folder``, all of it or nothing.

    ``own`` says of a file, by its path in the folder, whether it was written here. When any was not, nothing is
    written and `SpiceDBError` names them: what this package did not write, it does not remove.
    """
    folder = folder.resolve()
    if Path.cwd().is_relative_to(folder):
        raise SpiceDBError(f"{folder} is where this program runs; choose a folder in it")
    if folder.exists() and not folder.is_dir():
        raise SpiceDBError(f"{folder} is no folder; choose another or remove it")
    files = [entry for entry in folder.rglob("*") if entry.is_symlink() or not entry.is_dir()]
    paths = {entry.relative_to(folder).as_posix(): entry for entry in files}
    strangers = sorted(path for path, entry in paths.items() if not own(path, entry))
    if strangers:
        raise SpiceDBError(f"{folder} holds what was not written here: {', '.join(strangers)}; choose an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # In the same parent, so that a rename is all it takes.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent, ignore_cleanup_errors=True) as work:
        fresh, old = Path(work, "new"), Path(work, "old")
        fresh.mkdir()
        write(fresh)
        if folder.exists():
            folder.rename(old)
        try:
            fresh.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
