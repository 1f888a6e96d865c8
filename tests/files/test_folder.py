"""Output folders are complete, or as they were."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.files.folder import MARK, Written, write_files
from tests.programs import contents, stamps


def replace(folder: Path, text: str) -> None:
    write_files(folder, [("out.txt", written(text))])


def written(text: str) -> str:
    """A text that counts as written by this package."""
    return f"# {MARK}\n{text}"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_new_folder_with_its_parents(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    replace(folder, "one")
    assert contents(folder) == {"out.txt": written("one").encode()}
    assert names(folder.parent) == ["b"]


def test_what_was_written_before_goes(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "old.txt").write_text(written("old"))
    replace(folder, "two")
    assert contents(folder) == {"out.txt": written("two").encode()}
    assert names(tmp_path) == ["out"]


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    replace(tmp_path, "three")
    assert contents(tmp_path) == {"out.txt": written("three").encode()}


def test_a_folder_with_somebody_elses_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out.txt").write_text("mine")
    (tmp_path / "thesis.doc").write_text("years of work")
    (tmp_path / ".hidden").write_text("")
    with pytest.raises(SpiceDBError, match=r"it contains \.hidden, which this program did not write"):
        replace(tmp_path, "four")
    assert contents(tmp_path) == {"out.txt": b"mine", "thesis.doc": b"years of work", ".hidden": b""}


def test_a_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "out"
    file.write_text("a file")
    with pytest.raises(SpiceDBError, match="it is not a folder"):
        replace(file, "five")
    assert file.read_text() == "a file"


def test_nothing_is_left_of_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    replace(folder, "six")

    write = Path.write_bytes

    def fail(self: Path, content: bytes) -> int:
        write(self, b"half")
        raise RuntimeError("no more")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(RuntimeError, match="no more"):
            replace(folder, "new")
    assert contents(folder) == {"out.txt": written("six").encode()}
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("existed", [True, False])
def test_the_old_folder_comes_back_when_the_new_one_cannot_take_its_place(
    existed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "out"
    if existed:
        replace(folder, "seven")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("disk on fire")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(SpiceDBError, match=f"cannot write to {folder}: disk on fire"):
        replace(folder, "eight")
    assert names(tmp_path) == (["out"] if existed else [])
    assert not existed or contents(folder) == {"out.txt": written("seven").encode()}


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    replace(tmp_path / "link", "nine")
    assert (tmp_path / "link").is_symlink()
    assert contents(tmp_path / "real") == {"out.txt": written("nine").encode()}


def test_what_lies_deeper_is_seen_too(tmp_path: Path) -> None:
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "a" / "values.yaml").write_text("mine")
    with pytest.raises(SpiceDBError, match=r"a/values\.yaml"):
        replace(tmp_path / "out", "ten")
    assert (tmp_path / "out" / "a" / "values.yaml").read_text() == "mine"


def test_the_folder_one_is_in_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpiceDBError, match="the current directory is inside it"):
        replace(Path("."), "eleven")
    replace(Path("new"), "eleven")
    assert contents(tmp_path / "new") == {"out.txt": written("eleven").encode()}


def test_the_first_foreign_file_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home folder has a million files, some of them large."""
    read = []
    opened = Path.open

    def count(self: Path, mode: str = "r") -> object:
        read.append(self.name)
        return opened(self, mode)

    for number in range(100):
        (tmp_path / f"{number:03}.txt").write_text("mine")
    monkeypatch.setattr(Path, "open", count)
    with pytest.raises(SpiceDBError, match=r"it contains 000\.txt"):
        replace(tmp_path, "twelve")
    assert read == ["000.txt"]


def test_a_file_that_cannot_be_read_is_foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str = "r") -> object:
        raise PermissionError

    (tmp_path / "secret.txt").write_text(written("text"))
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SpiceDBError, match=r"it contains secret\.txt"):
        replace(tmp_path, "thirteen")


def test_a_link_inside_is_foreign(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    replace(folder, "fourteen")
    (folder / "link").symlink_to(folder / "out.txt")
    with pytest.raises(SpiceDBError, match="it contains link"):
        replace(folder, "fifteen")


@pytest.mark.parametrize("links", [True, False])
def test_files_with_the_same_content_keep_their_time(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no hard links here")

    if not links:
        monkeypatch.setattr("os.link", refuse)
    folder = tmp_path / "out"
    one, two, three = (written(text) for text in ("one", "two", "three"))
    assert write_files(folder, {"a/1.txt": one, "b/2.txt": two, "c/3.txt": three}.items()).changed == {
        "a/1.txt",
        "b/2.txt",
        "c/3.txt",
    }
    before = stamps(folder)
    found = write_files(folder, {"a/1.txt": one, "b/2.txt": written("other")}.items())
    assert found == Written(frozenset({"b/2.txt"}), frozenset({"c/3.txt"}))
    assert contents(folder) == {"a/1.txt": one.encode(), "b/2.txt": written("other").encode()}
    after = stamps(folder)
    assert (after["a/1.txt"] == before["a/1.txt"]) is links
    assert after["a/1.txt"][0] == before["a/1.txt"][0]
    assert after["b/2.txt"][0] > before["b/2.txt"][0]
    assert names(tmp_path) == ["out"]


def test_nothing_changes_if_a_file_cannot_be_made(tmp_path: Path) -> None:
    def fail() -> Iterator[tuple[str, str]]:
        yield "out.txt", written("new")
        raise RuntimeError("no more")

    folder = tmp_path / "out"
    replace(folder, "old")
    before = stamps(folder)
    with pytest.raises(RuntimeError, match="no more"):
        write_files(folder, fail())
    assert stamps(folder) == before
    assert names(tmp_path) == ["out"]


def test_a_folder_with_the_same_files_is_not_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    replace(folder, "same")
    before = folder.stat()
    found = write_files(folder, [("out.txt", written("same"))])
    assert not found.changed
    assert not found.removed
    assert folder.stat().st_ino == before.st_ino


def test_a_folder_that_cannot_be_listed_is_foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    replace(folder, "sixteen")
    (folder / "mine").mkdir()
    (folder / "mine" / "precious.txt").write_text("years of work")
    scan = os.scandir

    def refuse(path: str) -> Any:
        if Path(path).name == "mine":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        with pytest.raises(SpiceDBError, match=f"cannot list {folder / 'mine'}: Permission denied; choose an empty"):
            replace(folder, "seventeen")
    assert contents(folder)["mine/precious.txt"] == b"years of work"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("before", "renamed", "is_done", "after"),
    [
        ("old", "out", False, "old"),
        ("old", "out", True, "old"),
        ("old", "new", False, "old"),
        ("old", "new", True, "new"),
        (None, "new", False, None),
        (None, "new", True, "new"),
    ],
)
def test_ctrl_c_leaves_the_old_folder_or_the_new_one(
    before: str | None,
    renamed: str,
    is_done: bool,
    after: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """First ``out`` is renamed, so that it is out of the way, then ``new``, which takes its place."""
    folder, rename = tmp_path / "out", Path.rename
    if before:
        replace(folder, before)

    def interrupt(self: Path, target: Path) -> Path:
        if self.name == renamed and not is_done:
            raise KeyboardInterrupt
        found = rename(self, target)
        if self.name == renamed:
            raise KeyboardInterrupt
        return found

    monkeypatch.setattr(Path, "rename", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace(folder, "new")
    assert names(tmp_path) == (["out"] if after else [])
    assert not after or contents(folder) == {"out.txt": written(after).encode()}


def test_ctrl_c_while_files_are_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self: Path, content: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace(tmp_path / "a" / "b" / "out", "new")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("file/out", "Not a directory; a part of the path is no folder"),
        ("file/a/out", "Not a directory; a part of the path is no folder"),
        (f"a/b/{'n' * 300}", "File name too long; choose a shorter name"),
        ("loop/out", "Too many levels of symbolic links; a part of the path is no folder"),
        ("loop", "Not a directory; a part of the path is no folder"),
    ],
)
def test_a_path_that_cannot_be_a_folder_is_an_error(path: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SpiceDBError, match=f"cannot write to {tmp_path / path}: {says}"):
        replace(tmp_path / path, "new")
    assert names(tmp_path) == ["file", "loop"]


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    replace(tmp_path / ("n" * 255), "new")
    assert names(tmp_path) == ["n" * 255]


@pytest.mark.parametrize(
    ("name", "number", "fix"),
    [
        ("mkdir", errno.EACCES, "choose a folder that you may change"),
        ("mkdir", errno.EROFS, "choose a folder that you may change"),
        ("write_bytes", errno.ENOSPC, "make room on the disk"),
        ("write_bytes", errno.EDQUOT, "make room on the disk"),
        ("read_bytes", errno.EIO, "choose a folder that you may change"),
        ("cwd", errno.ENOENT, "choose a folder that you may change"),
    ],
)
def test_errors_of_the_file_system_are_said_and_leave_nothing(
    name: str, number: int, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    replace(tmp_path / "out", "old")
    with monkeypatch.context() as patch:
        patch.setattr(Path, name, fail)
        with pytest.raises(SpiceDBError) as caught:
            replace(tmp_path / "out", "new")
    assert str(caught.value) == f"cannot write to {tmp_path / 'out'}: {os.strerror(number)}; {fix}"
    assert contents(tmp_path) == {"out/out.txt": written("old").encode()}
    assert names(tmp_path) == ["out"]


def test_files_that_somebody_adds_meanwhile_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write_files(folder, [("a/1.txt", written("1")), ("a/2.txt", written("2"))])

    def files() -> Iterator[tuple[str, str]]:
        # The folder has been looked through when the first file is asked for.
        (folder / "a" / "2.txt").write_text("mine")
        (folder / "b").mkdir()
        (folder / "b" / "also mine.txt").write_text("mine")
        yield "a/1.txt", written("new")

    with pytest.raises(
        SpiceDBError, match=f"wrote {folder}; files of the old folder that somebody added or changed"
    ) as caught:
        write_files(folder, files())
    assert contents(folder) == {"a/1.txt": written("new").encode()}
    kept = Path(str(caught.value).rpartition(" ")[2])
    assert contents(kept) == {"a/2.txt": b"mine", "b/also mine.txt": b"mine"}
