"""The commands that copy and compare what SpiceDBs hold, and rehearse upgrades."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import attrs
import grpc
import pytest

from cdk8s_spicedb.cli import main
from cdk8s_spicedb.live.data.server import Server
from cdk8s_spicedb.live.rehearsal.result import Rehearsal
from tests.live.data.conftest import connect
from tests.live.rehearsal.test_result import STEP, rehearsal
from tests.spicedbserver import KEY, SpiceDBServer


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPICEDB_TOKEN", KEY)


def test_backup_restore_and_compare(
    spicedb: SpiceDBServer,
    empty: SpiceDBServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = str(tmp_path / "it.zedbackup")
    assert main(["backup", spicedb.address, file]) == 0
    assert "15 relationships" in capsys.readouterr().out
    assert main(["backup", spicedb.address, file]) == 1
    assert "exists; choose another file" in capsys.readouterr().err
    assert main(["restore", empty.address, file]) == 0
    assert "now has the same data as" in capsys.readouterr().out
    assert main(["compare", spicedb.address, empty.address, "--questions", "100"]) == 0
    assert capsys.readouterr().out.endswith("All answers are equal.\n")
    spicedb.put("document:d7#reader@user:somebody")
    assert main(["compare", spicedb.address, empty.address, "--questions", "100"]) == 3
    assert "answers are no instead of yes, such as document:d7#read" in capsys.readouterr().out


def test_backup_as_json(spicedb: SpiceDBServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", spicedb.address, str(tmp_path / "it"), "--output", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["relationships"], found["counts"]["document#owner"]) == (15, 1)


def test_a_backup_takes_name_and_place_of_a_file(
    spicedb: SpiceDBServer, empty: SpiceDBServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str | None]] = []

    @contextmanager
    def reaching(place: str | None, name: str) -> Iterator[Server]:
        asked.append((name, place))
        yield connect(spicedb if len(asked) == 1 else empty)

    monkeypatch.setattr(import_module("cdk8s_spicedb.cli.backup"), "reaching", reaching)
    monkeypatch.setattr("cdk8s_spicedb.cli.backup.connect", lambda _, destination: destination.namespace)
    file, made = tmp_path / "spicedb.yaml", str(tmp_path / "it")
    file.write_text("name: authz\nnamespace: prod\ndatastore: {engine: memory}\n")
    assert main(["backup", made, "-f", str(file)]) == 0
    assert main(["restore", "authz", made, "-f", str(file)]) == 0
    assert asked == [("authz", "prod")] * 2


def test_a_server_that_does_not_answer_could_not_be_asked(
    monkeypatch: pytest.MonkeyPatch, spicedb: SpiceDBServer, tmp_path: Path
) -> None:
    monkeypatch.setenv("SPICEDB_TOKEN", "wrong")
    assert main(["backup", spicedb.address, str(tmp_path / "it")]) == 5
    assert main(["compare", spicedb.address, spicedb.address]) == 5
    assert main(["restore", spicedb.address, str(tmp_path / "it")]) == 1


def test_an_address_needs_a_token(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("SPICEDB_TOKEN")
    assert main(["backup", "localhost:1", "it"]) == 1
    assert "set the variable SPICEDB_TOKEN to the preshared key of localhost:1" in capsys.readouterr().err


def test_missing_extra_is_explained() -> None:
    code = (
        "import sys; sys.modules['grpc'] = None; from cdk8s_spicedb.cli import main\n"
        "sys.exit(main(['backup', 'a', 'b']))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("install them with: pip install 'cdk8s-spicedb[live,data]'\n")


# ---------------------------------------------------------------- rehearse


def rehearse(monkeypatch: pytest.MonkeyPatch, folder: Path, found: Rehearsal, *arguments: str) -> int:
    """The exit code of the command, if the rehearsal finds this."""
    file = folder / "spicedb.yaml"
    file.write_text("datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n")
    monkeypatch.setattr("cdk8s_spicedb.cli.rehearse.connect", lambda *_: None)
    monkeypatch.setattr("cdk8s_spicedb.cli.rehearse.rehearse", lambda *_, **__: found)
    return main(["rehearse", "--file", str(file), *arguments])


def test_rehearsal_as_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rehearse(monkeypatch, tmp_path, rehearsal()) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Rehearsed spicedb in authz, SpiceDB v1.52.0 to v1.56.0, with all 1,000 relationships and 10 questions.",
        "",
        "Step  Version  Schema mode  Time  Migration  Slowest check  Slowest write  Rollback",
        "1     v1.56.0               21 s  4 s        0.1 s          2.5 s          works, 9 s",
        "",
        "Step  Database  At most  Log     Memory   Longest locks",
        "1     +15 MiB   +30 MiB  50 MiB  200 MiB  relation_tuple 2.4 s (reads 0.1 s), caveat 0.2 s",
        "",
        "No problem was found.",
    ]


def test_rehearsal_with_a_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = rehearsal(attrs.evolve(STEP, error="stuck"))
    assert rehearse(monkeypatch, tmp_path, found, "--output", "json") == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["problems"]) == (False, ["step 1, v1.56.0: the step fails: stuck"])
    assert told["steps"][0]["migration_seconds"] == 4
    assert rehearse(monkeypatch, tmp_path, found, "--output", "markdown") == 3
    assert capsys.readouterr().out.endswith("- step 1, v1.56.0: the step fails: stuck\n")


def test_nothing_to_ask_is_an_error(
    empty: SpiceDBServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["compare", empty.address, empty.address]) == 1
    assert "there is nothing to ask" in capsys.readouterr().err


def test_a_comparison_and_a_restore_as_json(
    spicedb: SpiceDBServer,
    empty: SpiceDBServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = str(tmp_path / "it")
    assert main(["backup", spicedb.address, file]) == 0
    capsys.readouterr()
    assert main(["restore", empty.address, file, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["relationships"] == 15
    assert main(["compare", spicedb.address, empty.address, "--output", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["differences"] == []


def test_a_ca_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ca").write_text("nothing")
    assert main(["backup", "localhost:1", "it", "--ca", str(tmp_path / "ca")]) == 1
    assert "has no certificate in PEM format" in capsys.readouterr().err


def test_a_backup_that_did_not_begin_cannot_continue(
    spicedb: SpiceDBServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SPICEDB_TOKEN", "wrong")
    spicedb.fail("ReadSchema", grpc.StatusCode.PERMISSION_DENIED, times=9)
    assert main(["backup", spicedb.address, str(tmp_path / "it")]) == 5
    assert "continue" not in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
