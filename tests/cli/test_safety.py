"""What `upgrade` does on the command line because a step has no sure way back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cdk8s_spicedb import PostgreSQL
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.cli.safety import Backups, own_backup
from cdk8s_spicedb.live.data.server import Server
from cdk8s_spicedb.live.rehearsed import note_rehearsal
from cdk8s_spicedb.live.upgrade.deliver import StepError
from tests.apiserver import ApiServer
from tests.cli.terminal import typed
from tests.cli.test_upgrade import Live
from tests.cli.test_upgrade import live as live
from tests.live.data.conftest import connect
from tests.live.installed import props
from tests.live.upgrade.program import record_of
from tests.live.upgrade.program import world as world
from tests.spicedbserver import SpiceDBServer

UNSURE = """
version: v1.37.1
datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}
"""
RUN = ("upgrade", "--yes", "--no-check", "--observe", "0", "--no-rehearsal")


@pytest.fixture
def unsure(live: Live) -> Live:
    """A SpiceDB, and a file for an upgrade with a step that has no way back."""
    live.world.deploy(props("v1.30.0"))
    Path("spicedb.yaml").write_text(UNSURE)
    return live


def reach(monkeypatch: pytest.MonkeyPatch, server: SpiceDBServer) -> None:
    """Lets the command reach this server."""

    @contextmanager
    def reaching(*_: object) -> Iterator[Server]:
        yield connect(server)

    monkeypatch.setattr("cdk8s_spicedb.live.data.reach.reaching", reaching)


# ---------------------------------------------------------------- the backup of the command itself


def test_the_command_makes_a_backup_by_default(
    unsure: Live, spicedb: SpiceDBServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reach(monkeypatch, spicedb)
    assert main([*RUN]) == 0
    out, folder = capsys.readouterr().out, Path("spicedb-backups").resolve()
    assert (
        f"  Before step 1, the upgrade writes a backup to {folder}. The file says who has access to what. Only you can "
        "read it.\n" in out
    )
    (file,) = folder.glob("*.zedbackup")
    assert file.name.startswith("authz-spicedb-2030")
    assert (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777) == (0o600, 0o700)
    assert f"step 1 of 2: back up: made the backup {file}\n" in out
    assert (record_of(unsure.world).backup or "").startswith(f"the backup {file} (2030-")


def test_a_folder_takes_precedence_over_the_file(
    unsure: Live, spicedb: SpiceDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(monkeypatch, spicedb)
    Path("spicedb.yaml").write_text(f"{UNSURE}upgradeBackup: {{command: ['false']}}\n")
    assert main([*RUN, "--backup", "a/b"]) == 0
    assert len([*Path("a/b").glob("*.zedbackup")]) == 1


def test_a_spicedb_without_a_schema_needs_no_backup(
    unsure: Live, empty: SpiceDBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(monkeypatch, empty)
    assert main([*RUN]) == 0
    assert record_of(unsure.world).backup is None


def test_an_upgrade_that_rolls_back_makes_no_backup(live: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*RUN]) == 0
    assert "backup" not in capsys.readouterr().out
    assert not Path("spicedb-backups").exists()


def test_missing_libraries_are_an_error_that_names_the_ways(
    unsure: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "cdk8s_spicedb.live.data.backup", raising=False)
    monkeypatch.setitem(sys.modules, "grpc", None)
    assert main([*RUN]) == 1
    error = capsys.readouterr().err
    assert "pip install 'cdk8s-spicedb[live,data]'; or set upgradeBackup in the file" in error
    assert error.endswith("--no-backup\n")
    assert unsure.world.calls == []
    assert main([*RUN, "--write", "step"]) == 1
    assert "pip install 'cdk8s-spicedb[live,data]'" in capsys.readouterr().err
    assert not Path("step").exists()
    assert main([*RUN, "--no-backup"]) == 0


def test_stopped_servers_cannot_be_backed_up(unsure: Live, capsys: pytest.CaptureFixture[str]) -> None:
    deployment = unsure.world.api.get("deployments", "spicedb")
    deployment["spec"]["replicas"] = 0
    assert main([*RUN]) == 1
    assert "But no server runs, so it cannot be made. Start a server; or set upgradeBackup" in capsys.readouterr().err


def test_a_full_disk_is_an_error_that_changes_nothing(
    unsure: Live, spicedb: SpiceDBServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    reach(monkeypatch, spicedb)
    monkeypatch.setattr("cdk8s_spicedb.live.data.backup.back_up", full)
    assert main([*RUN]) == 1
    error = capsys.readouterr().err
    assert "the backup failed: cannot write " in error
    assert "No space left on device\nNothing was changed.\n" in error


# ---------------------------------------------------------------- the backup of the file


@pytest.mark.parametrize(
    ("backup", "how"),
    [
        ("{command: [echo, tape 5]}", "runs `echo 'tape 5'`"),
        (
            "{manifest: {apiVersion: v1, kind: Backup, metadata: {name: it}}, waitFor: .status.phase=completed}",
            "creates Backup it-… and waits for .status.phase=completed",
        ),
    ],
)
def test_the_question_says_which_backup_is_made(
    unsure: Live, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], backup: str, how: str
) -> None:
    Path("spicedb.yaml").write_text(f"{UNSURE}upgradeBackup: {backup}\n")
    with typed(monkeypatch, "no\n"):
        assert main(["upgrade", "--no-check"]) == 1
    assert f"  Before step 1, the upgrade {how}.\n" in capsys.readouterr().out


def test_no_backup_leaves_out_the_one_of_the_file(unsure: Live, capsys: pytest.CaptureFixture[str]) -> None:
    Path("spicedb.yaml").write_text(f"{UNSURE}upgradeBackup: {{command: ['false']}}\n")
    assert main([*RUN]) == 1
    assert "the backup failed: `false`: it failed\nNothing was changed." in capsys.readouterr().err
    assert main([*RUN, "--no-backup"]) == 0
    assert "  Before step 1, no backup is made (--no-backup).\n" in capsys.readouterr().out


def test_a_written_step_is_backed_up_too(unsure: Live, capsys: pytest.CaptureFixture[str]) -> None:
    Path("spicedb.yaml").write_text(f"{UNSURE}delivery: kubectl\nupgradeBackup: {{command: [echo, tape 5]}}\n")
    assert main(["upgrade", "--no-check", "--write", "step"]) == 0
    assert "made the backup tape 5" in capsys.readouterr().out
    assert (record_of(unsure.world).backup or "").startswith("the backup tape 5 (")


def test_a_backup_and_no_backup_exclude_each_other(live: Live) -> None:
    with pytest.raises(SystemExit):
        main([*RUN, "--no-backup", "--backup", "a"])


def test_backups_of_an_upgrade_have_names_of_their_own(
    spicedb: SpiceDBServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    reach(monkeypatch, spicedb)
    where = own_backup(tmp_path / "a" / "b")(ApiServer().cluster(), "spicedb")
    (file,) = (tmp_path / "a" / "b").glob("*.zedbackup")
    assert where == file
    assert file.name.startswith("authz-spicedb-20")


def test_options_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings: Any = props(upgrade_backup=None)
    none, folder, default = Backups.of(None, none=True), Backups.of("a", none=False), Backups.of(None, none=False)
    assert (none.back_up, none.chosen(settings)) == (None, settings)
    assert Path("a").is_dir()
    assert (folder.of_file, default.of_file) == (False, True)
    assert not default.folder.exists()


# ---------------------------------------------------------------- rehearsals

YES = ("upgrade", "--yes", "--no-check", "--observe", "0", "--no-backup")
WARNING = "Nobody has rehearsed this upgrade in the last day, and a rollback of a step does not work, or may not."


def test_nobody_is_asked_so_a_rehearsal_is_required(unsure: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*YES]) == 1
    assert capsys.readouterr().err == (
        f"error: {WARNING} Nothing was changed.\nTo rehearse it, run: cdk8s-spicedb rehearse --file spicedb.yaml "
        "--namespace authz\nTo go on without a rehearsal, add --no-rehearsal.\n"
    )
    assert unsure.world.calls == []
    note_rehearsal(unsure.world.cluster(), props("v1.37.1"))
    assert main([*YES]) == 0


def test_without_a_rehearsal_the_option_goes_on(unsure: Live, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*YES, "--no-rehearsal"]) == 0
    assert "rehearse" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(("options", "warns"), [((), True), (("--no-rehearsal",), False)])
def test_somebody_is_asked_with_a_warning(
    unsure: Live,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    warns: bool,
) -> None:
    with typed(monkeypatch, "yes\n"):
        assert main(["upgrade", "--no-check", "--observe", "0", "--no-backup", *options]) == 0
    out = capsys.readouterr().out
    warning = f"  {WARNING} To rehearse it, answer no, and run: cdk8s-spicedb rehearse --file spicedb.yaml "
    assert (warning in out) is warns


def test_an_upgrade_that_rolls_back_needs_no_rehearsal(live: Live) -> None:
    assert main([*YES]) == 0


def test_a_step_that_has_begun_needs_no_rehearsal_any_more(unsure: Live) -> None:
    unsure.world.fails["applied 1"] = StepError("it failed")
    assert main([*YES, "--no-rehearsal"]) == 4
    unsure.world.fails.clear()
    record = record_of(unsure.world)
    assert (record.running, list(record.unsure)) == (1, [])
    assert main([*YES]) == 0


def test_an_engine_that_cannot_be_rehearsed_is_not_refused(unsure: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PostgreSQL, "can_be_rehearsed", False)
    assert main([*YES]) == 0
