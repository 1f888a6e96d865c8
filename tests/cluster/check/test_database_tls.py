"""TLS to the database, with real certificates."""

from __future__ import annotations

import attrs
import pytest
import trustme

from cdk8s_spicedb import MigrationProps, SecretKey
from tests.lab.certificates import certificate
from tests.lab.cluster import Namespace
from tests.lab.databases import MARIADB, POSTGRES, USER, postgres_query
from tests.lab.helm import Helm
from tests.lab.props import ON_MARIADB, ON_POSTGRES, on_postgres

_WITH_TLS = attrs.evolve(
    ON_POSTGRES,
    sslmode=None,
    ca=SecretKey("certificates", "ca.crt"),
    client_certificate=SecretKey("client", "tls.crt"),
    client_key=SecretKey("client", "tls.key"),
)
_ARGUMENTS = {
    "ssl": "on",
    "ssl_cert_file": "/certificates/tls.crt",
    "ssl_key_file": "/certificates/tls.key",
    "ssl_ca_file": "/certificates/ca.crt",
}


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def postgres_with_tls(namespace: Namespace, authority: trustme.CA) -> None:
    """A PostgreSQL with a server certificate that requests client certificates."""
    certificate(namespace, "certificates", authority, authority.issue_cert(POSTGRES.name))
    certificate(namespace, "client", authority, authority.issue_cert(common_name=USER))
    arguments = ("postgres", *(f"-c{name}={value}" for name, value in _ARGUMENTS.items()))
    attrs.evolve(POSTGRES, arguments=arguments, certificates="certificates").start(namespace)


@pytest.fixture
def mariadb_with_tls(namespace: Namespace, authority: trustme.CA) -> None:
    """A MariaDB that requires TLS."""
    certificate(namespace, "certificates", authority, authority.issue_cert(MARIADB.name))
    options = "--require-secure-transport=ON --ssl-cert=/certificates/tls.crt --ssl-key=/certificates/tls.key"
    entrypoint, flag = "/usr/local/bin/docker-entrypoint.sh", "--no-defaults"
    # If the entrypoint of the image uses --no-defaults, the options must follow it.
    script = (
        f"grep -q -- {flag} {entrypoint} || exec {entrypoint} mariadbd {options}; "
        f"sed 's#{flag}#{flag} {options}#' {entrypoint} > /tmp/entrypoint; exec sh /tmp/entrypoint mariadbd"
    )
    attrs.evolve(MARIADB, command=("sh", "-c", script), certificates="certificates").start(namespace)


def test_servers_and_migration_use_mutual_tls(helm: Helm, namespace: Namespace, postgres_with_tls: None) -> None:
    outcome = helm.install(on_postgres(datastore=_WITH_TLS))
    assert outcome.ok, outcome.output
    connections = "SELECT DISTINCT client_dn FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl"
    assert postgres_query(namespace, connections).endswith(f"/CN={USER}")
    unencrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE NOT ssl AND client_port > 0"
    assert postgres_query(namespace, unencrypted) == "0"


def test_database_certificate_of_an_unknown_ca_is_rejected(
    helm: Helm, namespace: Namespace, postgres_with_tls: None
) -> None:
    namespace.secret("stranger", {"ca.crt": trustme.CA().cert_pem.bytes().decode()})
    untrusted = attrs.evolve(_WITH_TLS, ca=SecretKey("stranger", "ca.crt"))
    migration = MigrationProps(restart_policy="Never", backoff_limit=0)
    outcome = helm.install(on_postgres(datastore=untrusted, migration=migration))
    assert not outcome.ok
    assert "certificate signed by unknown authority" in outcome.output


def test_mysql_certificate_is_verified_with_the_ca(helm: Helm, namespace: Namespace, mariadb_with_tls: None) -> None:
    with_tls = attrs.evolve(ON_MARIADB, tls=None, ca=SecretKey("certificates", "ca.crt"))
    outcome = helm.install(on_postgres(datastore=with_tls))
    assert outcome.ok, outcome.output
    migration = MigrationProps(restart_policy="Never", backoff_limit=0)
    without_ca = helm.upgrade(on_postgres(datastore=attrs.evolve(with_tls, ca=None), migration=migration))
    assert not without_ca.ok
    assert "certificate signed by unknown authority" in without_ca.output
