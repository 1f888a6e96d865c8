"""``cdk8s-spicedb check`` on a real cluster: it finds what would fail, and changes nothing."""

from __future__ import annotations

import base64
import os
import shutil
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import httpx2
import pytest
import yaml

from cdk8s_spicedb import (
    CleanupProps,
    Delivery,
    Monitoring,
    Patch,
    PatchOperation,
    PodMonitor,
    ServerProps,
    SpiceDBProps,
)
from cdk8s_spicedb.files.read import read_props
from cdk8s_spicedb.live.check.access import Need, needs
from cdk8s_spicedb.live.check.check import CheckReport, check
from cdk8s_spicedb.live.check.finding import Finding, Level
from cdk8s_spicedb.live.cluster import CONFIG_MAP, DEPLOYMENT, JOB, POD, SECRET, Cluster, Kind
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.versions import SCHEMA_MODES
from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, run, wait
from tests.lab.command import Command
from tests.lab.databases import POSTGRES
from tests.lab.deliver import Deliverer, HelmDeliverer, KubectlDeliverer
from tests.lab.helm import Helm
from tests.lab.props import KEY, NEW, OLD, on_postgres

_ACCOUNT = "operator"
_KINDS = (CONFIG_MAP, DEPLOYMENT, JOB, POD, SECRET, Kind("v1", "Service"), Kind("v1", "ServiceAccount"))


@pytest.fixture
def cluster(namespace: Namespace) -> Iterator[Cluster]:
    """The namespace, with the rights of the kubeconfig."""
    connected = Cluster.connect(namespace=namespace.name)
    with connected.client:
        yield connected


def checked(cluster: Cluster, props: SpiceDBProps, **options: Any) -> CheckReport:
    """What a check finds, without the database. It must have changed nothing."""
    before, start = objects(cluster), time.monotonic()
    report = check(cluster, props, **{"database": False, **options})
    print(f"check: {time.monotonic() - start:.2f} s, {len(report.findings)} findings")
    assert objects(cluster) == before
    return report


def objects(cluster: Cluster) -> set[tuple[str, ...]]:
    """The objects of the namespace and their generations, without those that are being deleted."""
    found = [(kind, each["metadata"]) for kind in _KINDS for each in cluster.find(kind)]
    return {
        (kind.kind, data["name"], data["uid"], str(data.get("generation")))
        for kind, data in found
        if "deletionTimestamp" not in data
    }


def failures(report: CheckReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.level is Level.FAILURE]


def failure(report: CheckReport) -> Finding:
    (finding,) = failures(report)
    assert finding.fix
    return finding


def test_a_release_that_is_sound_can_be_upgraded(
    namespace: Namespace, cluster: Cluster, postgres: None, helm: Helm
) -> None:
    asked = checked(cluster, on_postgres(OLD), database=True, database_image=POSTGRES.image)
    assert failures(asked) == []
    assert "Database revision" in {finding.subject for finding in asked.findings}
    assert helm.install(on_postgres(OLD)).ok
    namespace.wait_for_terminating_servers()
    report = checked(cluster, on_postgres(NEW))
    # Releases before v1.57.0 have known faults that are not severe, and the cluster may have one node.
    others = [(each.level, each.subject) for each in report.findings if each.level is not Level.OK]
    assert [each for each in others if each != (Level.WARNING, "Nodes")] == [(Level.WARNING, "Known faults")]
    assert report.plan is not None
    assert (report.plan.current, report.plan.target) == (OLD, NEW)
    subjects = [finding.subject for finding in report.findings]
    assert {"Deployment spicedb", "Helm release release", "Step 1 of 1", "Rights", "Objects", "Pods"} <= {*subjects}

    # The same release, and files that do not fit it.
    assert "set delivery: helm" in failure(checked(cluster, on_postgres(NEW, delivery=Delivery.KUBECTL))).fix
    assert failure(checked(cluster, on_postgres("v1.37.1"))).text.startswith("version is 'v1.37.1'")

    namespace.apply(quota({"pods": "2"}))
    full = wait("the quota", lambda: next(iter(failures(checked(cluster, on_postgres(NEW)))), None))
    assert (full.subject, "raise pods of the quota to 3" in full.fix) == ("ResourceQuota compute", True)
    namespace.apply(quota({"pods": "3"}))
    wait("the quota", lambda: not failures(checked(cluster, on_postgres(NEW))))
    assert helm.upgrade(on_postgres(NEW)).ok


def quota(hard: dict[str, str]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "compute"}, "spec": {"hard": hard}}


def test_what_is_missing_is_found_before_an_install(namespace: Namespace, cluster: Cluster) -> None:
    namespace.kubectl("delete", "secret", "spicedb")
    assert "kubectl create secret generic spicedb" in failure(checked(cluster, on_postgres())).fix
    namespace.secret("spicedb", {"preshared-key": "key", "password": ""})
    assert failure(checked(cluster, on_postgres())).text == "has an empty value for password"
    namespace.secret("spicedb", {"preshared-key": "key", "password": "password"})
    assert failures(checked(cluster, on_postgres())) == []

    monitored = on_postgres(monitoring=Monitoring(pod_monitor=PodMonitor()))
    assert "remove monitoring.podMonitor from the file" in failure(checked(cluster, monitored)).fix
    path = "/spec/template/spec/containers/0/securityContext/allowPrivilegeEscalation"
    patch = Patch(kind="Deployment", operations=[PatchOperation(op="replace", path=path, value=True)])
    refused = failure(checked(cluster, on_postgres(patches=[patch])))
    assert refused.subject == "Pod of Deployment spicedb"
    assert 'violates PodSecurity "restricted:latest"' in refused.text
    gone = check(attrs.evolve(cluster, namespace="there-is-none"), on_postgres(), database=False)
    assert "kubectl create namespace there-is-none" in failure(gone).fix


def test_the_command_says_by_its_exit_code_whether_there_is_a_failure(namespace: Namespace, command: Command) -> None:
    file = str(command.write(NEW))
    sound = command.run("check", "--file", file, "--no-database")
    assert (sound.code, sound.error) == (0, "")
    # One of the known faults, and one of the nodes if the cluster has only one.
    warnings = sum(line.startswith("warning ") for line in sound.output.splitlines() if " Nodes " not in line)
    assert warnings == 1
    assert sound.output.splitlines()[-1].startswith("0 failures, ")
    namespace.kubectl("delete", "secret", "spicedb")
    missing = command.run("check", "--file", file, "--no-database", "--output", "json")
    assert missing.code == 1
    found = [finding["subject"] for finding in missing.json["findings"] if finding["level"] == "failure"]
    assert found == ["Secret spicedb"]


def test_limits_of_the_namespace_apply_to_pods(namespace: Namespace, cluster: Cluster) -> None:
    limits = {"limits": [{"type": "Container", "max": {"cpu": "1", "memory": "4Gi"}}]}
    namespace.apply({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "limits"}, "spec": limits})
    found = failure(checked(cluster, on_postgres()))
    assert found.subject == "Pod of Deployment spicedb"
    assert "server.resources" in found.fix
    assert "LimitRange" in found.fix
    namespace.kubectl("delete", "limitrange", "limits")
    namespace.apply(quota({"requests.memory": "100Mi", "limits.memory": "8Gi"}))
    (found,) = failures(checked(cluster, on_postgres()))
    assert found.text.startswith("the roll-out needs 128Mi of requests.memory")


def test_images_are_pulled_and_their_pods_deleted(namespace: Namespace, cluster: Cluster) -> None:
    missing = "registry.k8s.io/kubectl:v9.9.9"
    settings = on_postgres(cleanup=CleanupProps(image=missing))
    report = check(cluster, settings, database=False, pull_images=True)
    found = failure(report)
    assert found.subject == f"Image {missing}"
    assert "ErrImagePull" in found.text
    pulled = [finding.subject for finding in report.findings if finding.text == "can be pulled"]
    assert pulled == [f"Image ghcr.io/authzed/spicedb:{NEW}"]
    wait("the pods to be deleted", lambda: not namespace.kubectl("get", "pods", "--output=name"))


def as_account(namespace: Namespace) -> str:
    """A token of a new ServiceAccount without rights."""
    namespace.kubectl("create", "serviceaccount", _ACCOUNT)
    return namespace.kubectl("create", "token", _ACCOUNT).strip()


def grant(namespace: Namespace, cluster: Cluster, wanted: list[Need]) -> None:
    """Gives the account these rights."""
    rules = [
        {
            "apiGroups": [need.kind.group],
            "resources": [cluster.resource(need.kind).plural + (f"/{need.subresource}" if need.subresource else "")],
            "resourceNames": list(need.names),
            "verbs": list(need.verbs),
        }
        for need in wanted
    ]
    rbac = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": {"name": _ACCOUNT}, "rules": rules}
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": _ACCOUNT},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": _ACCOUNT},
        "subjects": [{"kind": "ServiceAccount", "name": _ACCOUNT}],
    }
    namespace.apply(role, binding)


def test_each_missing_right_is_a_failure_with_its_rule(namespace: Namespace, cluster: Cluster) -> None:
    # Servers with dispatch have rights, which nobody can grant without having them.
    props, token = on_postgres(server=ServerProps(dispatch_enabled=True)), as_account(namespace)
    address, headers = cluster.client.base_url, {"authorization": f"Bearer {token}"}
    with httpx2.Client(base_url=address, headers=headers, verify=verification()) as client:
        with_account(namespace, cluster, Cluster(client, namespace.name), props)


def with_account(namespace: Namespace, cluster: Cluster, account: Cluster, props: SpiceDBProps) -> None:
    wanted = needs(props, release_manifests(props))

    report = check(account, props, database=False)
    assert {finding.subject for finding in failures(report)} == {"Rights"}
    rules = [rule for each in failures(report) for rule in yaml.safe_load(f"[{each.fix.partition(': ')[2]}]")]
    assert len(rules) == len(wanted)
    secret = next(each for each in report.findings if each.subject == "Secret spicedb")
    assert secret.level is Level.WARNING

    # With the rules of the report, only the rights that the release itself grants are missing.
    own = [Need(Kind("v1", "Endpoints"), ("get", "watch")), Need(POD, ("create", "delete"))]
    grant(namespace, cluster, wanted)
    report = check(account, props, database=False)
    assert {finding.subject for finding in failures(report)} == {"Role spicedb"}
    assert all("escalate" in finding.fix for finding in failures(report))
    grant(namespace, cluster, [*wanted, *own, Need(SECRET, ("get",))])
    assert failures(check(account, props, database=False)) == []


def verification() -> Any:
    """The CA of the kubeconfig's cluster."""
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    found = config["clusters"][0]["cluster"]
    if "certificate-authority" in found:
        return ssl.create_default_context(cafile=found["certificate-authority"])
    return ssl.create_default_context(cadata=base64.b64decode(found["certificate-authority-data"]).decode())


@pytest.mark.parametrize("program", ["helm", "helm3", "kubectl"])
def test_the_rights_are_enough_to_deliver_and_to_upgrade(
    namespace: Namespace,
    cluster: Cluster,
    postgres: None,
    tmp_path: Path,
    program: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = shutil.which(program)
    if not found:
        pytest.skip(f"{program} is not on PATH")
    deliverer: Deliverer = KubectlDeliverer(namespace, tmp_path)
    if program != "kubectl":
        deliverer = HelmDeliverer(namespace, tmp_path, program)
        # The command runs the program that is called helm.
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "helm").symlink_to(found)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    token, command, delivery = as_account(namespace), Command(namespace, tmp_path), deliverer.delivery.value
    old = read_props(command.write(OLD, delivery=delivery).read_text(), "old")
    last = f"schemaMode: {list(SCHEMA_MODES)[-1]}"
    new = read_props(command.write(NEW, delivery=delivery, server=last).read_text(), "new")
    own = [Need(Kind("v1", "Endpoints"), ("get", "watch"))]
    wanted = [*needs(old, release_manifests(old)), *needs(new, release_manifests(new), rewrites_schema=True)]
    grant(namespace, cluster, [*wanted, *own])
    config = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
    for user in config["users"]:
        user["user"] = {"token": token}
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(config))
    with monkeypatch.context() as patched:
        patched.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        for each in (old, attrs.evolve(old, labels={"changed": "yes"})):
            outcome = deliverer.deliver(each)
            assert outcome.ok, outcome.output
    with relay(namespace) as address:
        Client(address, KEY).write()
    with monkeypatch.context() as patched:
        patched.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        result = command.run("upgrade", *command.options(), seconds=600)
        assert result.code == 0, result.error
        back = command.run("rollback", "--yes", "--file", str(command.file))
        assert back.code == 0, back.error
    run("kubectl", "--namespace", namespace.name, "rollout", "status", "deployment/spicedb", "--timeout=60s")
