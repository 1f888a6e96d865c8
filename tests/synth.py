"""Renders SpiceDBs for tests, and defines the props that tests share."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

import cdk8s
from attrs import frozen

from cdk8s_spicedb import (
    TLS,
    Alerts,
    BackupProps,
    CleanupProps,
    CockroachDB,
    Dashboard,
    Datastore,
    DispatchTLS,
    Egress,
    ExpiredIntegrityKey,
    ExternalService,
    GRPCRoute,
    Ingress,
    Memory,
    MigrationProps,
    Monitoring,
    MySQL,
    NetworkPeer,
    NetworkPolicies,
    Patch,
    PatchOperation,
    PermissionTest,
    PodMonitor,
    PodSettings,
    Pool,
    PostgreSQL,
    Probe,
    RelationshipIntegrity,
    Resources,
    SchemaProps,
    SecretKey,
    ServerProps,
    Spanner,
    SpiceDB,
    SpiceDBProps,
    Toleration,
    TopologySpread,
    Tracing,
    known_releases,
)
from cdk8s_spicedb.props.server import SCHEMA_MODE
from cdk8s_spicedb.versions import SchemaMode

Object = dict[str, Any]
COMPONENT = "app.kubernetes.io/component"


@frozen
class Manifests:
    """The objects of a chart, in their order."""

    objects: list[Object]

    def all(self, kind: str | None = None, component: str | None = None) -> list[Object]:
        """The objects of a kind and a component. Defaults to all kinds and all components."""
        return [
            manifest
            for manifest in self.objects
            if kind in (None, manifest["kind"]) and component in (None, component_of(manifest))
        ]

    def one(self, kind: str, component: str | None = None) -> Object:
        """The only object of a kind, or of a kind and a component."""
        found = self.all(kind, component)
        if len(found) != 1:
            rendered = [f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in self.objects]
            of = f" of {component}" if component else ""
            raise AssertionError(f"{len(found)} of kind {kind}{of} instead of one; rendered: {rendered}")
        return found[0]

    def named(self, kind: str, name: str) -> Object:
        """The object of a kind and a name."""
        (found,) = (manifest for manifest in self.all(kind) if manifest["metadata"]["name"] == name)
        return found

    def pod(self, kind: str, component: str | None = None) -> Object:
        """The pod spec of the only object of a kind."""
        spec: Object = template_of(self.one(kind, component))["spec"]
        return spec

    def container(self, kind: str, component: str | None = None) -> Object:
        """The only container of the only object of a kind."""
        (container,) = self.pod(kind, component)["containers"]
        found: Object = container
        return found

    @property
    def templates(self) -> list[Object]:
        """The pod template of each object that has one."""
        return [template for manifest in self.objects if (template := template_of(manifest))]

    @property
    def kinds(self) -> list[str]:
        """The kind of each object."""
        return [manifest["kind"] for manifest in self.objects]


def template_of(manifest: Object) -> Object:
    """The pod template of an object. Empty if it has none."""
    spec = manifest.get("spec", {})
    template: Object = spec.get("jobTemplate", {}).get("spec", spec).get("template", {})
    return template


def component_of(manifest: Object) -> str | None:
    """The component in an object's labels."""
    component: str | None = manifest["metadata"].get("labels", {}).get(COMPONENT)
    return component


def manifests(chart: cdk8s.Chart) -> Manifests:
    """The objects of a chart."""
    return Manifests(cdk8s.Testing.synth(chart))


def chart(namespace: str | None = None) -> cdk8s.Chart:
    """An empty chart in a new app."""
    return cdk8s.Chart(cdk8s.Testing.app(), "chart", namespace=namespace)


def synth(*props: SpiceDBProps, namespace: str | None = None) -> Manifests:
    """The objects of SpiceDBs in one chart."""
    target = chart(namespace)
    for release in props:
        SpiceDB(target, release.name, release)
    return manifests(target)


def environment(container: Object) -> dict[str, Any]:
    """A container's variables by name. The value of a Secret key is the name of the Secret and the key."""

    def value(variable: Object) -> Any:
        if "valueFrom" not in variable:
            return variable["value"]
        reference = variable["valueFrom"]["secretKeyRef"]
        return reference["name"], reference["key"]

    return {variable["name"]: value(variable) for variable in container["env"]}


def _secret(key: str) -> SecretKey:
    return SecretKey("database", key)


POSTGRES = PostgreSQL(uri=_secret("uri"))

_PARTS: dict[str, Any] = {"host": "db.example.com", "port": 1234, "database": "permissions", "user": "spicedb"}
_PASSWORD = _secret("password")
_TLS: dict[str, Any] = {
    "sslmode": "verify-ca",
    "ca": _secret("ca"),
    "client_certificate": _secret("certificate"),
    "client_key": _secret("key"),
}

_TUNED: dict[str, Any] = {
    "read_only": True,
    "revision_quantization_interval": timedelta(seconds=2),
    "revision_quantization_max_staleness": 0.2,
    "follower_read_delay": timedelta(seconds=3),
}
_SQL: dict[str, Any] = {"gc_window": timedelta(hours=12), "max_connections": 1000}
_PRIMARY: dict[str, Any] = {
    "gc_interval": timedelta(minutes=2),
    "gc_max_operation_time": timedelta(minutes=3),
    "read_replicas": ["replica", _secret("replica")],
    "read_replica_pool": Pool(max_open=6, max_lifetime=timedelta(minutes=20)),
}
_POOLS: dict[str, Any] = {
    "read_pool": Pool(max_open=9, min_open=3, max_lifetime_jitter=timedelta(minutes=1)),
    "write_pool": Pool(max_open=4, max_idle_time=timedelta(minutes=2), health_check_interval=timedelta(seconds=7)),
}
INTEGRITY = RelationshipIntegrity(
    key_id="2",
    key=_secret("integrity-2"),
    expired_keys=(
        ExpiredIntegrityKey(id="1", key=_secret("integrity-1"), expired_at=datetime(2026, 11, 1, tzinfo=timezone.utc)),
    ),
)

ENGINES: dict[str, Datastore] = {
    "postgres-uri": POSTGRES,
    "postgres-parts": PostgreSQL(**_PARTS, **_TLS, **_TUNED, **_SQL, **_PRIMARY, **_POOLS, password=_PASSWORD),
    "postgres-provider": PostgreSQL(**_PARTS, credentials_provider="aws-iam", read_replicas=["replica"]),
    "cockroachdb-uri": CockroachDB(uri=_secret("uri")),
    "cockroachdb-parts": CockroachDB(
        **_PARTS,
        **_TLS,
        **_TUNED,
        **_SQL,
        **_POOLS,
        password=_PASSWORD,
        connection_balancing=False,
        relationship_integrity=INTEGRITY,
    ),
    "mysql-uri": MySQL(uri=_secret("uri")),
    "mysql-parts": MySQL(
        **_PARTS,
        **_TUNED,
        **_SQL,
        **_PRIMARY,
        password=_PASSWORD,
        tls="preferred",
        ca=_secret("ca"),
        table_prefix="spicedb_",
        pool=Pool(max_open=9),
    ),
    "mysql-provider": MySQL(**_PARTS, credentials_provider="aws-iam"),
    "spanner-uri": Spanner(uri=_secret("path"), credentials=_secret("credentials")),
    "spanner-parts": Spanner(
        project="project", instance="instance", database="database", emulator_host="emulator:9010", **_TUNED
    ),
}
"""Every engine with a schema, configured by a URI or by its parts."""


def _pod(name: str) -> dict[str, Any]:
    return {
        "resources": Resources(requests={"cpu": "20m", "memory": "48Mi"}, limits={"cpu": "3", "memory": "2Gi"}),
        "pod_labels": {"example.com/pod": name},
        "pod_annotations": {"sidecar.istio.io/inject": "false", "example.com/pod": name},
        "node_selector": {"kubernetes.io/os": "linux"},
        "priority_class_name": "high",
        "tolerations": (
            Toleration(key="dedicated", value=name, effect="NoExecute", toleration_seconds=60),
            Toleration(operator="Exists"),
        ),
        "extra_volumes": [
            {"name": "shared", "configMap": {"name": f"{name}-shared"}},
            {"name": f"{name}-own", "configMap": {"name": "own"}},
        ],
        "extra_volume_mounts": [
            {"name": "shared", "mountPath": "/mnt/shared"},
            {"name": f"{name}-own", "mountPath": "/mnt/own"},
        ],
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {
                    "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]
                }
            }
        },
    }


OF_LOST_NODES: list[Object] = [
    {"key": f"node.kubernetes.io/{taint}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
    for taint in ("not-ready", "unreachable")
]
"""The tolerations that every pod has, after its own."""


def full_props(datastore: Datastore, version: str = "v1.54.0") -> SpiceDBProps:
    """Props in which every field that can be set together with the others differs from its default.

    Exceptions: the phase of the migration, which causes a warning; ``enabled``, which removes objects; and
    ``delivery``, which tests set themselves.
    """
    releases = known_releases()
    has_modes = releases.takes(SCHEMA_MODE, version)
    schema_mode: SchemaMode | None = "read-legacy-write-both" if has_modes else None
    return SpiceDBProps(
        name="permissions",
        version=version,
        image="registry.example.com/team/spicedb",
        image_pull_policy="IfNotPresent",
        image_pull_secrets=("registry", "mirror"),
        datastore=datastore,
        preshared_key=SecretKey("api", "key"),
        other_preshared_keys=[SecretKey("api", "next")],
        pods=PodSettings(
            pod_labels={"example.com/all": "pods", "example.com/pod": "pods"},
            pod_annotations={"example.com/all": "pods", "example.com/pod": "pods"},
            node_selector={"kubernetes.io/arch": "arm64"},
            tolerations=[Toleration(key="shared", operator="Exists")],
            priority_class_name="low",
            env={"ONE": "pods", "TWO": SecretKey("token", "two")},
            extra_volumes=[
                {"name": "shared", "configMap": {"name": "pods-shared"}},
                {"name": "pods", "configMap": {"name": "own"}},
            ],
            extra_volume_mounts=[
                {"name": "pods", "mountPath": "/mnt/shared"},
                {"name": "pods", "mountPath": "/mnt/pods"},
            ],
        ),
        server=ServerProps(
            replicas=5,
            disruption_budget=2,
            service_annotations={"example.com/mesh": "yes"},
            app_protocol="grpc",
            external_service=ExternalService(
                annotations={"example.com/scheme": "internal"},
                load_balancer_class="example.com/nlb",
                load_balancer_source_ranges=["10.0.0.0/8"],
                external_traffic_policy="Local",
            ),
            ingress=Ingress(host="spicedb.example.com", class_name="nginx", tls_secret="web", annotations={"a": "b"}),
            grpc_route=GRPCRoute(
                gateway="public",
                gateway_namespace="gateways",
                section_name="grpc",
                hostnames=["spicedb.example.com"],
                annotations={"a": "b"},
            ),
            max_surge="25%",
            max_unavailable=1,
            topology_spread=(TopologySpread(topology_key="rack", max_skew=2, when_unsatisfiable="DoNotSchedule"),),
            readiness_probe=Probe(period_seconds=3, timeout_seconds=3),
            liveness_probe=Probe(initial_delay_seconds=60),
            startup_probe=Probe(failure_threshold=30),
            grpc_tls=TLS.from_secret("grpc"),
            http_tls=TLS.from_secret("http"),
            dispatch_tls=DispatchTLS.from_secret("dispatch"),
            log_level="warn",
            log_format="console",
            http_enabled=True,
            metrics_tls=TLS.from_secret("metrics"),
            telemetry_enabled=True,
            tracing=Tracing(
                endpoint="collector.tracing:4317",
                provider="otlphttp",
                sample_ratio=0.5,
                insecure=True,
                service_name="permissions",
                trace_propagator="b3",
            ),
            dispatch_enabled=True,
            shutdown_grace_period=timedelta(milliseconds=2500),
            pre_stop_sleep_seconds=7,
            termination_grace_period_seconds=90,
            allowed_migrations=("add-one", "add-other", "of-a-fork"),
            schema_mode=schema_mode,
            datastore_migration_phase="write-both-read-new",
            restart_on_secret_change=True,
            extra_args=("--dispatch-max-depth=100",),
            env={"GOMAXPROCS": "2", "TOKEN": SecretKey("token", "key")},
            **_pod("server"),
        ),
        migration=MigrationProps(
            target_migration="of-a-fork",
            allow_unknown_target=True,
            log_level="debug",
            migration_timeout=timedelta(minutes=4),
            backfill_batch_size=250,
            datastore_uri=SecretKey("owner", "uri"),
            service_account_annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/owner"},
            backoff_limit=1,
            active_deadline_seconds=300,
            restart_policy="Never",
            **_pod("migration"),
        ),
        cleanup=CleanupProps(
            image="registry.example.com/kubectl:v1.33.0",
            active_deadline_seconds=60,
            **_pod("cleanup"),
        ),
        service_account_annotations={"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/servers"},
        schema=SchemaProps(
            text="definition user {}\n\ndefinition document {\n  relation reader: user\n}\n",
            ca=SecretKey("grpc", "ca.crt"),
            hostname="permissions.identity.svc",
            active_deadline_seconds=100,
            env={"ONE": "schema"},
            **_pod("schema"),
        ),
        test=PermissionTest(
            resource="document",
            permission="reader",
            subject="user",
            checks=5,
            image="registry.example.com/zed:v1",
            ca=SecretKey("grpc", "ca.crt"),
            **_pod("test"),
        ),
        backup=BackupProps(
            schedule="15 3 * * mon-fri",
            time_zone="Europe/Berlin",
            suspend=True,
            keep=5,
            storage="2Ti",
            storage_class="fast",
            shell_image="registry.example.com/busybox:1",
            ca=SecretKey("grpc", "ca.crt"),
            active_deadline_seconds=200,
            late_after_seconds=300_000,
            **_pod("backup"),
        ),
        patches=[
            Patch(
                kind="Deployment",
                name="permissions",
                operations=[PatchOperation(op="add", path="/spec/template/spec/dnsPolicy", value="ClusterFirst")],
            )
        ],
        monitoring=Monitoring(
            alerts=Alerts(labels={"release": "prometheus"}, error_ratio=0.05, latency=timedelta(seconds=1)),
            dashboard=Dashboard(annotations={"folder": "Identity"}),
            pod_monitor=PodMonitor(labels={"release": "prometheus"}, interval=timedelta(minutes=1)),
        ),
        network_policies=NetworkPolicies(
            clients=[NetworkPeer(pods={"app": "api"}, namespaces={"kubernetes.io/metadata.name": "apps"})],
            monitoring=[NetworkPeer(namespaces={"kubernetes.io/metadata.name": "monitoring"})],
            database=[NetworkPeer(cidr="10.1.0.0/16")],
            database_port=6543,
            api_server=[NetworkPeer(cidr="10.2.0.1/32")],
            egress=[Egress(ports=[4317], to=[NetworkPeer(pods={"app": "collector"})])],
        ),
        labels={"team": "identity"},
        annotations={"example.com/owner": "identity"},
        releases=releases.with_release("v1.99.0", {}),
    )


def matrix(version: str = "v1.56.0") -> Mapping[str, SpiceDBProps]:
    """Every engine with default and with full props, and the memory engine."""
    defaults = {f"{name}-default": SpiceDBProps(version=version, datastore=engine) for name, engine in ENGINES.items()}
    full = {f"{name}-full": full_props(engine, version) for name, engine in ENGINES.items()}
    return {**defaults, **full, "memory": SpiceDBProps(version=version, datastore=Memory())}
