"""What servers are told of their datastore besides where it is."""

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
    return [each for each in found if each.startswith("--datastore-")]


def variables(datastore: Datastore) -> dict[str, Any]:
    return environment(synth(props(datastore)).container("Deployment"))


@pytest.mark.parametrize("datastore", ENGINES.values(), ids=ENGINES)
def test_the_migration_is_told_of_none_of_it(datastore: Datastore) -> None:
    migration = synth(props(datastore)).container("Job", "migration")
    assert not any(each.startswith("--datastore-") for each in migration["args"])
    assert not any("READ_REPLICA" in each["name"] for each in migration["env"])


@pytest.mark.parametrize("name", ["postgres-uri", "cockroachdb-uri", "mysql-uri", "spanner-uri"])
def test_what_is_not_said_is_left_to_spicedb(name: str) -> None:
    assert [each for each in arguments(ENGINES[name]) if "allowed-migrations" not in each] == []


@pytest.mark.parametrize("kind", [PostgreSQL, CockroachDB, MySQL, Spanner])
def test_every_engine_can_be_read_only_and_quantizes_revisions(kind: Any) -> None:
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


def test_pools_are_kept_apart_by_reads_and_writes() -> None:
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
def test_revisions_are_removed_as_often_as_asked(kind: Any) -> None:
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


# ---------------------------------------------------------------- read replicas


def test_one_replica_is_a_variable() -> None:
    datastore = PostgreSQL(**PARTS, read_replicas=["replica"])
    assert arguments(datastore) == []
    assert variables(datastore)["SPICEDB_DATASTORE_READ_REPLICA_CONN_URI"] == "postgresql://u@replica:5432/d"


def test_several_replicas_are_an_argument_each() -> None:
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


def test_replicas_have_pools_and_credentials_of_their_own() -> None:
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


def test_connections_are_balanced_unless_somebody_else_does_so() -> None:
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
    assert [each for each in arguments(datastore) if "integrity" in each] == [
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
        ({"replicas": 5}, 7),
        ({"replicas": 5, "max_surge": 0, "max_unavailable": 1}, 7),
        ({"replicas": 10, "max_surge": "25%"}, 16),
        ({"replicas": 4, "max_surge": "100%"}, 8),
        ({"autoscaling": Autoscaling(max_replicas=20)}, 22),
    ],
)
def test_servers_in_a_roll_out_count(server: dict[str, Any], servers: int) -> None:
    assert props(PostgreSQL(uri=URI), **server).roll_out_replicas == servers


@pytest.mark.parametrize(
    ("datastore", "each"),
    [
        (PostgreSQL(uri=URI), 30),
        (CockroachDB(uri=URI, read_pool=Pool(max_open=7)), 17),
        (PostgreSQL(uri=URI, read_pool=Pool(max_open=7), write_pool=Pool(max_open=5)), 12),
        (PostgreSQL(uri=URI, write_pool=Pool(min_open=1)), 30),
        (MySQL(uri=URI), 20),
        (MySQL(uri=URI, pool=Pool(max_open=6)), 6),
    ],
)
def test_a_database_has_to_have_connections_for_all_of_them(datastore: Any, each: int) -> None:
    require(props(attrs.evolve(datastore, max_connections=4 * each)))
    [problem] = problems(props(attrs.evolve(datastore, max_connections=4 * each - 1)))
    assert problem.field == "datastore.max_connections"
    assert problem.allowed == f"at least {4 * each}: {each} connections of 4 servers in a roll-out"
    assert f"at most {each - 1} connections together" in problem.fix


# ---------------------------------------------------------------- what is refused


def integrity(**given: Any) -> CockroachDB:
    return CockroachDB(
        uri=URI, relationship_integrity=RelationshipIntegrity(**{"key_id": "1", "key": PASSWORD, **given})
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
def test_what_cannot_be_is_refused(datastore: Datastore, field: str, allowed: str) -> None:
    [problem] = problems(props(datastore))
    assert problem.field == f"datastore.{field}"
    assert allowed in problem.allowed
    assert "postgresql://" not in problem.value


def test_replicas_need_a_release_that_knows_them() -> None:
    datastore = PostgreSQL(**PARTS, read_replicas=["replica"])
    with pytest.raises(InvalidProps, match=r"--datastore-read-replica-conn-uri exists since v1\.35\.0"):
        require(SpiceDBProps(version="v1.34.0", datastore=datastore))
