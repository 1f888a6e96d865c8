"""Copies in files without a name."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live.data.backup import copy
from cdk8s_spicedb.live.data.file import Scratch, reading
from cdk8s_spicedb.live.data.part import write_sample
from cdk8s_spicedb.live.data.restore import restore
from tests.spicedbserver import SpiceDBServer

from .conftest import SCHEMA, TEXTS, connect


def test_a_copy_has_no_name(spicedb: SpiceDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    told = list[int]()
    with Scratch.create() as scratch:
        head, summary = copy(connect(spicedb), scratch, notify=told.append)
        assert (head.schema, summary.total) == (SCHEMA, len(TEXTS))
        assert os.listdir(tmp_path) == []


def test_several_read_a_copy_at_a_time(spicedb: SpiceDBServer) -> None:
    with Scratch.create() as scratch:
        copy(connect(spicedb), scratch)
        with reading(scratch) as (_, first), reading(scratch) as (_, second):
            pairs = list(zip(first, second, strict=True))
    assert len(pairs) == len(TEXTS)
    assert all(one == other for one, other in pairs)


def test_a_sample_of_a_copy_is_restored(spicedb: SpiceDBServer, empty: SpiceDBServer) -> None:
    with Scratch.create() as whole, Scratch.create() as part:
        copy(connect(spicedb), whole)
        number = write_sample(whole, part, 3)
        assert restore(part, connect(empty)).total == number
    assert len(empty.texts()) == number


def test_a_spicedb_without_a_schema(empty: SpiceDBServer) -> None:
    with Scratch.create() as scratch, pytest.raises(SpiceDBError, match="has no schema"):
        copy(connect(empty), scratch)


def test_a_full_disk_says_what_to_do() -> None:
    with pytest.raises(SpiceDBError, match="No space left on device; set TMPDIR to a folder"), Scratch.create():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(PermissionError), Scratch.create():
        raise PermissionError
