"""The production example: installation, upgrade under load, and drain of its node."""

from __future__ import annotations

import runpy
import subprocess
from typing import Any

import attrs
import pytest
import trustme

from cdk8s_spicedb import SpiceDBProps
from tests.lab.certificates import certificate
from tests.lab.client import Client, Load, relay
from tests.lab.cluster import Namespace, run, wait
from tests.lab.databases import POSTGRES, image_can_be_pulled
from tests.lab.helm import Helm
from tests.lab.props import KEY, OLD
from tests.programs import ROOT

EXAMPLE: dict[str, Any] = runpy.run_path(str(ROOT / "examples" / "production" / "main.py"))
_PROPS: SpiceDBProps = EXAMPLE["PROPS"]
_SERVERS = "app.kubernetes.io/component=server"


@pytest.fixture
def authority(namespace: Namespace) -> trustme.CA:
    """The CA of the servers and the database. Also starts the database."""
    authority = trustme.CA()
    replica = "postgres-read"
    certificate(namespace, "postgres", authority, authority.issue_cert(POSTGRES.name, replica))
    certificate(namespace, "spicedb-grpc", authority, authority.issue_cert(EXAMPLE["NAME"]))
    files = {"ssl": "on", "ssl_cert_file": "/certificates/tls.crt", "ssl_key_file": "/certificates/tls.key"}
    # The replica is the primary with another name, so the primary needs connections for both.
    arguments = ("postgres", "-cmax_connections=400", *(f"-c{name}={value}" for name, value in files.items()))
    attrs.evolve(POSTGRES, arguments=arguments, certificates="postgres").start(namespace)
    POSTGRES.add_service(namespace, replica)
    return authority


def _uids(namespace: Namespace, node: str | None = None) -> set[str]:
    """The servers, or those of one node."""
    return {pod["metadata"]["uid"] for pod in namespace.servers() if node in (None, pod["spec"].get("nodeName"))}


def _drain(node: str, selector: str) -> subprocess.Popen[str]:
    """Drains the selected pods from a node."""
    arguments = ["--ignore-daemonsets", "--force", "--timeout=120s"]
    command = ["kubectl", "drain", node, f"--pod-selector={selector}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_upgrade_and_drain_under_load(helm: Helm, namespace: Namespace, authority: trustme.CA) -> None:
    # The label limits the drain to the servers of this test.
    label = {"example.com/run": namespace.name}
    props = attrs.evolve(_PROPS, server=attrs.evolve(_PROPS.server, pod_labels=label))
    if "podmonitors.monitoring.coreos.com" not in run("kubectl", "api-resources", "--output=name").stdout.split():
        # The cluster has no Prometheus operator. Other tests validate its objects with their schemas.
        props = attrs.evolve(props, monitoring=attrs.evolve(props.monitoring, pod_monitor=None, alerts=None))
    has_zed = image_can_be_pulled(namespace, "ghcr.io/authzed/zed:v1.2.0", "zed", "version")
    if not has_zed:
        # Without the zed image, test everything else.
        props = attrs.evolve(props, schema=None, test=None)
    installed = helm.install(attrs.evolve(props, version=OLD), timeout=180)
    assert installed.ok, installed.output
    wait("the minimum of the autoscaler", lambda: len(namespace.servers()) == 3, 90)
    namespace.wait_until_ready(_SERVERS)
    ca, hostname = authority.cert_pem.bytes(), EXAMPLE["NAME"]
    with relay(namespace) as address:
        client = Client(address, KEY, ca=ca, hostname=hostname)
        client.write()
        with Load("an upgrade in production", address, KEY, ca=ca, hostname=hostname) as load:
            upgraded = helm.upgrade(props, timeout=180)
        assert upgraded.ok, upgraded.output
        assert load.succeeded()
        namespace.wait_for_terminating_servers()
        node = namespace.servers()[0]["spec"]["nodeName"]
        before = _uids(namespace, node)
        with (
            Load("a drained node", address, KEY, ca=ca, hostname=hostname) as load,
            _drain(node, f"example.com/run={namespace.name}") as draining,
        ):
            # While no node accepts new pods, the disruption budget protects the remaining servers.
            wait("the first drained server", lambda: before - _uids(namespace))
            run("kubectl", "uncordon", node)
            output, _ = draining.communicate(timeout=150)
            assert draining.returncode == 0, output
        assert load.succeeded()
        assert not before & _uids(namespace)
    if has_zed:
        tested = helm.test()
        assert tested.ok, tested.output
