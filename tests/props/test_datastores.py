"""How each engine says where it is, and that no character in a name or a password can break it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from cdk8s_spicedb import CockroachDB, ConfigMapKey, Datastore, Memory, MySQL, PostgreSQL, SecretKey, Spanner

URI, OWNER = SecretKey("spicedb", "datastore-uri"), SecretKey("owner", "uri")
PASSWORD = SecretKey("db", "password")
CA, CERTIFICATE, KEY = SecretKey("tls", "ca"), SecretKey("tls", "crt"), SecretKey("tls", "key")
PARTS: Mapping[str, Any] = {"host": "db", "database": "spicedb", "user": "app", "password": PASSWORD}
NASTY = [
    "a b@c:/?#[]%$&+",
    "ünïcode-名前",
    "%24%2F",
    "a'b\"c\\d;e=f",
    "..",
    "a//b",
    "${HOME}",
    "$(HOME)",
    "`id`",
    "\x7f",
]

Env = list[tuple[str, "str | SecretKey"]]


def env(datastore: Datastore, **given: Any) -> Env:
    return [(variable.name, variable.value) for variable in datastore.env(**given)]


def conn_uri(datastore: Datastore, **given: Any) -> str:
    uri = dict(env(datastore, **given))["SPICEDB_DATASTORE_CONN_URI"]
    assert isinstance(uri, str)
    return uri


# ---------------------------------------------------------------- all engines

ENGINES: list[tuple[type[Datastore], str, bool, int | None]] = [
    (PostgreSQL, "postgres", True, None),
    (CockroachDB, "cockroachdb", True, None),
    (MySQL, "mysql", True, None),
    (Spanner, "spanner", True, None),
    (Memory, "memory", False, 1),
]


@pytest.mark.parametrize(("kind", "engine", "migrates", "max_replicas"), ENGINES)
def test_an_engine_answers_for_itself(
    kind: type[Datastore], engine: str, migrates: bool, max_replicas: int | None
) -> None:
    assert (kind.engine, kind.migrates, kind.max_replicas) == (engine, migrates, max_replicas)


@pytest.mark.parametrize(
    "datastore", [PostgreSQL(uri=URI), CockroachDB(uri=URI), MySQL(uri=URI), Spanner(uri=URI)], ids=lambda d: d.engine
)
@pytest.mark.parametrize("migrate", [True, False])
def test_a_uri_comes_from_its_secret_alone(datastore: Datastore, migrate: bool) -> None:
    assert env(datastore, migrate=migrate) == [
        ("SPICEDB_DATASTORE_ENGINE", datastore.engine),
        ("SPICEDB_DATASTORE_CONN_URI", URI),
    ]
    assert datastore.files() == ()


@pytest.mark.parametrize(
    "datastore",
    [
        PostgreSQL(**PARTS),
        CockroachDB(**PARTS),
        MySQL(**PARTS),
        Spanner(project="p", instance="i", database="d"),
        PostgreSQL(uri=URI),
        MySQL(uri=URI),
        Spanner(uri=URI),
    ],
    ids=lambda d: d.engine,
)
def test_a_uri_of_its_own_drops_the_credentials(datastore: Datastore) -> None:
    given = env(datastore, uri=OWNER, migrate=True)
    assert [value for _, value in given if isinstance(value, SecretKey)] == [OWNER]
    assert ("SPICEDB_DATASTORE_CONN_URI", OWNER) in given
    assert not {"PGPASSWORD", "DATASTORE_PASSWORD"} & dict(given).keys()


def test_a_uri_of_its_own_keeps_tls() -> None:
    given = dict(env(PostgreSQL(**PARTS, ca=CA), uri=OWNER, migrate=True))
    assert given["PGSSLMODE"] == "verify-full"
    assert given["PGSSLROOTCERT"] == "/etc/spicedb/datastore/ca.crt"


# ---------------------------------------------------------------- PostgreSQL and CockroachDB

LIBPQ: list[type[PostgreSQL] | type[CockroachDB]] = [PostgreSQL, CockroachDB]


@pytest.mark.parametrize("migrate", [True, False])
@pytest.mark.parametrize(("kind", "port"), [(PostgreSQL, 5432), (CockroachDB, 26257)])
def test_libpq_parts(kind: type[PostgreSQL] | type[CockroachDB], port: int, migrate: bool) -> None:
    assert env(kind(**PARTS), migrate=migrate) == [
        ("SPICEDB_DATASTORE_ENGINE", kind.engine),
        ("SPICEDB_DATASTORE_CONN_URI", f"postgresql://app@db:{port}/spicedb"),
        ("PGPASSWORD", PASSWORD),
        ("PGSSLMODE", "verify-full"),
    ]


@pytest.mark.parametrize("kind", LIBPQ)
@pytest.mark.parametrize("name", NASTY)
def test_libpq_names_come_back_from_the_uri(kind: type[PostgreSQL] | type[CockroachDB], name: str) -> None:
    uri = conn_uri(kind(host="db.example.com", port=6432, database=name, user=name, password=PASSWORD))
    parsed = urlsplit(uri)
    assert parsed.scheme == "postgresql"
    assert unquote(parsed.username or "") == name
    assert parsed.password is None
    assert (parsed.hostname, parsed.port) == ("db.example.com", 6432)
    assert unquote(parsed.path.removeprefix("/")) == name
    assert (parsed.query, parsed.fragment) == ("", "")
    assert "$" not in uri
    assert uri.isascii()


def test_nasty_characters_are_percent_encoded() -> None:
    uri = conn_uri(PostgreSQL(host="db", database="a/b$c", user="a b@c:/?#[]%$&+", password=PASSWORD))
    assert uri == "postgresql://a%20b%40c%3A%2F%3F%23%5B%5D%25%24%26%2B@db:5432/a%2Fb%24c"


@pytest.mark.parametrize("kind", LIBPQ)
@pytest.mark.parametrize("host", ["2001:db8::1", "::1", "::ffff:10.0.0.1"])
def test_libpq_puts_ipv6_in_brackets(kind: type[PostgreSQL] | type[CockroachDB], host: str) -> None:
    uri = conn_uri(kind(host=host, database="d", user="u", password=PASSWORD))
    assert uri == f"postgresql://u@[{host}]:{kind.default_port}/d"
    assert urlsplit(uri).hostname == host


def test_other_hosts_have_no_brackets() -> None:
    assert urlsplit(conn_uri(PostgreSQL(**{**PARTS, "host": "10.0.0.1"}))).netloc == "app@10.0.0.1:5432"


def test_a_client_certificate_needs_no_password() -> None:
    given = env(CockroachDB(host="db", database="d", user="u", client_certificate=CERTIFICATE, client_key=KEY))
    assert given == [
        ("SPICEDB_DATASTORE_ENGINE", "cockroachdb"),
        ("SPICEDB_DATASTORE_CONN_URI", "postgresql://u@db:26257/d"),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLCERT", "/etc/spicedb/datastore/tls.crt"),
        ("PGSSLKEY", "/etc/spicedb/datastore/tls.key"),
    ]


@pytest.mark.parametrize("kind", LIBPQ)
def test_libpq_files_are_where_the_variables_say(kind: type[PostgreSQL] | type[CockroachDB]) -> None:
    datastore = kind(**PARTS, ca=CA, client_certificate=CERTIFICATE, client_key=KEY)
    (files,), given = datastore.files(), dict(env(datastore))
    assert files.files == {"ca.crt": CA, "tls.crt": CERTIFICATE, "tls.key": KEY}
    assert given["PGSSLROOTCERT"] == files.path("ca.crt")
    assert given["PGSSLCERT"] == files.path("tls.crt")
    assert given["PGSSLKEY"] == files.path("tls.key")


@pytest.mark.parametrize("kind", LIBPQ)
@pytest.mark.parametrize(
    ("settings", "sslmode"),
    [
        ({**PARTS}, "verify-full"),
        ({**PARTS, "sslmode": "require"}, "require"),
        ({**PARTS, "sslmode": "disable"}, "disable"),
        ({"uri": URI, "ca": CA}, "verify-full"),
        ({"uri": URI, "ca": CA, "sslmode": "verify-ca"}, "verify-ca"),
        ({"uri": URI, "sslmode": "prefer"}, "prefer"),
        ({"uri": URI}, None),
    ],
)
def test_libpq_sslmode(
    kind: type[PostgreSQL] | type[CockroachDB], settings: dict[str, Any], sslmode: str | None
) -> None:
    assert dict(env(kind(**settings))).get("PGSSLMODE") == sslmode


def test_a_certificate_with_a_uri_leaves_the_mode_to_it() -> None:
    given = dict(env(PostgreSQL(uri=URI, client_certificate=CERTIFICATE, client_key=KEY)))
    assert "PGSSLMODE" not in given
    assert given["PGSSLCERT"] == "/etc/spicedb/datastore/tls.crt"


def test_postgres_with_aws_iam_has_no_password() -> None:
    assert env(PostgreSQL(host="db", database="d", user="u", credentials_provider="aws-iam")) == [
        ("SPICEDB_DATASTORE_ENGINE", "postgres"),
        ("SPICEDB_DATASTORE_CONN_URI", "postgresql://u@db:5432/d"),
        ("SPICEDB_DATASTORE_CREDENTIALS_PROVIDER_NAME", "aws-iam"),
        ("PGSSLMODE", "verify-full"),
    ]


# ---------------------------------------------------------------- MySQL


@pytest.mark.parametrize(("migrate", "reference"), [(True, "$DATASTORE_PASSWORD"), (False, "$(DATASTORE_PASSWORD)")])
def test_mysql_refers_to_a_password_before_it(migrate: bool, reference: str) -> None:
    assert env(MySQL(**PARTS), migrate=migrate) == [
        ("SPICEDB_DATASTORE_ENGINE", "mysql"),
        ("DATASTORE_PASSWORD", PASSWORD),
        ("SPICEDB_DATASTORE_CONN_URI", f"app:{reference}@tcp(db:3306)/spicedb?parseTime=true&tls=true"),
    ]


@pytest.mark.parametrize("migrate", [True, False])
def test_mysql_with_aws_iam_has_no_password(migrate: bool) -> None:
    datastore = MySQL(host="db", database="d", user="u", credentials_provider="aws-iam")
    assert env(datastore, migrate=migrate) == [
        ("SPICEDB_DATASTORE_ENGINE", "mysql"),
        ("SPICEDB_DATASTORE_CONN_URI", "u@tcp(db:3306)/d?parseTime=true&tls=true"),
        ("SPICEDB_DATASTORE_CREDENTIALS_PROVIDER_NAME", "aws-iam"),
    ]


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("migrate", [True, False])
def test_a_mysql_database_is_encoded(name: str, migrate: bool) -> None:
    uri = conn_uri(MySQL(**{**PARTS, "database": name}), migrate=migrate)
    account, _, rest = uri.rpartition("/")
    database, _, query = rest.partition("?")
    assert unquote(database) == name
    assert "$" not in rest
    assert account.endswith("@tcp(db:3306)")
    assert query == "parseTime=true&tls=true"


@pytest.mark.parametrize("user", ["a b@c/?#[]%&+", "ünïcode-名前", "app@corp"])
def test_a_mysql_user_stands_as_it_is(user: str) -> None:
    uri = conn_uri(MySQL(**{**PARTS, "user": user}))
    account, _, _ = uri.rpartition("@tcp(")
    assert account == f"{user}:$(DATASTORE_PASSWORD)"


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [("db", None, "db:3306"), ("db", 3307, "db:3307"), ("2001:db8::1", None, "[2001:db8::1]:3306")],
)
def test_a_mysql_address(host: str, port: int | None, address: str) -> None:
    assert f"@tcp({address})/spicedb?" in conn_uri(MySQL(**{**PARTS, "host": host}, port=port))


@pytest.mark.parametrize("tls", ["true", "false", "skip-verify", "preferred"])
def test_mysql_tls_is_a_parameter_of_the_uri(tls: Any) -> None:
    assert conn_uri(MySQL(**PARTS, tls=tls)).endswith(f"?parseTime=true&tls={tls}")


@pytest.mark.parametrize("connection", [{**PARTS}, {"uri": URI}])
def test_a_mysql_table_prefix(connection: dict[str, Any]) -> None:
    given = dict(env(MySQL(**connection, table_prefix="spicedb_")))
    assert given["SPICEDB_DATASTORE_MYSQL_TABLE_PREFIX"] == "spicedb_"


@pytest.mark.parametrize("connection", [{**PARTS}, {"uri": URI}])
def test_a_mysql_ca_is_in_the_folder_that_go_reads(connection: dict[str, Any]) -> None:
    datastore = MySQL(**connection, ca=CA)
    (files,) = datastore.files()
    assert files.files == {"ca.crt": CA}
    assert dict(env(datastore))["SSL_CERT_DIR"] == files.folder


# ---------------------------------------------------------------- parts from Secrets, and parameters

SECRETS: Mapping[str, Any] = {
    part: SecretKey("conn", part) for part in ("host", "port", "database", "user", "password")
}


def values(datastore: Datastore, migrate: bool) -> list[tuple[str, str]]:
    """The variables of the connection, with the name of the key in place of a Secret."""
    found = [
        (name, f"<{value.key}>" if isinstance(value, SecretKey) else value)
        for name, value in env(datastore, migrate=migrate)
    ]
    return [(name, value) for name, value in found if name not in ("SPICEDB_DATASTORE_ENGINE", "PGSSLMODE")]


@pytest.mark.parametrize("migrate", [True, False])
@pytest.mark.parametrize("kind", LIBPQ)
def test_libpq_parts_in_secrets_are_variables(kind: type[PostgreSQL] | type[CockroachDB], migrate: bool) -> None:
    assert values(kind(**SECRETS), migrate) == [
        ("SPICEDB_DATASTORE_CONN_URI", "postgresql:///"),
        ("PGHOST", "<host>"),
        ("PGPORT", "<port>"),
        ("PGUSER", "<user>"),
        ("PGDATABASE", "<database>"),
        ("PGPASSWORD", "<password>"),
    ]


@pytest.mark.parametrize(
    ("part", "value", "uri", "variable"),
    [
        ("host", "db", "postgresql://db/", ("PGPORT", "<port>")),
        ("host", "::1", "postgresql://[::1]/", ("PGPORT", "<port>")),
        ("port", 6432, "postgresql:///", ("PGPORT", "6432")),
        ("port", None, "postgresql:///", ("PGPORT", "26257")),
        ("user", "a@b", "postgresql://a%40b@/", ("PGPORT", "<port>")),
        ("database", "a/b", "postgresql:///a%2Fb", ("PGPORT", "<port>")),
    ],
)
def test_a_libpq_part_that_is_in_no_secret(part: str, value: Any, uri: str, variable: tuple[str, str]) -> None:
    found = values(CockroachDB(**{**SECRETS, part: value}), False)
    assert found[0] == ("SPICEDB_DATASTORE_CONN_URI", uri)
    assert variable in found


def test_a_read_replica_takes_the_parts_from_the_secrets_of_the_primary() -> None:
    found = values(PostgreSQL(**SECRETS, read_replicas=["replica"]), False)
    assert ("SPICEDB_DATASTORE_READ_REPLICA_CONN_URI", "postgresql://replica/") in found
    mysql = MySQL(**SECRETS, read_replicas=["one", "two"])
    account, database = "$(DATASTORE_USER):$(DATASTORE_PASSWORD)", "$(DATASTORE_DATABASE)?parseTime=true&tls=true"
    assert mysql.settings()["datastore-read-replica-conn-uri"] == [
        f"{account}@tcp({host}:$(DATASTORE_PORT))/{database}" for host in ("one", "two")
    ]


@pytest.mark.parametrize(("migrate", "form"), [(True, "${}"), (False, "$({})")])
def test_mysql_refers_to_parts_before_them(migrate: bool, form: str) -> None:
    *parts, (name, uri) = values(MySQL(**SECRETS), migrate)
    assert parts == [
        (f"DATASTORE_{part.upper()}", f"<{part}>") for part in ("host", "port", "user", "database", "password")
    ]
    user, password, host, port, database = (
        form.format(f"DATASTORE_{part}") for part in ["USER", "PASSWORD", "HOST", "PORT", "DATABASE"]
    )
    assert (name, uri) == (
        "SPICEDB_DATASTORE_CONN_URI",
        f"{user}:{password}@tcp({host}:{port})/{database}?parseTime=true&tls=true",
    )


@pytest.mark.parametrize("migrate", [True, False])
def test_parameters_are_in_the_uri_of_servers_and_migration(migrate: bool) -> None:
    params = {"search_path": 'a,"$user" b', "default_query_exec_mode": "exec"}
    uri = conn_uri(PostgreSQL(**PARTS, params=params), migrate=migrate)
    assert dict(parse_qsl(urlsplit(uri).query, strict_parsing=True)) == params
    assert "$" not in uri
    uri = conn_uri(MySQL(**PARTS, params={"charset": "utf8mb4,utf8", "time_zone": "'+00:00'"}), migrate=migrate)
    assert uri.endswith("?parseTime=true&tls=true&charset=utf8mb4,utf8&time_zone=%27%2B00%3A00%27")


def test_a_ca_can_be_in_a_config_map() -> None:
    (files,) = PostgreSQL(**PARTS, ca=ConfigMapKey("ca-bundle", "ca.pem")).files()
    assert files.volume()["projected"]["sources"] == [
        {"configMap": {"name": "ca-bundle", "items": [{"key": "ca.pem", "path": "ca.crt"}]}}
    ]


# ---------------------------------------------------------------- Spanner and memory


def test_spanner_is_named_by_its_ids() -> None:
    assert env(Spanner(project="p", instance="i", database="d")) == [
        ("SPICEDB_DATASTORE_ENGINE", "spanner"),
        ("SPICEDB_DATASTORE_CONN_URI", "projects/p/instances/i/databases/d"),
    ]


def test_spanner_credentials_are_a_file() -> None:
    credentials = SecretKey("gcp", "key.json")
    datastore = Spanner(uri=URI, credentials=credentials)
    (files,) = datastore.files()
    assert files.files == {"credentials.json": credentials}
    assert dict(env(datastore))["GOOGLE_APPLICATION_CREDENTIALS"] == files.path("credentials.json")


def test_spanner_credentials_stay_with_a_uri_of_the_migration() -> None:
    given = dict(env(Spanner(uri=URI, credentials=SecretKey("gcp", "key.json")), uri=OWNER, migrate=True))
    assert given["SPICEDB_DATASTORE_CONN_URI"] == OWNER
    assert given["GOOGLE_APPLICATION_CREDENTIALS"] == "/etc/spicedb/datastore/credentials.json"


def test_spanner_emulator() -> None:
    datastore = Spanner(project="p", instance="i", database="d", emulator_host="emulator:9010")
    assert dict(env(datastore))["SPICEDB_DATASTORE_SPANNER_EMULATOR_HOST"] == "emulator:9010"
    assert datastore.files() == ()


@pytest.mark.parametrize("given", [{}, {"uri": OWNER, "migrate": True}])
def test_memory_is_only_named(given: dict[str, Any]) -> None:
    assert env(Memory(), **given) == [("SPICEDB_DATASTORE_ENGINE", "memory")]
    assert Memory().files() == ()


@pytest.mark.parametrize(
    "datastore",
    [PostgreSQL(**PARTS, ca=CA), CockroachDB(**PARTS), MySQL(**PARTS, ca=CA), Spanner(uri=URI, credentials=KEY)],
    ids=lambda d: d.engine,
)
def test_servers_and_migration_differ_in_the_uri_alone(datastore: Datastore) -> None:
    serve, migrate = dict(env(datastore)), dict(env(datastore, migrate=True))
    serve.pop("SPICEDB_DATASTORE_CONN_URI")
    migrate.pop("SPICEDB_DATASTORE_CONN_URI")
    assert serve == migrate
