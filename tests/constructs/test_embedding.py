"""SpiceDB in an app with cdk8s-plus objects: what it accepts from them, and what it offers to them."""

from __future__ import annotations

import json
import re
from typing import Any

import cdk8s
import cdk8s_plus_27 as kplus
import cdk8s_plus_35 as newer
import pytest

from cdk8s_spicedb import (
    Delivery,
    InvalidProps,
    Memory,
    MigrationProps,
    MySQL,
    PostgreSQL,
    SecretKey,
    ServerProps,
    Spanner,
    SpiceDB,
    SpiceDBProps,
)
from tests.programs import ROOT
from tests.synth import POSTGRES, Object, chart, environment, manifests


def imported(scope: cdk8s.Chart, key: str, name: str = "theirs") -> kplus.SecretValue:
    return kplus.SecretValue(secret=kplus.Secret.from_secret_name(scope, f"{name}-{key}", name), key=key)


def created(scope: cdk8s.Chart, key: str) -> kplus.SecretValue:
    secret = kplus.Secret(scope, key, metadata=cdk8s.ApiObjectMetadata(name="ours"), string_data={key: "hunter2"})
    return kplus.SecretValue(secret=secret, key=key)


def props_of(datastore: Any = POSTGRES, **fields: Any) -> SpiceDBProps:
    return SpiceDBProps(version="v1.56.0", datastore=datastore, **fields)


def test_secret_keys_can_be_cdk8s_plus_objects() -> None:
    target = chart()
    props = props_of(
        PostgreSQL(uri=imported(target, "uri"), ca=imported(target, "ca")),
        preshared_key=imported(target, "key"),
        server=ServerProps(env={"TOKEN": imported(target, "token"), "PLAIN": "text"}),
        migration=MigrationProps(datastore_uri=imported(target, "owner")),
    )
    assert props == props_of(
        PostgreSQL(uri=SecretKey("theirs", "uri"), ca=SecretKey("theirs", "ca")),
        preshared_key=SecretKey("theirs", "key"),
        server=ServerProps(env={"TOKEN": SecretKey("theirs", "token"), "PLAIN": "text"}),
        migration=MigrationProps(datastore_uri=SecretKey("theirs", "owner")),
    )
    SpiceDB(target, "spicedb", props)
    assert environment(manifests(target).container("Deployment"))["TOKEN"] == ("theirs", "token")


@pytest.mark.parametrize("engine", [PostgreSQL, MySQL])
def test_every_secret_key_of_an_engine_can_be_a_cdk8s_plus_object(engine: Any) -> None:
    target = chart()
    fields = {"host": "db", "database": "d", "user": "u"}
    value = imported(target, "value")
    assert engine(**fields, password=value, ca=value) == engine(
        **fields, password=SecretKey("theirs", "value"), ca=SecretKey("theirs", "value")
    )
    assert Spanner(uri=value, credentials=value).credentials == SecretKey("theirs", "value")


def test_service_accounts_can_be_cdk8s_plus_objects() -> None:
    target = chart()
    account = kplus.ServiceAccount.from_service_account_name(target, "account", "theirs")
    server = ServerProps(service_account=account, dispatch_enabled=True)
    SpiceDB(target, "spicedb", props_of(server=server, migration=MigrationProps(service_account=account)))
    found = manifests(target)
    assert found.pod("Deployment")["serviceAccountName"] == "theirs"
    assert found.pod("Job", "migration")["serviceAccountName"] == "theirs"
    assert found.one("RoleBinding", "server")["subjects"] == [{"kind": "ServiceAccount", "name": "theirs"}]
    assert [account["metadata"]["name"] for account in found.all("ServiceAccount")] == ["spicedb-migration-cleanup"]


@pytest.mark.parametrize("delivery", [Delivery.HELM, Delivery.ARGOCD])
def test_the_same_app_cannot_create_what_the_migration_needs(delivery: Delivery) -> None:
    target = chart()
    account = kplus.ServiceAccount(target, "account", metadata=cdk8s.ApiObjectMetadata(name="mine"))
    props = props_of(
        PostgreSQL(uri=created(target, "uri")), delivery=delivery, migration=MigrationProps(service_account=account)
    )
    with pytest.raises(InvalidProps) as caught:
        SpiceDB(target, "spicedb", props)
    assert [(problem.field, problem.value) for problem in caught.value.problems] == [
        ("migration.service_account", "'mine'"),
        ("datastore", "'ours'"),
    ]
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"delivery": Delivery.KUBECTL},
        {"migration": MigrationProps(enabled=False)},
    ],
)
def test_without_a_hook_the_same_app_can_create_secrets(fields: dict[str, Any]) -> None:
    target = chart()
    SpiceDB(target, "spicedb", props_of(PostgreSQL(uri=created(target, "uri")), **fields))
    assert manifests(target).one("Secret")["metadata"]["name"] == "ours"


def test_the_same_app_can_create_what_only_servers_need() -> None:
    target = chart()
    account = kplus.ServiceAccount(target, "account", metadata=cdk8s.ApiObjectMetadata(name="mine"))
    SpiceDB(
        target, "spicedb", props_of(preshared_key=created(target, "key"), server=ServerProps(service_account=account))
    )
    assert manifests(target).pod("Deployment")["serviceAccountName"] == "mine"


@pytest.mark.parametrize("value", ["hunter2", 5, b"hunter2"])
def test_values_that_are_not_secret_keys_are_rejected_and_not_shown(value: Any) -> None:
    fields: dict[str, Any] = {"preshared_key": value, "server": ServerProps(env={"A": value})}
    with pytest.raises(InvalidProps, match="preshared_key") as caught:
        SpiceDB(chart(), "spicedb", props_of(PostgreSQL(uri=value), **fields))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("props", "field"),
    [
        (
            props_of(service_account_annotations={"a": "b"}, server=ServerProps(service_account="theirs")),
            "service_account_annotations",
        ),
        (
            props_of(migration=MigrationProps(service_account="theirs", service_account_annotations={"a": "b"})),
            r"migration\.service_account_annotations",
        ),
        (props_of(server=ServerProps(service_account="Not A Name")), r"server\.service_account"),
        (props_of(migration=MigrationProps(service_account=5)), r"migration\.service_account"),  # type: ignore[arg-type]
    ],
)
def test_invalid_service_accounts_are_rejected(props: SpiceDBProps, field: str) -> None:
    with pytest.raises(InvalidProps, match=f"{field} = "):
        SpiceDB(chart(), "spicedb", props)


def test_an_env_that_is_not_a_mapping_is_rejected() -> None:
    with pytest.raises(InvalidProps, match=r"server\.env"):
        SpiceDB(chart(), "spicedb", props_of(server=ServerProps(env=["A=b"])))  # type: ignore[arg-type]


# ---------------------------------------------------------------- for clients


def application(target: cdk8s.Chart, env: dict[str, kplus.EnvValue]) -> kplus.Deployment:
    container = kplus.ContainerProps(name="web", image="busybox", env_variables=env)
    return kplus.Deployment(target, "web", containers=[container])


def web(target: cdk8s.Chart) -> Object:
    (found,) = [
        deployment for deployment in manifests(target).all("Deployment") if deployment["metadata"]["name"] != "spicedb"
    ]
    container: Object = found["spec"]["template"]["spec"]["containers"][0]
    return container


@pytest.mark.parametrize(
    ("namespace", "server", "address"),
    [
        (None, ServerProps(), "spicedb:50051"),
        ("authz", ServerProps(service_ports={"grpc": 80}), "spicedb.authz:80"),
        (None, ServerProps(headless_service=True), "dns:///spicedb-headless:50051"),
        (
            "authz",
            ServerProps(headless_service=True, grpc_port=5001, service_ports={"grpc": 80}),
            "dns:///spicedb-headless.authz:5001",
        ),
    ],
)
def test_a_client_gets_the_address_the_key_and_the_settings(
    namespace: str | None, server: ServerProps, address: str
) -> None:
    target = chart(namespace)
    spicedb = SpiceDB(target, "spicedb", props_of(preshared_key=SecretKey("api", "token"), server=server))
    application(target, spicedb.client_env())
    variables = environment(web(target))
    config = json.loads(variables.pop("SPICEDB_SERVICE_CONFIG"))
    assert variables == {"SPICEDB_ENDPOINT": address, "SPICEDB_TOKEN": ("api", "token")}
    page = (ROOT / "docs" / "configure" / "clients.md").read_text()
    assert config == json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0]), "what the page says"


def test_the_variables_of_clients_can_have_other_names() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", props_of(Memory()))
    names = {"endpoint": "ZED_ENDPOINT", "token": "ZED_TOKEN", "service_config": "ZED_CONFIG"}
    ours = spicedb.client_env()
    application(target, {**ours, **spicedb.client_env(**names)})
    assert set(environment(web(target))) == {*ours, *names.values()}


@pytest.mark.parametrize(
    ("enabled", "address", "ports"), [(False, None, [50051]), (True, "spicedb:8443", [50051, 8443])]
)
def test_the_http_gateway_has_an_address_if_it_is_enabled(enabled: bool, address: str | None, ports: list[int]) -> None:
    spicedb = SpiceDB(chart(), "spicedb", props_of(server=ServerProps(http_enabled=enabled)))
    assert (spicedb.http_address, spicedb.client_ports) == (address, ports)


def test_the_pods_are_a_peer_of_network_policies() -> None:
    target = chart()
    spicedb = SpiceDB(target, "spicedb", props_of())
    policy = kplus.NetworkPolicy(target, "policy", selector=application(target, {}))
    policy.add_egress_rule(spicedb.pods, [kplus.NetworkPolicyPort.tcp(50051)])
    assert spicedb.pods is spicedb.pods
    (rule,) = manifests(target).one("NetworkPolicy")["spec"]["egress"]
    assert rule["to"] == [{"podSelector": {"matchLabels": spicedb.labels}}]


# ---------------------------------------------------------------- with another version of cdk8s-plus


def newer_application(target: cdk8s.Chart, env: dict[str, newer.EnvValue]) -> newer.Deployment:
    container = newer.ContainerProps(name="web", image="busybox", env_variables=env)
    return newer.Deployment(target, "web", containers=[container])


@pytest.mark.parametrize("plus", [kplus, newer])
def test_props_accept_the_objects_of_every_version(plus: Any) -> None:
    target = chart()
    account = plus.ServiceAccount.from_service_account_name(target, "account", "theirs")
    secret = plus.Secret.from_secret_name(target, "secret", "database")
    uri, key = (plus.SecretValue(secret=secret, key=name) for name in ("uri", "key"))
    props = props_of(
        PostgreSQL(uri=uri, read_replicas=[uri]),
        preshared_key=key,
        other_preshared_keys=[key],
        server=ServerProps(service_account=account, env={"KEY": key}),
        migration=MigrationProps(service_account=account, datastore_uri=uri),
    )
    assert props.datastore == PostgreSQL(uri=SecretKey("database", "uri"), read_replicas=[SecretKey("database", "uri")])
    assert props.other_preshared_keys == (SecretKey("database", "key"),)
    SpiceDB(target, "spicedb", props)
    found = manifests(target)
    assert [found.pod("Deployment")["serviceAccountName"], found.pod("Job", "migration")["serviceAccountName"]] == [
        "theirs",
        "theirs",
    ]
    assert environment(found.container("Deployment"))["KEY"] == ("database", "key")


@pytest.mark.parametrize("plus", [kplus, newer])
def test_the_objects_that_the_app_creates_are_known_in_every_version(plus: Any) -> None:
    target = chart()
    account = plus.ServiceAccount(target, "account", metadata=cdk8s.ApiObjectMetadata(name="mine"))
    with pytest.raises(InvalidProps, match=r"migration\.service_account = 'mine'"):
        SpiceDB(target, "spicedb", props_of(migration=MigrationProps(service_account=account)))


def test_types_accept_the_objects_of_a_newer_version() -> None:
    """The type checker checks this: the parameters of the other tests are untyped."""
    target = chart()
    secret = newer.Secret.from_secret_name(target, "secret", "database")
    account = newer.ServiceAccount.from_service_account_name(target, "account", "theirs")
    value = newer.SecretValue(secret=secret, key="uri")
    props = SpiceDBProps(datastore=PostgreSQL(uri=value), server=ServerProps(service_account=account, env={"A": value}))
    assert props.server.env == {"A": SecretKey("database", "uri")}


def test_clients_get_objects_of_their_own_version() -> None:
    target = chart("authz")
    spicedb = SpiceDB(target, "spicedb", props_of(preshared_key=SecretKey("api", "token")))
    policy = newer.NetworkPolicy(
        target, "policy", selector=newer_application(target, spicedb.client_env(token="KEY", plus=newer))
    )
    policy.add_egress_rule(spicedb.select_pods(newer), [newer.NetworkPolicyPort.tcp(50051)])
    variables = environment(web(target))
    assert (variables["SPICEDB_ENDPOINT"], variables["KEY"]) == ("spicedb.authz:50051", ("api", "token"))
    (rule,) = manifests(target).one("NetworkPolicy")["spec"]["egress"]
    assert rule["to"] == [{"podSelector": {"matchLabels": spicedb.labels}}]


def test_the_values_of_one_version_do_not_fit_another() -> None:
    """That is why an app passes its own. mypy says it too."""
    target = chart()
    spicedb = SpiceDB(target, "spicedb", props_of())
    with pytest.raises(RuntimeError, match=r"'cdk8s-plus-27\.EnvValue' is not convertible to cdk8s-plus-35\.EnvValue"):
        newer_application(target, spicedb.client_env())  # type: ignore[arg-type]


@pytest.mark.parametrize("first", [kplus, newer])
def test_one_app_can_use_two_versions(first: Any) -> None:
    spicedb = SpiceDB(chart(), "spicedb", props_of())
    spicedb.client_env(plus=first)
    peer = spicedb.select_pods(first)
    assert peer.node.path.endswith("/spicedb/pods"), "names of objects that cdk8s-plus makes from it do not change"
    for plus in (kplus, newer, kplus):
        assert isinstance(spicedb.client_env(plus=plus)["SPICEDB_TOKEN"], plus.EnvValue)
        assert isinstance(spicedb.select_pods(plus), plus.Pods)
    assert spicedb.select_pods(first) is peer
