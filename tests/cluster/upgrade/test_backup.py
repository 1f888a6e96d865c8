"""Upgrades with a step that has no way back: the rehearsal that they need, and the backups that they make."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cluster.gitops.definitions import FREE, definition
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, Object, run, wait
from tests.lab.command import Command
from tests.lab.props import KEY, NEW

OLDEST = "v1.37.1"
"""Its servers do not start on the datastore schema of `NEW`."""
BACKUPS = "backups.postgresql.cnpg.io"
BY_OPERATOR = """
upgradeBackup:
  manifest:
    apiVersion: postgresql.cnpg.io/v1
    kind: Backup
    metadata: {name: before-upgrade}
    spec: {cluster: {name: database}}
  waitFor: .status.phase=completed
  failOn: .status.phase=failed
"""


def record(namespace: Namespace) -> Object:
    """The record of the upgrade."""
    found = namespace.get("configmap", "spicedb-upgrade")
    assert found
    return dict(json.loads(found["data"]["record.json"]))


def test_the_command_wants_a_rehearsal_and_makes_a_backup(
    command: Command, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    command.install(OLDEST)
    with relay(namespace) as address:
        Client(address, KEY).write()
        file, folder = command.write(NEW), tmp_path / "backups"
        refused = command.run("upgrade", f"--file={file}", "--yes", "--no-check", "--observe=0")
        assert (refused.code, "add --no-rehearsal" in refused.error) == (1, True)
        assert f"cdk8s-spicedb rehearse --file {file} --namespace {namespace.name}" in refused.error
        assert (namespace.versions(), folder.exists()) == ({OLDEST}, False)
        result = command.upgrade(f"--backup={folder}")
        assert result.code == 0, result.error
        assert Client(address, KEY).check()
    assert f"Before step 1, the upgrade writes a backup to {folder}." in result.output
    (backup,) = folder.glob("*.zedbackup")
    assert json.loads(backup.with_name(f"{backup.name}.json").read_text())["relationships"] > 0
    back = command.run("rollback", "--yes")
    assert (back.code, f"restore the backup {backup} (" in back.error) == (1, True), back.error


def test_a_spicedb_without_a_schema_is_upgraded_without_a_backup(
    command: Command, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    command.install(OLDEST)
    command.write(NEW)
    result = command.upgrade(f"--backup={tmp_path / 'backups'}")
    assert result.code == 0, result.error
    assert record(namespace)["backup"] is None


def test_a_program_of_the_file_makes_the_backup(
    command: Command, namespace: Namespace, postgres: None, tmp_path: Path
) -> None:
    command.install(OLDEST)
    told, script = tmp_path / "told", tmp_path / "back-up.sh"
    values = ("NAMESPACE", "NAME", "STEP")
    told_as = " ".join(f"$CDK8S_SPICEDB_{value}" for value in values)
    script.write_text(f"#!/bin/sh\nkubectl get namespace $CDK8S_SPICEDB_NAMESPACE\necho {told_as} > {told}\n$1\n")
    script.chmod(0o700)
    command.write(NEW, more=f"upgradeBackup: {{command: [{script}, 'false']}}")
    failed = command.upgrade()
    assert (failed.code, "it failed" in failed.error, namespace.versions()) == (1, True, {OLDEST})
    backup = f"upgradeBackup: {{command: [{script}, 'echo s3://backups/1']}}"
    same = command.run("diff", f"--file={command.write(OLDEST, more=backup)}", "--exit-code")
    assert same.code == 0, "the backup is no part of the release"
    command.write(NEW, more=backup)
    done = command.upgrade()
    assert done.code == 0, done.error
    assert told.read_text().split() == [namespace.name, "spicedb", "1"]
    assert record(namespace)["backup"].startswith("the backup s3://backups/1 (")


def test_an_operator_makes_the_backup(command: Command, namespace: Namespace, postgres: None) -> None:
    """The test plays the operator of CloudNativePG."""
    kind = definition(BACKUPS, "Backup", "v1", FREE, status=True)
    run("kubectl", "apply", "--server-side", "--filename=-", text=json.dumps(kind))
    run("kubectl", "wait", "--for=condition=established", f"crd/{BACKUPS}", "--timeout=60s")
    command.install(OLDEST)
    command.write(NEW, more=BY_OPERATOR)
    seen: set[str] = set()
    for phase, code in (("failed", 1), ("completed", 0)):
        with command.running("upgrade", *command.options()) as process:
            backup = wait("the backup", lambda: new_backup(namespace, seen))
            name = backup["metadata"]["name"]
            assert backup["spec"] == {"cluster": {"name": "database"}}
            set_status(namespace, name, {"phase": "running"})
            assert namespace.versions() == {OLDEST}, "the upgrade waits"
            set_status(namespace, name, {"phase": phase, "error": "no space left"})
            output, _ = process.communicate(timeout=240)
        assert process.returncode == code, output
        assert ("has .status.phase=failed: no space left" in output) is (phase == "failed")
        seen.add(name)
    assert namespace.versions() == {NEW}
    assert record(namespace)["backup"].startswith(f"the Backup {name} (")


def new_backup(namespace: Namespace, seen: set[str]) -> Object | None:
    """A backup that was not seen before."""
    found = json.loads(namespace.kubectl("get", BACKUPS, "--output=json"))["items"]
    return next((each for each in found if each["metadata"]["name"] not in seen), None)


def set_status(namespace: Namespace, name: str, status: Object) -> None:
    """Sets the status of a backup, as the operator does."""
    patch = json.dumps({"status": status})
    namespace.kubectl("patch", BACKUPS, name, "--subresource=status", "--type=merge", f"--patch={patch}")
