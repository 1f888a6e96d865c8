"""``install`` and ``uninstall`` as a program, on the cluster."""

from __future__ import annotations

import pytest

from tests.lab.client import Client, relay
from tests.lab.cluster import Namespace, wait
from tests.lab.command import Command
from tests.lab.databases import PASSWORD, postgres_revision
from tests.lab.props import KEY, NEW, NEW_HEAD

KINDS = (
    "deployments,replicasets,pods,services,endpointslices,jobs,cronjobs,networkpolicies,poddisruptionbudgets,leases,"
    "roles,rolebindings"
)


WITH_TEST = """
schema:
  text: |
    definition user {}
    definition document {
      relation viewer: user
      permission view = viewer
    }
test: {resource: document, permission: view, subject: user}
"""


def left(namespace: Namespace) -> list[str]:
    """What is left of SpiceDB in the namespace. The database has labels of its own."""
    found = namespace.kubectl("get", KINDS, "--output=name", "--selector=app.kubernetes.io/name=spicedb").split()
    names = namespace.kubectl("get", "configmaps,secrets,serviceaccounts,leases", "--output=name").split()
    return found + [each for each in names if each.rpartition("/")[2] not in _OTHERS]


_OTHERS = ("kube-root-ca.crt", "default", "spicedb")
"""What Kubernetes itself has in each namespace, and the Secret of the test."""


@pytest.mark.parametrize("delivery", ["helm", "kubectl"])
def test_a_file_becomes_servers_that_answer_and_goes_again(
    command: Command, namespace: Namespace, postgres: None, delivery: str
) -> None:
    file = command.write(NEW, delivery=delivery, more=WITH_TEST if delivery == "helm" else "")
    dry = command.run("install", "--file", str(file), "--dry-run", "--no-pull-images")
    assert dry.code == 0, dry.error
    wait("the pods of the check to end", lambda: not left(namespace))
    installed = command.run("install", "--file", str(file), "--yes", "--no-pull-images")
    assert installed.code == 0, installed.error
    assert f"Address in the cluster: spicedb.{namespace.name}:50051" in installed.output
    assert KEY not in installed.output
    assert ("test: running the permission test" in installed.output) is (delivery == "helm")
    assert namespace.versions() == {NEW}
    assert postgres_revision(namespace) == NEW_HEAD
    assert command.run("status").code == 0
    with relay(namespace) as address:
        client = Client(address, KEY)
        client.write()
        assert client.check()
    again = command.run("install", "--file", str(file), "--yes")
    assert again.code == 1
    assert "to change it, use `cdk8s-spicedb upgrade" in again.error
    removed = command.run("uninstall", "--yes")
    assert removed.code == 0, removed.error
    assert left(namespace) == []
    assert postgres_revision(namespace) == NEW_HEAD, "the data stays"


def test_an_install_with_a_wrong_password_continues_when_it_is_corrected(
    command: Command, namespace: Namespace, postgres: None
) -> None:
    namespace.secret("spicedb", {"preshared-key": KEY, "password": "wrong"})
    file = command.write(NEW)
    checked = command.run("install", "--file", str(file), "--yes", "--no-pull-images")
    assert checked.code == 1, "the check asks the database"
    wait("the pods of the check to end", lambda: not left(namespace))
    failed = command.run("install", "--file", str(file), "--yes", "--no-check")
    assert failed.code == 4, failed.error
    assert "password authentication failed" in failed.error
    assert f"cdk8s-spicedb uninstall spicedb --namespace {namespace.name}" in failed.error
    namespace.secret("spicedb", {"preshared-key": KEY, "password": PASSWORD})
    installed = command.run("install", "--file", str(file), "--yes", "--no-pull-images")
    assert installed.code == 0, installed.error
    assert "Continues the unfinished install" in installed.output
    assert command.run("status").code == 0
    removed = command.run("uninstall", "--yes")
    assert removed.code == 0, removed.error
    assert left(namespace) == []
