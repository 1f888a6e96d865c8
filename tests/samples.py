"""For each prop a value that differs from its default, with the other props that the value needs.

The type of the prop chooses the value: it is the first of `VALUES` that is valid.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from typing import Any

import attrs

from cdk8s_spicedb import (
    TLS,
    Alerts,
    Autoscaling,
    BackupProps,
    CleanupProps,
    CockroachDB,
    Datastore,
    DispatchTLS,
    ExternalService,
    GRPCRoute,
    Ingress,
    MigrationProps,
    Monitoring,
    MySQL,
    NetworkPolicies,
    Patch,
    PatchOperation,
    PermissionTest,
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
    SpiceDBProps,
    Toleration,
    Tracing,
    UpgradeBackup,
)
from cdk8s_spicedb.props import problems

_OTHER = SecretKey("other", "key")
VALUES: list[Any] = [
    *(False, True, 7, 300, 5005, 0.7, timedelta(seconds=7), timedelta(hours=7)),
    *("other", "v1.54.0", "emulator:9010", "registry.example.com/kubectl:v1"),
    *({"team": "identity"}, {"nodeAffinity": {}}, {"grpc": 80}),
    _OTHER,
    Resources(requests={"cpu": "1m"}, limits={"memory": "2Gi"}),
    Probe(period_seconds=7),
    TLS.from_secret("tls"),
    DispatchTLS.from_secret("tls"),
    Autoscaling(max_replicas=7),
    Tracing(endpoint="collector:4317"),
    ExternalService(),
    Ingress(host="spicedb.example.com"),
    GRPCRoute(gateway="public"),
    Pool(max_open=7),
    RelationshipIntegrity(key_id="one", key=_OTHER),
    CockroachDB(uri=_OTHER),
    ServerProps(replicas=7),
    MigrationProps(backoff_limit=7),
    CleanupProps(active_deadline_seconds=7),
    Monitoring(alerts=Alerts()),
    NetworkPolicies(),
    SchemaProps(text="definition user {}"),
    PermissionTest(resource="document", permission="read", subject="user"),
    UpgradeBackup(command=["backup"]),
    BackupProps(schedule="@daily"),
    [Toleration(key="dedicated", operator="Exists")],
    *([{"name": "x", "emptyDir": {}}], [{"name": "tls", "mountPath": "/x"}], [{"name": "x", "image": "x"}]),
    PodSettings(pod_labels={"team": "identity"}),
    [Patch(kind="Service", operations=[PatchOperation(op="add", path="/spec/sessionAffinity", value="None")])],
    *(["other"], [_OTHER], ["--dispatch-max-depth=100"], []),
]
_URI = {"uri": _OTHER, "host": None, "database": None, "user": None, "password": None}
_CERTIFICATE = {"client_certificate": _OTHER, "client_key": _OTHER}
_PROVIDER = {"credentials_provider": "aws-iam", "password": None}
_REPLICA_POOL = {"read_replicas": ["replica"], "read_replica_pool": Pool(max_open=7)}
_CHOSEN: dict[type, dict[str, dict[str, Any]]] = {
    ServerProps: {
        "http_tls": {"http_enabled": True, "http_tls": TLS.from_secret("tls")},
        "http_port": {"http_enabled": True, "http_port": 5005},
        "dispatch_enabled": {"dispatch_enabled": True},
    },
    MigrationProps: {
        "target_migration": {"target_migration": "add-caveats"},
        "extra_args": {"extra_args": ["--pprof-mutex-profile-rate=1"]},
    },
    PostgreSQL: {
        "uri": _URI,
        **dict.fromkeys(("client_certificate", "client_key"), _CERTIFICATE),
        "credentials_provider": _PROVIDER,
        "read_replica_pool": _REPLICA_POOL,
    },
    CockroachDB: {"uri": _URI, **dict.fromkeys(("client_certificate", "client_key"), _CERTIFICATE)},
    MySQL: {
        "uri": _URI,
        "tls": {"tls": "preferred"},
        "credentials_provider": _PROVIDER,
        "read_replica_pool": _REPLICA_POOL,
    },
    Spanner: {"uri": {"uri": _OTHER, "project": None, "instance": None, "database": None}},
}
"""Values that need other props, or that do not follow from the type."""
_SECRET = SecretKey("database", "value")
BASES: dict[type, Datastore] = {
    PostgreSQL: PostgreSQL(host="db", database="d", user="u", password=_SECRET),
    CockroachDB: CockroachDB(host="db", database="d", user="u", password=_SECRET),
    MySQL: MySQL(host="db", database="d", user="u", password=_SECRET),
    Spanner: Spanner(project="p", instance="i", database="d"),
}


def sample(kind: Any, name: str) -> dict[str, Any]:
    """The sample of a prop, with the other props that it needs, by name."""
    if name in _CHOSEN.get(kind, {}):
        return _CHOSEN[kind][name]
    base: Any = BASES.get(kind) or (SpiceDBProps(datastore=BASES[PostgreSQL]) if kind is SpiceDBProps else kind())
    default = getattr(base, name)
    for value in [*_choices(typing.get_type_hints(kind, include_extras=True)[name]), *VALUES]:
        # A list is the same as a tuple with the same items.
        differs = value != (list(default) if isinstance(default, tuple) else default)
        if differs and not list(problems(attrs.evolve(base, **{name: value}))):
            return {name: value}
    raise AssertionError(f"no value is valid for {kind.__name__}.{name}: add one to VALUES")


def _choices(annotation: Any) -> Iterator[Any]:
    """The values that a type lists."""
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        yield from annotation
    for part in typing.get_args(annotation):
        if typing.get_origin(annotation) is typing.Literal:
            yield part
        else:
            yield from _choices(part)
