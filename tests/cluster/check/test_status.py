"""The command ``status`` on releases in every state."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trustme

from cdk8s_spicedb import TLS, MigrationProps, PostgreSQL, ServerProps
from cdk8s_spicedb.errors import SpiceDBError
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.instance import Applier
from cdk8s_spicedb.live.status import Status, status, statuses
from cdk8s_spicedb.live.waiting import wait_until_safe
from cdk8s_spicedb.live.workload import MigrationState, RolloutState
from tests.lab.certificates import certificate
from tests.lab.cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, Object, wait
from tests.lab.command import Command
from tests.lab.databases import PASSWORD, POSTGRES
from tests.lab.deliver import KubectlDeliverer
from tests.lab.helm import Helm
from tests.lab.props import NEW, NEW_HEAD, OLD, ON_POSTGRES, on_postgres

_NEVER = MigrationProps(restart_policy="Never", backoff_limit=0)
_BROKEN: PostgreSQL = attrs.evolve(ON_POSTGRES, user="nobody")


def _run(namespace: Namespace, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cdk8s_spicedb", "status", *arguments]
    if "--all-namespaces" not in arguments:
        command += ["--namespace", namespace.name]
    start = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    print(f"{' '.join(command[2:])}: {time.monotonic() - start:.2f} s\n{result.stdout}{result.stderr}")
    assert PASSWORD not in result.stdout + result.stderr
    return result


@pytest.fixture
def cluster(namespace: Namespace) -> Iterator[Cluster]:
    """The namespace, through the client of the command."""
    connected = Cluster.connect(namespace=namespace.name)
    yield connected
    connected.client.close()


def _status(cluster: Cluster, name: str = "spicedb", **options: Any) -> Status:
    return status(cluster, name, **options)


def test_status_and_drift_of_a_helm_release(
    any_helm: Helm, namespace: Namespace, cluster: Cluster, postgres: None
) -> None:
    assert any_helm.install(on_postgres(OLD, server=ServerProps(allowed_migrations=["populate-schema-tables"]))).ok
    found = _status(cluster, drift=True)
    assert found.healthy, found.problems
    assert (found.applier, found.applied_as, found.version, found.engine) == (
        Applier.HELM,
        "release",
        OLD,
        "postgres",
    )
    assert found.helm is not None
    assert (found.helm.revision, found.helm.status) == (1, "deployed")
    assert (found.ready, found.replicas) == (2, 2)
    assert [pod.version for pod in found.pods] == [OLD] * 2
    assert found.migration is not None
    assert found.migration.state is MigrationState.NONE
    assert found.allowed_migrations == ("populate-schema-tables",)
    assert found.drift is not None
    assert (found.drift.known, found.drift.objects) == (True, ())
    assert _run(namespace).returncode == 0
    assert json.loads(_run(namespace, "spicedb", "--output=json").stdout)["rollout"]["state"] == "done"
    listed = json.loads(_run(namespace, "--all-namespaces", "--output=json").stdout)
    assert [each["version"] for each in listed if each["namespace"] == namespace.name] == [OLD]

    namespace.kubectl("scale", "deployment/spicedb", "--replicas=3")
    namespace.kubectl("set", "env", "deployment/spicedb", "GOMAXPROCS=2")
    namespace.kubectl("annotate", "service/spicedb", "example.com/team=a")
    namespace.kubectl("delete", "poddisruptionbudget", "spicedb")
    drift = _status(cluster, drift=True).drift
    assert drift is not None
    changed = {(each.kind, field.path): (field.before, field.after) for each in drift.objects for field in each.fields}
    assert changed["Deployment", "spec.replicas"] == (2, 3)
    assert changed["Deployment", "spec.template.spec.containers[spicedb].env[GOMAXPROCS].value"] == (None, "2")
    assert changed["Service", "metadata.annotations[example.com/team]"] == (None, "a")
    assert {each.kind: each.change.value for each in drift.objects} == {
        "Deployment": "changed",
        "Service": "changed",
        "PodDisruptionBudget": "deleted",
    }


def test_roll_out_that_does_not_end(helm: Helm, namespace: Namespace, cluster: Cluster, postgres: None) -> None:
    assert helm.install(on_postgres()).ok
    assert wait_until_safe(cluster, "spicedb", 60) is None
    namespace.kubectl("set", "image", "deployment/spicedb", "spicedb=ghcr.io/authzed/spicedb:v1.999.0")

    def waiting() -> Status | None:
        found = _status(cluster)
        return found if any("Pull" in pod.reason for pod in found.pods) else None

    found = wait("the pull to fail", waiting)
    assert found.healthy, "the old servers serve"
    assert found.rollout is not None
    assert found.rollout.state is RolloutState.PROGRESSING
    assert sorted(pod.version or "" for pod in found.pods) == [NEW, NEW, "v1.999.0"]
    result = _run(namespace, "--wait=1")
    assert result.returncode == 1
    assert "the next change of spicedb is not safe yet" in result.stderr
    namespace.kubectl("rollout", "undo", "deployment/spicedb")
    assert _run(namespace, "--wait=60").returncode == 0
    assert all(pod.ready and not pod.terminating for pod in _status(cluster).pods)


def test_failed_migration_and_the_rollback_after_it(
    helm: Helm, namespace: Namespace, cluster: Cluster, postgres: None
) -> None:
    with pytest.raises(SpiceDBError, match="there is no Deployment spicedb"):
        _status(cluster)
    assert _run(namespace).returncode == 1
    assert not helm.install(on_postgres(OLD, datastore=_BROKEN, migration=_NEVER)).ok
    found = _status(cluster)
    assert found.problems[0] == "no server was installed yet"
    assert [each.state for each in statuses(cluster)] == ["not installed; migration failed"]
    assert helm.uninstall().ok
    assert helm.install(on_postgres(OLD)).ok
    assert not helm.upgrade(on_postgres(NEW, datastore=_BROKEN, migration=_NEVER)).ok
    found = _status(cluster)
    assert not found.healthy
    assert (found.version, found.ready) == (OLD, 2)
    migration = found.migration
    assert migration is not None
    assert (migration.state, migration.version, migration.target) == (MigrationState.FAILED, NEW, "head")
    assert "BackoffLimitExceeded" in migration.reason
    assert "password authentication failed" in " ".join(migration.log)
    assert "password authentication failed" in migration.reason
    assert found.helm is not None
    assert (found.helm.revision, found.helm.status) == (2, "failed")
    assert _run(namespace).returncode == 1
    time.sleep(1)  # Times of Kubernetes have whole seconds.
    assert helm.rollback(1).ok
    found = _status(cluster)
    assert found.healthy, found.problems


def test_kubectl_names_the_migration_by_its_hash(
    namespace: Namespace, cluster: Cluster, postgres: None, tmp_path: Path
) -> None:
    deliverer = KubectlDeliverer(namespace, tmp_path)
    assert deliverer.deliver(on_postgres(OLD)).ok
    assert deliverer.deliver(on_postgres(NEW)).ok
    found = _status(cluster, drift=True)
    assert found.applier is Applier.KUBECTL
    assert found.migration is not None
    assert (found.migration.state, found.migration.version) == (MigrationState.SUCCEEDED, NEW)
    assert found.drift is not None
    assert (found.drift.known, found.drift.objects) == (True, ())
    file = Command(namespace, tmp_path).write(NEW, delivery="kubectl")
    asked = _run(namespace, "--datastore", f"--file={file}", f"--database-image={POSTGRES.image}", "--output=json")
    assert json.loads(asked.stdout)["revision"] == NEW_HEAD
    namespace.kubectl("set", "resources", "deployment/spicedb", "--limits=memory=700Mi")
    drift = _status(cluster, drift=True).drift
    assert drift is not None
    ((field,),) = [each.fields for each in drift.objects]
    assert (field.path, field.before, field.after) == (
        "spec.template.spec.containers[spicedb].resources.limits.memory",
        "512Mi",
        "700Mi",
    )


def test_watch_prints_a_line_for_each_change(
    helm: Helm, namespace: Namespace, cluster: Cluster, postgres: None
) -> None:
    assert helm.install(on_postgres(server=ServerProps(replicas=1))).ok
    arguments = ("-m", "cdk8s_spicedb", "status", "spicedb", "--watch", "--namespace", namespace.name)
    command = [sys.executable, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert "healthy; 1 of 1 ready; roll-out done; v1.56.0" in process.stdout.readline()
            # A server that can start may be ready before the next look.
            namespace.kubectl("create", "quota", "full", "--hard=pods=0")
            namespace.kubectl("scale", "deployment/spicedb", "--replicas=2")
            assert "not healthy; 1 of 2 ready" in process.stdout.readline()
        finally:
            process.kill()


def test_spicedb_of_another_program(namespace: Namespace, cluster: Cluster) -> None:
    namespace.apply(_operated())
    wait("the server", lambda: _status(cluster, "dev-spicedb").ready == 1)
    found = _status(cluster, "dev-spicedb", drift=True)
    assert (found.ours, found.applier, found.applied_as) == (False, Applier.OPERATOR, "dev")
    assert (found.version, found.engine, found.replicas, found.healthy) == (OLD, "memory", 1, True)
    assert found.migration is None
    assert found.drift is not None
    assert not found.drift.known
    assert "only part is known" in _run(namespace).stdout
    assert wait_until_safe(cluster, "dev-spicedb", 10) is None


def _operated() -> Object:
    """A Deployment as the operator makes it."""
    labels = {"authzed.com/cluster": "dev", "app.kubernetes.io/instance": "dev-spicedb"}
    container: dict[str, Any] = {
        "name": "spicedb",
        "image": f"ghcr.io/authzed/spicedb:{OLD}",
        "command": ["spicedb", "serve"],
        "env": [
            {"name": "SPICEDB_DATASTORE_ENGINE", "value": "memory"},
            {"name": "SPICEDB_GRPC_PRESHARED_KEY", "value": "key"},
        ],
        "securityContext": RESTRICTED_CONTAINER,
        "readinessProbe": {"grpc": {"port": 50051}, "periodSeconds": 1},
    }
    spec = {
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {"securityContext": RESTRICTED_POD, "containers": [container]},
        },
    }
    metadata = {"name": "dev-spicedb", "labels": labels}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def test_ends_of_certificates(helm: Helm, namespace: Namespace, cluster: Cluster, postgres: None) -> None:
    authority = trustme.CA()
    certificate(namespace, "tls", authority, authority.issue_cert("spicedb"))
    server = ServerProps(grpc_tls=TLS.from_secret("tls"), replicas=1)
    assert helm.install(on_postgres(server=server)).ok
    found = _status(cluster, certificates=True)
    assert [(each.secret, each.key) for each in found.certificates or ()] == [("tls", "tls.crt")]
    assert all((each.days or 0) > 365 for each in found.certificates or ())
    assert "BEGIN" not in _run(namespace, "--certificates").stdout


def test_without_rights(namespace: Namespace, cluster: Cluster, postgres: None, helm: Helm) -> None:
    assert helm.install(on_postgres(server=ServerProps(replicas=1))).ok
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"]}]
    rbac = "rbac.authorization.k8s.io"
    namespace.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "viewer"}},
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": "viewer"}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "viewer"},
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "viewer"},
            "subjects": [{"kind": "ServiceAccount", "name": "viewer"}],
        },
    )
    cluster.client.headers["Impersonate-User"] = f"system:serviceaccount:{namespace.name}:viewer"
    found = status(cluster, "spicedb", drift=True, certificates=True)
    assert found.healthy
    assert [each.partition(":")[0] for each in found.unknown] == ["Helm", "migration", "pods", "upgrade", "warnings"]
    assert found.drift is not None
    assert "needs the right to get and list Secrets" in found.drift.reason
