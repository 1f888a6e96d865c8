"""Output folders: complete, or as they were."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from .errors import SpiceDBError


def replace_folder(folder: Path, write: Callable[[Path], None], *, own: str) -> None:
    """Puts what ``write`` writes in the place of ``folder``, all of it or nothing.

    A folder that is there already may hold only entries whose names match ``own``, or nothing is written and
    `SpiceDBError` names the others: what this package did not write, it does not remove.
    """
    folder = folder.absolute()
    if folder.exists() and not folder.is_dir():
        raise SpiceDBError(f"{folder} is no folder; choose another or remove it")
    strangers = sorted(entry.name for entry in folder.glob("*") if not re.fullmatch(own, entry.name))
    if strangers:
        raise SpiceDBError(f"{folder} holds what was not written here: {', '.join(strangers)}; choose an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # In the same parent, so that a rename is all it takes.
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as work:
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
    shutil.rmtree(old, ignore_errors=True)
