"""The servers: Deployment, Services, ServiceAccount, and their right to find each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import cdk8s
import pytest

from cdk8s_spicedb import (
    DispatchTLS,
    Memory,
    MigrationProps,
    Resources,
    SecretKey,
    Server,
    ServerProps,
    SpiceDBProps,
    SpiceDBWarning,
    Toleration,
)
from tests.synth import ENGINES, POSTGRES, Manifests, Object, chart, environment, full_props, manifests

CHECKSUM = "checksum/migration-config"
SELECTOR = {
    "app.kubernetes.io/name": "spicedb",
    "app.kubernetes.io/instance": "spicedb",
    "app.kubernetes.io/component": "server",
}


def servers(props: SpiceDBProps | None = None, **changes: Any) -> Manifests:
    target = chart()
    Server(target, "server", props or attrs.evolve(SpiceDBProps(version="v1.57.1", datastore=POSTGRES), **changes))
    return manifests(target)


def container(**server: Any) -> Object:
    return servers(server=ServerProps(**server)).container("Deployment")


def arguments(**server: Any) -> list[str]:
    args: list[str] = container(**server)["args"]
    return args


def template(props: SpiceDBProps | None = None, **changes: Any) -> Object:
    found: Object = servers(props, **changes).one("Deployment")["spec"]["template"]
    return found


def test_the_servers_have_these_objects() -> None:
    found = servers()
    assert [(manifest["kind"], manifest["metadata"]["name"]) for manifest in found.objects] == [
        ("ServiceAccount", "spicedb"),
        ("Service", "spicedb"),
        ("Service", "spicedb-dispatch"),
        ("Service", "spicedb-dispatch-tls"),
        ("Deployment", "spicedb"),
        ("PodDisruptionBudget", "spicedb"),
    ]


def test_the_objects_of_the_servers_are_not_hooks() -> None:
    for manifest in servers().objects:
        assert not any(key.startswith("helm.sh/") for key in manifest["metadata"].get("annotations", {}))


def test_servers_have_these_arguments_by_default() -> None:
    assert container()["command"] == ["spicedb", "serve"]
    assert arguments() == [
        "--log-level=info",
        "--log-format=json",
        "--grpc-shutdown-grace-period=10s",
        "--telemetry-endpoint=",
        "--skip-release-check=true",
        "--termination-log-path=/dev/termination-log",
    ]


@pytest.mark.parametrize(
    ("field", "value", "argument"),
    [
        ("log_level", "trace", "--log-level=trace"),
        ("log_format", "console", "--log-format=console"),
        ("shutdown_grace_period", timedelta(minutes=2), "--grpc-shutdown-grace-period=120s"),
        ("shutdown_grace_period", timedelta(milliseconds=1500), "--grpc-shutdown-grace-period=1500ms"),
        ("shutdown_drain_delay", timedelta(seconds=8), "--grpc-shutdown-drain-delay=8s"),
        ("http_enabled", True, "--http-enabled=true"),
        ("metrics_enabled", False, "--metrics-enabled=false"),
        ("schema_mode", "read-new-write-both", "--experimental-schema-mode=read-new-write-both"),
        ("datastore_migration_phase", "write-both", "--datastore-migration-phase=write-both"),
    ],
)
def test_each_setting_is_one_argument(field: str, value: object, argument: str) -> None:
    flag = argument.partition("=")[0]
    assert [arg for arg in arguments(**{field: value}) if arg.partition("=")[0] == flag] == [argument]


def test_each_allowed_migration_is_one_argument() -> None:
    assert arguments(allowed_migrations=("a", "b"))[-2:] == [
        "--datastore-allowed-migrations=a",
        "--datastore-allowed-migrations=b",
    ]


@pytest.mark.parametrize(
    ("engine", "heads"),
    [
        ("postgres-uri", ["populate-schema-tables"]),
        ("cockroachdb-uri", ["populate-schema-tables"]),
        ("mysql-uri", ["populate_schema_tables", "identifiers_case_sensitive"]),
        ("spanner-uri", ["populate-schema-tables"]),
    ],
)
def test_servers_start_on_the_heads_of_later_releases(engine: str, heads: list[str]) -> None:
    args = servers(version="v1.52.0", datastore=ENGINES[engine]).container("Deployment")["args"]
    flag = "--datastore-allowed-migrations="
    assert [arg.removeprefix(flag) for arg in args if arg.startswith(flag)] == heads


def test_allowed_migrations_can_be_empty() -> None:
    server = ServerProps(allowed_migrations=())
    args = servers(version="v1.52.0", server=server).container("Deployment")["args"]
    assert not any("allowed-migrations" in arg for arg in args)


def test_extra_arguments_come_last() -> None:
    extra = ("--dispatch-chunk-size=50", "--dispatch-max-depth=100")
    assert arguments(extra_args=extra, allowed_migrations=("a",))[-2:] == list(extra)


def test_releases_without_a_termination_log_have_no_flag_for_it() -> None:
    found = servers(version="v1.21.0", server=ServerProps(allowed_migrations=())).container("Deployment")
    assert not any("termination-log" in arg for arg in found["args"])


def test_secrets_and_datastore_are_environment_variables() -> None:
    found = servers(preshared_key=SecretKey("api", "key")).container("Deployment")
    assert environment(found) == {
        "SPICEDB_GRPC_PRESHARED_KEY": ("api", "key"),
        "SPICEDB_DATASTORE_ENGINE": "postgres",
        "SPICEDB_DATASTORE_CONN_URI": ("database", "uri"),
    }


def test_the_preshared_key_is_in_the_secret_of_the_release_by_default() -> None:
    found = servers(SpiceDBProps(name="permissions", datastore=POSTGRES)).container("Deployment")
    assert environment(found)["SPICEDB_GRPC_PRESHARED_KEY"] == ("permissions", "preshared-key")


def test_several_preshared_keys_are_one_list_that_begins_with_the_servers_key() -> None:
    others = [SecretKey("api", "next"), SecretKey("other", "key")]
    found = servers(preshared_key=SecretKey("api", "key"), other_preshared_keys=others).container("Deployment")
    assert list(environment(found).items())[:4] == [
        ("PRESHARED_KEY_1", ("api", "key")),
        ("PRESHARED_KEY_2", ("api", "next")),
        ("PRESHARED_KEY_3", ("other", "key")),
        ("SPICEDB_GRPC_PRESHARED_KEY", "$(PRESHARED_KEY_1),$(PRESHARED_KEY_2),$(PRESHARED_KEY_3)"),
    ]


def test_reloader_can_restart_the_servers() -> None:
    metadata = servers(server=ServerProps(restart_on_secret_change=True)).one("Deployment")["metadata"]
    assert metadata["annotations"] == {"reloader.stakater.com/auto": "true"}
    assert "annotations" not in servers().one("Deployment")["metadata"]


def test_the_users_variables_come_last_as_text_or_from_a_secret() -> None:
    env = container(env={"GOMAXPROCS": "2", "TOKEN": SecretKey("s", "k")})["env"]
    assert env[-2:] == [
        {"name": "GOMAXPROCS", "value": "2"},
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]


@pytest.mark.parametrize(
    ("engine", "files"), [("postgres-parts", 3), ("cockroachdb-parts", 3), ("mysql-parts", 1), ("spanner-uri", 1)]
)
def test_the_datastores_files_are_mounted_read_only(engine: str, files: int) -> None:
    pod = servers(datastore=ENGINES[engine]).pod("Deployment")
    mount = {"name": "datastore", "mountPath": "/etc/spicedb/datastore", "readOnly": True}
    assert pod["containers"][0]["volumeMounts"][0] == mount
    assert pod["volumes"][0]["name"] == "datastore"
    assert len(pod["volumes"][0]["projected"]["sources"]) == files


def test_without_files_there_is_no_volume() -> None:
    pod = servers().pod("Deployment")
    assert "volumes" not in pod
    assert "volumeMounts" not in pod["containers"][0]


@pytest.mark.parametrize(
    ("image", "rendered"),
    [
        (None, "ghcr.io/authzed/spicedb:v1.57.1"),
        ("registry.example.com:5000/spicedb", "registry.example.com:5000/spicedb:v1.57.1"),
        ("registry.example.com/spicedb:v1.57.1", "registry.example.com/spicedb:v1.57.1"),
        (f"spicedb@sha256:{'0' * 64}", f"spicedb@sha256:{'0' * 64}"),
    ],
)
def test_the_image_has_the_versions_tag_unless_it_has_its_own(image: str | None, rendered: str) -> None:
    assert servers(image=image).container("Deployment")["image"] == rendered


def test_two_servers_run_by_default_and_half_of_them_are_replaced_at_a_time() -> None:
    spec = servers().one("Deployment")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%", "maxUnavailable": 0}}


def test_the_number_of_servers_can_be_configured() -> None:
    assert servers(server=ServerProps(replicas=7)).one("Deployment")["spec"]["replicas"] == 7


def test_readiness_probes_spicedb_and_liveness_only_the_port() -> None:
    found = container()
    assert found["readinessProbe"] == {"grpc": {"port": 50051}, "periodSeconds": 2, "timeoutSeconds": 2}
    liveness = found["livenessProbe"]
    assert liveness == {"tcpSocket": {"port": "grpc"}, "initialDelaySeconds": 30, "failureThreshold": 6}
    assert "grpc" in {port["name"] for port in found["ports"]}


def test_a_server_sleeps_before_it_stops() -> None:
    assert container()["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert container(pre_stop_sleep_seconds=90)["lifecycle"] == {"preStop": {"sleep": {"seconds": 90}}}


def test_a_server_without_a_sleep_has_no_lifecycle_hook() -> None:
    assert "lifecycle" not in container(pre_stop_sleep_seconds=0)


@pytest.mark.parametrize(
    ("server", "seconds"),
    [
        ({}, 5 + 2 * 10 + 5),
        ({"pre_stop_sleep_seconds": 0}, 2 * 10 + 5),
        ({"shutdown_grace_period": timedelta(milliseconds=1500)}, 5 + 2 * 2 + 5),
        ({"termination_grace_period_seconds": 300}, 300),
        ({"shutdown_drain_delay": timedelta(seconds=20)}, 5 + 20 + 2 * 10 + 5),
    ],
)
def test_kubernetes_waits_until_a_server_has_drained(server: dict[str, Any], seconds: int) -> None:
    assert servers(server=ServerProps(**server)).pod("Deployment")["terminationGracePeriodSeconds"] == seconds


def test_servers_with_dispatch_may_only_watch_their_own_endpoints() -> None:
    found = servers(server=ServerProps(dispatch_enabled=True))
    assert found.one("Role")["rules"] == [
        {
            "apiGroups": [""],
            "resources": ["endpoints"],
            "resourceNames": ["spicedb-dispatch"],
            "verbs": ["get", "watch"],
        }
    ]
    binding = found.one("RoleBinding")
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "spicedb"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "spicedb"}]
    pod = found.pod("Deployment")
    assert pod["serviceAccountName"] == "spicedb"
    assert pod["automountServiceAccountToken"] is True


@pytest.mark.parametrize("enabled", [None, False])
def test_servers_without_dispatch_have_no_rights_no_token_and_no_port_for_it(enabled: bool | None) -> None:
    """As by default: a server that waits for a dead one answers nobody."""
    found = servers(server=ServerProps(dispatch_enabled=enabled))
    assert not {"Role", "RoleBinding"} & set(found.kinds)
    assert found.pod("Deployment")["automountServiceAccountToken"] is False
    container = found.container("Deployment")
    assert not any("dispatch" in name for name in [*container["args"], *(port["name"] for port in container["ports"])])


@pytest.mark.parametrize(
    ("server", "port"),
    [({"dispatch_enabled": True}, "dispatch"), ({"dispatch_tls": DispatchTLS.from_secret("dispatch")}, "dispatch-tls")],
)
def test_servers_with_and_without_tls_have_separate_services_for_dispatch(server: dict[str, Any], port: str) -> None:
    found = servers(name="permissions", server=ServerProps(**server))
    name = f"permissions-{port}"
    assert f"--dispatch-upstream-addr=kubernetes:///{name}:{port}" in found.container("Deployment")["args"]
    assert found.one("Role")["rules"][0]["resourceNames"] == [name]
    assert {"name": port, "containerPort": 50053} in found.container("Deployment")["ports"]
    # Only one port: with several, SpiceDB would use another port of pods that do not have this one.
    assert found.named("Service", name)["spec"]["ports"] == [{"name": port, "port": 50053, "targetPort": port}]
    assert found.named("Service", name)["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize(
    "server", [{}, {"dispatch_enabled": True}, {"dispatch_tls": DispatchTLS.from_secret("dispatch")}]
)
def test_both_services_for_dispatch_always_exist(server: dict[str, Any]) -> None:
    objects, usual = servers(server=ServerProps(**server)), servers()
    for name in ("spicedb-dispatch", "spicedb-dispatch-tls"):
        assert objects.named("Service", name) == usual.named("Service", name)


def test_the_account_mounts_no_token_by_default() -> None:
    assert servers().one("ServiceAccount")["automountServiceAccountToken"] is False


def test_the_account_has_the_annotations_of_workload_identity() -> None:
    annotations = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/spicedb"}
    account = servers(service_account_annotations=annotations).one("ServiceAccount")
    assert account["metadata"]["annotations"] == annotations


@pytest.mark.parametrize(
    ("server", "ports"),
    [
        ({}, {"grpc": 50051, "metrics": 9090}),
        ({"http_enabled": True}, {"grpc": 50051, "http": 8443, "metrics": 9090}),
        ({"metrics_enabled": False}, {"grpc": 50051}),
        ({"dispatch_enabled": True}, {"grpc": 50051, "metrics": 9090}),
        ({"metrics_enabled": False, "dispatch_enabled": True}, {"grpc": 50051}),
    ],
)
def test_the_service_has_the_ports_of_the_container_except_dispatch(
    server: dict[str, Any], ports: dict[str, int]
) -> None:
    found = servers(server=ServerProps(**server))
    service = found.named("Service", "spicedb")["spec"]
    assert service["type"] == "ClusterIP"
    assert service["ports"] == [{"name": n, "port": p, "targetPort": n} for n, p in ports.items()]
    container_ports = {port["name"]: port["containerPort"] for port in found.container("Deployment")["ports"]}
    assert container_ports == {**ports, **({"dispatch": 50053} if "dispatch_enabled" in server else {})}


def test_every_selector_has_the_component_and_selects_the_pods() -> None:
    found = servers(full_props(POSTGRES))
    selector = {**SELECTOR, "app.kubernetes.io/instance": "permissions"}
    deployment = found.one("Deployment")["spec"]
    assert [service["spec"]["selector"] for service in found.all("Service")] == [selector] * 4
    assert deployment["selector"] == {"matchLabels": selector}
    assert selector.items() <= deployment["template"]["metadata"]["labels"].items()


def test_a_users_labels_are_on_objects_and_pods_but_in_no_selector() -> None:
    server = ServerProps(pod_labels={"pod": "yes"})
    found = servers(labels={"team": "identity"}, server=server)
    assert all(manifest["metadata"]["labels"]["team"] == "identity" for manifest in found.objects)
    deployment = found.one("Deployment")["spec"]
    assert deployment["template"]["metadata"]["labels"] == {
        **SELECTOR,
        "app.kubernetes.io/version": "v1.57.1",
        "pod": "yes",
    }
    assert deployment["selector"]["matchLabels"] == SELECTOR


def test_a_users_annotations_are_on_objects_and_pods() -> None:
    server = ServerProps(pod_annotations={"sidecar.istio.io/inject": "false"})
    found = servers(annotations={"owner": "identity"}, server=server)
    assert all(manifest["metadata"]["annotations"] == {"owner": "identity"} for manifest in found.objects)
    annotations = found.one("Deployment")["spec"]["template"]["metadata"]["annotations"]
    assert set(annotations) == {"sidecar.istio.io/inject", CHECKSUM}
    assert annotations["sidecar.istio.io/inject"] == "false"


def test_the_pods_have_the_checksum_of_the_migration() -> None:
    plain = template()["metadata"]["annotations"][CHECKSUM]
    assert len(plain) == 64
    assert template(migration=MigrationProps(backoff_limit=4))["metadata"]["annotations"][CHECKSUM] != plain
    assert template(server=ServerProps(replicas=4))["metadata"]["annotations"][CHECKSUM] == plain


def test_the_checksum_is_on_the_pods_and_not_on_the_deployment() -> None:
    assert CHECKSUM not in servers(annotations={"a": "b"}).one("Deployment")["metadata"]["annotations"]


def test_the_resources_of_servers_can_be_configured() -> None:
    assert container()["resources"] == {
        "requests": {"cpu": "250m", "memory": "256Mi", "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1Gi"},
    }
    resources = Resources(requests={"memory": "1Gi"}, limits={"memory": "4Gi"})
    assert container(resources=resources)["resources"] == {"requests": {"memory": "1Gi"}, "limits": {"memory": "4Gi"}}


def test_the_pods_of_servers_can_be_configured() -> None:
    affinity: dict[str, object] = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}}
    server = ServerProps(
        node_selector={"disk": "ssd"},
        tolerations=(Toleration(key="dedicated", value="spicedb", effect="NoSchedule"), Toleration(operator="Exists")),
        affinity=affinity,
    )
    pod = servers(server=server).pod("Deployment")
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["tolerations"] == [
        {"key": "dedicated", "operator": "Equal", "value": "spicedb", "effect": "NoSchedule"},
        {"operator": "Exists"},
    ]
    assert pod["affinity"] == affinity


def test_servers_have_the_image_pull_secrets() -> None:
    assert servers(image_pull_secrets=("a", "b")).pod("Deployment")["imagePullSecrets"] == [
        {"name": "a"},
        {"name": "b"},
    ]
    assert "imagePullSecrets" not in servers().pod("Deployment")


def test_the_memory_engine_has_one_server() -> None:
    found = servers(SpiceDBProps(datastore=Memory()))
    assert found.kinds == ["ServiceAccount", "Service", "Deployment"]
    assert found.one("Deployment")["spec"]["replicas"] == 1
    assert not any("dispatch" in arg for arg in found.container("Deployment")["args"])
    assert environment(found.container("Deployment"))["SPICEDB_DATASTORE_ENGINE"] == "memory"
    assert "annotations" not in found.one("Deployment")["spec"]["template"]["metadata"]


def test_an_unknown_version_renders_as_the_newest() -> None:
    with pytest.warns(SpiceDBWarning):
        found = servers(version="v9.1.0").container("Deployment")
    assert found["image"] == "ghcr.io/authzed/spicedb:v9.1.0"
    assert found["args"] == arguments()


def test_objects_can_be_patched() -> None:
    target = chart()
    server = Server(target, "server", SpiceDBProps(datastore=POSTGRES))
    server.deployment.add_json_patch(
        cdk8s.JsonPatch.add("/spec/template/spec/priorityClassName", "high"),
        cdk8s.JsonPatch.replace("/spec/replicas", 9),
    )
    server.service.add_json_patch(cdk8s.JsonPatch.add("/spec/clusterIP", "None"))
    found = manifests(target)
    assert found.pod("Deployment")["priorityClassName"] == "high"
    assert found.one("Deployment")["spec"]["replicas"] == 9
    assert found.named("Service", "spicedb")["spec"]["clusterIP"] == "None"
