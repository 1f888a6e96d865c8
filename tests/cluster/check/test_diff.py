"""The command ``diff`` on releases of Helm and kubectl: no false differences, and none that is missing."""

from __future__ import annotations

import runpy
import time
from pathlib import Path
from typing import Any, cast

import attrs
import pytest
import trustme

from cdk8s_spicedb import Delivery, MigrationProps, PostgreSQL, ServerProps, SpiceDBProps
from cdk8s_spicedb.errors import SpiceDBError
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.compare import Change
from cdk8s_spicedb.live.diff import Diff, diff
from tests.lab.certificates import certificate
from tests.lab.cluster import Namespace
from tests.lab.command import Command
from tests.lab.deliver import KubectlDeliverer
from tests.lab.helm import Helm
from tests.lab.props import NEW, NEW_HEAD, OLD, OLD_HEAD, on_postgres
from tests.programs import ROOT

_ENV = "spec.template.spec.containers[spicedb].env[GOMAXPROCS]"


def _diff(namespace: Namespace, props: SpiceDBProps) -> Diff:
    start = time.monotonic()
    cluster = Cluster.connect(namespace=namespace.name)
    with cluster.client:
        found = diff(cluster, props)
    print(f"diff of {len(found.objects)} objects: {time.monotonic() - start:.2f} s")
    print(*found.meaning, sep="\n")
    return found


def _changed(found: Diff) -> dict[str, str]:
    """The change of each object that changes."""
    return {f"{each.kind} {each.name}": each.change.value for each in found.objects if each.change.value != "unchanged"}


def _fields(found: Diff, kind: str) -> dict[str, tuple[Any, Any]]:
    return {
        field.path: (field.before, field.after) for each in found.objects if each.kind == kind for field in each.fields
    }


_RICH = ServerProps(
    dispatch_enabled=True,
    env={"GOMAXPROCS": "2"},
    termination_grace_period_seconds=200,
    pod_annotations={"a/team": "x"},
)


def test_helm(any_helm: Helm, namespace: Namespace, postgres: None) -> None:
    props = on_postgres(OLD, server=_RICH)
    found = _diff(namespace, props)
    assert {each.change for each in found.objects} == {Change.CREATED}
    assert "this installs SpiceDB v1.52.0 on postgres with 2 servers" in found.meaning[0]
    assert any_helm.install(props).ok
    found = _diff(namespace, props)
    assert _changed(found) == {}
    assert found.meaning[0] == "No server restarts."

    fewer = on_postgres(OLD, server=ServerProps())
    found = _diff(namespace, fewer)
    assert _changed(found) == {
        "Deployment spicedb": "changed",
        "Role spicedb": "deleted",
        "RoleBinding spicedb": "deleted",
    }
    fields = _fields(found, "Deployment")
    assert fields[f"{_ENV}.value"] == ("2", None)
    assert fields["spec.template.metadata.annotations[a/team]"] == ("x", None)
    assert any_helm.upgrade(fewer).ok
    assert _changed(_diff(namespace, fewer)) == {}

    newer = on_postgres(NEW, migration=MigrationProps(backoff_limit=7))
    found = _diff(namespace, newer)
    text = " ".join(found.meaning)
    assert "a setting of the migration changed (checksum/migration-config)" in text
    assert f"image ghcr.io/authzed/spicedb:{OLD} to ghcr.io/authzed/spicedb:{NEW}" in text
    assert f"The migration changes the datastore from {OLD_HEAD} to {NEW_HEAD} (2 migrations: " in text
    assert f"also start on {NEW_HEAD}" in text
    assert any_helm.upgrade(newer).ok
    assert _changed(_diff(namespace, newer)) == {}
    assert any("There is no plan from v1.56.0 to v1.52.0" in each for each in _diff(namespace, fewer).meaning)


def test_kubectl(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    deliverer = KubectlDeliverer(namespace, tmp_path)
    props = on_postgres(OLD, server=_RICH, delivery=Delivery.KUBECTL)
    assert deliverer.deliver(props).ok
    assert _changed(_diff(namespace, props)) == {}
    fewer = on_postgres(OLD, server=ServerProps(), delivery=Delivery.KUBECTL)
    found = _diff(namespace, fewer)
    assert _changed(found) == {"Deployment spicedb": "changed"}
    assert _fields(found, "Deployment")[f"{_ENV}.value"] == ("2", None)
    assert any(each.startswith("Role spicedb, RoleBinding spicedb stay in the cluster") for each in found.meaning)
    assert deliverer.deliver(fewer).ok
    assert _changed(_diff(namespace, fewer)) == {}
    newer = on_postgres(NEW, delivery=Delivery.KUBECTL)
    found = _diff(namespace, newer)
    (job,) = [each for each in found.objects if each.kind == "Job"]
    assert job.change is Change.CREATED
    assert f"The Job {job.name} runs." in found.meaning
    assert any("has delivery: helm" in each for each in _diff(namespace, on_postgres(OLD)).meaning)


def test_server_side_apply(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    """``kubectl apply --server-side`` keeps no copy of what was applied, but Kubernetes knows which fields it set."""
    command = Command(namespace, tmp_path)
    file = command.write(OLD, delivery="kubectl", server="env: {GOMAXPROCS: '2'}")
    folder = tmp_path / "dist"
    assert command_output(command, file, folder) == 0
    namespace.kubectl("apply", "--server-side", f"--filename={folder}")
    assert command.run("diff", "-f", str(file), "--exit-code").code == 0
    command.write(OLD, delivery="kubectl")
    result = command.run("diff", "-f", str(file), "--exit-code")
    assert result.code == 3
    assert f"- {_ENV}.value: 2" in result.output
    assert command.run("diff", "-f", str(file)).code == 0
    found = command.run("diff", "-f", str(file), "--output=json").json
    assert [each["kind"] for each in found["objects"] if each["change"] == "changed"] == ["Deployment"]


def command_output(command: Command, file: Path, folder: Path) -> int:
    """Writes the manifests of a file."""
    from cdk8s_spicedb.cli import main

    return main(["synth", "-f", str(file), "--folder", str(folder)])


def test_refused_objects_are_named(namespace: Namespace, postgres: None) -> None:
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "few"},
            "spec": {"hard": {"count/deployments.apps": "0"}},
        }
    )
    with pytest.raises(SpiceDBError, match=r"Kubernetes would refuse the Deployment spicedb: .*quota"):
        _diff(namespace, on_postgres())


def test_production_has_no_false_differences(helm: Helm, namespace: Namespace, tmp_path: Path, postgres: None) -> None:
    """The objects of the production example, without those of a Prometheus operator, which the cluster lacks."""
    example: dict[str, Any] = runpy.run_path(str(ROOT / "examples" / "production" / "main.py"))
    props: SpiceDBProps = example["PROPS"]
    authority = trustme.CA()
    for name in ("spicedb-grpc", "postgres"):
        certificate(namespace, name, authority, authority.issue_cert(example["NAME"]))
    monitoring = attrs.evolve(props.monitoring, pod_monitor=None, alerts=None)
    datastore: PostgreSQL = attrs.evolve(
        cast(PostgreSQL, props.datastore), sslmode="disable", ca=None, read_replicas=[], read_replica_pool=None
    )
    props = attrs.evolve(props, version=OLD, monitoring=monitoring, datastore=datastore, schema=None, test=None)
    outcome = helm.install(props, timeout=120)
    assert outcome.ok, outcome.output
    found = _diff(namespace, props)
    assert _changed(found) == {}
    assert len(found.objects) > 10
    changed = _diff(namespace, attrs.evolve(props, labels={"team": "identity"}))
    assert set(_changed(changed).values()) == {"changed"}
    assert changed.meaning[0] == "No server restarts."
