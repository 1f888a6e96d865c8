"""Connections: NetworkPolicies, Services, and objects for clients outside the cluster."""

from __future__ import annotations

from typing import Any

import pytest

from cdk8s_spicedb import (
    Delivery,
    Egress,
    ExternalService,
    GRPCRoute,
    Ingress,
    Memory,
    NetworkPeer,
    NetworkPolicies,
    ServerProps,
    SpiceDBProps,
)
from cdk8s_spicedb.props import problems
from tests.synth import ENGINES, POSTGRES, Manifests, Object, synth

DISPATCHING = ServerProps(dispatch_enabled=True)
PEER = NetworkPeer(pods={"app": "api"}, namespaces={"kubernetes.io/metadata.name": "apps"})
SERVERS = {
    "podSelector": {
        "matchLabels": {
            "app.kubernetes.io/name": "spicedb",
            "app.kubernetes.io/instance": "spicedb",
            "app.kubernetes.io/component": "server",
        }
    }
}
DNS = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}


def render(policies: NetworkPolicies | None = None, datastore: Any = POSTGRES, **fields: Any) -> Manifests:
    return synth(SpiceDBProps(version="v1.56.0", datastore=datastore, network_policies=policies, **fields))


def policy(component: str, policies: NetworkPolicies | None = None, **fields: Any) -> Object:
    spec: Object = render(policies or NetworkPolicies(), **fields).one("NetworkPolicy", component)["spec"]
    return spec


def tcp(*ports: int) -> list[Object]:
    return [{"protocol": "TCP", "port": port} for port in ports]


def test_there_are_no_policies_by_default() -> None:
    assert not render().all("NetworkPolicy")


def test_each_component_has_a_policy_that_selects_only_its_pods() -> None:
    objects = render(NetworkPolicies())
    pods = [template["metadata"]["labels"] for template in objects.templates]
    selected = []
    for network_policy in objects.all("NetworkPolicy"):
        assert network_policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        labels = network_policy["spec"]["podSelector"]["matchLabels"]
        selected += [pod["app.kubernetes.io/component"] for pod in pods if labels.items() <= pod.items()]
    assert sorted(selected) == ["cleanup", "migration", "server"]


def test_servers_accept_clients_and_each_other_but_no_scrapes() -> None:
    assert policy("server", server=DISPATCHING)["ingress"] == [
        {"ports": tcp(50051)},
        {"from": [SERVERS], "ports": tcp(50053)},
    ]


def test_servers_accept_only_the_named_clients_and_monitoring() -> None:
    policies = NetworkPolicies(clients=[PEER], monitoring=[NetworkPeer(namespaces={})])
    server = ServerProps(http_enabled=True, dispatch_enabled=True)
    api, metrics, dispatch = policy("server", policies, server=server)["ingress"]
    own_pods = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "spicedb", "app.kubernetes.io/instance": "spicedb"}}
    }
    named = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "apps"}},
        "podSelector": {"matchLabels": {"app": "api"}},
    }
    assert api == {"from": [named, own_pods], "ports": tcp(50051, 8443)}
    assert metrics == {"from": [{"namespaceSelector": {}}], "ports": tcp(9090)}
    assert dispatch["from"] == [SERVERS]


def test_metrics_can_be_open_to_all() -> None:
    assert {"ports": tcp(9090)} in policy("server", NetworkPolicies(monitoring=None))["ingress"]


def test_servers_reach_dns_the_database_each_other_and_the_api_server() -> None:
    assert policy("server", server=DISPATCHING)["egress"] == [
        DNS,
        {"ports": tcp(5432)},
        {"to": [SERVERS], "ports": tcp(50053)},
        {"ports": tcp(443, 6443)},
    ]


def test_servers_without_dispatch_reach_only_dns_and_the_database() -> None:
    spec = policy("server")
    assert spec["egress"] == [DNS, {"ports": tcp(5432)}]
    assert spec["ingress"] == [{"ports": tcp(50051)}]


def test_egress_can_be_restricted() -> None:
    policies = NetworkPolicies(
        database=[NetworkPeer(cidr="10.1.0.0/16")],
        database_port=6432,
        api_server=[NetworkPeer(cidr="10.2.0.1/32")],
        api_server_ports=[16443],
        egress=[Egress(ports=[4317, 443], to=[NetworkPeer(pods={"app": "collector"})]), Egress(ports=[9999])],
    )
    assert policy("server", policies, server=DISPATCHING)["egress"][1:] == [
        {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": tcp(6432)},
        {"to": [SERVERS], "ports": tcp(50053)},
        {"to": [{"ipBlock": {"cidr": "10.2.0.1/32"}}], "ports": tcp(16443)},
        {"to": [{"podSelector": {"matchLabels": {"app": "collector"}}}], "ports": tcp(4317, 443)},
        {"ports": tcp(9999)},
    ]


@pytest.mark.parametrize(
    ("engine", "port"),
    [
        ("postgres-parts", 1234),
        ("cockroachdb-uri", 26257),
        ("mysql-uri", 3306),
        ("spanner-uri", 443),
        ("spanner-parts", 9010),
    ],
)
def test_the_migration_reaches_only_dns_and_the_database(engine: str, port: int) -> None:
    spec = policy("migration", datastore=ENGINES[engine])
    assert (spec["policyTypes"], "ingress" in spec) == (["Ingress", "Egress"], False)
    assert spec["egress"] == [DNS, {"ports": tcp(port)}]


def test_the_clean_up_reaches_only_dns_and_the_api_server() -> None:
    spec = policy("cleanup")
    assert (spec["policyTypes"], "ingress" in spec) == (["Ingress", "Egress"], False)
    assert spec["egress"] == [DNS, {"ports": tcp(443, 6443)}]


@pytest.mark.parametrize(
    ("delivery", "hook"), [(Delivery.HELM, "helm.sh/hook"), (Delivery.ARGOCD, "argocd.argoproj.io/hook")]
)
def test_the_migrations_policy_is_created_before_it(delivery: Delivery, hook: str) -> None:
    objects = render(NetworkPolicies(), delivery=delivery)
    own_policy, job = objects.one("NetworkPolicy", "migration"), objects.one("Job", "migration")
    weight = next(key for key in own_policy["metadata"]["annotations"] if key.endswith(("hook-weight", "sync-wave")))
    first, second = own_policy["metadata"]["annotations"], job["metadata"]["annotations"]
    assert first[hook] == second[hook]
    assert int(first[weight]) < int(second[weight])
    assert not any("hook" in key for key in objects.one("NetworkPolicy", "server")["metadata"].get("annotations", {}))


def test_the_memory_engine_reaches_only_dns() -> None:
    assert policy("server", datastore=Memory())["egress"] == [DNS]


def test_openshift_adds_its_dns_port() -> None:
    (dns,) = policy("server", datastore=Memory(), openshift=True)["egress"]
    assert {"protocol": "UDP", "port": 5353} in dns["ports"]
    assert all(port in dns["ports"] for port in DNS["ports"])


# ---------------------------------------------------------------- Services, Ingress, GRPCRoute


def test_an_external_service_does_not_change_the_first_service() -> None:
    objects = render(server=ServerProps(external_service=ExternalService(), http_enabled=True))
    service, external = (objects.named("Service", name) for name in ("spicedb", "spicedb-external"))
    assert service == render(server=ServerProps(http_enabled=True)).named("Service", "spicedb")
    assert external["spec"]["type"] == "LoadBalancer"
    assert external["spec"]["selector"] == service["spec"]["selector"]
    assert [port["name"] for port in external["spec"]["ports"]] == ["grpc", "http"]


def test_an_external_service_can_be_configured() -> None:
    external = ExternalService(
        annotations={"example.com/scheme": "internal"},
        load_balancer_class="example.com/nlb",
        load_balancer_source_ranges=["10.0.0.0/8"],
        external_traffic_policy="Local",
    )
    service = render(server=ServerProps(external_service=external)).named("Service", "spicedb-external")
    assert service["metadata"]["annotations"] == {"example.com/scheme": "internal"}
    assert service["spec"]["loadBalancerClass"] == "example.com/nlb"
    assert service["spec"]["loadBalancerSourceRanges"] == ["10.0.0.0/8"]
    assert service["spec"]["externalTrafficPolicy"] == "Local"


def test_services_have_the_protocol_of_grpc() -> None:
    server = ServerProps(app_protocol="kubernetes.io/h2c", external_service=ExternalService(type="NodePort"))
    for name in ("spicedb", "spicedb-external"):
        service = render(server=server).named("Service", name)
        protocols = {port["name"]: port.get("appProtocol") for port in service["spec"]["ports"]}
        assert protocols.pop("grpc") == "kubernetes.io/h2c"
        assert set(protocols.values()) <= {None}


def test_an_ingress_routes_to_the_service() -> None:
    ingress = Ingress(host="spicedb.example.com", class_name="nginx", tls_secret="web", annotations={"a": "b"})
    rendered = render(server=ServerProps(ingress=ingress)).one("Ingress")
    assert rendered["metadata"]["annotations"] == {"a": "b"}
    assert rendered["spec"]["ingressClassName"] == "nginx"
    assert rendered["spec"]["tls"] == [{"hosts": ["spicedb.example.com"], "secretName": "web"}]
    [rule] = rendered["spec"]["rules"]
    assert rule["host"] == "spicedb.example.com"
    assert rule["http"]["paths"][0]["backend"] == {"service": {"name": "spicedb", "port": {"name": "grpc"}}}


def test_an_ingress_without_a_certificate_has_no_tls() -> None:
    assert "tls" not in render(server=ServerProps(ingress=Ingress(host="a.b"))).one("Ingress")["spec"]


def test_a_grpc_route_routes_to_the_service() -> None:
    route = GRPCRoute(gateway="public", gateway_namespace="gateways", hostnames=["spicedb.example.com"])
    spec = render(server=ServerProps(grpc_route=route)).one("GRPCRoute")["spec"]
    assert spec == {
        "parentRefs": [{"name": "public", "namespace": "gateways"}],
        "hostnames": ["spicedb.example.com"],
        "rules": [{"backendRefs": [{"name": "spicedb", "port": 50051}]}],
    }


# ---------------------------------------------------------------- invalid values


def _policies(**fields: Any) -> dict[str, Any]:
    return {"network_policies": NetworkPolicies(**fields)}


def _server(**fields: Any) -> dict[str, Any]:
    return {"server": ServerProps(**fields)}


def _untyped(**values: Any) -> dict[str, Any]:
    """Values that a type checker rejects."""
    return values


@pytest.mark.parametrize(
    ("fields", "field", "allowed"),
    [
        ({"network_policies": True}, "network_policies", "NetworkPolicies(clients=…"),
        (_policies(clients=["apps"]), "network_policies.clients", "NetworkPeer(pods=…"),
        (_policies(clients=[NetworkPeer()]), "network_policies.clients[0].cidr", "or only cidr"),
        (
            _policies(database=[NetworkPeer(cidr="10.0.0.0/8", pods={})]),
            "network_policies.database[0].cidr",
            "or only cidr",
        ),
        (_policies(database=[NetworkPeer(cidr="10.0.0.1")]), "network_policies.database[0].cidr", "a block"),
        (_policies(database=[NetworkPeer(cidr="10.0.0.1/8")]), "network_policies.database[0].cidr", "a block"),
        (_policies(egress=[Egress(ports=[0])]), "network_policies.egress[0].ports", "1 to 65535"),
        (_server(external_service=True), "server.external_service", "ExternalService(type=…"),
        (
            _server(external_service=ExternalService(**_untyped(type="ClusterIP"))),
            "server.external_service.type",
            "LoadBalancer",
        ),
        (
            _server(external_service=ExternalService(type="NodePort", load_balancer_class="a")),
            "server.external_service.load_balancer_class",
            "None without type='LoadBalancer'",
        ),
        (_server(ingress=Ingress(host="https://a.b")), "server.ingress.host", "a DNS name"),
        (_server(ingress=Ingress(host="a.b", port="http")), "server.ingress.port", "grpc when http_enabled is False"),
        (_server(ingress=Ingress(**_untyped(host="a.b", port="metrics"))), "server.ingress.port", "grpc, http"),
        (_server(grpc_route=GRPCRoute(gateway="Public")), "server.grpc_route.gateway", "the name of an object"),
    ],
)
def test_invalid_values_are_rejected(fields: dict[str, Any], field: str, allowed: str) -> None:
    [problem] = problems(SpiceDBProps(**{"version": "v1.56.0", "datastore": POSTGRES, **fields}))
    assert problem.field == field
    assert allowed in problem.allowed


def test_a_policy_without_metrics_has_no_rule_for_them() -> None:
    props = SpiceDBProps(
        version="v1.56.0",
        datastore=POSTGRES,
        server=ServerProps(metrics_enabled=False),
        network_policies=NetworkPolicies(monitoring=None),
    )
    policy = synth(props).named("NetworkPolicy", "spicedb")
    assert 9090 not in [port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]]
