"""Every way in which props are refused, and what the user is told then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, timedelta
from math import inf
from typing import Any, cast

import attrs
import cdk8s
import pytest
from constructs import Construct

from cdk8s_spicedb import (
    TLS,
    Autoscaling,
    BackupProps,
    Cleanup,
    CleanupProps,
    CockroachDB,
    ConfigMapKey,
    Datastore,
    DispatchTLS,
    InvalidProps,
    Memory,
    Migration,
    MigrationPhase,
    MigrationProps,
    Monitoring,
    MySQL,
    NetworkPeer,
    NetworkPolicies,
    PodMonitor,
    PodSettings,
    PostgreSQL,
    Probe,
    Resources,
    SchemaProps,
    SecretKey,
    Server,
    ServerProps,
    Spanner,
    SpiceDB,
    SpiceDBChart,
    SpiceDBProps,
    Toleration,
    TopologySpread,
    UpgradeBackup,
)
from cdk8s_spicedb.props import problems, require

Make = Callable[[], SpiceDBProps]
VERSION = "v1.56.0"
KEY = SecretKey("spicedb", "some-key")
PARTS: Mapping[str, Any] = {"host": "db", "database": "spicedb", "user": "app", "password": KEY}


APART: Mapping[str, Any] = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {
                "topologyKey": "kubernetes.io/hostname",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/name": "spicedb"}},
            }
        ]
    }
}
"""Keeps everything of a SpiceDB apart."""


def spicedb(**given: Any) -> Make:
    return lambda: SpiceDBProps(**{"version": VERSION, "datastore": PostgreSQL(uri=KEY), **given})


def server(version: str = VERSION, **given: Any) -> Make:
    return lambda: spicedb(version=version, server=ServerProps(**given))()


def upgrade_backup(**given: Any) -> Make:
    return lambda: spicedb(upgrade_backup=UpgradeBackup(**given))()


def migration(version: str = VERSION, **given: Any) -> Make:
    return lambda: spicedb(version=version, migration=MigrationProps(**given))()


def backup(**given: Any) -> Make:
    return lambda: spicedb(backup=BackupProps(**{"schedule": "@daily", **given}))()


def cleanup(**given: Any) -> Make:
    return lambda: spicedb(cleanup=CleanupProps(**given))()


_EXTRA = {"server": ServerProps(extra_containers=[{"name": "a", "image": "y"}])}


def toleration(**given: Any) -> Make:
    return lambda: server(tolerations=(Toleration(key="a"), Toleration(**given)))()


def resources(requests: Any, limits: Any) -> Make:
    return lambda: server(resources=Resources(requests=requests, limits=limits))()


def datastore(kind: type[Datastore], parts: Mapping[str, Any] | None = None, /, **given: Any) -> Make:
    return lambda: spicedb(datastore=kind(**{**(parts or {}), **given}))()


def memory(**given: Any) -> Make:
    return spicedb(datastore=Memory(), **given)


def less(*names: str) -> dict[str, Any]:
    return {name: value for name, value in PARTS.items() if name not in names}


ENOUGH = {"cpu": "1", "memory": "1Gi"}

# What makes the props, the field to blame, a part of what is allowed, a part of the fix.
OBJECT: Mapping[str, Any] = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Backup", "metadata": {"name": "before"}}
ELSEWHERE = {**OBJECT, "metadata": {"name": "before", "namespace": "databases"}}
DONE = ".status.phase=completed"
BAD: list[tuple[Make, str, str, str]] = [
    # the backup of an upgrade
    (upgrade_backup(), "upgrade_backup.command", "a program with its arguments, or manifest", "set one of them"),
    (upgrade_backup(command=[]), "upgrade_backup.command", "a program with its arguments", "set one of them"),
    (upgrade_backup(command="pg_dump"), "upgrade_backup.command", "a tuple or list", "an item of its own"),
    (upgrade_backup(command=["pg_dump", ""]), "upgrade_backup.command", "not empty", "an item of its own"),
    (
        upgrade_backup(command=["a"], manifest=OBJECT),
        "upgrade_backup.manifest",
        "when command is set",
        "remove one of them",
    ),
    (upgrade_backup(command=["a"], wait_for=DONE), "upgrade_backup.wait_for", "whose exit code says", "remove it"),
    (upgrade_backup(command=["a"], fail_on=DONE), "upgrade_backup.fail_on", "whose exit code says", "remove it"),
    (
        upgrade_backup(manifest=OBJECT),
        "upgrade_backup.wait_for",
        "when the backup is complete",
        "such as wait_for='.status",
    ),
    (
        upgrade_backup(manifest={"kind": "Backup"}),
        "upgrade_backup.manifest",
        "metadata.name",
        "write it as in a manifest",
    ),
    (upgrade_backup(manifest=5, wait_for=DONE), "upgrade_backup.manifest", "an object", "write it as in a manifest"),
    (
        upgrade_backup(manifest={**OBJECT, "spec": {"at": date(2030, 1, 1)}}, wait_for=DONE),
        "upgrade_backup.manifest",
        "an object",
        "quote dates",
    ),
    (
        upgrade_backup(manifest=OBJECT, wait_for="completed"),
        "upgrade_backup.wait_for",
        "the path of a field",
        ".status.phase",
    ),
    (
        upgrade_backup(manifest=ELSEWHERE, wait_for=DONE),
        "upgrade_backup.manifest[metadata][namespace]",
        "created in the namespace of the release",
        "use command with kubectl",
    ),
    (
        upgrade_backup(command=["a"], timeout_seconds=0),
        "upgrade_backup.timeout_seconds",
        "from 1 to 86400",
        "without quotes",
    ),
    # names
    (spicedb(name="9lives"), "name", "beginning with a letter", "rename"),
    (spicedb(name="a" * 46), "name", "at most 45", "shorten"),
    (spicedb(name=5), "name", "lower-case letters", "rename"),
    # version and image
    (spicedb(version="1.56.0"), "version", "such as v1.56.0", "leading 'v'"),
    (spicedb(version="v1.56"), "version", "such as v1.56.0", "release tag"),
    (spicedb(version="latest"), "version", "a release of SpiceDB", "release tag"),
    (spicedb(version=None), "version", "a release of SpiceDB", "release tag"),
    (spicedb(image="r.example.com/spicedb:v1.52.0"), "image", "an image of version v1.56.0", "set version to"),
    (spicedb(image="Spice DB"), "image", "with or without tag", "registry.example.com/team/image:tag"),
    (spicedb(image="spicedb@sha256:abc"), "image", "an image reference", "64 hexadecimal digits"),
    (spicedb(image_pull_secrets="regcred"), "image_pull_secrets", "a tuple or list", "names of Secrets"),
    (spicedb(image_pull_secrets=["Reg_Cred"]), "image_pull_secrets", "names of Secrets", "in the namespace"),
    # the parts of SpiceDBProps
    (spicedb(datastore="postgres"), "datastore", "PostgreSQL(…), CockroachDB(…)", "choose one"),
    (spicedb(datastore=PostgreSQL), "datastore", "Memory()", "choose one"),
    (spicedb(preshared_key="key"), "preshared_key", "a SecretKey(name, key)", "put the value into a Secret"),
    (spicedb(preshared_key=None), "preshared_key", "a SecretKey(name, key)", "SecretKey('my-secret', 'my-key')"),
    (
        spicedb(preshared_key=SecretKey("My_Secret", "k")),
        "preshared_key.name",
        "the name of a Secret",
        "in the release's namespace",
    ),
    (spicedb(preshared_key=SecretKey("s", "a/b")), "preshared_key.key", "a key of that Secret", "not the value"),
    (spicedb(preshared_key=SecretKey("s", "")), "preshared_key.key", "a key of that Secret", "use the key"),
    (spicedb(delivery="flux"), "delivery", "helm, argocd, kubectl", "exactly"),
    (spicedb(server={"replicas": 2}), "server", "ServerProps(…)", "use server=ServerProps(…)"),
    (spicedb(migration=None), "migration", "MigrationProps(…)", "use migration=MigrationProps(…)"),
    (spicedb(cleanup=False), "cleanup", "CleanupProps(…)", "use cleanup=CleanupProps(…)"),
    (spicedb(releases={}), "releases", "a ReleaseTable", "with_release"),
    # labels and annotations
    (
        spicedb(labels={"app.kubernetes.io/instance": "mine"}),
        "labels",
        "other than app.kubernetes.io/name, app.kubernetes.io/instance",
        "leave out those that this package sets",
    ),
    (spicedb(labels={"team": "a b"}), "labels", "a label value", "annotation"),
    (spicedb(labels={"team": "a" * 64}), "labels", "at most 63", "shorten it"),
    (spicedb(labels={"-team": "a"}), "labels", "[prefix/]name", "example.com/team"),
    (spicedb(labels=[("team", "a")]), "labels", "a mapping from", "'team'"),
    (spicedb(annotations={"port": 9090}), "annotations", "to a str", "quote numbers"),
    (spicedb(service_account_annotations={"a/b/c": "x"}), "service_account_annotations", "[prefix/]name", "'team'"),
    (
        server(pod_labels={"app.kubernetes.io/component": "x"}),
        "server.pod_labels",
        "app.kubernetes.io/component",
        "leave out those",
    ),
    (
        server(pod_annotations={"checksum/migration-config": "x"}),
        "server.pod_annotations",
        "other than checksum/migration-config",
        "leave out those that this package sets",
    ),
    (migration(pod_annotations={"a": True}), "migration.pod_annotations", "to a str", "quote numbers and booleans"),
    # what pods get in addition
    (
        spicedb(pods=PodSettings(env={"SPICEDB_LOG_LEVEL": "debug"})),
        "pods.env[SPICEDB_LOG_LEVEL]",
        "variables without the prefix SPICEDB_",
        "server.env or migration.env",
    ),
    (spicedb(pods=ServerProps(replicas=3)), "pods", "PodSettings(…), which all kinds", "move the rest to server"),
    (spicedb(pods=PodSettings(env={"ZED_TOKEN": "x"})), "pods.env[ZED_TOKEN]", "variables other than", "preshared_key"),
    (
        spicedb(schema=SchemaProps(text="definition user {}", env={"ZED_TOKEN": "x"})),
        "schema.env[ZED_TOKEN]",
        "variables other than",
        "preshared_key",
    ),
    (
        spicedb(pods=PodSettings(service_account="own"), service_account_annotations={"a": "b"}),
        "service_account_annotations",
        "none when pods.service_account names your own",
        "annotate that",
    ),
    (server(extra_volumes=[{"emptyDir": {}}]), "server.extra_volumes", "a volume, with a name", "as in a manifest"),
    (server(extra_volumes={"name": "x"}), "server.extra_volumes", "a tuple or list", "as in a manifest"),
    (server(extra_volume_mounts=[{"name": "tls"}]), "server.extra_volume_mounts", "name and mountPath", "own names"),
    (server(init_containers=[{"name": "x"}]), "server.init_containers", "with name and image", "as in a manifest"),
    (server(http_port=8080), "server.http_port", "its default with http_enabled=False", "http_enabled=True"),
    (server(metrics_enabled=False, metrics_port=9091), "server.metrics_port", "its default", "metrics_enabled=True"),
    (
        spicedb(schema=SchemaProps(text="definition user {}", ca=SecretKey("ca", "ca.crt"))),
        "schema.ca",
        "when gRPC has no TLS",
        "set server.grpc_tls",
    ),
    (
        spicedb(pods=PodSettings(init_containers=[{"name": "a", "image": "x"}]), **_EXTRA),
        "server.extra_containers",
        "a name that no container of init_containers has",
        "rename one",
    ),
    (
        spicedb(annotations={"helm.sh/hook": "pre-install"}),
        "annotations",
        "other than helm.sh/hook",
        "leave out those that this package sets",
    ),
    (
        server(init_containers=[{"name": "a", "image": "x", "args": ["a", date(2001, 1, 1)]}]),
        "server.init_containers[0].args[1]",
        "texts, numbers, true",
        "quote it",
    ),
    (server(extra_volumes=[{"name": "a", 1: "b"}]), "server.extra_volumes[0] (key)", "texts as keys", "quote it"),
    (server(affinity={"nodeAffinity": {"weight": inf}}), "server.affinity.nodeAffinity.weight", "numbers", "quote it"),
    (
        server(extra_volumes=[{"name": "datastore"}]),
        "server.extra_volumes[0].name",
        "another name than backup, ca, datastore",
        "choose another name",
    ),
    (
        server(extra_volume_mounts=[{"name": "tls", "mountPath": "/etc/spicedb/datastore/"}]),
        "server.extra_volume_mounts[0].mountPath",
        "/etc/spicedb/datastore",
        "choose another mountPath",
    ),
    (
        spicedb(pods=PodSettings(extra_containers=[{"name": "zed", "image": "x"}])),
        "pods.extra_containers[0].name",
        "spicedb, try-volume, zed, which this package uses",
        "choose another",
    ),
    (
        migration(init_containers=[{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]),
        "migration.init_containers[1].name",
        "a name that no other item has",
        "rename it",
    ),
    (
        migration(init_containers=[{"name": "a", "image": "x"}], extra_containers=[{"name": "a", "image": "y"}]),
        "migration.extra_containers",
        "a name that no container of init_containers has",
        "rename one",
    ),
    (
        server(extra_volume_mounts=[{"name": "data", "mountPath": "/x"}], extra_volumes=[{"name": "date"}]),
        "server.extra_volume_mounts[0].name",
        "the name of one of extra_volumes: date",
        "add the volume",
    ),
    (
        spicedb(pods=PodSettings(extra_volume_mounts=[{"name": "data", "mountPath": "/x"}])),
        "pods.extra_volume_mounts[0].name",
        "the name of one of extra_volumes",
        "add the volume",
    ),
    (
        server(affinity=APART),
        "server.affinity",
        "servers and Jobs (migration, cleanup) off the same",
        "add app.kubernetes.io/component: server to its labelSelector",
    ),
    (
        migration(affinity=APART),
        "migration.affinity",
        "servers and Jobs (migration) off",
        "add app.kubernetes.io/component: server",
    ),
    (
        spicedb(pods=PodSettings(affinity=APART)),
        "pods.affinity",
        "Jobs (migration, cleanup) off",
        "add app.kubernetes.io/c",
    ),
    # servers
    (server(replicas=0), "server.replicas", "1 to 1000", "in that range"),
    (server(replicas=1001), "server.replicas", "1 to 1000", "in that range"),
    (server(replicas="2"), "server.replicas", "a whole number", "without quotes"),
    (server(replicas=True), "server.replicas", "a whole number", "without quotes"),
    (server(replicas=2.0), "server.replicas", "a whole number", "without quotes"),
    (server(log_level="warning"), "server.log_level", "trace, debug, info, warn, error", "did you mean warn?"),
    (server(log_level="INFO"), "server.log_level", "info", "did you mean info?"),
    (server(log_format="text"), "server.log_format", "auto, console, json", "exactly"),
    (server(http_enabled="true"), "server.http_enabled", "True or False", "without quotes"),
    (server(metrics_enabled=1), "server.metrics_enabled", "True or False", "without quotes"),
    (server(dispatch_enabled="no"), "server.dispatch_enabled", "True or False, or None", "without quotes"),
    (server(shutdown_grace_period=30), "server.shutdown_grace_period", "datetime.timedelta", "timedelta(seconds=30)"),
    (
        server(shutdown_grace_period=timedelta(0)),
        "server.shutdown_grace_period",
        "from 1 s to 3600 s",
        "timedelta(seconds=30)",
    ),
    (server(pre_stop_sleep_seconds=-1), "server.pre_stop_sleep_seconds", "of seconds from 0 to 3600", "in that range"),
    (
        server(termination_grace_period_seconds=24),
        "server.termination_grace_period_seconds",
        "at least 25: pre_stop_sleep_seconds, shutdown_drain_delay and twice shutdown_grace_period",
        "loses requests",
    ),
    (server(allowed_migrations="add-caveats"), "server.allowed_migrations", "a tuple or list", "'add-caveats'"),
    (server(allowed_migrations=["a,b"]), "server.allowed_migrations", "a migration revision", "in SpiceDB"),
    (server(schema_mode="new"), "server.schema_mode", "read-legacy-write-legacy", "exactly"),
    (server(datastore_migration_phase="a b"), "server.datastore_migration_phase", "or None", "in SpiceDB"),
    (server(extra_args="--http-enabled"), "server.extra_args", "a tuple or list", "'--flag=value'"),
    (server(extra_args=["-v"]), "server.extra_args", "such as '--dispatch-max-depth=100'", "'--flag=value'"),
    (server(extra_args=["--grpc-preshared-key=x"]), "server.extra_args", "which contains no secret", "preshared_key"),
    (
        server(extra_args=["--datastore-conn-uri", "x"]),
        "server.extra_args",
        "which contains no secret",
        "datastore and env",
    ),
    (
        server(env={"SPICEDB_GRPC_PRESHARED_KEY": KEY}),
        "server.env[SPICEDB_GRPC_PRESHARED_KEY]",
        "flags that no prop sets",
        "use preshared_key",
    ),
    (
        server(env={"SPICEDB_DATASTORE_ENGINE": "memory"}),
        "server.env[SPICEDB_DATASTORE_ENGINE]",
        "flags that no prop sets",
        "use datastore",
    ),
    (
        spicedb(datastore=PostgreSQL(**PARTS), server=ServerProps(env={"PGPASSWORD": "x"})),
        "server.env[PGPASSWORD]",
        "variables other than those of preshared_key and datastore",
        "or datastore",
    ),
    (
        spicedb(datastore=PostgreSQL(**PARTS), migration=MigrationProps(env={"PGUSER": "owner"})),
        "migration.env[PGUSER]",
        "variables other than those of preshared_key and datastore",
        "or datastore",
    ),
    *(
        (server(extra_args=[f"--{flag}=x"]), "server.extra_args[0]", allowed, fix)
        for flag, allowed, fix in (
            ("grpc-addr", "flags that no prop sets", "use server.grpc_port"),
            ("http-addr", "flags that no prop sets", "use server.http_port"),
            ("metrics-addr", "flags that no prop sets", "use server.metrics_port or server.metrics_address"),
            ("dispatch-cluster-enabled", "flags that no prop sets", "use server.dispatch_enabled"),
            ("dispatch-upstream-addr", "flags that no prop sets", "use server.dispatch_enabled"),
            ("grpc-tls-cert-path", "flags that no prop sets", "use server.grpc_tls.certificate"),
            ("grpc-shutdown-grace-period", "flags that no prop sets", "use server.shutdown_grace_period"),
            ("datastore-engine", "flags that no prop sets", "use datastore"),
            ("datastore-gc-window", "flags that no prop sets", "use datastore.gc_window"),
            ("telemetry-endpoint", "flags that no prop sets", "use server.telemetry_enabled"),
            ("dispatch-cluster-addr", "other than --dispatch-cluster-addr: servers find each other", "remove it"),
            ("termination-log-path", "the status of the pods shows this file", "remove it"),
            ("help", "SpiceDB prints its help and stops", "remove it"),
            ("no-such-flag", "flags of `spicedb serve` at version v1.56.0", "remove it"),
            ("dispatch-max-dept", "flags of `spicedb serve` at version v1.56.0", "did you mean --dispatch-max-depth?"),
            # Only in releases before and after, and only in the other command.
            ("experimental-full-relation-cache", "at version v1.56.0", "a release that has it (known: v1.57.1)"),
            ("migration-timeout", "flags of `spicedb serve`", "remove it"),
        )
    ),
    (server(env={"SPICEDB_GRPC_ADDR": ":1"}), "server.env[SPICEDB_GRPC_ADDR]", "no prop sets", "use server.grpc_port"),
    (
        server(env={"SPICEDB_DISPATCH_MAX_DEPT": "1"}),
        "server.env[SPICEDB_DISPATCH_MAX_DEPT]",
        "flags of `spicedb serve` at version v1.56.0",
        "did you mean SPICEDB_DISPATCH_MAX_DEPTH?",
    ),
    *(
        (migration(extra_args=[f"--{flag}"]), "migration.extra_args[0]", allowed, fix)
        for flag, allowed, fix in (
            ("log-level=debug", "flags that no prop sets", "use migration.log_level"),
            ("log-format=json", "flags that no prop sets", "use server.log_format"),
            ("skip-release-check", "flags that no prop sets", "use server.telemetry_enabled"),
            ("phase=write", "flags that no prop sets", "use migration.target_phase"),
            ("grpc-addr=:1", "flags of `spicedb migrate`", "remove it"),
        )
    ),
    (server(grpc_port=80), "server.grpc_port", "from 1024 to 65535", "in that range"),
    (server(grpc_port=9090), "server.metrics_port", "other than that of grpc_port", "use another port"),
    (server(grpc_port=50053), "server.grpc_port", "other than that of dispatch", "use another port"),
    (server(service_ports={"grpc": 9090}), "server.service_ports[metrics]", "that grpc does not have", "service_ports"),
    (server(service_ports={"http": 80}), "server.service_ports[http]", "None with http_enabled=False", "http_enabled"),
    (server(service_ports={"dispatch": 80}), "server.service_ports", "grpc, http, metrics", "one of these"),
    (
        server(metrics_address="127.0.0.1", service_ports={"metrics": 80}),
        "server.service_ports[metrics]",
        "when only the pod itself reaches the metrics",
        "remove it",
    ),
    *(
        (
            spicedb(server=ServerProps(**given), network_policies=NetworkPolicies(monitoring=[NetworkPeer(pods={})])),
            "network_policies.monitoring",
            "none when nobody outside the pod reaches the metrics",
            fix,
        )
        for given, fix in (
            ({"metrics_address": "::1"}, "use metrics_address=None"),
            ({"metrics_enabled": False}, "use metrics_enabled=True"),
        )
    ),
    (server(metrics_address="10.0.0.1"), "server.metrics_address", "127.0.0.1, ::1, or None", "did you mean 127"),
    (
        server(metrics_address="::1", metrics_enabled=False),
        "server.metrics_address",
        "None with metrics_enabled=False",
        "metrics_enabled=True",
    ),
    (
        spicedb(server=ServerProps(metrics_address="127.0.0.1"), monitoring=Monitoring(pod_monitor=PodMonitor())),
        "monitoring.pod_monitor",
        "which Prometheus does not reach",
        "remove one of the two",
    ),
    (
        cleanup(tolerations=[Toleration(operator="Exists", value="x")]),
        "cleanup.tolerations[0].value",
        "None with operator='Exists'",
        "remove it",
    ),
    (
        cleanup(tolerations=[Toleration(key="a", effect="NoSchedule", toleration_seconds=5)]),
        "cleanup.tolerations[0].toleration_seconds",
        "effect='NoExecute'",
        "remove it",
    ),
    (server(env={"GOMAXPROCS": 2}), "server.env", "a str or a SecretKey", "quote values"),
    (server(env={"GO-MAX": "2"}), "server.env", "names of environment variables", "GOMAXPROCS"),
    (server(env=["A=B"]), "server.env", "a mapping from", "'GOMAXPROCS'"),
    # pods
    (server(node_selector={"disk": True}), "server.node_selector", "a label value", "replace the other characters"),
    (cleanup(tolerations=Toleration(key="a")), "cleanup.tolerations", "a tuple or list", "Toleration("),
    (cleanup(tolerations=[{"key": "a"}]), "cleanup.tolerations", "Toleration(key=…", "tolerations=[Toleration("),
    (toleration(), "server.tolerations[1].key", "operator='Exists'", "set the taint's key"),
    (toleration(key="a", operator="Equals"), "server.tolerations[1].operator", "Equal, Exists", "did you mean Equal?"),
    (toleration(key="a", effect="Evict"), "server.tolerations[1].effect", "NoExecute, or None", "exactly"),
    (
        toleration(key="a", toleration_seconds=-1),
        "server.tolerations[1].toleration_seconds",
        "of seconds, 0 or more",
        "in that range",
    ),
    (toleration(key="a", value=1), "server.tolerations[1].value", "a str", "in quotes"),
    (server(affinity={"node_affinity": {}}), "server.affinity", "nodeAffinity, podAffinity", "did you mean node"),
    (server(affinity={"nodeAffinity": "zone"}), "server.affinity", "an object", "as in a manifest"),
    (server(resources={"limits": {}}), "server.resources", "Resources(requests=…", "Resources(requests=…, limits=…)"),
    (resources({"cpu": True}, ENOUGH), "server.resources.requests", "such as '250m'", "half a core"),
    (resources({"cpu": "1 core"}, ENOUGH), "server.resources.requests", "a Kubernetes quantity", "half a core"),
    (resources({"gpu": "1"}, ENOUGH), "server.resources.requests", "ephemeral-storage", "exactly"),
    (resources({}, {"memory": "1GB"}), "server.resources.limits", "'512Mi'", "512Mi' for memory"),
    (resources({}, {"cpu": "1"}), "server.resources.limits", "a memory limit", "{'memory': '1Gi'}"),
    (resources({"cpu": "1001m"}, ENOUGH), "server.resources.requests.cpu", "the limit, 1", "raise the limit"),
    (
        resources({"memory": "2Gi"}, {"memory": "2G"}),
        "server.resources.requests.memory",
        "at most the limit, 2G",
        "lower it",
    ),
    # migration
    (migration(enabled=None), "migration.enabled", "True or False", "without quotes"),
    (migration(target_migration=""), "migration.target_migration", "or 'head'", "in SpiceDB"),
    (migration(target_phase="writ"), "migration.target_phase", "write, read, complete", "did you mean write?"),
    (migration(log_level="fatal"), "migration.log_level", "error, or None", "exactly"),
    (migration(migration_timeout=60), "migration.migration_timeout", "timedelta", "timedelta(seconds=30)"),
    (
        migration(migration_timeout=timedelta(minutes=10)),
        "migration.migration_timeout",
        "less than active_deadline_seconds, 600 s",
        "raise active_deadline_seconds",
    ),
    (migration(backfill_batch_size=0), "migration.backfill_batch_size", "of rows from 1 to", "in that range"),
    (
        migration(datastore_uri="postgresql://db"),
        "migration.datastore_uri",
        "a SecretKey(name, key)",
        "put the value into a Secret",
    ),
    (migration(backoff_limit=-1), "migration.backoff_limit", "0 to 100", "in that range"),
    (
        migration(active_deadline_seconds=0),
        "migration.active_deadline_seconds",
        "of seconds from 1 to",
        "in that range",
    ),
    (migration(restart_policy="Always"), "migration.restart_policy", "OnFailure, Never", "exactly"),
    (migration(service_account_annotations="x"), "migration.service_account_annotations", "a mapping", "'team'"),
    # clean-up
    (cleanup(enabled="yes"), "cleanup.enabled", "True or False", "without quotes"),
    (cleanup(image="registry.k8s.io/kubectl"), "cleanup.image", "with a tag or a digest", "image:tag"),
    (cleanup(active_deadline_seconds=86401), "cleanup.active_deadline_seconds", "1 to 86400", "in that range"),
    # revisions, by engine
    (
        migration(target_migration="tail"),
        "migration.target_migration",
        "of postgres at v1.56.0",
        "allow_unknown_target",
    ),
    (
        migration("v1.52.0", target_migration="populate-schema-tables"),
        "migration.target_migration",
        "(the revisions of postgres at v1.52.0)",
        "use one of them",
    ),
    (
        spicedb(datastore=MySQL(uri=KEY), migration=MigrationProps(target_migration="add-schema-tables")),
        "migration.target_migration",
        "add_schema_tables",
        "use one of them",
    ),
    (
        spicedb(datastore=CockroachDB(uri=KEY), migration=MigrationProps(target_migration="add-xid-columns")),
        "migration.target_migration",
        "of cockroachdb at v1.56.0",
        "use one of them",
    ),
    (
        spicedb(datastore=Spanner(uri=KEY), migration=MigrationProps(target_migration="add-xid-columns")),
        "migration.target_migration",
        "of spanner at v1.56.0",
        "use one of them",
    ),
    # flags that a version does not have
    (
        server("v1.52.0", schema_mode="read-new-write-new"),
        "server.schema_mode",
        "--experimental-schema-mode exists since v1.53.0",
        "use a later version",
    ),
    (
        server("v1.13.0", datastore_migration_phase="write-both-read-old"),
        "server.datastore_migration_phase",
        "--datastore-migration-phase exists since v1.14.0",
        "remove it",
    ),
    (
        server("v1.38.1", allowed_migrations=("add-caveats",)),
        "server.allowed_migrations",
        "None at version v1.38.1: --datastore-allowed-migrations exists since v1.39.0",
        "use a later version",
    ),
    (
        migration("v1.8.0", migration_timeout=timedelta(seconds=60)),
        "migration.migration_timeout",
        "--migration-timeout exists since v1.9.0",
        "remove it",
    ),
    (
        migration("v1.13.0", backfill_batch_size=10),
        "migration.backfill_batch_size",
        "exists since v1.14.0",
        "remove it",
    ),
    (
        spicedb(version="v1.31.0", datastore=PostgreSQL(**less("password"), credentials_provider="aws-iam")),
        "datastore.credentials_provider",
        "--datastore-credentials-provider-name exists since v1.32.0",
        "use a later version",
    ),
    (
        spicedb(version="v1.31.0", datastore=MySQL(**less("password"), credentials_provider="aws-iam")),
        "datastore.credentials_provider",
        "exists since v1.32.0",
        "use a later version",
    ),
    (
        spicedb(version="v1.56.1", datastore=Spanner(uri=KEY, gc_window=timedelta(hours=1))),
        "datastore.gc_window",
        "None at version v1.56.1, whose servers ignore --datastore-gc-window",
        "remove it, or use v1.56.2 or later",
    ),
    # TLS, availability
    (
        server(app_protocol="kubernetes.io/h2c", grpc_tls=TLS.from_secret("clients")),
        "server.app_protocol",
        "another protocol if grpc_tls is set",
        "remove it",
    ),
    (server(grpc_tls="clients"), "server.grpc_tls", "TLS(certificate=…, key=…)", "grpc_tls=TLS("),
    (
        server(http_tls=TLS.from_secret("web")),
        "server.http_tls",
        "None with http_enabled=False",
        "http_enabled=True",
    ),
    (
        server(metrics_tls=TLS.from_secret("web"), metrics_enabled=False),
        "server.metrics_tls",
        "None with metrics_enabled=False",
        "remove it",
    ),
    (
        server(dispatch_tls=DispatchTLS.from_secret("web"), dispatch_enabled=False),
        "server.dispatch_tls",
        "None with dispatch_enabled=False",
        "remove it",
    ),
    (server(dispatch_tls=TLS.from_secret("web")), "server.dispatch_tls", "ca=…", "dispatch_tls=DispatchTLS("),
    (server(max_surge="1"), "server.max_surge", "a percentage", "'25%'"),
    (server(max_surge="101%"), "server.max_surge", "a percentage", "'25%'"),
    (server(max_unavailable=-1), "server.max_unavailable", "a whole number", "use 1"),
    (server(max_unavailable=True), "server.max_unavailable", "a whole number", "use 1"),
    (server(max_surge="0%"), "server.max_surge", "more than 0 when max_unavailable is 0", "max_surge=1"),
    (server(disruption_budget=0), "server.disruption_budget", "1 to 1000", "in that range"),
    (
        server(autoscaling=10),
        "server.autoscaling",
        "Autoscaling(max_replicas=…)",
        "autoscaling=Autoscaling(max_replicas=…)",
    ),
    (
        server(autoscaling=Autoscaling(max_replicas=5), replicas=2),
        "server.replicas",
        "None when autoscaling is set",
        "autoscaling.min_replicas",
    ),
    (
        server(autoscaling=Autoscaling(max_replicas=1)),
        "server.autoscaling.min_replicas",
        "at most max_replicas, 1",
        "raise max_replicas",
    ),
    (
        server(autoscaling=Autoscaling(max_replicas=5, cpu_utilization=None)),
        "server.autoscaling.cpu_utilization",
        "cpu_utilization, memory_utilization or both",
        "remove autoscaling",
    ),
    (
        server(autoscaling=Autoscaling(max_replicas=5), resources=Resources(requests={}, limits={"memory": "1Gi"})),
        "server.autoscaling.cpu_utilization",
        "None without resources.requests.cpu",
        "cpu_utilization=None",
    ),
    (
        server(topology_spread=["zone"]),
        "server.topology_spread",
        "TopologySpread(topology_key=…)",
        "TopologySpread(topology_key=…)",
    ),
    (
        server(topology_spread=[TopologySpread(topology_key="a zone")]),
        "server.topology_spread[0].topology_key",
        "a label of nodes",
        "topology.kubernetes.io/zone",
    ),
    (server(startup_probe=30), "server.startup_probe", "Probe(initial_delay_seconds=…", "startup_probe=Probe("),
    (server(readiness_probe=Probe(period_seconds=0)), "server.readiness_probe.period_seconds", "1 to 3600", "range"),
    (server(priority_class_name="Not One"), "server.priority_class_name", "a PriorityClass", "one of the cluster"),
    # SQL datastores
    (datastore(PostgreSQL, uri="postgresql://db"), "datastore.uri", "a SecretKey(name, key)", "uri=SecretKey("),
    (datastore(PostgreSQL, uri=KEY, host="db"), "datastore.host", "None when uri is set", "remove uri"),
    (datastore(CockroachDB, uri=KEY, port=26257), "datastore.port", "None when uri is set", "remove it"),
    (datastore(MySQL, uri=KEY, database="d"), "datastore.database", "None when uri is set", "remove it"),
    (datastore(MySQL, uri=KEY, user="u"), "datastore.user", "None when uri is set", "remove it"),
    (datastore(PostgreSQL, uri=KEY, password=KEY), "datastore.password", "None when uri is set", "remove it"),
    (datastore(PostgreSQL, less("host")), "datastore.host", "uri, or host, database and user", "set host"),
    (datastore(CockroachDB, less("database")), "datastore.database", "uri, or host", "set database"),
    (datastore(MySQL, less("user")), "datastore.user", "uri, or host, database and user", "set user"),
    (datastore(PostgreSQL, less("password")), "datastore.password", "client_certificate", "password=SecretKey("),
    (
        datastore(MySQL, less("password")),
        "datastore.password",
        "password or credentials_provider",
        "SecretKey('my-secret', 'password')",
    ),
    (datastore(PostgreSQL, uri=KEY, params={"a": "b"}), "datastore.params", "None when uri is set", "into the URI"),
    (datastore(PostgreSQL, PARTS, params={"a b": "c"}), "datastore.params", "names of parameters", "'TimeZone'"),
    (datastore(PostgreSQL, PARTS, params={"a": 1}), "datastore.params", "as texts", "quote numbers"),
    *(
        (datastore(kind, PARTS, params={name: "x"}), f"datastore.params[{name}]", "that no prop sets", f"use {prop}")
        for kind, name, prop in (
            (PostgreSQL, "sslmode", "sslmode"),
            (CockroachDB, "sslrootcert", "ca"),
            (PostgreSQL, "dbname", "database"),
            (PostgreSQL, "pool_max_conns", "read_pool, write_pool"),
            (MySQL, "tls", "tls"),
        )
    ),
    (datastore(MySQL, PARTS, params={"parseTime": "true"}), "datastore.params[parseTime]", "always true", "remove it"),
    (
        datastore(PostgreSQL, PARTS, params={"sslpassword": "x"}),
        "datastore.params[sslpassword]",
        "no secret",
        "use pass",
    ),
    (
        spicedb(datastore=PostgreSQL(**{**PARTS, "port": KEY}), network_policies=NetworkPolicies()),
        "network_policies.database_port",
        "a port when datastore.port is in a Secret",
        "set it to the port",
    ),
    (datastore(PostgreSQL, PARTS, ca=ConfigMapKey("A", "a")), "datastore.ca.config_map", "a ConfigMap", "namespace"),
    (datastore(PostgreSQL, PARTS, host="db:5432"), "datastore.host", "a DNS name or an IP", "fields of their own"),
    (datastore(PostgreSQL, PARTS, host="/tmp/.s.PGSQL"), "datastore.host", "a DNS name", "use only the host"),
    (datastore(MySQL, PARTS, host=""), "datastore.host", "a DNS name or an IP address or a SecretKey", "only the host"),
    (datastore(CockroachDB, PARTS, host="fe80::1%$HOME"), "datastore.host", "an IP address", "only the host"),
    (datastore(PostgreSQL, PARTS, port=0), "datastore.port", "1 to 65535", "in that range"),
    (datastore(PostgreSQL, PARTS, port="5432"), "datastore.port", "a whole number", "without quotes"),
    (datastore(PostgreSQL, PARTS, database=""), "datastore.database", "not empty", "not encoded"),
    (datastore(PostgreSQL, PARTS, user="a\nb"), "datastore.user", "a name", "not encoded"),
    (datastore(PostgreSQL, PARTS, password="pw"), "datastore.password", "a SecretKey", "put the value into"),
    (datastore(PostgreSQL, PARTS, ca="PEM"), "datastore.ca", "a ConfigMapKey", "into a Secret or a ConfigMap"),
    (
        datastore(PostgreSQL, PARTS, credentials_provider="aws-iam"),
        "datastore.password",
        "None when credentials_provider is set",
        "remove one of the two",
    ),
    (
        datastore(MySQL, PARTS, credentials_provider="aws-iam"),
        "datastore.password",
        "None when credentials_provider is set",
        "remove one of the two",
    ),
    (
        datastore(MySQL, less("password"), credentials_provider="gcp-iam"),
        "datastore.credentials_provider",
        "aws-iam, or None",
        "the only provider",
    ),
    # libpq
    (datastore(PostgreSQL, PARTS, client_certificate=KEY), "datastore.client_key", "together", "set client_key too"),
    (
        datastore(CockroachDB, PARTS, client_key=KEY),
        "datastore.client_certificate",
        "client_certificate and client_key together",
        "kubernetes.io/tls",
    ),
    (datastore(CockroachDB, PARTS, sslmode="on"), "datastore.sslmode", "verify-full", "'disable' for no TLS"),
    (
        datastore(PostgreSQL, PARTS, sslmode="disable", ca=KEY),
        "datastore.sslmode",
        "with TLS",
        "remove the certificates",
    ),
    (
        datastore(CockroachDB, PARTS, sslmode="disable", client_certificate=KEY, client_key=KEY),
        "datastore.sslmode",
        "a mode with TLS",
        "'verify-full'",
    ),
    # MySQL
    (datastore(MySQL, PARTS, user="a:b"), "datastore.user", "without ':' and '$'", "a user with another name"),
    (datastore(MySQL, PARTS, user="a$b"), "datastore.user", "without ':' and '$'", "whole connection URI"),
    (datastore(MySQL, PARTS, tls=True), "datastore.tls", "true, false, skip-verify", "in quotes"),
    (datastore(MySQL, uri=KEY, tls="true"), "datastore.tls", "None when uri is set", "?parseTime=true&tls=true"),
    (datastore(MySQL, PARTS, tls="false", ca=KEY), "datastore.tls", "when ca is set", "remove ca"),
    (datastore(MySQL, PARTS, table_prefix="a-b"), "datastore.table_prefix", "digits and '_'", "'spicedb_'"),
    (datastore(MySQL, PARTS, table_prefix="a" * 25), "datastore.table_prefix", "at most 24", "a short prefix"),
    # Spanner
    (datastore(Spanner, instance="i", database="d"), "datastore.project", "uri, or project", "set project"),
    (datastore(Spanner, project="p", database="d"), "datastore.instance", "uri, or project", "set instance"),
    (datastore(Spanner, project="p", instance="i"), "datastore.database", "uri, or project", "uri=SecretKey(…)"),
    (datastore(Spanner, uri=KEY, project="p"), "datastore.project", "None when uri is set", "remove it"),
    (
        datastore(Spanner, project="projects/p", instance="i", database="d"),
        "datastore.project",
        "an id of Google Cloud",
        "not its path",
    ),
    (datastore(Spanner, uri=KEY, credentials="{}"), "datastore.credentials", "a SecretKey", "credentials=SecretKey("),
    (datastore(Spanner, uri=KEY, emulator_host="emulator"), "datastore.emulator_host", "HOST:PORT", "emulator:9010"),
    (
        datastore(Spanner, uri=KEY, credentials=KEY, emulator_host="emulator:9010"),
        "datastore.credentials",
        "None when emulator_host is set",
        "remove one of the two",
    ),
    *(
        (
            datastore(kind, uri=KEY, gc_window=timedelta(hours=1), revision_quantization_interval=timedelta(hours=1)),
            "datastore.gc_window",
            "more than revision_quantization_interval, 3600 s",
            "raise it, or servers will not start",
        )
        for kind in (PostgreSQL, Spanner)
    ),
    # the memory engine
    (memory(server=ServerProps(replicas=2)), "server.replicas", "at most 1 with the memory engine", "can share"),
    (
        memory(server=ServerProps(dispatch_enabled=True)),
        "server.dispatch_enabled",
        "None with the memory engine",
        "no other server",
    ),
    (
        memory(server=ServerProps(allowed_migrations=("add-caveats",))),
        "server.allowed_migrations",
        "None with the memory engine",
        "remove it",
    ),
    (
        memory(server=ServerProps(schema_mode="read-new-write-new")),
        "server.schema_mode",
        "None with the memory engine",
        "remove it",
    ),
    (
        memory(server=ServerProps(autoscaling=Autoscaling(max_replicas=3))),
        "server.autoscaling.max_replicas",
        "at most 1 with the memory engine",
        "remove autoscaling",
    ),
    (
        memory(server=ServerProps(dispatch_tls=DispatchTLS.from_secret("web"))),
        "server.dispatch_tls",
        "None with the memory engine",
        "no other server",
    ),
    (
        memory(server=ServerProps(datastore_migration_phase="x")),
        "server.datastore_migration_phase",
        "None with the memory engine",
        "remove it",
    ),
    (
        memory(migration=MigrationProps(target_migration="head")),
        "migration.target_migration",
        "which has no schema to migrate",
        "a persistent datastore",
    ),
    (
        memory(migration=MigrationProps(target_phase=MigrationPhase.READ)),
        "migration.target_phase",
        "its default with the memory engine",
        "remove it",
    ),
    (
        spicedb(migration=MigrationProps(hook=False), cleanup=CleanupProps(enabled=True)),
        "cleanup.enabled",
        "migration.hook=False",
        "next release deletes",
    ),
    (spicedb(schema=SchemaProps()), "schema.text", "or config_map", "set one"),
    (spicedb(schema=SchemaProps(text="a", config_map="b")), "schema.config_map", "text is set", "remove one"),
    (
        server(autoscaling=Autoscaling(max_replicas=3, external=True, memory_utilization=50)),
        "server.autoscaling.memory_utilization",
        "external=True",
        "other program",
    ),
    (memory(migration=MigrationProps(backoff_limit=0)), "migration.backoff_limit", "its default", "remove it"),
    (memory(migration=MigrationProps(datastore_uri=KEY)), "migration.datastore_uri", "its default", "remove it"),
    *(
        (backup(schedule=schedule), "backup.schedule", "five parts, such as '15 3 * * *'", "minute, hour")
        for schedule in (
            *("", "daily", "@reboot", "@every 5m", "15 3 * *", "15 3 * * * *", " 15 3 * * *", "TZ=UTC 15 3 * * *"),
            *("60 3 * * *", "15 24 * * *", "15 3 0 * *", "15 3 32 * *", "15 3 * 13 *", "15 3 * * 7", "15 3 * x *"),
            *("15 5-3 * * *", "15 3 * * fri-mon", "*/0 * * * *", "1,, * * * *", "1- * * * *", "15 3 31 2 *", 5, None),
        )
    ),
    (backup(time_zone="Europe/Berlin "), "backup.time_zone", "such as 'Europe/Berlin'", "database of IANA"),
    (backup(time_zone="Local"), "backup.time_zone", "a time zone", "IANA"),
    (
        spicedb(version="v1.30.0", backup=BackupProps(schedule="@daily")),
        "version",
        "v1.31.0 or later with backup",
        "use the command `backup`",
    ),
    (backup(keep=0), "backup.keep", "from 1 to 1000", "in that range"),
    (backup(storage="10"), "backup.storage", "such as '10Gi'", "with its unit"),
    (backup(storage="0Gi"), "backup.storage", "such as '10Gi'", "with its unit"),
    (backup(storage_class="Fast"), "backup.storage_class", "name of a StorageClass", "kubectl get storageclass"),
    (backup(claim="theirs", storage="1Gi"), "backup.storage", "when claim names", "remove claim"),
    (backup(claim="theirs", storage_class="a"), "backup.storage_class", "when claim names", "remove claim"),
    (backup(shell_image="busybox"), "backup.shell_image", "with a tag or a digest", "image:tag"),
    (backup(active_deadline_seconds=0), "backup.active_deadline_seconds", "1 to 86400", "in that range"),
    (backup(late_after_seconds=59), "backup.late_after_seconds", "from 60", "in that range"),
    (backup(ca=KEY), "backup.ca", "when gRPC has no TLS", "set server.grpc_tls"),
    (backup(hostname="a.example.com"), "backup.hostname", "when gRPC has no TLS", "set server.grpc_tls"),
    (backup(env={"BACKUP_POD": "x"}), "backup.env[BACKUP_POD]", "variables other than", "remove it"),
    (backup(affinity=APART), "backup.affinity", "does not keep servers and Jobs (backup)", "labelSelector"),
    (spicedb(backup="@daily"), "backup", "BackupProps(schedule=…)", "use backup=BackupProps(schedule=…)"),
]


@pytest.mark.parametrize(("make", "field", "allowed", "fix"), BAD, ids=[row[1] for row in BAD])
def test_bad_props_are_refused_with_the_fix(make: Make, field: str, allowed: str, fix: str) -> None:
    [problem] = problems(make())
    assert problem.field == field
    assert allowed in problem.allowed
    assert fix in problem.fix


GOOD: list[Make] = [
    spicedb(name="a" * 45),
    spicedb(name="a"),
    spicedb(version="v1.56.0-rc1"),
    spicedb(version="v99.0.0", migration=MigrationProps(target_migration="not-known-yet")),
    spicedb(image="registry.example.com:5000/team/spicedb"),
    spicedb(image="spicedb:v1.56.0"),
    spicedb(image="spicedb:v1.56.0-amd64"),
    spicedb(image="spicedb:main"),
    spicedb(image="spicedb@sha256:" + "0" * 64),
    spicedb(image_pull_secrets=["regcred"]),
    spicedb(labels={"example.com/team": "", "tier": "a" * 63}),
    spicedb(annotations={"note": "any text: 1 & 2"}),
    spicedb(migration=MigrationProps(hook=False, ttl_seconds_after_finished=60)),
    spicedb(cleanup=CleanupProps(image="kubectl@sha256:" + "f" * 64)),
    server(replicas=1),
    server(replicas=1000),
    server(pre_stop_sleep_seconds=0, termination_grace_period_seconds=20),
    server(termination_grace_period_seconds=25),
    server(allowed_migrations=[]),
    server("v1.38.1", allowed_migrations=()),
    server("v1.53.0", schema_mode="read-legacy-write-both"),
    server(env={"GOMAXPROCS": "", "TOKEN": KEY}),
    server(extra_args=["--dispatch-max-depth=100"]),
    server(affinity={"nodeAffinity": {}}),
    toleration(operator="Exists"),
    toleration(key="a", value="", effect="NoExecute", toleration_seconds=0),
    resources({}, {"memory": "1Gi"}),
    resources({"cpu": "0.018"}, {"cpu": "18m", "memory": "1Gi"}),
    resources({"cpu": "18m"}, {"cpu": "0.018", "memory": "1Gi"}),
    resources({"memory": "1024Mi"}, {"memory": "1Gi"}),
    migration(backoff_limit=0),
    migration(target_migration="head"),
    migration(target_migration="add-caveats"),
    migration(target_migration="fork-only", allow_unknown_target=True),
    migration(migration_timeout=timedelta(seconds=599)),
    datastore(PostgreSQL, PARTS, host="2001:db8::1", port=65535),
    datastore(PostgreSQL, PARTS, host="10.0.0.1", sslmode="disable"),
    datastore(PostgreSQL, less("password"), client_certificate=KEY, client_key=KEY),
    datastore(PostgreSQL, less("password"), credentials_provider="aws-iam"),
    datastore(PostgreSQL, uri=KEY, ca=KEY, sslmode="verify-ca"),
    datastore(CockroachDB, less("password")),
    datastore(MySQL, PARTS, user="app@corp/x", table_prefix="a" * 24),
    datastore(MySQL, uri=KEY, ca=KEY),
    datastore(Spanner, project="example.com:p", instance="i", database="d"),
    memory(),
    memory(server=ServerProps(replicas=1, dispatch_enabled=False, allowed_migrations=())),
    memory(migration=MigrationProps(enabled=False)),
    memory(backup=BackupProps(schedule="@hourly")),
    backup(schedule="*/15  0-23/2 1,15,? jan-MAR Sun"),
    backup(schedule="05 03 29 02 *", keep=1000, storage="0.5Ti".replace("0.", "1.")),
    backup(time_zone="America/Argentina/Buenos_Aires"),
    backup(time_zone="Etc/GMT+3", claim="theirs"),
]


@pytest.mark.parametrize("make", GOOD, ids=range(len(GOOD)))
def test_props_at_the_limits_are_taken(make: Make) -> None:
    assert list(problems(make())) == []


SAMPLES: list[tuple[str, object]] = [
    ("", spicedb()()),
    ("server.", ServerProps()),
    ("migration.", MigrationProps()),
    ("cleanup.", CleanupProps()),
    ("backup.", BackupProps(schedule="@daily")),
    ("server.tolerations[0].", Toleration(key="a")),
    ("server.resources.", ServerProps().resources),
    ("preshared_key.", KEY),
    ("datastore.", PostgreSQL(**PARTS)),
    ("datastore.", CockroachDB(**PARTS)),
    ("datastore.", MySQL(**PARTS)),
    ("datastore.", Spanner(uri=KEY)),
]


def every_field() -> Iterator[Any]:
    for path, sample in SAMPLES:
        for field in attrs.fields(cast(Any, type(sample))):
            yield pytest.param(path, sample, field.name, id=f"{type(sample).__name__}.{field.name}")


@pytest.mark.parametrize(("path", "sample", "name"), list(every_field()))
def test_no_field_takes_just_anything(path: str, sample: Any, name: str) -> None:
    wrong = attrs.evolve(sample, **{name: object()})
    assert [problem.field for problem in problems(wrong)] == [name], path


def test_all_problems_come_in_one_error() -> None:
    props = spicedb(
        version="1.56.0",
        datastore=PostgreSQL(host="db"),
        server=ServerProps(replicas=0, tolerations=[Toleration()]),
        migration=migration(restart_policy="Always")().migration,
    )()
    with pytest.raises(InvalidProps) as caught:
        require(props)
    assert {problem.field for problem in caught.value.problems} == {
        "version",
        "datastore.database",
        "datastore.user",
        "datastore.password",
        "server.replicas",
        "server.tolerations[0].key",
        "migration.restart_policy",
    }
    message = str(caught.value)
    assert message.startswith("7 problems in SpiceDBProps:\n")
    for problem in caught.value.problems:
        assert str(problem) in message


@pytest.mark.parametrize(
    ("given", "count"), [({"replicas": 0}, "1 problem"), ({"replicas": 0, "env": 1}, "2 problems")]
)
def test_problems_are_counted(given: dict[str, Any], count: str) -> None:
    with pytest.raises(InvalidProps, match=rf"^{count} in SpiceDBProps:\n"):
        require(server(**given)())


def test_the_message_says_field_value_allowed_and_fix() -> None:
    with pytest.raises(InvalidProps) as caught:
        require(server(log_level="warning")())
    assert str(caught.value).splitlines()[1:] == [
        "  server.log_level = 'warning'",
        "    allowed: trace, debug, info, warn, error",
        "    fix: did you mean warn?",
    ]


def test_a_long_value_is_cut() -> None:
    [problem] = problems(server(log_level="x" * 1000)())
    assert len(problem.value) == 80
    assert problem.value.endswith("...")


def test_an_enum_is_shown_by_its_value() -> None:
    [problem] = problems(memory(migration=MigrationProps(target_phase=MigrationPhase.WRITE))())
    assert problem.value == "'write'"


@pytest.mark.parametrize("name", ["", "SpiceDB", "a-", "my_db"])
def test_a_bad_name_is_blamed_once(name: str) -> None:
    assert [problem.field for problem in problems(spicedb(name=name)())] == ["name"]


def test_a_secret_key_among_env_is_checked_too() -> None:
    [problem] = problems(server(env={"TOKEN": SecretKey("Not A Name", "k")})())
    assert problem.field.startswith("server.env")


def test_sound_props_raise_nothing() -> None:
    require(spicedb()())


SECRET = "hunter2!"
SECRET_URI = f"postgresql://app:{SECRET}@db:5432/spicedb"


LEAKS: list[Make] = [
    spicedb(preshared_key=SECRET),
    spicedb(preshared_key=[SECRET]),
    spicedb(preshared_key=SecretKey("spicedb", SECRET)),
    spicedb(datastore=SECRET_URI),
    migration(datastore_uri=SECRET_URI),
    datastore(PostgreSQL, uri=SECRET_URI),
    datastore(CockroachDB, PARTS, password=SECRET),
    datastore(PostgreSQL, PARTS, uri=SECRET_URI),
    datastore(PostgreSQL, PARTS, host=SECRET_URI),
    datastore(MySQL, PARTS, user=f"app:{SECRET}"),
    datastore(MySQL, PARTS, ca=SECRET),
    datastore(PostgreSQL, PARTS, client_certificate=KEY, client_key=SECRET),
    datastore(PostgreSQL, uri=KEY, user=f"app:{SECRET}"),
    datastore(Spanner, uri=KEY, credentials=SECRET),
    server(extra_args=f"--grpc-preshared-key={SECRET}"),
    server(extra_args=["--http-enabled", f"--grpc-preshared-key={SECRET}"]),
    server(extra_args=["--grpc-preshared-key", SECRET]),
    server(extra_args=[f"--datastore-read-replica-conn-uri={SECRET_URI}"]),
    server(env={"TOKEN": SECRET.encode()}),
    server(env={"GO-MAX": SECRET}),
    server(env=[f"TOKEN={SECRET}"]),
]


@pytest.mark.parametrize("make", LEAKS, ids=range(len(LEAKS)))
def test_a_secret_given_by_mistake_is_never_shown(make: Make) -> None:
    with pytest.raises(InvalidProps) as caught:
        require(make())
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(caught.value.problems)


def test_a_rule_of_the_whole_waits_for_sound_parts() -> None:
    props = memory(server=server(replicas=2, log_level="loud")().server)()
    assert [problem.field for problem in problems(props)] == ["server.log_level"]


BROKEN = server(replicas=0)
KINDS: list[Callable[[Construct, str, SpiceDBProps], object]] = [SpiceDB, Server, Migration, Cleanup]


@pytest.mark.parametrize("kind", KINDS)
def test_a_construct_that_is_refused_adds_nothing(
    kind: Callable[[Construct, str, SpiceDBProps], object],
) -> None:
    chart = cdk8s.Chart(cdk8s.Testing.app(), "chart")
    with pytest.raises(InvalidProps, match=r"server\.replicas = 0"):
        kind(chart, "spicedb", BROKEN())
    assert chart.node.children == []
    assert cdk8s.Testing.synth(chart) == []


def test_a_chart_that_is_refused_is_not_added() -> None:
    app = cdk8s.Testing.app()
    with pytest.raises(InvalidProps, match=r"server\.replicas = 0"):
        SpiceDBChart(app, "chart", BROKEN())
    assert app.node.children == []


def test_a_migration_without_a_schema_adds_nothing() -> None:
    chart = cdk8s.Chart(cdk8s.Testing.app(), "chart")
    with pytest.raises(InvalidProps, match="an engine with a schema to migrate"):
        Migration(chart, "migration", memory()())
    assert chart.node.children == []


def test_two_of_one_name_do_not_fit_into_a_chart() -> None:
    app = cdk8s.Testing.app()
    chart = cdk8s.Chart(app, "chart")
    SpiceDB(chart, "first", spicedb()())
    with pytest.raises(InvalidProps, match="chart/first has this one") as caught:
        SpiceDB(chart, "second", spicedb()())
    assert [problem.field for problem in caught.value.problems] == ["name"]
    assert [child.node.id for child in chart.node.children] == ["first"]
    SpiceDB(chart, "third", spicedb(name="other")())
    SpiceDB(cdk8s.Chart(app, "elsewhere"), "first", spicedb()())


def test_variables_complete_a_uri() -> None:
    password = {"PGPASSWORD": KEY}
    require(spicedb(server=ServerProps(env=password), migration=MigrationProps(env=password))())
    owner = MigrationProps(datastore_uri=KEY, env=password)
    require(spicedb(datastore=PostgreSQL(**PARTS), migration=owner)())
