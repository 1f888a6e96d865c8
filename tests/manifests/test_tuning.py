"""Datastore settings of the servers, apart from the connection."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import attrs
import pytest

from cdk8s_spicedb import (
    Autoscaling,
    CockroachDB,
    Datastore,
    ExpiredIntegrityKey,
    InvalidProps,
    MySQL,
    Pool,
    PostgreSQL,
    RelationshipIntegrity,
    SecretKey,
    ServerProps,
    Spanner,
    SpiceDBProps,
)
from cdk8s_spicedb.props import problems, require
from tests.synth import ENGINES, environment, synth

PASSWORD = SecretKey("database", "password")
PARTS: dict[str, Any] = {"host": "db", "database": "d", "user": "u", "password": PASSWORD}
URI = SecretKey("database", "uri")
REPLICA = "--datastore-read-replica-conn-uri"


def props(datastore: Datastore, **server: Any) -> SpiceDBProps:
    return SpiceDBProps(version="v1.56.0", datastore=datastore, server=ServerProps(**server))


def arguments(datastore: Datastore) -> list[str]:
    found: list[str] = synth(props(datastore)).container("Deployment")["args"]
    return [arg for arg in found if arg.startswith("--datastore-")]


def variables(datastore: Datastore) -> dict[str, Any]:
    return environment(synth(props(datastore)).container("Deployment"))


@pytest.mark.parametrize("datastore", ENGINES.values(), ids=ENGINES)
def test_the_migration_has_none_of_these_settings(datastore: Datastore) -> None:
    migration = synth(props(datastore)).container("Job", "migration")
    assert not any(arg.startswith("--datastore-") for arg in migration["args"])
    assert not any("READ_REPLICA" in variable["name"] for variable in migration["env"])


@pytest.mark.parametrize("name", ["postgres-uri", "cockroachdb-uri", "mysql-uri", "spanner-uri"])
def test_unset_fields_use_spicedbs_defaults(name: str) -> None:
    assert [arg for arg in arguments(ENGINES[name]) if "allowed-migrations" not in arg] == []


@pytest.mark.parametrize("kind", [PostgreSQL, CockroachDB, MySQL, Spanner])
def test_every_engine_can_be_read_only_and_quantize_revisions(kind: Any) -> None:
    datastore = kind(
        uri=URI,
        read_only=True,
        revision_quantization_interval=timedelta(milliseconds=2500),
        revision_quantization_max_staleness=0.25,
        follower_read_delay=timedelta(0),
    )
    assert arguments(datastore)[:4] == [
        "--datastore-readonly=true",
        "--datastore-revision-quantization-interval=2500ms",
        "--datastore-revision-quantization-max-staleness-percent=0.25",
        "--datastore-follower-read-delay-duration=0s",
    ]


def test_reads_and_writes_have_separate_pools() -> None:
    read = Pool(
        max_open=8,
        min_open=4,
        max_lifetime=timedelta(minutes=10),
        max_lifetime_jitter=timedelta(minutes=1),
        max_idle_time=timedelta(minutes=5),
        health_check_interval=timedelta(seconds=15),
    )
    prefix = "--datastore-conn-pool"
    assert arguments(PostgreSQL(uri=URI, read_pool=read, write_pool=Pool(max_open=3))) == [
        f"{prefix}-read-max-open=8",
        f"{prefix}-read-min-open=4",
        f"{prefix}-read-max-lifetime=600s",
        f"{prefix}-read-max-lifetime-jitter=60s",
        f"{prefix}-read-max-idletime=300s",
        f"{prefix}-read-healthcheck-interval=15s",
        f"{prefix}-write-max-open=3",
        f"{prefix}-write-min-open=3",
    ]


def test_mysql_has_one_pool_without_a_minimum() -> None:
    pool = Pool(max_open=8, max_idle_time=timedelta(minutes=5))
    assert arguments(MySQL(uri=URI, pool=pool)) == [
        "--datastore-conn-pool-read-max-open=8",
        "--datastore-conn-pool-read-max-idletime=300s",
    ]


@pytest.mark.parametrize("kind", [PostgreSQL, MySQL])
def test_garbage_collection_can_be_configured(kind: Any) -> None:
    datastore = kind(
        uri=URI,
        gc_window=timedelta(hours=48),
        gc_interval=timedelta(minutes=1),
        gc_max_operation_time=timedelta(minutes=2),
    )
    assert arguments(datastore) == [
        "--datastore-gc-window=172800s",
        "--datastore-gc-interval=60s",
        "--datastore-gc-max-operation-time=120s",
    ]


def test_spanner_keeps_revisions_for_a_time() -> None:
    spanner = Spanner(uri=URI, gc_window=timedelta(hours=6))
    found = synth(attrs.evolve(props(spanner), version="v1.57.1")).container("Deployment")["args"]
    assert "--datastore-gc-window=21600s" in found


# ---------------------------------------------------------------- read replicas


def test_one_replica_is_a_variable() -> None:
    datastore = PostgreSQL(**PARTS, read_replicas=["replica"])
    assert arguments(datastore) == []
    assert variables(datastore)["SPICEDB_DATASTORE_READ_REPLICA_CONN_URI"] == "postgresql://u@replica:5432/d"


def test_each_of_several_replicas_is_an_argument() -> None:
    datastore = PostgreSQL(**PARTS, read_replicas=["one", "two"])
    assert arguments(datastore) == [f"{REPLICA}=postgresql://u@{host}:5432/d" for host in ("one", "two")]
    assert variables(datastore)["PGPASSWORD"] == ("database", "password")


def test_a_replica_of_mysql_has_the_primarys_password() -> None:
    found = variables(MySQL(**PARTS, read_replicas=["replica"]))
    assert list(found).index("DATASTORE_PASSWORD") < list(found).index("SPICEDB_DATASTORE_READ_REPLICA_CONN_URI")
    uri = "u:$(DATASTORE_PASSWORD)@tcp(replica:3306)/d?parseTime=true&tls=true"
    assert found["SPICEDB_DATASTORE_READ_REPLICA_CONN_URI"] == uri


@pytest.mark.parametrize("kind", [PostgreSQL, MySQL])
def test_whole_uris_stay_in_their_secrets(kind: Any) -> None:
    keys = [SecretKey("replica-1", "uri"), SecretKey("replica-2", "uri")]
    one, two = kind(uri=URI, read_replicas=keys[:1]), kind(uri=URI, read_replicas=keys)
    assert variables(one)["SPICEDB_DATASTORE_READ_REPLICA_CONN_URI"] == ("replica-1", "uri")
    assert arguments(two) == [f"{REPLICA}=$(DATASTORE_READ_REPLICA_{number}_URI)" for number in (1, 2)]
    found = variables(two)
    assert found["DATASTORE_READ_REPLICA_1_URI"] == ("replica-1", "uri")
    assert found["DATASTORE_READ_REPLICA_2_URI"] == ("replica-2", "uri")


def test_replicas_have_their_own_pools_and_credentials() -> None:
    datastore = PostgreSQL(
        host="db",
        database="d",
        user="u",
        credentials_provider="aws-iam",
        read_replicas=["replica"],
        read_replica_pool=Pool(max_open=5),
    )
    assert arguments(datastore) == [
        "--datastore-read-replica-credentials-provider-name=aws-iam",
        "--datastore-read-replica-conn-pool-read-max-open=5",
        "--datastore-read-replica-conn-pool-read-min-open=5",
    ]


# ---------------------------------------------------------------- CockroachDB


def test_connection_balancing_can_be_disabled() -> None:
    assert arguments(CockroachDB(uri=URI, connection_balancing=False)) == ["--datastore-connection-balancing=false"]


def test_relationships_are_signed_with_keys_from_files() -> None:
    integrity = RelationshipIntegrity(
        key_id="2",
        key=SecretKey("integrity", "two"),
        expired_keys=[
            ExpiredIntegrityKey(
                id="1",
                key=SecretKey("integrity", "one"),
                expired_at=datetime(2026, 11, 1, 1, tzinfo=timezone(timedelta(hours=1))),
            )
        ],
    )
    datastore = CockroachDB(uri=URI, relationship_integrity=integrity)
    prefix, folder = "--datastore-relationship-integrity", "/etc/spicedb/integrity"
    expired = f'{{"key_id": "1", "key_filename": "{folder}/1", "expired_at": "2026-11-01T00:00:00Z"}}'
    assert [arg for arg in arguments(datastore) if "integrity" in arg] == [
        f"{prefix}-enabled=true",
        f"{prefix}-current-key-id=2",
        f"{prefix}-current-key-filename={folder}/2",
        f"{prefix}-expired-keys={expired}",
    ]
    [files] = datastore.settings_files()
    assert files.files == {"2": SecretKey("integrity", "two"), "1": SecretKey("integrity", "one")}
    assert datastore.files() == ()


# ---------------------------------------------------------------- connections


@pytest.mark.parametrize(
    ("server", "servers"),
    [
        ({}, 4),
        ({"replicas": 1}, 2),
        ({"replicas": 5}, 10),
        ({"replicas": 5, "max_surge": 1}, 7),
        ({"replicas": 5, "max_surge": 0, "max_unavailable": 1}, 7),
        ({"replicas": 10, "max_surge": "25%"}, 16),
        ({"replicas": 4, "max_surge": "100%"}, 8),
        ({"autoscaling": Autoscaling(max_replicas=20)}, 40),
    ],
)
def test_a_roll_out_adds_servers(server: dict[str, Any], servers: int) -> None:
    assert props(PostgreSQL(uri=URI), **server).roll_out_replicas == servers


@pytest.mark.parametrize(
    ("servers", "connections", "surge", "most"),
    [
        (2, None, "50%", 4),
        (8, None, "50%", 16),
        (40, None, "50%", 80),
        # 30 connections for each server, and for each that a roll-out adds.
        (2, 30 * 4, "50%", 4),
        (8, 30 * 16, "50%", 16),
        (8, 30 * 16 - 1, 3, 14),
        (8, 30 * 10, 1, 10),
        (40, 30 * 80, "50%", 80),
        (40, 1500, 5, 50),
    ],
)
def test_a_roll_out_adds_half_of_the_servers_if_the_database_has_connections(
    servers: int, connections: int | None, surge: int | str, most: int
) -> None:
    rolling = props(PostgreSQL(uri=URI, max_connections=connections), replicas=servers)
    require(rolling)
    assert (rolling.max_surge, rolling.roll_out_replicas) == (surge, most)
    strategy = synth(rolling).one("Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": surge, "maxUnavailable": 0}


def test_unavailable_servers_leave_fewer_connections_for_new_ones() -> None:
    rolling = props(PostgreSQL(uri=URI, max_connections=30 * 12), replicas=8, max_unavailable="25%")
    assert (rolling.max_surge, rolling.roll_out_replicas) == (1, 12)


@pytest.mark.parametrize(
    ("datastore", "per_server"),
    [
        (PostgreSQL(uri=URI), 30),
        (CockroachDB(uri=URI, read_pool=Pool(max_open=7)), 17),
        (PostgreSQL(uri=URI, read_pool=Pool(max_open=7), write_pool=Pool(max_open=5)), 12),
        (PostgreSQL(uri=URI, write_pool=Pool(min_open=1)), 30),
        (MySQL(uri=URI), 20),
        (MySQL(uri=URI, pool=Pool(max_open=6)), 6),
    ],
)
def test_the_database_needs_connections_for_all_servers(datastore: Any, per_server: int) -> None:
    require(props(attrs.evolve(datastore, max_connections=4 * per_server)))
    [problem] = problems(props(attrs.evolve(datastore, max_connections=4 * per_server - 1)))
    assert problem.field == "datastore.max_connections"
    assert problem.allowed == f"at least {4 * per_server}: {per_server} connections for each of 4 servers in a roll-out"
    assert f"at most {per_server - 1} connections together" in problem.fix


# ---------------------------------------------------------------- invalid values


def integrity(**fields: Any) -> CockroachDB:
    return CockroachDB(
        uri=URI, relationship_integrity=RelationshipIntegrity(**{"key_id": "1", "key": PASSWORD, **fields})
    )


EXPIRED = ExpiredIntegrityKey(id="1", key=PASSWORD, expired_at=datetime(2026, 1, 1, tzinfo=timezone.utc))
NAIVE = attrs.evolve(EXPIRED, id="0", expired_at=datetime(2026, 1, 1))


@pytest.mark.parametrize(
    ("datastore", "field", "allowed"),
    [
        (PostgreSQL(uri=URI, read_pool=10), "read_pool", "Pool(max_open=…"),  # type: ignore[arg-type]
        (PostgreSQL(uri=URI, read_pool=Pool(max_open=0)), "read_pool.max_open", "1 to 10000"),
        (CockroachDB(uri=URI, write_pool=Pool(max_open=1, min_open=2)), "write_pool.min_open", "at most max_open, 1"),
        (PostgreSQL(uri=URI, gc_window=timedelta(0)), "gc_window", "60 s"),
        (MySQL(uri=URI, gc_interval=timedelta(0)), "gc_interval", "1 s"),
        (Spanner(uri=URI, follower_read_delay=timedelta(hours=1)), "follower_read_delay", "600 s"),
        (Spanner(uri=URI, gc_window=timedelta(hours=25)), "gc_window", "60 s to 86400 s"),
        (
            PostgreSQL(uri=URI, revision_quantization_max_staleness=10),
            "revision_quantization_max_staleness",
            "a number from 0 to 1",
        ),
        (MySQL(uri=URI, pool=Pool(min_open=1)), "pool.min_open", "None with the mysql engine"),
        (
            MySQL(uri=URI, read_replicas=[URI], read_replica_pool=Pool(health_check_interval=timedelta(minutes=1))),
            "read_replica_pool.health_check_interval",
            "None with the mysql engine",
        ),
        (PostgreSQL(uri=URI, read_replicas=["replica"]), "read_replicas", "SecretKeys with whole URIs"),
        (PostgreSQL(**PARTS, read_replicas=["postgresql://u:p@replica"]), "read_replicas", "a host that is reached"),
        (PostgreSQL(**PARTS, read_replicas="replica"), "read_replicas", "a tuple or list"),
        (PostgreSQL(**PARTS, read_replicas=[f"r{n}" for n in range(17)]), "read_replicas", "at most 16"),
        (PostgreSQL(**PARTS, read_replica_pool=Pool()), "read_replica_pool", "None without read_replicas"),
        (integrity(key_id="a/b"), "relationship_integrity.key_id", "letters, digits"),
        (integrity(expired_keys=[EXPIRED]), "relationship_integrity.expired_keys[0].id", "no other key has"),
        (integrity(expired_keys=[NAIVE]), "relationship_integrity.expired_keys[0].expired_at", "with a time zone"),
    ],
)
def test_invalid_values_are_rejected(datastore: Datastore, field: str, allowed: str) -> None:
    [problem] = problems(props(datastore))
    assert problem.field == f"datastore.{field}"
    assert allowed in problem.allowed
    assert "postgresql://" not in problem.value


def test_replicas_need_a_release_with_the_flag() -> None:
    datastore = PostgreSQL(**PARTS, read_replicas=["replica"])
    with pytest.raises(InvalidProps, match=r"--datastore-read-replica-conn-uri exists since v1\.35\.0"):
        require(SpiceDBProps(version="v1.34.0", datastore=datastore))
