"""The command ``repair``, and the Job that it prints."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cdk8s_spicedb import SpiceDBProps
from cdk8s_spicedb.cli import main
from cdk8s_spicedb.live import Cluster
from tests.apiserver import ApiServer
from tests.synth import OF_LOST_NODES

BASE = """
version: v1.57.1
image: registry.example.com/spicedb:v1.57.1
imagePullSecrets: [registry]
datastore: {engine: postgres, host: db, database: spicedb, user: app, password: {name: db, key: password},
  ca: {name: db, key: ca.crt}}
migration:
  serviceAccount: owner
  datastoreUri: {name: owner, key: uri}
  migrationTimeout: 5m
  restartPolicy: OnFailure
  tolerations: [{key: database, operator: Exists}]
labels: {team: access}
patches:
  - kind: Job
    name: spicedb-migration
    operations:
      - {op: add, path: /spec/template/spec/hostAliases, value: [{ip: 10.0.0.1, hostnames: [db]}]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "spicedb.yaml"
    made.write_text(BASE)
    return made


def printed(file: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    assert main(["repair", "--file", str(file)]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_job_is_the_migrations_with_another_command(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = printed(file, capsys)
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    spec = job["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["command"] == ["spicedb", "datastore", "repair", "transaction-ids"]
    assert container["args"] == [
        "--log-level=info",
        "--log-format=json",
        "--skip-release-check=true",
        "--termination-log-path=/dev/termination-log",
    ]
    assert container["image"] == "registry.example.com/spicedb:v1.57.1"
    env = {each["name"]: each.get("value") or each["valueFrom"]["secretKeyRef"] for each in container["env"]}
    assert env["SPICEDB_DATASTORE_ENGINE"] == "postgres"
    assert env["SPICEDB_DATASTORE_CONN_URI"] == {"name": "owner", "key": "uri"}
    assert env["PGSSLROOTCERT"] in {f"{each['mountPath']}/ca.crt" for each in container["volumeMounts"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("owner", False)
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    own, *added = spec["tolerations"]
    assert (own["key"], added) == ("database", OF_LOST_NODES)
    assert spec["hostAliases"][0]["ip"] == "10.0.0.1", "patches of the migration apply too"
    assert spec["restartPolicy"] == "Never", "its log stays"
    assert job["spec"]["ttlSecondsAfterFinished"] > 0


@pytest.mark.parametrize("delivery", ["helm", "argocd", "kubectl"])
def test_the_job_belongs_to_no_release(file: Path, capsys: pytest.CaptureFixture[str], delivery: str) -> None:
    file.write_text(f"{BASE}\ndelivery: {delivery}\n")
    first, second = printed(file, capsys), printed(file, capsys)
    assert "annotations" not in first["metadata"]
    assert first["metadata"]["labels"] == {"team": "access", "app.kubernetes.io/managed-by": "cdk8s-spicedb"}
    component = first["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]
    assert component == "migration", "network policies treat its pods as those of the migration"
    assert first["metadata"]["name"].startswith("spicedb-repair-")
    assert first["metadata"]["name"] != second["metadata"]["name"], "each one runs"


def test_on_a_terminal_it_says_that_nothing_was_changed(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["repair", "--file", str(file)]) == 0
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert main(["repair", "--file", str(file)]) == 0
    assert "Nothing was changed. To run this Job" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "datastore: {engine: mysql, uri: {name: db, key: uri}}",
            "with the engine mysql, a restored database needs no repair",
        ),
        ("datastore: {engine: memory}", "with the engine memory, a restored database needs no repair"),
        (
            "version: v1.27.0\ndatastore: {engine: postgres, uri: {name: db, key: uri}}",
            "SpiceDB v1.27.0 cannot repair a database: set version to v1.28.0 or later",
        ),
        (
            "datastore: {engine: postgres, uri: {name: db, key: uri}, credentialsProvider: aws-iam}",
            "SpiceDB's repair does not get its password from AWS: set migration.datastoreUri to a Secret and key with "
            "a URI that has a password",
        ),
    ],
)
def test_what_cannot_be_repaired(file: Path, capsys: pytest.CaptureFixture[str], text: str, error: str) -> None:
    file.write_text(text)
    assert main(["repair", "--file", str(file)]) == 1
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", f"error: {error}\n")


@pytest.mark.parametrize(
    ("needed", "text"),
    [
        (
            True,
            "The database of spicedb in authz is repaired: SpiceDB sees all of its rows again. To start the servers, "
            "run:\n  kubectl scale deployment/spicedb --replicas=2 --namespace authz\n",
        ),
        (
            False,
            "The database of spicedb in authz needs no repair: its server has given out all transaction ids that are "
            "in the tables.\n",
        ),
    ],
)
def test_the_command_runs_the_job(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, needed: bool, text: str
) -> None:
    asked: list[Any] = []

    def repair(cluster: Cluster, props: SpiceDBProps, *, database_image: str | None, notify: Any) -> bool:
        asked.append((cluster.namespace, props.name, database_image))
        notify("asking the database")
        return needed

    monkeypatch.setattr(import_module("cdk8s_spicedb.live.upgrade.repair"), "repair", repair)
    monkeypatch.setattr("cdk8s_spicedb.cli.destination.connect", lambda *_: ApiServer().cluster())
    assert main(["repair", "--run", "--file", str(file), "--database-image", "psql:1"]) == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == (text, "asking the database\n")
    assert asked == [("authz", "spicedb", "psql:1")]


@pytest.mark.parametrize("option", ["--namespace", "--context", "--database-image"])
def test_options_of_a_run_need_it(file: Path, option: str) -> None:
    with pytest.raises(SystemExit):
        main(["repair", "--file", str(file), option, "x"])
