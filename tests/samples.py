"""For each prop something other than its default, with what it needs beside it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from cdk8s_spicedb import (
    TLS,
    Alerts,
    Autoscaling,
    CleanupProps,
    CockroachDB,
    Datastore,
    Delivery,
    DispatchTLS,
    ExternalService,
    GRPCRoute,
    Ingress,
    MigrationPhase,
    MigrationProps,
    Monitoring,
    MySQL,
    NetworkPolicies,
    Patch,
    PatchOperation,
    PermissionTest,
    Pool,
    PostgreSQL,
    Probe,
    RelationshipIntegrity,
    Resources,
    SchemaProps,
    SecretKey,
    ServerProps,
    Spanner,
    SpiceDBProps,
    Toleration,
    Tracing,
)

_OTHER = SecretKey("other", "key")
_PATCH = Patch(kind="Service", operations=[PatchOperation(op="add", path="/spec/sessionAffinity", value="None")])
_POD_SAMPLES: dict[str, Any] = {
    "resources": Resources(requests={"cpu": "1m"}, limits={"memory": "2Gi"}),
    "pod_labels": {"team": "identity"},
    "pod_annotations": {"team": "identity"},
    "node_selector": {"disk": "fast"},
    "tolerations": [Toleration(key="dedicated", operator="Exists")],
    "affinity": {"nodeAffinity": {}},
    "priority_class_name": "high",
}
_TUNED_SAMPLES: dict[str, Any] = {
    "read_only": True,
    "revision_quantization_interval": timedelta(seconds=7),
    "revision_quantization_max_staleness": 0.7,
    "follower_read_delay": timedelta(seconds=7),
}
_PARTS_SAMPLES: dict[str, Any] = {
    **_TUNED_SAMPLES,
    "gc_window": timedelta(hours=7),
    "max_connections": 1000,
    "uri": {"uri": _OTHER, "host": None, "database": None, "user": None, "password": None},
    "host": "other",
    "port": 1,
    "database": "other",
    "user": "other",
    "password": _OTHER,
    "ca": _OTHER,
}
_LIBPQ_SAMPLES: dict[str, Any] = {
    **_PARTS_SAMPLES,
    "sslmode": "require",
    "client_certificate": {"client_certificate": _OTHER, "client_key": _OTHER},
    "client_key": {"client_certificate": _OTHER, "client_key": SecretKey("third", "key")},
    "read_pool": Pool(max_open=7),
    "write_pool": Pool(max_open=7),
}
_PRIMARY_SAMPLES: dict[str, Any] = {
    "credentials_provider": {"credentials_provider": "aws-iam", "password": None},
    "gc_interval": timedelta(minutes=7),
    "gc_max_operation_time": timedelta(minutes=7),
    "read_replicas": ["replica"],
    "read_replica_pool": {"read_replicas": ["replica"], "read_replica_pool": Pool(max_open=7)},
}
SAMPLES: dict[type, dict[str, Any]] = {
    SpiceDBProps: {
        "name": "other",
        "version": "v1.54.0",
        "image": "registry.example.com/spicedb",
        "image_pull_secrets": ["registry"],
        "datastore": CockroachDB(uri=_OTHER),
        "preshared_key": _OTHER,
        "image_pull_policy": "Always",
        "monitoring": Monitoring(alerts=Alerts()),
        "schema": SchemaProps(text="definition user {}"),
        "test": PermissionTest(resource="document", permission="read", subject="user"),
        "openshift": True,
        "patches": [_PATCH],
        "network_policies": NetworkPolicies(),
        "other_preshared_keys": [_OTHER],
        "delivery": Delivery.KUBECTL,
        "server": ServerProps(replicas=7),
        "migration": MigrationProps(backoff_limit=7),
        "cleanup": CleanupProps(active_deadline_seconds=7),
        "service_account_annotations": {"role": "spicedb"},
        "labels": {"team": "identity"},
        "annotations": {"team": "identity"},
    },
    ServerProps: {
        **_POD_SAMPLES,
        "tracing": Tracing(endpoint="collector:4317"),
        "telemetry_enabled": True,
        "service_annotations": {"team": "identity"},
        "app_protocol": "grpc",
        "external_service": ExternalService(),
        "ingress": Ingress(host="spicedb.example.com"),
        "grpc_route": GRPCRoute(gateway="public"),
        "replicas": 7,
        "autoscaling": Autoscaling(max_replicas=7),
        "disruption_budget": None,
        "max_surge": "50%",
        "max_unavailable": 1,
        "topology_spread": [],
        "readiness_probe": Probe(period_seconds=7),
        "liveness_probe": Probe(timeout_seconds=7),
        "startup_probe": Probe(),
        "grpc_tls": TLS.from_secret("tls"),
        "http_tls": {"http_enabled": True, "http_tls": TLS.from_secret("tls")},
        "metrics_tls": TLS.from_secret("tls"),
        "dispatch_tls": DispatchTLS.from_secret("tls"),
        "log_level": "warn",
        "log_format": "console",
        "http_enabled": True,
        "metrics_enabled": False,
        "dispatch_enabled": False,
        "shutdown_grace_period": timedelta(seconds=30),
        "pre_stop_sleep_seconds": 0,
        "termination_grace_period_seconds": 300,
        "allowed_migrations": ["add-caveats"],
        "schema_mode": "read-legacy-write-both",
        "datastore_migration_phase": "write-both-read-old",
        "restart_on_secret_change": True,
        "service_account": "other",
        "extra_args": ["--dispatch-max-depth=100"],
        "env": {"GOMAXPROCS": "2"},
    },
    MigrationProps: {
        **_POD_SAMPLES,
        "enabled": False,
        "target_migration": "add-caveats",
        "allow_unknown_target": True,
        "target_phase": MigrationPhase.WRITE,
        "log_level": "debug",
        "migration_timeout": timedelta(seconds=30),
        "backfill_batch_size": 7,
        "datastore_uri": _OTHER,
        "service_account_annotations": {"role": "owner"},
        "service_account": "other",
        "backoff_limit": 0,
        "active_deadline_seconds": 7,
        "ttl_seconds_after_finished": 7,
        "restart_policy": "Never",
    },
    CleanupProps: {
        **_POD_SAMPLES,
        "enabled": False,
        "image": "registry.example.com/kubectl:v1",
        "active_deadline_seconds": 7,
    },
    PostgreSQL: {
        **_LIBPQ_SAMPLES,
        **_PRIMARY_SAMPLES,
    },
    CockroachDB: {
        **_LIBPQ_SAMPLES,
        "connection_balancing": False,
        "relationship_integrity": RelationshipIntegrity(key_id="one", key=_OTHER),
    },
    MySQL: {
        **_PARTS_SAMPLES,
        **_PRIMARY_SAMPLES,
        "tls": "preferred",
        "table_prefix": "other_",
        "pool": Pool(max_open=7),
    },
    Spanner: {
        **_TUNED_SAMPLES,
        "uri": {"uri": _OTHER, "project": None, "instance": None, "database": None},
        "project": "other",
        "instance": "other",
        "database": "other",
        "credentials": _OTHER,
        "emulator_host": "emulator:9010",
    },
}
_SECRET = SecretKey("database", "value")
BASES: dict[type, Datastore] = {
    PostgreSQL: PostgreSQL(host="db", database="d", user="u", password=_SECRET),
    CockroachDB: CockroachDB(host="db", database="d", user="u", password=_SECRET),
    MySQL: MySQL(host="db", database="d", user="u", password=_SECRET),
    Spanner: Spanner(project="p", instance="i", database="d"),
}


def sample(kind: type, name: str) -> dict[str, Any]:
    """A prop's sample with what it needs, by name."""
    found = SAMPLES[kind][name]
    return found if isinstance(found, dict) and name in found else {name: found}
