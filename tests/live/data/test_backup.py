"""Copies of a SpiceDB to a file."""

from __future__ import annotations

import fcntl
import json
import os
import stat
from pathlib import Path

import attrs
import grpc
import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live.data import backup
from cdk8s_spicedb.live.data.backup import back_up
from cdk8s_spicedb.live.data.file import reading
from cdk8s_spicedb.live.data.server import RequestError
from tests.spicedbserver import SpiceDBServer

from .conftest import SCHEMA, TEXTS, connect


def held(path: Path) -> set[bytes]:
    with reading(path) as (_, relationships):
        return {each.SerializeToString(deterministic=True) for each in relationships}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spicedb.zedbackup"


def test_a_backup_has_everything(spicedb: SpiceDBServer, path: Path) -> None:
    made = back_up(connect(spicedb), path, about={"release": "v1.57.1"})
    assert held(path) == spicedb.texts()
    assert (made.head.schema, made.head.token) == (SCHEMA, "1")
    told = json.loads(Path(f"{path}.json").read_text())
    assert told.pop("at") == "2030-01-01T00:00:00Z"
    assert told.pop("written").endswith("Z")
    assert told == {
        "release": "v1.57.1",
        "relationships": len(TEXTS),
        "counts": {"document#owner": 1, "document#reader": len(TEXTS) - 1},
        "digest": made.summary.digest,
    }
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.json"]
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()} == {0o600}


def test_it_is_of_one_revision(spicedb: SpiceDBServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = spicedb.texts()
    monkeypatch.setattr(backup, "_FLUSH", 1)
    back_up(connect(spicedb), path, notify=lambda number: spicedb.put(f"document:new{number}#reader@user:late"))
    assert held(path) == before
    assert len(spicedb.texts()) > len(before)


def test_a_broken_connection_goes_on_where_it_was(spicedb: SpiceDBServer, path: Path) -> None:
    spicedb.fail("ExportBulkRelationships", grpc.StatusCode.UNAVAILABLE, after=2, times=2)
    assert back_up(connect(spicedb), path).summary.total == len(TEXTS)
    assert held(path) == spicedb.texts()
    assert spicedb.asked.count("ExportBulkRelationships") == 3


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("damage", [b"", b"half a block"])
def test_an_interrupted_backup_goes_on_or_starts_again(
    spicedb: SpiceDBServer, path: Path, monkeypatch: pytest.MonkeyPatch, forgets: bool, damage: bytes
) -> None:
    monkeypatch.setattr(backup, "_FLUSH", 4)

    def interrupt(number: int) -> None:
        if number > 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        back_up(connect(spicedb), path, notify=interrupt)
    assert not path.exists()
    with Path(f"{path}.partial").open("ab") as file:
        file.write(damage)
    before = spicedb.texts()
    spicedb.put("document:later#reader@user:u1")
    if forgets:
        spicedb.forget()
    asked: list[int] = []
    made = back_up(connect(spicedb), path, notify=asked.append)
    assert held(path) == (spicedb.texts() if forgets else before)
    assert made.summary.total == len(held(path))
    assert asked == ([6, 12, 16] if forgets else []), "what was written is not asked again"
    assert not [each for each in path.parent.iterdir() if "partial" in each.name]


@pytest.mark.parametrize(
    "state", ["", "{}", '{"size": 9999999, "cursor": "1:3"}', '{"size": 5, "cursor": "1:3"}', "[]"]
)
def test_a_state_that_does_not_fit_starts_again(spicedb: SpiceDBServer, path: Path, state: str) -> None:
    Path(f"{path}.partial").write_bytes(b"not a backup")
    Path(f"{path}.state").write_text(state)
    back_up(connect(spicedb), path)
    assert held(path) == spicedb.texts()


def test_two_at_once(spicedb: SpiceDBServer, path: Path) -> None:
    with Path(f"{path}.partial").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SpiceDBError, match="another process writes"):
            back_up(connect(spicedb), path)


def test_a_file_that_exists_stays(spicedb: SpiceDBServer, path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(SpiceDBError, match="exists; choose another file"):
        back_up(connect(spicedb), path)
    assert path.read_text() == "mine"


def test_nothing_to_back_up(empty: SpiceDBServer, path: Path) -> None:
    with pytest.raises(SpiceDBError, match="has no schema, so there is nothing to back up"):
        back_up(connect(empty), path)
    assert not path.exists()


def test_the_wrong_key(spicedb: SpiceDBServer, path: Path) -> None:
    with pytest.raises(RequestError, match="PERMISSION_DENIED") as raised:
        back_up(connect(spicedb, "wrong"), path)
    assert "wrong:" not in str(raised.value)


def test_a_server_that_does_not_answer(spicedb: SpiceDBServer, path: Path) -> None:
    spicedb.fail("ExportBulkRelationships", grpc.StatusCode.UNAVAILABLE, times=99)
    with pytest.raises(RequestError, match="UNAVAILABLE: not now"):
        back_up(connect(spicedb), path)
    assert not path.exists()


def test_releases_before_v1_31(spicedb: SpiceDBServer, path: Path) -> None:
    spicedb.only_older = True
    back_up(connect(spicedb), path)
    assert held(path) == spicedb.texts()


def test_a_full_disk(spicedb: SpiceDBServer, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            back_up(connect(spicedb), path)
    assert not path.exists()
    back_up(connect(spicedb), path)
    assert held(path) == spicedb.texts()


@pytest.mark.parametrize("change", ["name", "schema"])
def test_what_another_spicedb_began_is_not_continued(
    spicedb: SpiceDBServer, path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(backup, "_FLUSH", 4)

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    first = attrs.evolve(connect(spicedb), name="the first")
    with pytest.raises(KeyboardInterrupt):
        back_up(first, path, notify=interrupt)
    with SpiceDBServer(SCHEMA if change == "name" else f"{SCHEMA}\ndefinition more {{}}") as other:
        other.put("document:other#reader@user:u1")
        name = "the second" if change == "name" else "the first"
        back_up(attrs.evolve(connect(other), name=name), path)
        assert held(path) == other.texts()


def test_a_backup_that_did_not_begin_leaves_nothing(empty: SpiceDBServer, path: Path) -> None:
    with pytest.raises(SpiceDBError, match="has no schema"):
        back_up(connect(empty), path)
    assert list(path.parent.iterdir()) == []
