"""Output folders: replaced as a whole, or unchanged. Files with the same content stay as they are."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from os import PathLike
from pathlib import Path
from secrets import token_hex

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


_FIXES = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "make room on the disk"),
    **dict.fromkeys((errno.ENOTDIR, errno.ELOOP), "a part of the path is no folder; choose another path"),
    errno.ENAMETOOLONG: "choose a shorter name",
}


def write_files(folder: Path, files: Iterable[tuple[str, str]]) -> Written:
    """Replaces a folder that this package wrote with files, given as pairs of their path in it and their text.

    Either all files are written or nothing changes, also after Ctrl-C. Files whose content stays the same are not
    written again. Raises `SpiceDBError` if the folder cannot be written, or if it contains a file that this package did
    not write or a folder that it cannot list: it never removes such a file.

    The new folder is made in ``.cdk8s-spicedb-…`` beside the old one. If the process is killed, or the machine stops,
    between the two renames, you find both in there, as ``old`` and ``new``.
    """
    try:
        return _write_files(Path(os.path.realpath(folder)), files)
    except OSError as error:
        fix = _FIXES.get(error.errno or 0, "choose a folder that you may change")
        raise SpiceDBError(f"cannot write to {folder}: {error.strerror or error}; {fix}") from None


def _write_files(folder: Path, files: Iterable[tuple[str, str]]) -> Written:
    if Path.cwd().is_relative_to(folder):
        raise SpiceDBError(f"cannot write to {folder}: the current directory is inside it")
    if folder.exists() and not folder.is_dir():
        raise SpiceDBError(f"cannot write to {folder}: it is not a folder; choose another one, or remove it")
    before, same, changed = _own_files(folder), set[str](), dict[str, bytes]()
    for path, text in files:
        content = text.encode()
        if path in before and (folder / path).read_bytes() == content:
            same.add(path)
        else:
            changed[path] = content
    written = Written(frozenset(changed), frozenset(before - same - changed.keys()))
    if written.changed or written.removed or not folder.exists():
        _replace(folder, changed, same, before)
    return written


def _own_files(folder: Path) -> set[str]:
    """The paths of all files in a folder. Raises `SpiceDBError` unless this package wrote them all."""
    found = set[str]()
    for path in _files(folder) if folder.exists() else ():
        name = path.relative_to(folder).as_posix()
        if not _is_own(path):
            what = f"it contains {name}, which this program did not write"
            raise SpiceDBError(f"cannot write to {folder}: {what}; choose an empty folder")
        found.add(name)
    return found


def _files(folder: Path) -> Iterator[Path]:
    """All files of a folder, and links to folders. Raises `SpiceDBError` if it cannot list them."""

    def fail(error: OSError) -> None:
        raise SpiceDBError(f"cannot list {error.filename}: {error.strerror}; choose an empty folder") from None

    for parent, folders, names in os.walk(folder, onerror=fail):
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


def _replace(folder: Path, changed: Mapping[str, bytes], same: Collection[str], before: Collection[str]) -> None:
    """Replaces a folder, whose files are ``before``. ``same`` are those that stay."""
    # In the same parent, so that the folder only has to be renamed.
    place = folder.parent / f".cdk8s-spicedb-{token_hex(8)}"
    made = [place, *(parent for parent in folder.parents if not parent.exists())]
    try:
        place.mkdir(0o700, parents=True)
        _fill(place / "new", folder, changed, same)
        _swap(place / "new", folder, place / "old")
    finally:
        try:
            _clean_up(place, before, made)
        except BaseException:
            # Ctrl-C interrupted this, and is raised when it is done.
            _clean_up(place, before, made)
            raise
    if place.exists():
        what = "files of the old folder that somebody added or changed meanwhile, or that cannot be removed, are in"
        raise SpiceDBError(f"wrote {folder}; {what} {place / 'old'}")


def _fill(fresh: Path, folder: Path, changed: Mapping[str, bytes], same: Collection[str]) -> None:
    """Makes the new folder."""
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


def _swap(fresh: Path, folder: Path, old: Path) -> None:
    """Puts the new folder in the place of the old one."""
    try:
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise


def _clean_up(place: Path, before: Collection[str], made: Iterable[Path]) -> None:
    """Removes what is left beside the folder: of the old one its own files, by their names, and what is then empty."""
    new, old = place / "new", place / "old"
    shutil.rmtree(new, ignore_errors=True)
    with suppress(OSError, SpiceDBError):
        for path in [*_files(old)]:
            if path.relative_to(old).as_posix() in before and _is_own(path):
                path.unlink()
    _remove_empty(parent for parent, _, _ in os.walk(old, topdown=False))
    _remove_empty(made)


def _remove_empty(folders: Iterable[str | Path]) -> None:
    for each in folders:
        with suppress(OSError):
            os.rmdir(each)


def write_manifests(folder: str | PathLike[str], props: SpiceDBProps) -> None:
    """Writes the manifests of one SpiceDB into a folder of their own, for Argo CD, Flux or ``kubectl apply``.

    Either the whole folder is written or nothing changes. Raises `InvalidProps` if the props are invalid, and
    `SpiceDBError` if the folder cannot be written, or contains a file that this package did not write.
    """
    require(props)
    write_files(Path(folder), manifest_files(props).items())


def manifest_files(props: SpiceDBProps) -> dict[str, str]:
    """The file with the manifests of one SpiceDB, by its name."""
    return {f"{props.name}.k8s.yaml": f"# {MARK}\n{dump(*release_manifests(props))}"}
