"""The checksum that restarts the servers: it follows the migration settings and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import attrs
import cdk8s
import pytest

from cdk8s_spicedb import (
    TLS,
    Autoscaling,
    CleanupProps,
    DispatchTLS,
    Memory,
    MigrationPhase,
    MigrationProps,
    PostgreSQL,
    Probe,
    Resources,
    SecretKey,
    ServerProps,
    SpiceDBChart,
    SpiceDBProps,
    Toleration,
)
from cdk8s_spicedb.checksum import migration_checksum

CHECKSUM = "checksum/migration-config"
MORE = Resources(requests={"cpu": "2", "memory": "2Gi"}, limits={"cpu": "4", "memory": "4Gi"})
POD: Mapping[str, Any] = {
    "resources": MORE,
    "pod_labels": {"team": "a"},
    "pod_annotations": {"note": "a"},
    "node_selector": {"disk": "ssd"},
    "tolerations": (Toleration(key="dedicated", value="spicedb"),),
    "affinity": {"nodeAffinity": {}},
    "priority_class_name": "high",
}
MIGRATION: Mapping[str, Any] = {
    **POD,
    "enabled": False,
    "target_migration": "add-schema-tables",
    "allow_unknown_target": True,
    "target_phase": MigrationPhase.WRITE,
    "log_level": "debug",
    "migration_timeout": timedelta(minutes=5),
    "backfill_batch_size": 10,
    "datastore_uri": SecretKey("owner", "uri"),
    "service_account_annotations": {"role": "owner"},
    "service_account": "owner",
    "backoff_limit": 0,
    "active_deadline_seconds": 1200,
    "ttl_seconds_after_finished": 600,
    "restart_policy": "Never",
}
SERVER: Mapping[str, Any] = {
    **POD,
    "replicas": 3,
    "autoscaling": Autoscaling(max_replicas=5),
    "disruption_budget": 2,
    "max_surge": "50%",
    "max_unavailable": 1,
    "topology_spread": (),
    "readiness_probe": Probe(period_seconds=1),
    "liveness_probe": Probe(period_seconds=1),
    "startup_probe": Probe(),
    "grpc_tls": TLS.from_secret("grpc"),
    "http_tls": TLS.from_secret("http"),
    "metrics_tls": TLS.from_secret("metrics"),
    "dispatch_tls": DispatchTLS.from_secret("dispatch"),
    "service_account": "other",
    "log_level": "debug",
    "log_format": "console",
    "http_enabled": True,
    "metrics_enabled": False,
    "dispatch_enabled": False,
    "shutdown_grace_period": timedelta(seconds=20),
    "pre_stop_sleep_seconds": 0,
    "termination_grace_period_seconds": 120,
    "allowed_migrations": (),
    "schema_mode": "read-legacy-write-both",
    "datastore_migration_phase": "write-both-read-old",
    "extra_args": ("--dispatch-max-depth=100",),
    "env": {"GOMAXPROCS": "2"},
}
CLEANUP: Mapping[str, Any] = {
    **POD,
    "enabled": False,
    "image": "registry.example.com/kubectl:v1.34.4",
    "active_deadline_seconds": 60,
}


def names(kind: Any) -> list[str]:
    return [field.name for field in attrs.fields(kind)]


def template_annotations(**given: Any) -> dict[str, str]:
    props = SpiceDBProps(**{"version": "v1.56.0", "datastore": PostgreSQL(uri=SecretKey("db", "uri")), **given})
    objects = cdk8s.Testing.synth(SpiceDBChart(cdk8s.Testing.app(), "chart", props))
    [deployment] = [found for found in objects if found["kind"] == "Deployment"]
    return dict(deployment["spec"]["template"]["metadata"].get("annotations", {}))


DEFAULT = migration_checksum(MigrationProps())


def test_a_checksum_is_a_sha256() -> None:
    assert len(DEFAULT) == 64
    assert set(DEFAULT) <= set("0123456789abcdef")


@pytest.mark.parametrize("name", names(MigrationProps))
def test_every_migration_setting_counts(name: str) -> None:
    assert MIGRATION[name] != getattr(MigrationProps(), name), "a sample must differ from the default"
    assert migration_checksum(MigrationProps(**{name: MIGRATION[name]})) != DEFAULT


def test_no_two_settings_share_a_checksum() -> None:
    checksums = {migration_checksum(MigrationProps(**{name: value})) for name, value in MIGRATION.items()}
    assert len(checksums | {DEFAULT}) == len(MIGRATION) + 1


@pytest.mark.parametrize("name", names(MigrationProps))
def test_a_default_that_is_written_out_counts_as_the_default(name: str) -> None:
    assert migration_checksum(MigrationProps(**{name: getattr(MigrationProps(), name)})) == DEFAULT


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"target_migration": "add-caveats"}, {"target_migration": "add-xid-columns"}),
        ({"target_phase": MigrationPhase.READ}, {"target_phase": MigrationPhase.COMPLETE}),
        ({"migration_timeout": timedelta(seconds=60)}, {"migration_timeout": timedelta(seconds=60, milliseconds=1)}),
        ({"datastore_uri": SecretKey("a", "b")}, {"datastore_uri": SecretKey("b", "a")}),
        ({"tolerations": (Toleration(key="a"),)}, {"tolerations": (Toleration(key="a", toleration_seconds=0),)}),
        ({"service_account_annotations": {}}, {}),
        ({"pod_labels": {"team": ""}}, {}),
    ],
)
def test_different_values_differ(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert migration_checksum(MigrationProps(**one)) != migration_checksum(MigrationProps(**other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"pod_labels": {"a": "1", "b": "2"}}, {"pod_labels": {"b": "2", "a": "1"}}),
        (
            {"affinity": {"nodeAffinity": {"a": {"x": 1, "y": 2}}}},
            {"affinity": {"nodeAffinity": {"a": {"y": 2, "x": 1}}}},
        ),
        (
            {"resources": MORE},
            {"resources": Resources(limits={"memory": "4Gi", "cpu": "4"}, requests={"memory": "2Gi", "cpu": "2"})},
        ),
        ({"log_level": "debug", "backoff_limit": 1}, {"backoff_limit": 1, "log_level": "debug"}),
        ({"tolerations": (Toleration(key="a"),)}, {"tolerations": [Toleration(key="a")]}),
        ({"migration_timeout": timedelta(minutes=1)}, {"migration_timeout": timedelta(seconds=60)}),
        ({"pod_labels": {"a": "1"}}, {"pod_labels": MappingProxyType({"a": "1"})}),
        ({"pod_labels": {}}, {"pod_labels": MappingProxyType({})}),
    ],
    ids=["key order", "nested order", "resources", "argument order", "list", "unit", "mapping", "empty mapping"],
)
def test_the_same_settings_have_the_same_checksum(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert migration_checksum(MigrationProps(**one)) == migration_checksum(MigrationProps(**other))


SCRIPT = """
from datetime import timedelta
from cdk8s_spicedb import MigrationPhase, MigrationProps, SecretKey, Toleration
from cdk8s_spicedb.checksum import migration_checksum
print(migration_checksum(MigrationProps(
    target_phase=MigrationPhase.WRITE, pod_labels={"b": "2", "a": "1"}, datastore_uri=SecretKey("owner", "uri"),
    tolerations=[Toleration(key="a")], migration_timeout=timedelta(seconds=30),
)))
"""


def test_another_process_comes_to_the_same_checksum() -> None:
    expected = migration_checksum(
        MigrationProps(
            target_phase=MigrationPhase.WRITE,
            pod_labels={"a": "1", "b": "2"},
            datastore_uri=SecretKey("owner", "uri"),
            tolerations=[Toleration(key="a")],
            migration_timeout=timedelta(seconds=30),
        )
    )
    for seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stdout.strip() == expected


def test_the_pod_template_carries_it_beside_the_users_annotations() -> None:
    migration = MigrationProps(backoff_limit=1)
    given = template_annotations(migration=migration, server=ServerProps(pod_annotations={"note": "mine"}))
    assert given == {"note": "mine", CHECKSUM: migration_checksum(migration)}


def test_the_pod_template_follows_the_migration() -> None:
    assert template_annotations() == {CHECKSUM: DEFAULT}
    assert template_annotations(migration=MigrationProps(enabled=False))[CHECKSUM] != DEFAULT


@pytest.mark.parametrize("name", names(ServerProps))
def test_no_server_setting_counts(name: str) -> None:
    version = "v1.14.0" if name == "datastore_migration_phase" else "v1.56.0"
    assert SERVER[name] != getattr(ServerProps(), name), "a sample must differ from the default"
    needed = {"http_enabled": True} if name == "http_tls" else {}
    server = ServerProps(**{**needed, name: SERVER[name]})
    assert template_annotations(version=version, server=server)[CHECKSUM] == DEFAULT


@pytest.mark.parametrize("name", names(CleanupProps))
def test_no_cleanup_setting_counts(name: str) -> None:
    assert CLEANUP[name] != getattr(CleanupProps(), name), "a sample must differ from the default"
    assert template_annotations(cleanup=CleanupProps(**{name: CLEANUP[name]}))[CHECKSUM] == DEFAULT


@pytest.mark.parametrize("given", [{}, {"pod_annotations": {"note": "mine"}}])
def test_memory_has_no_checksum(given: dict[str, Any]) -> None:
    assert template_annotations(datastore=Memory(), server=ServerProps(**given)) == given.get("pod_annotations", {})
