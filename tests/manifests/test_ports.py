"""The ports that servers listen on."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import (
    TLS,
    DispatchTLS,
    ExternalService,
    GRPCRoute,
    Memory,
    NetworkPolicies,
    PermissionTest,
    SchemaProps,
    ServerProps,
    SpiceDB,
    SpiceDBProps,
)
from cdk8s_spicedb.manifests.pods import open_ports
from tests.synth import POSTGRES, Manifests, chart, synth

VERSION = "v1.56.0"
TEST = PermissionTest(resource="document", permission="read", subject="user")
DISPATCH_TLS = DispatchTLS.from_secret("dispatch")
ALL = {"grpc": 50051, "http": 8443, "metrics": 9090, "dispatch": 50053, "dispatch-tls": 50053}


@pytest.mark.parametrize(
    ("server", "closed"),
    [
        (ServerProps(http_enabled=True), {"dispatch", "dispatch-tls"}),
        (ServerProps(), {"http", "dispatch", "dispatch-tls"}),
        (ServerProps(metrics_enabled=False), {"http", "metrics", "dispatch", "dispatch-tls"}),
        (ServerProps(dispatch_enabled=True), {"http", "dispatch-tls"}),
        (ServerProps(dispatch_tls=DISPATCH_TLS, dispatch_enabled=True), {"http", "dispatch"}),
        (ServerProps(dispatch_tls=DISPATCH_TLS), {"http", "dispatch"}),
    ],
)
def test_only_enabled_ports_are_open(server: ServerProps, closed: set[str]) -> None:
    ports = open_ports(SpiceDBProps(datastore=POSTGRES, server=server))
    assert ports == {name: number for name, number in ALL.items() if name not in closed}


PORTS = ServerProps(
    grpc_port=5001,
    http_port=5002,
    metrics_port=5003,
    http_enabled=True,
    service_ports={"grpc": 80, "metrics": 81},
    dispatch_enabled=True,
)


def moved(**fields: Any) -> Manifests:
    server = attrs.evolve(PORTS, **{"external_service": ExternalService(), "headless_service": True, **fields})
    policies = NetworkPolicies(monitoring=None)
    client: dict[str, Any] = {"schema": SchemaProps(text="definition user {}"), "test": TEST}
    return synth(SpiceDBProps(version=VERSION, datastore=POSTGRES, server=server, network_policies=policies, **client))


def ports_of(found: Manifests, name: str) -> dict[str, int]:
    service = found.named("Service", name)["spec"]
    assert all(port["targetPort"] == port["name"] for port in service["ports"])
    return {port["name"]: port["port"] for port in service["ports"]}


def test_servers_listen_on_other_ports() -> None:
    container = moved().container("Deployment")
    assert {"--grpc-addr=:5001", "--http-addr=:5002", "--metrics-addr=:5003"} <= set(container["args"])
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
        "grpc": 5001,
        "http": 5002,
        "metrics": 5003,
        "dispatch": 50053,
    }
    assert container["readinessProbe"]["grpc"] == {"port": 5001}
    secure = moved(grpc_tls=TLS.from_secret("tls")).container("Deployment")
    assert secure["readinessProbe"]["exec"]["command"][1] == "-addr=:5001"


def test_the_default_ports_are_no_arguments() -> None:
    container = synth(SpiceDBProps(version=VERSION, datastore=POSTGRES)).container("Deployment")
    assert [argument for argument in container["args"] if "-addr=:" in argument] == []


def test_services_have_ports_of_their_own_and_a_headless_one_has_those_of_the_pods() -> None:
    found = moved()
    assert ports_of(found, "spicedb") == {"grpc": 80, "http": 5002, "metrics": 81}
    assert ports_of(found, "spicedb-external") == {"grpc": 80, "http": 5002}
    assert ports_of(found, "spicedb-headless") == {"grpc": 5001, "http": 5002}
    assert found.named("Service", "spicedb-headless")["spec"]["clusterIP"] == "None"
    assert (
        found.named("Service", "spicedb-headless")["spec"]["selector"]
        == found.one("Deployment")["spec"]["selector"]["matchLabels"]
    )
    plain = synth(SpiceDBProps(version=VERSION, datastore=POSTGRES))
    assert "spicedb-headless" not in [each["metadata"]["name"] for each in plain.all("Service")]


def test_policies_are_about_the_ports_of_pods_and_clients_use_those_of_the_service() -> None:
    found = moved(grpc_route=GRPCRoute(gateway="public"))
    ingress = found.one("NetworkPolicy", "server")["spec"]["ingress"]
    assert [[port["port"] for port in rule["ports"]] for rule in ingress] == [[5001, 5002], [5003], [50053]]
    for component in ("schema", "test"):
        egress = found.one("NetworkPolicy", component)["spec"]["egress"]
        assert [port["port"] for port in egress[-1]["ports"]] == [5001]
        assert "--endpoint=spicedb:80" in found.container("Job", component)["args"]
    assert found.one("GRPCRoute")["spec"]["rules"][0]["backendRefs"] == [{"name": "spicedb", "port": 80}]


def test_constructs_name_the_ports_of_services_and_of_pods() -> None:
    spicedb = SpiceDB(chart(), "spicedb", SpiceDBProps(version=VERSION, datastore=POSTGRES, server=PORTS))
    assert (spicedb.grpc_address, spicedb.http_address) == ("spicedb:80", "spicedb:5002")
    assert spicedb.client_ports == [5001, 5002]


@pytest.mark.parametrize(("address", "argument"), [("127.0.0.1", "127.0.0.1:9090"), ("::1", "[::1]:9090")])
def test_metrics_of_the_pod_alone_have_no_port(address: Any, argument: str) -> None:
    server = ServerProps(metrics_address=address)
    policies = NetworkPolicies(monitoring=None)
    found = synth(SpiceDBProps(version=VERSION, datastore=POSTGRES, server=server, network_policies=policies))
    container = found.container("Deployment")
    assert f"--metrics-addr={argument}" in container["args"]
    assert "metrics" not in [port["name"] for port in container["ports"]]
    assert "metrics" not in ports_of(found, "spicedb")
    assert "9090" not in json.dumps(found.one("NetworkPolicy", "server"))


def test_the_memory_engine_has_no_dispatch_port() -> None:
    assert set(open_ports(SpiceDBProps(datastore=Memory()))) == {"grpc", "metrics"}
