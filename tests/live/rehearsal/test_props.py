"""The SpiceDB of a rehearsal: as the live one, without what is outside of its namespace."""

from __future__ import annotations

import json

import attrs
import pytest

from cdk8s_spicedb import (
    TLS,
    CockroachDB,
    MigrationProps,
    MySQL,
    PodSettings,
    PostgreSQL,
    Resources,
    SecretKey,
    ServerProps,
    Spanner,
    SpiceDBError,
    SpiceDBProps,
)
from cdk8s_spicedb.live.rehearsal.databases import ENGINES, engine_of
from cdk8s_spicedb.live.rehearsal.props import rehearsed
from cdk8s_spicedb.live.target import props_before
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.props import datastores
from tests.live.objects import running_as

LIVE = SecretKey("live", "uri")
TLS_OF_LIVE = TLS(certificate=SecretKey("live-tls", "tls.crt"), key=SecretKey("live-tls", "tls.key"))
RESOURCES = Resources(requests={"cpu": "3", "memory": "3Gi"}, limits={"cpu": "4", "memory": "4Gi"})


def props(**fields: object) -> SpiceDBProps:
    server = ServerProps(replicas=3, resources=RESOURCES, grpc_tls=TLS_OF_LIVE, extra_args=["--dispatch-max-depth=60"])
    given = {
        "version": "v1.57.1",
        "datastore": PostgreSQL(uri=LIVE),
        "preshared_key": SecretKey("live", "key"),
        "server": server,
        "migration": MigrationProps(datastore_uri=SecretKey("live", "migration-uri")),
        "pods": PodSettings(
            service_account="live",
            env={"PLAIN": "1", "SECRET": SecretKey("live", "token")},
            extra_volumes=[{"name": "live", "secret": {"secretName": "live"}}],
        ),
        **fields,
    }
    return SpiceDBProps(**given)  # type: ignore[arg-type]


def test_nothing_names_objects_of_the_live_namespace() -> None:
    found = rehearsed(props(), running_as(props()))
    text = json.dumps(release_manifests(found), default=str)
    assert "live" not in text.replace("livenessProbe", "")
    assert '"PLAIN"' in text


def test_servers_are_as_they_run() -> None:
    running = attrs.evolve(running_as(props()), replicas=5)
    found = rehearsed(props(), running)
    assert found.server.replicas == 5
    assert found.server.resources == RESOURCES
    assert found.server.extra_args == ["--dispatch-max-depth=60"]


def test_arguments_that_only_the_file_has_are_not_those_of_before() -> None:
    running = running_as(props())
    server = attrs.evolve(props().server, extra_args=["--dispatch-max-depth=60", "--new-flag"])
    found = props_before(rehearsed(props(server=server), running), "v1.52.0", running)
    assert found.version == "v1.52.0"
    assert list(found.server.extra_args) == ["--dispatch-max-depth=60"]


@pytest.mark.parametrize(
    "datastore",
    [
        PostgreSQL(uri=LIVE),
        PostgreSQL(host="live", database="live", user="live", password=SecretKey("live", "p"), sslmode="require"),
        MySQL(uri=LIVE, table_prefix="kept_"),
        CockroachDB(uri=LIVE),
    ],
)
def test_each_engine_has_a_database_of_its_own(datastore: PostgreSQL) -> None:
    found = rehearsed(props(datastore=datastore), running_as(props(datastore=datastore)))
    text = json.dumps(release_manifests(found), default=str).replace("livenessProbe", "")
    assert "live" not in text
    assert "rehearsal-database" in text
    assert ("kept_" in text) is isinstance(datastore, MySQL)


def test_the_engines_say_whether_they_can_be_rehearsed() -> None:
    assert ENGINES.keys() == {name for name, kind in datastores.ENGINES.items() if kind.can_be_rehearsed}


def test_spanner_cannot_be_rehearsed() -> None:
    with pytest.raises(SpiceDBError, match="an upgrade on spanner cannot be rehearsed; this works with: postgres, "):
        engine_of(Spanner(project="p", instance="i", database="d"))


@pytest.mark.parametrize(
    ("engine", "version", "image"),
    [
        ("postgres", "PostgreSQL 15.8 (Debian 15.8-1) on x86_64-pc-linux-gnu", "docker.io/library/postgres:15"),
        ("postgres", "16.2", "docker.io/library/postgres:16"),
        ("mysql", "8.0.36", "docker.io/library/mysql:8.0"),
        ("mysql", "10.11.6-MariaDB-log", "docker.io/library/mariadb:10.11"),
        ("cockroachdb", "CockroachDB CCL v23.1.11 (x86_64)", "docker.io/cockroachdb/cockroach:v23.1.11"),
    ],
)
def test_image_of_the_same_version(engine: str, version: str, image: str) -> None:
    assert ENGINES[engine].image(version) == image
