"""A SpiceDB in a YAML file, and what is said of a wrong one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import attrs
import pytest
import yaml

from cdk8s_spicedb import (
    TLS,
    ConfigMapKey,
    Datastore,
    Delivery,
    DispatchTLS,
    InvalidProps,
    Memory,
    MigrationPhase,
    PostgreSQL,
    Resources,
    SecretKey,
    ServerProps,
    SpiceDBError,
    SpiceDBProps,
    Toleration,
    known_releases,
)
from cdk8s_spicedb.files.read import read_props
from cdk8s_spicedb.props.datastores import ENGINES as KINDS
from cdk8s_spicedb.props.fields import camel, settings
from tests.synth import matrix

MATRIX = matrix()


def plain(value: Any) -> Any:
    """Props as a file holds them."""
    if isinstance(value, timedelta):
        return f"{round(value.total_seconds() * 1000)}ms"
    if isinstance(value, (Delivery, MigrationPhase)):
        return value.value
    kind: Any = type(value)
    if attrs.has(kind):
        own = {"engine": value.engine} if isinstance(value, Datastore) else {}
        return {**own, **{camel(each.name): plain(getattr(value, each.name)) for each in settings(kind)}}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.parametrize("props", MATRIX.values(), ids=MATRIX)
def test_all_props_can_be_said_in_a_file(props: SpiceDBProps) -> None:
    read = read_props(yaml.safe_dump(plain(props)), "spicedb.yaml")
    assert plain(read) == plain(props)
    assert read.datastore == props.datastore


def test_keys_are_in_camel_case_and_the_rest_has_its_defaults() -> None:
    text = """
    datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}
    server:
      replicas: 3
      shutdownGracePeriod: 1m30s
      tolerations: [{key: dedicated, operator: Exists}]
      env: {PLAIN: text, SECRET: {name: other, key: token}}
    """
    assert read_props(text, "spicedb.yaml") == SpiceDBProps(
        datastore=PostgreSQL(uri=SecretKey("spicedb", "datastore-uri")),
        server=ServerProps(
            replicas=3,
            shutdown_grace_period=timedelta(seconds=90),
            tolerations=(Toleration(key="dedicated", operator="Exists"),),
            env={"PLAIN": "text", "SECRET": SecretKey("other", "token")},
        ),
    )


def test_amounts_are_texts_or_numbers_as_in_manifests() -> None:
    limits = "{cpu: 1, memory: 1Gi}"
    text = f"{{datastore: {{engine: memory}}, server: {{resources: {{requests: {{cpu: 0.5}}, limits: {limits}}}}}}}"
    resources = read_props(text, "file").server.resources
    assert resources == Resources(requests={"cpu": "0.5"}, limits={"cpu": "1", "memory": "1Gi"})


@pytest.mark.parametrize("engine", KINDS)
def test_every_engine_has_its_name(engine: str) -> None:
    try:
        assert read_props(f"datastore: {{engine: {engine}}}", "file").datastore == Memory()
    except InvalidProps as error:
        assert engine != "memory"
        assert {problem.field.split(".")[0] for problem in error.problems} == {"datastore"}  # noqa: PT017


def test_the_callers_delivery_counts_more_than_the_files() -> None:
    text = "{datastore: {engine: memory}, delivery: helm}"
    assert read_props(text, "file", delivery="kubectl").delivery is Delivery.KUBECTL


def problems(text: str) -> dict[str, str]:
    """By path and line, the value, what is allowed and the fix."""
    with pytest.raises(InvalidProps, match=r"problems? in spicedb\.yaml") as caught:
        read_props(text, "spicedb.yaml")
    return {each.field: f"{each.value} | {each.allowed} | {each.fix}" for each in caught.value.problems}


def test_everything_wrong_is_said_at_once_in_the_order_of_the_file() -> None:
    text = """\
name: Permissions
datastore:
  engine: postgres
  url: {name: spicedb, key: datastore-uri}
  password: hunter2
server:
  log_level: warn
  shutdownGracePeriod: 90
migration:
  targetPhase: writ
  resources: {limits: {}}
cleanup: {activeDeadlineSeconds: soon}
versions: 1
"""
    found = problems(text)
    assert list(found) == [
        "name (line 1)",
        "datastore.url (line 4)",
        "datastore.password (line 5)",
        "server.log_level (line 7)",
        "server.shutdownGracePeriod (line 8)",
        "migration.targetPhase (line 10)",
        "migration.resources.requests (line 11)",
        "migration.resources.limits (line 11)",
        "cleanup.activeDeadlineSeconds (line 12)",
        "versions (line 13)",
    ]
    assert "hunter2" not in str(found)
    assert found["datastore.url (line 4)"].endswith("did you mean uri?")
    assert found["server.log_level (line 7)"].endswith("did you mean logLevel?")
    assert "a duration, such as 90s" in found["server.shutdownGracePeriod (line 8)"]
    assert "write, read, complete" in found["migration.targetPhase (line 10)"]
    assert found["versions (line 13)"].endswith("did you mean version?")


@pytest.mark.parametrize(
    ("text", "field", "says"),
    [
        ("", "datastore", "a value: it is required"),
        ("- a", "the file (line 1)", "a mapping with the keys name, version"),
        ("datastore: {engine: postgre}", "datastore.engine (line 1)", "cockroachdb, memory, mysql, postgres, spanner"),
        ("datastore: postgres", "datastore.engine (line 1)", "cockroachdb"),
        ("datastore: {engine: memory}\nserver: {replicas: 2}", "server.replicas (line 2)", "at most 1 with the memory"),
        ("datastore: {engine: memory}\nserver: {replicas: yes}", "server.replicas (line 2)", "true | a whole number"),
        ("datastore: {engine: memory}\nserver: 5", "server (line 2)", "a mapping with the keys"),
        ("datastore: {engine: memory}\nname: 5", "name (line 2)", "5 | lower-case letters"),
        ("datastore: {engine: memory}\nzzzzz: 5", "zzzzz (line 2)", "remove it"),
        ("datastore: {engine: memory}\n5: 5", "5 (line 2)", "remove it"),
        ("datastore: {engine: memory}\nserver: {tolerations: x}", "server.tolerations (line 2)", "a list, each item"),
        ("datastore: {engine: memory}\nserver:", "server (line 2)", "null | a mapping with the keys"),
        ("datastore: {engine: [a]}", "datastore.engine (line 1)", "cockroachdb, memory, mysql, postgres, spanner"),
        ("datastore: {engine: {a: b}}", "datastore.engine (line 1)", "cockroachdb, memory, mysql, postgres, spanner"),
        (
            "datastore: {engine: memory}\nserver: {shutdownGracePeriod: 99999999999999999999h}",
            "server.shutdownGracePeriod (line 2)",
            "a duration from 1 s to 3600 s",
        ),
        (
            "datastore: {engine: memory}\nserver: {tolerations: {a: b}}",
            "server.tolerations (line 2)",
            "use tolerations: [{key: …, operator: …}]",
        ),
        (
            "datastore: {engine: memory}\nserver:\n  tolerations:\n  - key: a\n  - kee: b",
            "server.tolerations[1].kee (line 5)",
            "did you mean key?",
        ),
        (
            "datastore: {engine: memory}\nserver:\n  env:\n    lower_case: {nam: a}",
            "server.env[lower_case].nam (line 4)",
            "did you mean name?",
        ),
        (
            "datastore: {engine: memory}\nserver:\n  podAnnotations:\n    a: on",
            "server.podAnnotations (line 3)",
            "quote numbers and booleans",
        ),
        (
            "datastore: {engine: postgres, uri: {name: a, key: b}}\nmigration: {migrationTimeout: 2h}",
            "migration.migrationTimeout (line 2)",
            "less than activeDeadlineSeconds, 600 s",
        ),
        (
            "datastore: {engine: postgres, host: db}",
            "datastore.database (line 1)",
            "or uri: {name: …, key: …} with the whole connection URI",
        ),
        (
            "datastore: {engine: memory}\nserver: {env: {my_name: SPICEDB, SPICEDB_DATASTORE_ENGINE: x}}",
            "server.env[SPICEDB_DATASTORE_ENGINE] (line 2)",
            "remove it",
        ),
    ],
)
def test_what_is_wrong_has_its_path_line_and_fix(text: str, field: str, says: str) -> None:
    found = problems(text)
    assert field in found, found
    assert says in found[field]


def test_what_may_be_a_secret_is_never_shown() -> None:
    text = "datastore: {engine: postgres, uri: 'postgres://u:hunter2@h/d'}\npresharedKey: {name: a, key: 'hunter2 !'}"
    with pytest.raises(InvalidProps) as caught:
        read_props(text, "file")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(SpiceDBError) as other:
        read_props("presharedKey: 'hunter2", "file")
    assert "hunter2" not in str(other.value)


def test_releases_from_outside_are_known_in_files() -> None:
    releases = known_releases().with_release("v1.99.0", {"postgres": ["add-something"]})
    text = "version: v1.99.0\ndatastore: {engine: postgres, uri: {name: a, key: b}}\n"
    assert read_props(text, "file", releases=releases).releases is releases
    with pytest.raises(InvalidProps) as caught:
        read_props(f"{text}migration: {{targetMigration: other}}\nserver: {{replica: 2}}", "file", releases=releases)
    assert [problem.field for problem in caught.value.problems] == [
        "migration.targetMigration (line 3)",
        "server.replica (line 4)",
    ]


def test_a_misspelled_key_is_the_only_problem_of_its_part() -> None:
    text = "datastore:\n  engine: postgres\n  url: {name: a, key: b}\nserver: {replicas: 0}\n"
    assert list(problems(text)) == ["datastore.url (line 3)", "server.replicas (line 4)"]


def test_a_ca_is_a_key_of_a_secret_or_of_a_config_map() -> None:
    text = "datastore: {engine: postgres, uri: {name: spicedb, key: uri}, ca: CA}"
    for ca, expected in (
        ("{name: tls, key: ca.crt}", SecretKey("tls", "ca.crt")),
        ("{configMap: bundle, key: ca.crt}", ConfigMapKey("bundle", "ca.crt")),
    ):
        datastore: Any = read_props(text.replace("CA", ca), "file").datastore
        assert datastore.ca == expected
    with pytest.raises(InvalidProps, match="did you mean configMap"):
        read_props(text.replace("CA", "{config_map: bundle, key: ca.crt}"), "file")
    with pytest.raises(InvalidProps, match=r"datastore.ca.*\(text, hidden: may be a secret\)"):
        read_props(text.replace("CA", "secret"), "file")


def test_parts_of_a_datastore_are_values_or_keys_of_secrets() -> None:
    parts = "host: {name: conn, key: endpoint}, port: {name: conn, key: port}, user: app, database: authz"
    text = f"datastore: {{engine: postgres, {parts}, password: {{name: conn, key: password}}, params: {{a: b}}}}"
    datastore: Any = read_props(text, "file").datastore
    assert (datastore.host, datastore.port) == (SecretKey("conn", "endpoint"), SecretKey("conn", "port"))
    assert (datastore.user, datastore.database, datastore.params) == ("app", "authz", {"a": "b"})


def test_certificates_have_a_short_form() -> None:
    datastore = "datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n"
    text = f"{datastore}server: {{grpcTls: {{fromSecret: clients}}, dispatchTls: {{fromSecret: dispatch}}}}"
    server = read_props(text, "spicedb.yaml").server
    assert server.grpc_tls == TLS.from_secret("clients")
    assert server.dispatch_tls == DispatchTLS.from_secret("dispatch")


@pytest.mark.parametrize(
    ("tls", "problem"),
    [
        (
            "{fromSecret: A_B}",
            "server.grpcTls.fromSecret (line 2) = (text, hidden: may be a secret)\n    allowed: the name of a Secret",
        ),
        ("{fromSecret: null}", "server.grpcTls.fromSecret (line 2) = null"),
        (
            "{fromSecret: clients, key: {name: clients, key: tls.key}}",
            "server.grpcTls.key (line 2) = (one key too many)\n    allowed: fromSecret alone, or all other keys",
        ),
        ("{fromSecrets: clients}", "did you mean fromSecret?"),
        ("clients", "a mapping with the keys fromSecret, certificate, key"),
    ],
)
def test_a_wrong_short_form_is_found(tls: str, problem: str) -> None:
    datastore = "datastore: {engine: postgres, uri: {name: spicedb, key: datastore-uri}}\n"
    with pytest.raises(InvalidProps) as caught:
        read_props(f"{datastore}server: {{grpcTls: {tls}}}", "spicedb.yaml")
    assert problem in str(caught.value)
