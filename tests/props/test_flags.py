"""Each flag has one home, its prop; and variables and arguments are as SpiceDB and Kubernetes read them."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import attrs
import pytest
from attrs import evolve, frozen

import cdk8s_spicedb
from cdk8s_spicedb import (
    CockroachDB,
    InvalidProps,
    MySQL,
    Pool,
    PostgreSQL,
    RelationshipIntegrity,
    SecretKey,
    ServerProps,
    SpiceDBProps,
    Tracing,
    known_releases,
)
from cdk8s_spicedb.files.schema import field_texts
from cdk8s_spicedb.manifests import release_manifests
from cdk8s_spicedb.props import require
from cdk8s_spicedb.props.flags import Flag, argument, flag_of, flags_of, settings_of
from cdk8s_spicedb.props.secrets import EnvVar, container_env, variable

FOLDER = Path(cdk8s_spicedb.__file__).parent
RECORDED = {
    flag
    for file in (Path(__file__).parent.parent / "flags").glob("*.json")
    for flags in json.loads(file.read_text("utf-8")).values()
    for flag in flags
} - {"help"}
# Flags of zed, and the one that no released SpiceDB has.
OTHERS = {"certificate-path", "hostname-override", "phase"}
CLASSES = [
    value
    for value in (getattr(cdk8s_spicedb, name) for name in cdk8s_spicedb.__all__)
    if isinstance(value, type) and attrs.has(value) and value.__module__.startswith("cdk8s_spicedb.props.")
]
URI = SecretKey("spicedb", "uri")

# ---------------------------------------------------------------- one home


def _texts(file: Path) -> Iterator[str]:
    """The texts of a module, apart from its docstrings."""
    tree = ast.parse(file.read_text("utf-8"))
    docstrings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings:
            yield node.value


def _flags_in(text: str) -> set[str]:
    """The flags of SpiceDB in a text: the whole text, or after two dashes, or as a variable."""
    variables = re.findall(r"SPICEDB_([A-Z_]+)", text)
    words = {text, *re.findall(r"--([a-z-]+[a-z])", text), *(name.lower().replace("_", "-") for name in variables)}
    return words & RECORDED


def test_flags_are_found_in_every_form() -> None:
    assert _flags_in("log-level") == {"log-level"}
    assert _flags_in("use `--log-level=debug` or --log-format.") == {"log-level", "log-format"}
    assert _flags_in("SPICEDB_LOG_LEVEL") == {"log-level"}
    assert _flags_in("the log-level of zed --unknown") == set()


def test_each_flag_is_spelled_once() -> None:
    found = Counter(flag for file in FOLDER.rglob("*.py") for text in _texts(file) for flag in _flags_in(text))
    assert {flag: times for flag, times in found.items() if times > 1} == {}
    assert {"log-level", "datastore-gc-interval", "experimental-schema-mode"} <= set(found)
    # The flags that are made of two parts are spelled nowhere.
    names = [(path, flag.name) for kind in CLASSES for path, flags in flags_of(kind).items() for flag in flags]
    made = {name for path, name in names if "." in path} - {name for path, name in names if "." not in path}
    assert "grpc-tls-cert-path" in made
    assert made & set(found) == set()


def test_props_set_flags_that_spicedb_has() -> None:
    found = {flag.name for kind in CLASSES for flags in flags_of(kind).values() for flag in flags}
    assert {name for name in found if "…" not in name} - RECORDED == OTHERS


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_docstrings_name_the_flags_of_their_props(kind: Any) -> None:
    for field in attrs.fields(kind):
        paths = {path: flags for path, flags in flags_of(kind).items() if path.partition(".")[0] == field.name}
        # A class that others hold has only the rest of its flags.
        names = {flag.name.removeprefix("…") for flags in paths.values() for flag in flags}
        said = re.findall(r"``--([a-z0-9-]+[a-z0-9])(-…)?``", field_texts(kind)[field.name])
        for flag, more in said:
            assert any(name.startswith(flag) if more else flag.endswith(name) for name in names), flag
        # The props inside another name their flags themselves.
        assert said or set(paths) != {field.name} or all("…" in flag.name for flag in paths[field.name])


# ---------------------------------------------------------------- one line for a new flag


@frozen(kw_only=True)
class NewServer(ServerProps):
    new: Annotated[int, Flag("new-number")] | None = None
    switch: Annotated[bool, Flag("new-switch")] = True


@frozen(kw_only=True)
class NewMySQL(MySQL):
    new: Annotated[str, Flag("datastore-new")] | None = None
    shared: Annotated[str, Flag("datastore-new-shared", env=True)] | None = None


def _props(**fields: Any) -> SpiceDBProps:
    return SpiceDBProps(**{"version": "v1.56.0", "datastore": MySQL(uri=URI), **fields})


def test_a_prop_with_a_flag_is_an_argument_of_the_servers() -> None:
    before = release_manifests(_props())
    assert release_manifests(_props(server=NewServer(), datastore=NewMySQL(uri=URI))) == before
    datastore = NewMySQL(uri=URI, new="x")
    [deployment] = [
        each
        for each in release_manifests(_props(server=NewServer(new=7, switch=False), datastore=datastore))
        if each["kind"] == "Deployment"
    ]
    args = deployment["spec"]["template"]["spec"]["containers"][0]["args"]
    assert {"--new-number=7", "--new-switch=false", "--datastore-new=x"} <= set(args)


def test_a_variable_is_for_servers_and_migration() -> None:
    found = release_manifests(_props(datastore=NewMySQL(uri=URI, shared="x")))
    pods = [each["spec"]["template"]["spec"] for each in found if each["kind"] in ("Deployment", "Job")]
    envs = [pod["containers"][0]["env"] for pod in pods if pod["containers"][0]["name"] in ("spicedb", "migrate")]
    assert len(envs) == 2
    assert all({"name": "SPICEDB_DATASTORE_NEW_SHARED", "value": "x"} in env for env in envs)


@pytest.mark.parametrize(
    ("flag", "path", "fields"),
    [
        ("new-number", "server.new", {"server": NewServer(new=7)}),
        ("new-switch", "server.switch", {"server": NewServer(switch=False)}),
        ("datastore-new", "datastore.new", {"datastore": NewMySQL(uri=URI, new="x")}),
        (
            "datastore-conn-pool-read-max-lifetime",
            "datastore.pool.max_lifetime",
            {"datastore": MySQL(uri=URI, pool=Pool(max_lifetime=timedelta(hours=1)))},
        ),
        (
            "otel-insecure",
            "server.tracing.insecure",
            {"server": ServerProps(tracing=Tracing(endpoint="c", insecure=True))},
        ),
    ],
)
def test_a_version_without_the_flag_does_not_take_the_prop(flag: str, path: str, fields: dict[str, Any]) -> None:
    releases = evolve(known_releases(), flags={**known_releases().flags, flag: "v1.57.0"})
    with pytest.raises(InvalidProps, match=f"--{flag} exists since v1.57.0") as error:
        require(_props(releases=releases, **fields))
    assert [problem.field for problem in error.value.problems] == [path]
    require(_props(releases=releases))


def test_telemetry_needs_no_flag_in_a_release_without_it() -> None:
    require(_props(version="v1.6.0", server=ServerProps(telemetry_enabled=True)))


# ---------------------------------------------------------------- the flags of props


def test_a_prop_inside_another_has_the_whole_flag() -> None:
    assert flag_of(ServerProps, "tracing.endpoint") == "otel-endpoint"
    assert flag_of(ServerProps, "dispatch_tls.key") == "dispatch-cluster-tls-key-path"
    assert flag_of(ServerProps, "dispatch_tls.ca") == "dispatch-upstream-ca-path"
    assert flag_of(PostgreSQL, "write_pool.max_open") == "datastore-conn-pool-write-max-open"


def test_settings_of_props_inside_others() -> None:
    integrity = RelationshipIntegrity(key_id="one", key=URI)
    found = settings_of(CockroachDB(uri=URI, read_pool=Pool(max_open=7), relationship_integrity=integrity))
    assert {flag: value for flag, value in found.items() if value not in (None, [])} == {
        "datastore-conn-pool-read-max-open": 7,
        "datastore-conn-pool-read-min-open": 7,
        "datastore-relationship-integrity-enabled": True,
        "datastore-relationship-integrity-current-key-id": "one",
        "datastore-relationship-integrity-current-key-filename": "/etc/spicedb/integrity/one",
    }


# ---------------------------------------------------------------- variables and arguments


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("datastore-engine", "SPICEDB_DATASTORE_ENGINE"),
        ("grpc-preshared-key", "SPICEDB_GRPC_PRESHARED_KEY"),
        ("log-level", "SPICEDB_LOG_LEVEL"),
    ],
)
def test_a_flag_has_a_variable(flag: str, name: str) -> None:
    assert variable(flag, "x") == EnvVar(name, "x")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("info", "--flag=info"),
        ("", "--flag="),
        (0, "--flag=0"),
        (1000, "--flag=1000"),
        (True, "--flag=true"),
        (False, "--flag=false"),
        (timedelta(seconds=10), "--flag=10s"),
        (timedelta(hours=1), "--flag=3600s"),
        (timedelta(days=7), "--flag=604800s"),
        (timedelta(seconds=1, milliseconds=500), "--flag=1500ms"),
    ],
)
def test_an_argument_is_in_the_form_that_go_parses(value: str | int | bool | timedelta, text: str) -> None:
    assert argument("flag", value) == text


def test_a_container_gets_its_variables_in_order() -> None:
    given = container_env([EnvVar("Z", "1"), EnvVar("A", SecretKey("db", "password")), EnvVar("M", "")])
    assert given == [
        {"name": "Z", "value": "1"},
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
        {"name": "M", "value": ""},
    ]


def test_no_variable_is_no_entry() -> None:
    assert container_env([]) == []
