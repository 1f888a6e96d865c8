"""The production example: installed, upgraded under load, and its node drained."""

from __future__ import annotations

import runpy
import subprocess
from typing import Any

import attrs
import pytest
import trustme

from cdk8s_spicedb import SpiceDBProps
from tests.programs import ROOT

from .certificates import certificate
from .client import Client, Load, relay
from .cluster import Namespace, run, wait
from .conftest import KEY
from .databases import POSTGRES, image_can_be_pulled
from .helm import Helm
from .props import OLD

EXAMPLE: dict[str, Any] = runpy.run_path(str(ROOT / "examples" / "production" / "main.py"))
_PROPS: SpiceDBProps = EXAMPLE["PROPS"]
_SERVERS = "app.kubernetes.io/component=server"


@pytest.fixture
def authority(namespace: Namespace) -> trustme.CA:
    """Whoever vouches for the servers and for the database, which is there as well."""
    authority = trustme.CA()
    replica = "postgres-read"
    certificate(namespace, "postgres", authority, authority.issue_cert(POSTGRES.name, replica))
    certificate(namespace, "spicedb-grpc", authority, authority.issue_cert(EXAMPLE["NAME"]))
    certificate(
        namespace, "spicedb-dispatch", authority, authority.issue_cert(f"spicedb-dispatch-tls.{namespace.name}")
    )
    files = {"ssl": "on", "ssl_cert_file": "/certificates/tls.crt", "ssl_key_file": "/certificates/tls.key"}
    # The replica is the primary by another name, and its connections are the primary's too.
    arguments = ("postgres", "-cmax_connections=400", *(f"-c{name}={value}" for name, value in files.items()))
    attrs.evolve(POSTGRES, arguments=arguments, certificates="postgres").start(namespace)
    POSTGRES.also(namespace, replica)
    return authority


def _uids(namespace: Namespace) -> set[str]:
    return {pod["metadata"]["uid"] for pod in namespace.servers()}


def _drain(node: str, selector: str) -> subprocess.Popen[str]:
    """Drains a node of some pods."""
    arguments = ["--ignore-daemonsets", "--force", "--timeout=120s"]
    command = ["kubectl", "drain", node, f"--pod-selector={selector}", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_it_is_upgraded_and_its_node_drained_under_load(
    helm: Helm, namespace: Namespace, authority: trustme.CA
) -> None:
    # So that only the servers of this test are drained.
    label = {"example.com/run": namespace.name}
    props = attrs.evolve(_PROPS, server=attrs.evolve(_PROPS.server, pod_labels=label))
    if "podmonitors.monitoring.coreos.com" not in run("kubectl", "api-resources", "--output=name").stdout.split():
        # Where there is no Prometheus operator, its objects are held against their schemas alone.
        props = attrs.evolve(props, monitoring=attrs.evolve(props.monitoring, pod_monitor=None, alerts=None))
    has_zed = image_can_be_pulled(namespace, "ghcr.io/authzed/zed:v1.2.0", "zed", "version")
    if not has_zed:
        # The rest of the example is tested all the same; the Jobs with zed where its image can be had.
        props = attrs.evolve(props, schema=None, test=None)
    installed = helm.install(attrs.evolve(props, version=OLD), timeout=180)
    assert installed.ok, installed.output
    wait("as many servers as the autoscaler wants", lambda: len(namespace.servers()) == 3, 90)
    namespace.ready(_SERVERS)
    ca, name = authority.cert_pem.bytes(), EXAMPLE["NAME"]
    with relay(namespace) as address:
        client = Client(address, KEY, ca=ca, name=name)
        client.write()
        with Load("an upgrade in production", address, KEY, ca=ca, name=name) as load:
            upgraded = helm.upgrade(props, timeout=180)
        assert upgraded.ok, upgraded.output
        assert load.unharmed()
        namespace.settled()
        before, node = _uids(namespace), namespace.servers()[0]["spec"]["nodeName"]
        with (
            Load("a drained node", address, KEY, ca=ca, name=name) as load,
            _drain(node, f"example.com/run={namespace.name}") as draining,
        ):
            # While no node takes new ones, the budget keeps what there is.
            wait("the first to leave", lambda: before - _uids(namespace))
            run("kubectl", "uncordon", node)
            output, _ = draining.communicate(timeout=150)
            assert draining.returncode == 0, output
        assert load.unharmed()
        assert not before & _uids(namespace)
    if has_zed:
        tested = helm.test()
        assert tested.ok, tested.output
