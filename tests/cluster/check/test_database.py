"""The check of a database, with real databases."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
import trustme

from cdk8s_spicedb import MigrationProps, PostgreSQL, SecretKey, SpiceDBProps
from cdk8s_spicedb.live.check.database import DatabaseReport, ask_database, check_database
from cdk8s_spicedb.live.check.finding import Level
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.manifests.jobs import migration_manifests
from tests.lab.certificates import certificate
from tests.lab.cluster import Namespace, wait
from tests.lab.databases import DATABASE, MARIADB, PASSWORD, POSTGRES, USER, postgres_query
from tests.lab.helm import Helm
from tests.lab.props import NEW, NEW_HEAD, OLD, OLD_HEAD, ON_MARIADB, ON_POSTGRES, on_postgres

from .test_database_tls import authority, mariadb_with_tls  # noqa: F401 - fixtures

CLIENT = os.environ.get("LAB_MARIADB_CLIENT_IMAGE", MARIADB.image)
"""An image with MariaDB's client, as the official image of the server has it."""


def check(namespace: Namespace, props: SpiceDBProps, **options: Any) -> DatabaseReport:
    """The report of the check. It contains no secret, and leaves no pod."""
    start = time.monotonic()
    cluster = Cluster.connect(namespace=namespace.name)
    with cluster.client:
        report = check_database(cluster, props, **{"image": POSTGRES.image, **options})
    seconds = time.monotonic() - start
    print(f"the check of {props.datastore.engine} took {seconds:.1f} s")
    assert PASSWORD not in str(report)
    left = [pod["metadata"] for pod in namespace.list("pods", instance=props.name, component="migration")]
    assert [pod["name"] for pod in left if "-check-" in pod["name"] and "deletionTimestamp" not in pod] == []
    return report


def problems(report: DatabaseReport, level: Level = Level.FAILURE) -> list[str]:
    """What has a level, each with its fix."""
    return [f"{each.subject}: {each.text}; {each.fix}" for each in report.findings if each.level is level]


def migrate(namespace: Namespace, props: SpiceDBProps) -> bool:
    """Migrates the database with the program itself, without servers. Returns whether it succeeded."""
    (job,) = migration_manifests(props)
    name = job["metadata"]["name"]
    # The Service of a database that just started may refuse the first connection.
    job["spec"]["backoffLimit"], job["spec"]["template"]["spec"]["restartPolicy"] = 1, "Never"
    namespace.apply(job)

    def outcome() -> str | None:
        conditions = (namespace.get("job", name) or {}).get("status", {}).get("conditions", ())
        return next((each["type"] for each in conditions if each["type"] in ("Complete", "Failed")), None)

    found = wait("the migration", outcome)
    print(namespace.kubectl("logs", f"job/{name}", "--tail=3", check=False))
    namespace.kubectl("delete", "job", name)
    return found == "Complete"


@pytest.fixture
def migrated(namespace: Namespace, postgres: None) -> Namespace:
    """A namespace with a PostgreSQL that the older release migrated."""
    assert migrate(namespace, on_postgres(OLD))
    return namespace


def test_healthy_postgresql(helm: Helm, namespace: Namespace) -> None:
    settings = ("postgres", "-cmax_connections=200", "-ctrack_commit_timestamp=on")
    attrs.evolve(POSTGRES, arguments=settings).start(namespace)
    assert helm.install(on_postgres(OLD)).ok
    report = check(namespace, on_postgres(NEW), running_servers=2)
    assert {finding.level for finding in report.findings} == {Level.OK}
    assert report.revision == OLD_HEAD
    assert report.pending == ("add-schema-tables", "populate-schema-tables")
    assert (report.server_version or "").startswith("15.")
    assert report.rows["relation_tuple"] == 0


def test_postgresql_before_its_first_migration(namespace: Namespace, postgres: None) -> None:
    cluster = Cluster.connect(namespace=namespace.name)
    with cluster.client:
        assert ask_database(cluster, on_postgres(), POSTGRES.image).revision is None
    assert check(namespace, on_postgres()).pending[-1] == NEW_HEAD


def test_postgresql_by_a_uri_with_parameters_of_the_driver(namespace: Namespace, postgres: None) -> None:
    postgres_query(namespace, "CREATE USER other PASSWORD 'pass?word'; CREATE SCHEMA elsewhere AUTHORIZATION other")
    uri = f"postgres://other:pass%3Fword@postgres/{DATABASE}?sslmode=disable&default_query_exec_mode=exec"
    namespace.secret("uri", {"uri": f"{uri}&search_path=elsewhere&pool_max_conns=3"})
    props = on_postgres(datastore=PostgreSQL(uri=SecretKey("uri", "uri")))
    (problem,) = problems(check(namespace, props))
    assert "the URI has pool_… parameters, with which `spicedb migrate` fails" in problem
    assert not migrate(namespace, props)
    namespace.secret("uri", {"uri": f"{uri}&search_path=elsewhere"})
    assert problems(check(namespace, props)) == []
    assert migrate(namespace, props)
    report = check(namespace, props)
    assert report.revision == NEW_HEAD
    assert postgres_query(namespace, "SELECT version_num FROM elsewhere.alembic_version") == NEW_HEAD


def test_a_password_that_breaks_the_uri_stays_in_the_pod(namespace: Namespace, postgres: None) -> None:
    namespace.secret("uri", {"uri": f"postgres://{USER}:se/cr@et@postgres/{DATABASE}"})
    report = check(namespace, on_postgres(datastore=PostgreSQL(uri=SecretKey("uri", "uri"))))
    (problem,) = problems(report)
    assert "key uri of Secret uri" in problem
    assert not any(part in problem for part in ("se/", "cr@", "@et"))


def test_a_wrong_password(namespace: Namespace, postgres: None) -> None:
    namespace.secret("wrong", {"password": "another"})
    wrong = attrs.evolve(ON_POSTGRES, password=SecretKey("wrong", "password"))
    (problem,) = problems(check(namespace, on_postgres(datastore=wrong)))
    assert "rejects the user or the password; put the right ones into key password of Secret wrong" in problem
    missing = attrs.evolve(ON_POSTGRES, password=SecretKey("wrong", "missing"))
    (problem,) = problems(check(namespace, on_postgres(datastore=missing)))
    assert "couldn't find key missing in Secret" in problem


def test_a_database_that_is_not_there(namespace: Namespace) -> None:
    (problem,) = problems(check(namespace, on_postgres()))
    assert "postgres:5432: the name of the host cannot be resolved; correct datastore.host" in problem


def test_missing_rights(migrated: Namespace) -> None:
    migrated.secret("limited", {"password": "limited"})
    postgres_query(migrated, "CREATE USER limited PASSWORD 'limited'; GRANT SELECT ON alembic_version TO limited")
    limited = attrs.evolve(ON_POSTGRES, user="limited", password=SecretKey("limited", "password"))
    create, own, write = problems(check(migrated, on_postgres(datastore=limited)))
    assert create.endswith("GRANT CREATE ON SCHEMA public TO limited")
    assert own.endswith(f"GRANT {USER} TO limited, or ALTER TABLE … OWNER TO limited")
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON " in write
    assert not migrate(migrated, on_postgres(datastore=limited))
    postgres_query(migrated, f"GRANT CREATE ON SCHEMA public TO limited; GRANT {USER} TO limited")
    assert problems(check(migrated, on_postgres(datastore=limited))) == []
    assert migrate(migrated, on_postgres(datastore=limited))


@contextmanager
def transaction(namespace: Namespace, *statements: str) -> Iterator[None]:
    """A transaction that stays open."""
    sql = "; ".join(("BEGIN", "SET LOCAL application_name = 'someone'", *statements, "SELECT 'secret', pg_sleep(60)"))
    psql = ("psql", "--host=/run/postgresql", f"--username={USER}", f"--command={sql}")
    with namespace.databases.background("exec", POSTGRES.name, "--", *psql):
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'someone' AND wait_event = 'PgSleep'"
        wait("the transaction", lambda: postgres_query(namespace, count) == "1" or None)
        yield
    postgres_query(namespace, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")


def test_locks(namespace: Namespace, postgres: None) -> None:
    assert migrate(namespace, on_postgres(OLD, migration=MigrationProps(target_migration="add-expiration-support")))
    with transaction(namespace, "LOCK TABLE relation_tuple IN ACCESS EXCLUSIVE MODE"):
        (problem,) = problems(check(namespace, on_postgres()))
        assert "someone) holds AccessExclusiveLock on relation_tuple, for which servers wait" in problem
        assert "SELECT pg_terminate_backend(" in problem
    with transaction(namespace, "SELECT FROM relation_tuple"):
        time.sleep(10)  # only transactions of that age are reported
        (problem,) = problems(check(namespace, on_postgres()))
        assert "holds AccessShareLock on relation_tuple, for which a coming migration waits" in problem
        # Nothing comes that changes the table.
        migrate_nothing = on_postgres(OLD, migration=MigrationProps(target_migration="add-expiration-support"))
        report = check(namespace, migrate_nothing)
        assert problems(report) == []
        assert any("someone) is open" in each for each in problems(report, Level.WARNING))


def test_too_few_connections(namespace: Namespace) -> None:
    attrs.evolve(POSTGRES, arguments=("postgres", "-cmax_connections=20")).start(namespace)
    (problem,) = problems(check(namespace, on_postgres()))
    assert "max_connections: 17 of 17 are free, and SpiceDB needs 62 more" in problem
    postgres_query(namespace, f"ALTER ROLE {USER} CONNECTION LIMIT 5")
    problem = problems(check(namespace, on_postgres(), running_servers=2))[1]
    assert f"limit of the user {USER}: 5 of 5 are free, and a roll-out needs 62 more" in problem
    assert f"ALTER ROLE {USER} CONNECTION LIMIT -1" in problem


def test_revisions_that_the_release_does_not_know(migrated: Namespace) -> None:
    postgres_query(migrated, "UPDATE alembic_version SET version_num = 'of-a-branch'")
    (problem,) = problems(check(migrated, on_postgres()))
    assert "of-a-branch is not known" in problem
    postgres_query(migrated, f"UPDATE alembic_version SET version_num = '{NEW_HEAD}'")
    report = check(migrated, on_postgres(OLD))
    assert problems(report) == []
    assert any("its servers start on it, but its migration fails" in each for each in problems(report, Level.WARNING))
    assert not migrate(migrated, on_postgres(OLD))


def test_an_interrupted_index(migrated: Namespace) -> None:
    postgres_query(migrated, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_watch_api_index'::regclass")
    (problem,) = problems(check(migrated, on_postgres()))
    assert "ix_watch_api_index of relation_tuple is invalid" in problem
    assert "DROP INDEX CONCURRENTLY ix_watch_api_index" in problem


def check_mariadb(namespace: Namespace, props: SpiceDBProps) -> DatabaseReport:
    """The report of the check. Skips the test if there is no image with a client."""
    report = check(namespace, props, image=CLIENT)
    if any("has no client" in each.text for each in report.findings):
        pytest.skip(f"{CLIENT} has no client of MariaDB; LAB_MARIADB_CLIENT_IMAGE can name another image")
    return report


def test_tls_of_postgresql(namespace: Namespace) -> None:
    signer = trustme.CA()
    certificate(namespace, "certificates", signer, signer.issue_cert(POSTGRES.name))
    certificate(namespace, "client", signer, signer.issue_cert(common_name=USER))
    files = {"ssl_cert_file": "tls.crt", "ssl_key_file": "tls.key", "ssl_ca_file": "ca.crt"}
    options = ["-cssl=on", *(f"-c{name}=/certificates/{file}" for name, file in files.items())]
    attrs.evolve(POSTGRES, arguments=("postgres", *options), certificates="certificates").start(namespace)
    tls = attrs.evolve(
        ON_POSTGRES,
        sslmode=None,
        ca=SecretKey("certificates", "ca.crt"),
        client_certificate=SecretKey("client", "tls.crt"),
        client_key=SecretKey("client", "tls.key"),
    )
    assert problems(check(namespace, on_postgres(datastore=tls))) == []
    namespace.secret("stranger", {"ca.crt": trustme.CA().cert_pem.bytes().decode()})
    untrusted = attrs.evolve(tls, ca=SecretKey("stranger", "ca.crt"))
    assert "is not signed by the trusted CA" in problems(check(namespace, on_postgres(datastore=untrusted)))[0]
    namespace.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other"}, "spec": _OTHER})
    other = attrs.evolve(tls, host="other")

    def problem() -> str | None:
        """The problem, once the nodes know the new Service."""
        (found,) = problems(check(namespace, on_postgres(datastore=other)))
        return None if "the connection is refused" in found else found

    assert "is for another host" in wait("the new Service", problem)
    # The image has no public CAs.
    public = on_postgres(datastore=attrs.evolve(ON_POSTGRES, sslmode=None))
    assert "no CA certificates that could verify" in problems(check(namespace, public), Level.WARNING)[0]


_OTHER = {"selector": {"app": POSTGRES.name}, "ports": [{"port": POSTGRES.port}]}


def test_healthy_mariadb(namespace: Namespace, mariadb: None) -> None:
    check_mariadb(namespace, on_postgres(datastore=ON_MARIADB))
    prefixed = attrs.evolve(ON_MARIADB, table_prefix="my_")
    assert migrate(namespace, on_postgres(OLD, datastore=prefixed))
    report = check_mariadb(namespace, on_postgres(NEW, datastore=prefixed))
    assert problems(report) == []
    assert report.revision == "add_expiration_to_relation_tuple"
    assert report.pending == ("add_schema_tables", "populate_schema_tables", "identifiers_case_sensitive")
    assert report.rows["relation_tuple"] == 0
    version, transactions = problems(report, Level.WARNING)
    assert "MariaDB 10.11" in version
    assert "GRANT PROCESS ON *.*" in transactions
    assert check_mariadb(namespace, on_postgres(datastore=ON_MARIADB)).revision is None


def test_mariadb_by_a_uri(namespace: Namespace, mariadb: None) -> None:
    namespace.secret("uri", {"uri": f"{USER}:{PASSWORD}@tcp(mariadb:3306)/{DATABASE}?parseTime=true"})
    report = check_mariadb(namespace, on_postgres(datastore=type(ON_MARIADB)(uri=SecretKey("uri", "uri"))))
    assert problems(report) == []
    assert "the URI contains $" in problems(report, Level.WARNING)[0]
    namespace.secret("uri", {"uri": f"{USER}:wrong@tcp(mariadb)/{DATABASE}"})
    report = check_mariadb(namespace, on_postgres(datastore=type(ON_MARIADB)(uri=SecretKey("uri", "uri"))))
    assert "rejects the user or the password" in problems(report)[0]


@pytest.mark.usefixtures("mariadb_with_tls")
def test_tls_of_mariadb(namespace: Namespace) -> None:
    tls = attrs.evolve(ON_MARIADB, tls=None, ca=SecretKey("certificates", "ca.crt"))
    assert problems(check_mariadb(namespace, on_postgres(datastore=tls))) == []
    untrusted = on_postgres(datastore=attrs.evolve(tls, ca=None))
    assert "is not signed by the trusted CA" in problems(check_mariadb(namespace, untrusted))[0]
    assert "or requires TLS" in problems(check_mariadb(namespace, on_postgres(datastore=ON_MARIADB)))[0]
