"""What a step does to the database, as samples tell it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import pytest

from cdk8s_spicedb.live.rehearsal import databases
from cdk8s_spicedb.live.rehearsal.databases import ENGINES, Database
from cdk8s_spicedb.live.rehearsal.place import Place
from cdk8s_spicedb.live.rehearsal.watch import DatabaseUse, Locked
from tests.apiserver import ApiServer

SHARE, EXCLUSIVE = ("relation_tuple", "ShareLock"), ("relation_tuple", "AccessExclusiveLock")
SCRIPT = files("cdk8s_spicedb.live.rehearsal").joinpath("scripts").joinpath("watch.sh").read_text()


def sample(at: float, *locks: Sequence[str], size: int = 100, log: int | None = 5, known: bool = True) -> str:
    fact = {"fact": "sample", "at": at, "bytes": size, "log": log, "locks": list(locks) if known else None}
    return json.dumps(fact)


def read(*lines: str) -> DatabaseUse:
    return DatabaseUse.of("\n".join(lines))


def test_sizes() -> None:
    memory = [json.dumps({"fact": "memory", "bytes": each}) for each in (7, 9, 8)]
    found = read(sample(0, size=10, log=1000), sample(1, size=30), *memory, sample(2, size=20, log=1500))
    assert (found.bytes_before, found.bytes_after, found.bytes_peak) == (10, 20, 30)
    assert (found.grown, found.most, found.log_bytes, found.memory_bytes) == (10, 20, 500, 9)


def test_nothing_is_known_without_samples() -> None:
    for text in ("", "garbage\n{", '{"fact":"client"}'):
        assert DatabaseUse.of(text) == DatabaseUse()
    assert (DatabaseUse().grown, DatabaseUse().most) == (None, None)
    assert read(sample(0, known=False)).locks is None
    assert read(sample(0)).locks == []


def test_a_lock_lasts_until_a_sample_without_it() -> None:
    found = read(sample(0), sample(1, SHARE), sample(2, SHARE, EXCLUSIVE), sample(3.5), sample(4, SHARE), sample(5))
    assert found.locks == [Locked(table="relation_tuple", writes_seconds=2.5, reads_seconds=1.5)]


def test_the_longest_lock_comes_first() -> None:
    other = ("caveat", "MDL_SHARED_NO_WRITE")
    found = read(sample(0, SHARE, other), sample(1, other), sample(2, other))
    assert found.locks == [
        Locked(table="caveat", writes_seconds=2, reads_seconds=0),
        Locked(table="relation_tuple", writes_seconds=1, reads_seconds=0),
    ]


def test_a_client_that_ends_is_started_again_until_standard_input_ends() -> None:
    command, pipe = ["sh", "-c", SCRIPT, "watch", "first", "again", "head", "-n", "3"], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        lines = [process.stdout.readline().strip() for _ in range(40)]
        told = [line for line in lines if "memory" not in line]
        assert told[:6] == ['{"fact":"client"}', "first", "again", "again", '{"fact":"client"}', "first"]
        process.stdin.close()
        process.stdout.read()  # It ends when nobody has it open any more.


KUBECTL = """#!/bin/sh
echo "$*" >>{folder}/calls
echo '{{"fact" : "sample", "at": 1, "bytes": 10, "log": 1, "locks": []}}'
exec sleep 60
"""


def database(api: ApiServer, engine: str) -> Database:
    return Database(Place(api.cluster(), "spicedb", {}), ENGINES[engine], "image")


def test_kubectl_asks_in_the_pod(api: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL.format(folder=tmp_path))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with database(api, "postgres").watching() as watch:
        assert watch.use == DatabaseUse()
    assert (watch.use.bytes_after, watch.use.locks) == (10, [])
    assert (
        (tmp_path / "calls")
        .read_text()
        .startswith(f"exec --stdin {databases.NAME} --namespace authz -- sh -c # Starts")
    )


def test_without_a_client_nothing_is_known(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")  # Without kubectl.
    for engine in ("postgres", "cockroachdb"):
        with database(api, engine).watching() as watch:
            pass
        assert watch.use == DatabaseUse()
