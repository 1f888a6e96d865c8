"""Moves from the operator and from another chart with the commands of the guide, without failed checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import attrs

from cdk8s_spicedb import Pool, PostgreSQL, SecretKey, ServerProps, SpiceDBProps, write_helm_chart
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import RESTRICTED_CONTAINER, RESTRICTED_POD, Namespace, Object, wait
from tests.lab.command import Command
from tests.lab.databases import DATABASE, PASSWORD, POSTGRES, USER, postgres_revision
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEWEST, OLD, OLD_HEAD, ON_MARIADB, ON_POSTGRES, on_postgres, small
from tests.lab.shell import Shell, commands
from tests.pages import section
from tests.programs import ROOT

_GUIDE = ROOT / "docs" / "install" / "move.md"
_SECRET = "dev-spicedb-config"
_OPERATOR_COMMANDS = re.compile(r"kubectl (get|label|delete) spicedbcluster")
"""Commands that need the operator's custom resource, which is not in the cluster."""


def _variable(flag: str, value: str) -> Object:
    return {"name": f"SPICEDB_{flag}", "value": value}


def _secret_variable(flag: str, key: str) -> Object:
    return {"name": f"SPICEDB_{flag}", "valueFrom": {"secretKeyRef": {"name": _SECRET, "key": key}}}


_DATASTORE = [_variable("DATASTORE_ENGINE", "postgres"), _secret_variable("DATASTORE_CONN_URI", "datastore_uri")]


def _operator_objects(cluster: str) -> list[Object]:
    """The objects that the operator creates for a SpiceDBCluster, according to its source code."""
    name, labels = f"{cluster}-spicedb", {"authzed.com/cluster": cluster, "authzed.com/managed-by": "operator"}
    selector = {**labels, "authzed.com/cluster-component": "spicedb"}
    common = {"app.kubernetes.io/instance": name, "app.kubernetes.io/name": name}
    pod_labels = {**selector, **common, "app.kubernetes.io/component": "spicedb"}

    ports = {"grpc": 50051, "gateway": 8443, "metrics": 9090, "dispatch": 50053}
    probe = {"exec": {"command": ["grpc_health_probe", "-v", "-addr=localhost:50051"]}, "failureThreshold": 5}
    container = {
        "name": "spicedb",
        "image": f"ghcr.io/authzed/spicedb:{OLD}",
        "command": ["spicedb", "serve"],
        "env": [
            {"name": "SPICEDB_POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            _variable("LOG_LEVEL", "info"),
            _secret_variable("GRPC_PRESHARED_KEY", "preshared_key"),
            *_DATASTORE,
            _variable("DISPATCH_UPSTREAM_ADDR", f"kubernetes:///{cluster}:dispatch"),
            _variable("DISPATCH_CLUSTER_ENABLED", "true"),
        ],
        "ports": [{"name": port, "containerPort": number} for port, number in ports.items()],
        "readinessProbe": {**probe, "periodSeconds": 10, "timeoutSeconds": 5},
        "livenessProbe": {**probe, "initialDelaySeconds": 60, "periodSeconds": 10, "timeoutSeconds": 5},
        "securityContext": RESTRICTED_CONTAINER,
    }
    pod = {
        "serviceAccountName": cluster,
        "securityContext": RESTRICTED_POD,
        "containers": [container],
    }
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": cluster}
    rules = [{"apiGroups": [""], "resources": ["endpoints"], "verbs": ["get", "list", "watch"]}]
    deployment = {
        "replicas": 2,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
        "selector": {"matchLabels": {"app.kubernetes.io/instance": name}},
        "template": {"metadata": {"labels": pod_labels}, "spec": pod},
    }
    service = {"selector": selector, "ports": [{"name": port, "port": number} for port, number in ports.items()]}
    rbac = "rbac.authorization.k8s.io/v1"
    binding = {"roleRef": role, "subjects": [{"kind": "ServiceAccount", "name": cluster}]}
    objects: list[Object] = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": cluster}},
        {"apiVersion": rbac, "kind": "Role", "metadata": {"name": cluster}, "rules": rules},
        {"apiVersion": rbac, "kind": "RoleBinding", "metadata": {"name": cluster}, **binding},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": cluster}, "spec": service},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": deployment},
    ]
    for found in objects:
        found["metadata"]["labels"] = labels
    return objects


def _section(title: str) -> list[str]:
    return commands(section(_GUIDE, f"## {title}"))


def _write_chart(folder: Path, datastore: PostgreSQL, key: SecretKey) -> None:
    # During the move, both installations share the connections of a small database.
    datastore = attrs.evolve(datastore, read_pool=Pool(max_open=10), write_pool=Pool(max_open=5))
    props = SpiceDBProps(
        version=OLD, datastore=datastore, preshared_key=key, server=small(ServerProps(dispatch_enabled=True))
    )
    write_helm_chart(folder / "chart", props)


def _migrate(namespace: Namespace) -> None:
    """Runs the migration, as the operator does."""
    container = {
        "name": "migrate",
        "image": f"ghcr.io/authzed/spicedb:{OLD}",
        "args": ["migrate", "head"],
        "env": _DATASTORE,
        "securityContext": RESTRICTED_CONTAINER,
    }
    pod = {
        "restartPolicy": "OnFailure",
        "securityContext": RESTRICTED_POD,
        "containers": [container],
    }
    namespace.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "migrate"}, "spec": pod})
    wait("the migration", lambda: postgres_revision(namespace) == OLD_HEAD)


def _move(shell: Shell, service: str, steps: Sequence[str]) -> None:
    """Runs the steps while clients check permissions. Afterwards only the new servers and the old Service exist."""
    namespace = shell.namespace
    with relay(namespace, service) as address:
        Client(address, KEY).write()
        with Load(f"from {service}", address, KEY) as load:
            for step in steps:
                shell.run(step)
        assert load.succeeded()
    assert [pod["metadata"]["labels"]["app.kubernetes.io/instance"] for pod in namespace.servers()] == ["spicedb"] * 2
    assert namespace.get("service", service) is not None


def _install_by_operator(namespace: Namespace) -> None:
    uri = f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{POSTGRES.name}:5432/{DATABASE}?sslmode=disable"
    namespace.secret(_SECRET, {"preshared_key": KEY, "datastore_uri": uri})
    _migrate(namespace)
    namespace.apply(*_operator_objects("dev"))
    namespace.wait_until_ready("app.kubernetes.io/instance=dev-spicedb")


def test_move_from_the_operator(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    _install_by_operator(namespace)
    datastore = PostgreSQL(uri=SecretKey(_SECRET, "datastore_uri"))
    _write_chart(tmp_path, datastore, SecretKey(_SECRET, "preshared_key"))
    steps = [command for command in _section("From the operator") if not _OPERATOR_COMMANDS.match(command)]
    assert len(steps) == 8
    _move(Shell(namespace, tmp_path), "dev", steps)
    assert namespace.get("deployment", "dev-spicedb") is None


def test_copy_from_the_operator_to_another_engine(
    namespace: Namespace, helm: Helm, command: Command, postgres: None, mariadb: None, tmp_path: Path
) -> None:
    """As in docs/operate/engines.md."""
    _install_by_operator(namespace)
    with relay(namespace, "dev") as address:
        Client(address, KEY).write()
    assert helm.install(on_postgres(NEWEST, datastore=ON_MARIADB)).ok
    file = str(tmp_path / "move.zedbackup")
    for words in (("backup", "dev-spicedb", file), ("restore", "spicedb", file), ("compare", "dev-spicedb", "spicedb")):
        result = command.run(*words)
        assert result.code == 0, result.error
    assert result.output.splitlines()[-1] == "All answers are equal."


def test_move_from_another_chart(namespace: Namespace, postgres: None, tmp_path: Path) -> None:
    shell = Shell(namespace, tmp_path)
    minimal = ROOT / "bench" / "minimal"
    shell.run(f"helm install old {minimal} --set version={OLD} --namespace authz --wait --timeout 90s")
    _write_chart(tmp_path, ON_POSTGRES, SecretKey("spicedb", "preshared-key"))
    steps = _section("From another chart")
    assert len(steps) == 10
    _move(shell, "old", steps)
    assert namespace.get("deployment", "old") is None
    assert "old" not in shell.run("helm list --namespace authz --short")
