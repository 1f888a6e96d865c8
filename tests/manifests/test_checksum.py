"""The checksum that restarts the servers. It changes only with the settings of the migration."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import attrs
import cdk8s
import pytest

from cdk8s_spicedb import (
    CleanupProps,
    Memory,
    MigrationPhase,
    MigrationProps,
    PostgreSQL,
    Resources,
    SecretKey,
    ServerProps,
    SpiceDBChart,
    SpiceDBProps,
    Toleration,
)
from cdk8s_spicedb.manifests.jobs import migration_checksum
from tests.samples import sample

CHECKSUM = "checksum/migration-config"
MORE = Resources(requests={"cpu": "2", "memory": "2Gi"}, limits={"cpu": "4", "memory": "4Gi"})


def field_names(kind: Any) -> list[str]:
    return [field.name for field in attrs.fields(kind)]


def changed(kind: Any, name: str) -> Any:
    """Props with one field that is not at its default."""
    props = kind(**sample(kind, name))
    assert getattr(props, name) != getattr(kind(), name), "a sample must differ from the default"
    return props


def template_annotations(**fields: Any) -> dict[str, str]:
    props = SpiceDBProps(**{"version": "v1.57.1", "datastore": PostgreSQL(uri=SecretKey("db", "uri")), **fields})
    objects = cdk8s.Testing.synth(SpiceDBChart(cdk8s.Testing.app(), "chart", props))
    [deployment] = [found for found in objects if found["kind"] == "Deployment"]
    return dict(deployment["spec"]["template"]["metadata"].get("annotations", {}))


DEFAULT = migration_checksum(MigrationProps())


def test_the_checksum_is_a_sha256_digest() -> None:
    assert len(DEFAULT) == 64
    assert set(DEFAULT) <= set("0123456789abcdef")


@pytest.mark.parametrize("name", field_names(MigrationProps))
def test_every_migration_setting_changes_the_checksum(name: str) -> None:
    assert migration_checksum(changed(MigrationProps, name)) != DEFAULT


def test_different_settings_have_different_checksums() -> None:
    checksums = {migration_checksum(changed(MigrationProps, name)) for name in field_names(MigrationProps)}
    assert len(checksums | {DEFAULT}) == len(field_names(MigrationProps)) + 1


@pytest.mark.parametrize("name", field_names(MigrationProps))
def test_an_explicit_default_does_not_change_the_checksum(name: str) -> None:
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
def test_different_values_have_different_checksums(one: dict[str, Any], other: dict[str, Any]) -> None:
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
def test_equal_settings_have_the_same_checksum(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert migration_checksum(MigrationProps(**one)) == migration_checksum(MigrationProps(**other))


SCRIPT = """
from datetime import timedelta
from cdk8s_spicedb import MigrationPhase, MigrationProps, SecretKey, Toleration
from cdk8s_spicedb.manifests.jobs import migration_checksum
print(migration_checksum(MigrationProps(
    target_phase=MigrationPhase.WRITE, pod_labels={"b": "2", "a": "1"}, datastore_uri=SecretKey("owner", "uri"),
    tolerations=[Toleration(key="a")], migration_timeout=timedelta(seconds=30),
)))
"""


def test_other_processes_compute_the_same_checksum() -> None:
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


def test_the_pod_template_has_the_checksum_and_the_users_annotations() -> None:
    migration = MigrationProps(backoff_limit=1)
    annotations = template_annotations(migration=migration, server=ServerProps(pod_annotations={"note": "mine"}))
    assert annotations == {"note": "mine", CHECKSUM: migration_checksum(migration)}


def test_the_pod_template_changes_with_the_migration() -> None:
    assert template_annotations() == {CHECKSUM: DEFAULT}
    assert template_annotations(migration=MigrationProps(enabled=False))[CHECKSUM] != DEFAULT


@pytest.mark.parametrize("name", field_names(ServerProps))
def test_server_settings_do_not_change_the_checksum(name: str) -> None:
    version = "v1.14.0" if name == "datastore_migration_phase" else "v1.57.1"
    assert template_annotations(version=version, server=changed(ServerProps, name))[CHECKSUM] == DEFAULT


@pytest.mark.parametrize("name", field_names(CleanupProps))
def test_cleanup_settings_do_not_change_the_checksum(name: str) -> None:
    assert template_annotations(cleanup=changed(CleanupProps, name))[CHECKSUM] == DEFAULT


@pytest.mark.parametrize("server", [{}, {"pod_annotations": {"note": "mine"}}])
def test_the_memory_engine_has_no_checksum(server: dict[str, Any]) -> None:
    assert template_annotations(datastore=Memory(), server=ServerProps(**server)) == server.get("pod_annotations", {})
