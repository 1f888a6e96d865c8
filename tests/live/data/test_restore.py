"""Copies of a file into a SpiceDB."""

from __future__ import annotations

import sys
from pathlib import Path

import grpc
import pytest
from authzed.api.v1 import Relationship

from cdk8s_spicedb.live.data.backup import back_up
from cdk8s_spicedb.live.data.file import NotABackupError
from cdk8s_spicedb.live.data.restore import DifferentError, NotEmptyError, restore, verify
from cdk8s_spicedb.live.data.server import RequestError
from tests.spicedbserver import SpiceDBServer, relationship

from .conftest import SCHEMA, TEXTS, connect

module = sys.modules[restore.__module__]


@pytest.fixture
def backup(spicedb: SpiceDBServer, tmp_path: Path) -> Path:
    return back_up(connect(spicedb), tmp_path / "spicedb.zedbackup").path


@pytest.fixture(autouse=True)
def small_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH", 2)
    monkeypatch.setattr(module, "_BATCHES", 3)


def test_a_copy_is_equal(spicedb: SpiceDBServer, empty: SpiceDBServer, backup: Path) -> None:
    asked: list[int] = []
    found = restore(backup, connect(empty), notify=asked.append)
    assert (empty.schema, empty.texts()) == (SCHEMA, spicedb.texts())
    assert found.total == len(TEXTS)
    assert asked == [6, 12, 15]


def test_what_has_expired_is_left_out(spicedb: SpiceDBServer, empty: SpiceDBServer, backup: Path) -> None:
    server = connect(empty)
    server.clock.sleep(100 * 366 * 86_400)
    assert restore(backup, server).total == len(TEXTS) - 1
    assert spicedb.texts() - empty.texts() == {each for each in spicedb.texts() if b"u9" in each and b"d4" in each}


def test_what_expires_soon_is_not_compared(spicedb: SpiceDBServer, empty: SpiceDBServer, tmp_path: Path) -> None:
    path = tmp_path / "soon"
    server = connect(empty)
    soon = server.clock.now().replace(microsecond=0).isoformat().replace("+00:00", "Z")
    spicedb.put(f"document:soon#reader@user:u1[expiration:{soon.replace(soon[:4], '2099', 1)}]")
    back_up(connect(spicedb), path)
    assert restore(path, server).total == len(TEXTS) + 1


@pytest.mark.parametrize(("texts", "holds"), [(TEXTS[:1], "a schema and relationships"), ([], "a schema")])
def test_a_database_that_is_not_empty(empty: SpiceDBServer, backup: Path, texts: list[str], holds: str) -> None:
    empty.schema = SCHEMA
    empty.put(*texts)
    before = empty.texts()
    with pytest.raises(NotEmptyError, match=f"has {holds}; restore into"):
        restore(backup, connect(empty))
    assert empty.texts() == before


def test_an_interrupted_restore_goes_on(spicedb: SpiceDBServer, empty: SpiceDBServer, backup: Path) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore(backup, connect(empty), notify=interrupt)
    assert len(empty.texts()) == 6
    with pytest.raises(NotEmptyError):
        restore(backup, connect(empty))
    restore(backup, connect(empty), go_on=True)
    assert empty.texts() == spicedb.texts()


def test_going_on_needs_the_same_schema(empty: SpiceDBServer, backup: Path) -> None:
    empty.schema = "definition other {}"
    with pytest.raises(NotEmptyError):
        restore(backup, connect(empty), go_on=True)


def test_a_lost_answer_writes_nothing_twice(spicedb: SpiceDBServer, empty: SpiceDBServer, backup: Path) -> None:
    empty.fail("ImportBulkRelationships", grpc.StatusCode.UNAVAILABLE, done=True)
    restore(backup, connect(empty))
    assert empty.texts() == spicedb.texts()
    assert "WriteRelationships" in empty.asked


def test_a_refused_write_ends_it(empty: SpiceDBServer, backup: Path) -> None:
    empty.fail("ImportBulkRelationships", grpc.StatusCode.INVALID_ARGUMENT)
    with pytest.raises(RequestError, match="INVALID_ARGUMENT"):
        restore(backup, connect(empty))


def test_a_release_that_does_not_accept_the_schema(
    spicedb: SpiceDBServer, empty: SpiceDBServer, tmp_path: Path
) -> None:
    spicedb.schema = "definition wrong {}"
    path = back_up(connect(spicedb), tmp_path / "wrong").path
    with pytest.raises(RequestError, match="INVALID_ARGUMENT: parse error in `schema`"):
        restore(path, connect(empty))
    assert not empty.texts()


@pytest.mark.parametrize("damage", [b"", b"x", b"Obj\x01"])
def test_a_file_that_is_no_backup(empty: SpiceDBServer, tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "damaged"
    path.write_bytes(damage)
    with pytest.raises(NotABackupError, match="is not a file of `zed backup`"):
        restore(path, connect(empty))
    assert empty.asked == []


def test_every_cut_of_a_file_is_found(empty: SpiceDBServer, backup: Path) -> None:
    whole = backup.read_bytes()
    backup.with_name(f"{backup.name}.json").unlink()  # zed writes none.
    for size in range(len(whole)):
        backup.write_bytes(whole[:size])
        with SpiceDBServer() as target:
            try:
                restore(backup, connect(target))
            except (NotABackupError, DifferentError):
                continue
        # A file that ends between two blocks is a whole file of fewer relationships.
        assert size in _ends_of_blocks(whole)


def _ends_of_blocks(whole: bytes) -> list[int]:
    marker = whole[-16:]
    return [index + 16 for index in range(len(whole)) if whole[index : index + 16] == marker]


def test_a_copy_that_differs(spicedb: SpiceDBServer, backup: Path) -> None:
    verify(backup, connect(spicedb))
    spicedb.put("document:more#owner@user:u1")
    with pytest.raises(DifferentError, match=r"document#owner: 2 instead of 1"):
        verify(backup, connect(spicedb))


def test_a_file_that_is_damaged_at_its_end_writes_nothing(
    spicedb: SpiceDBServer, empty: SpiceDBServer, tmp_path: Path
) -> None:
    path = back_up(connect(spicedb), tmp_path / "it").path
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(NotABackupError):
        restore(path, connect(empty))
    assert (empty.schema, empty.texts()) == ("", set())


def test_a_file_that_is_not_that_of_its_digest_writes_nothing(
    spicedb: SpiceDBServer, empty: SpiceDBServer, tmp_path: Path
) -> None:
    path = back_up(connect(spicedb), tmp_path / "it").path
    spicedb.put("document:another#reader@user:u1")
    back_up(connect(spicedb), tmp_path / "other").path.replace(path)
    with pytest.raises(NotABackupError, match=r"does not hold what it\.json says"):
        restore(path, connect(empty))
    assert (empty.schema, empty.texts()) == ("", set())


def test_expirations_keep_their_milliseconds(spicedb: SpiceDBServer, empty: SpiceDBServer, tmp_path: Path) -> None:
    """More digits do not fit into the file. They make no difference."""
    spicedb.put("document:exact#reader@user:u1[expiration:2100-01-02T03:04:05.678912Z]")
    path = back_up(connect(spicedb), tmp_path / "it").path
    restore(path, connect(empty))
    (found,) = empty.texts() - {each for each in spicedb.texts() if b"exact" not in each}
    assert Relationship.FromString(found).optional_expires_at.nanos == 678_000_000


def test_messages_have_a_maximum_size(
    spicedb: SpiceDBServer, empty: SpiceDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 1000)
    monkeypatch.setattr(module, "_MOST_BYTES", 100)
    found = [relationship(text) for text in TEXTS]
    parts = list(module.batches(found))
    assert [each for part in parts for each in part] == found
    assert len(parts) > 3
    assert all(sum(each.ByteSize() for each in part) <= 100 or len(part) == 1 for part in parts)
