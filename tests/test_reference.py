"""The pages of docs/reference/ that come from the props: their examples, and what they say."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import helm_python as helm
import pytest

import cdk8s_spicedb
from cdk8s_spicedb import (
    Alerts,
    ChartMetadata,
    PodProps,
    Resources,
    ServerProps,
    SpiceDBProps,
    UpgradeBackup,
    write_helm_chart,
)
from cdk8s_spicedb.files.read import Destination, destination_of, document, metadata_of, props_of
from cdk8s_spicedb.files.schema import OF_OTHERS, field_texts
from cdk8s_spicedb.files.yaml import load
from cdk8s_spicedb.helm.value import Value
from cdk8s_spicedb.props.fields import camel, fields_of
from tests.pages import PAGES, is_generated
from tools import configuration, examples, objects, reference
from tools.props import KINDS, Kind, default_of, flow, in_file, link, own_settings, paths, type_in_words

_PYTHON = "timedelta(seconds=90)"
_SECRET = {"name": "spicedb", "key": "password"}
_PARTS = {"host": "db.example.com", "database": "spicedb", "user": "spicedb", "password": _SECRET}


def _datastore(engine: str, **keys: Any) -> dict[str, Any]:
    return {"datastore": {"engine": engine, **keys}}


_PLAIN = _datastore("postgres", uri=_SECRET)
_SIGNED = _datastore("cockroachdb", uri=_SECRET, relationshipIntegrity={"keyId": "new", "key": _SECRET})
_HTTP = {**_PLAIN, "server": {"httpEnabled": True}}
_TLS = {"certificate": _SECRET, "key": _SECRET}
_SCHEMA = {**_PLAIN, "server": {"grpcTls": _TLS}, "schema": {"configMap": "spicedb-schema"}}
_AROUND: Mapping[str, Mapping[str, Any]] = {
    "SQLDatastore": _datastore("postgres", **_PARTS),
    "SQLDatastore.uri": _datastore("postgres"),
    "LibpqDatastore.client_certificate": _datastore("postgres", uri=_SECRET, clientKey=_SECRET),
    "LibpqDatastore.client_key": _datastore("postgres", uri=_SECRET, clientCertificate=_SECRET),
    "ReplicatedDatastore.credentials_provider": _datastore("postgres", **{**_PARTS, "password": None}),
    "ReplicatedDatastore": _datastore("postgres", **_PARTS, readReplicas=["replica.example.com"]),
    "CockroachDB": _datastore("cockroachdb", uri=_SECRET),
    "RelationshipIntegrity": _SIGNED,
    "ExpiredIntegrityKey": _SIGNED,
    "MySQL": _datastore("mysql", **_PARTS),
    "Spanner": _datastore("spanner", project="my-project", instance="my-instance", database="spicedb"),
    "Spanner.uri": _datastore("spanner"),
    "ServerProps.http_port": _HTTP,
    "ServerProps.http_tls": _HTTP,
    "Ingress.port": _HTTP,
    "PatchOperation": {**_PLAIN, "patches": [{"kind": "Deployment"}]},
    "UpgradeBackup.wait_for": {**_PLAIN, "upgradeBackup": {"manifest": examples.example(UpgradeBackup, "manifest")}},
    "UpgradeBackup.fail_on": {
        **_PLAIN,
        "upgradeBackup": {
            "manifest": examples.example(UpgradeBackup, "manifest"),
            "waitFor": ".status.phase=completed",
        },
    },
    "UpgradeBackup.manifest": {**_PLAIN, "upgradeBackup": {"waitFor": ".status.phase=completed"}},
    "UpgradeBackup.timeout_seconds": {**_PLAIN, "upgradeBackup": {"command": ["backup"]}},
    "PodSettings.extra_volume_mounts": {**_PLAIN, "pods": {"extraVolumes": [{"name": "tmp", "emptyDir": {}}]}},
    "Toleration": {**_PLAIN, "pods": {"tolerations": [{"key": "dedicated", "effect": "NoExecute"}]}},
    "MigrationProps.migration_timeout": {**_PLAIN, "migration": {"activeDeadlineSeconds": 3600}},
    "MigrationProps.ttl_seconds_after_finished": {**_PLAIN, "delivery": "kubectl"},
    "SchemaProps.config_map_key": _SCHEMA,
    "ClientProps": _SCHEMA,
}
"""What the file has in addition, by the class or the setting: what the example needs to mean something."""
_SETTINGS = [(kind, field.name) for kind in KINDS for field in own_settings(kind)]


def _file(kind: Kind, name: str, around: Mapping[str, Any]) -> str:
    """A file with the example of a setting, as the page shows it, and with what the example needs."""
    required = [each.name for each in attrs.fields(kind) if each.default is attrs.NOTHING]
    values: Any = {camel(each): examples.example(kind, each) for each in required}
    values |= load(examples.in_yaml(kind, name), "example")[0]
    for part in reversed(paths()[kind][0].split(".") if paths()[kind][0] else []):
        values = {part: values}
    data = deepcopy(dict(around))
    _add(data, values)
    return flow(data)


def _add(data: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Adds the keys of a mapping. ``key[]`` stands for the first item of a list."""
    for key, value in more.items():
        name = key.removesuffix("[]")
        if name != key:
            data[name] = data.get(name) or [{}]
            _add(data[name][0], value)
        elif isinstance(value, dict):
            data[name] = data.get(name) or {}
            _add(data[name], value)
        else:
            data[name] = value


@pytest.mark.parametrize(("kind", "name"), _SETTINGS, ids=lambda each: getattr(each, "__name__", each))
def test_examples_are_valid(kind: Kind, name: str) -> None:
    around = next((_AROUND[key] for key in (f"{kind.__name__}.{name}", kind.__name__) if key in _AROUND), _PLAIN)
    if kind.__module__ == ChartMetadata.__module__:
        assert metadata_of(document(_file(kind, name, {}), "metadata.yaml"))
        return
    found = document(_file(kind, name, around), "spicedb.yaml")
    assert props_of(found)
    if kind is Destination:
        assert getattr(destination_of(found), name) == examples.example(kind, name)


def test_examples_differ_from_the_defaults() -> None:
    same = [
        (kind, name)
        for kind, name in _SETTINGS
        if in_file(attrs.fields_dict(kind)[name].default) == examples.example(kind, name)
    ]
    assert same == []


def test_every_given_example_belongs_to_a_setting() -> None:
    assert examples.unused() == []


def test_every_class_of_props_is_on_a_page() -> None:
    public = {getattr(cdk8s_spicedb, name) for name in cdk8s_spicedb.__all__}
    props = {kind for kind in public if attrs.has(kind) and kind.__module__.startswith("cdk8s_spicedb.props")}
    assert props - set(KINDS) == {PodProps}


@pytest.mark.parametrize("tool", [reference, configuration])
def test_pages_are_up_to_date(tool: ModuleType) -> None:
    for path, text in tool.pages().items():
        assert path.read_text() == text, "run: make reference"
        assert is_generated(path)
        assert "``" not in text
    assert set(reference.INDEX.with_suffix("").iterdir()) < set(reference.pages())


def test_the_index_lists_every_setting() -> None:
    index = reference.pages()[reference.INDEX]
    assert [
        name for kind, name in _SETTINGS if f"[`{camel(name)}`]({link(kind, name, folder='props/')})" not in index
    ] == []


_FOR_FILES = [path for path in PAGES if is_generated(path) and path.stem != "functions"]
"""The generated pages for people who write YAML too."""


@pytest.mark.parametrize("path", _FOR_FILES, ids=lambda path: path.stem)
def test_generated_pages_have_no_words_of_python(path: Path) -> None:
    code = re.findall(r"`([^`\n]+)`", path.read_text())
    assert [
        each for each in code if re.search(r"^(?:None|True|False)$|\{'|timedelta\(", each) and each != _PYTHON
    ] == []


def test_underscores_in_docstrings_are_in_names_of_props() -> None:
    names = {field.name for kind in KINDS for field in attrs.fields(kind)}
    texts = [text for kind in KINDS for text in (kind.__doc__, *field_texts(kind).values())]
    found = {word for text in texts for word in re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", text)}
    assert found - names == set(OF_OTHERS)


def test_flags_fields_and_values_have_their_settings() -> None:
    flags, fields, values = configuration.pages().values()
    assert "[`server.logLevel`](props/server.md#serverprops-loglevel)" in flags
    assert "[`cleanup.activeDeadlineSeconds`](props/jobs.md#cleanupprops-activedeadlineseconds)" in fields
    assert "| `migrations.logLevel`<br>one of `trace`," in values


@pytest.mark.parametrize("value", configuration.values(), ids=lambda value: value.path)
def test_examples_of_values_are_valid(value: Value, chart: helm.Chart) -> None:
    values = load(configuration.shown(value), "values.yaml")[0]
    assert chart.render(name="release", namespace="authz", values=values)


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[helm.Chart]:
    folder = tmp_path_factory.mktemp("values") / "spicedb"
    write_helm_chart(folder, objects.PLAIN)
    with helm.Chart.load(folder) as found:
        yield found


@pytest.mark.parametrize(
    ("kind", "name", "words", "default"),
    [
        (SpiceDBProps, "image_pull_secrets", "list of texts", ""),
        (ServerProps, "log_level", "one of `trace`, `debug`, `info`, `warn`, `error`", "info"),
        (ServerProps, "shutdown_grace_period", "duration from 1s to 1h", "10s"),
        (ServerProps, "metrics_enabled", "`true` or `false`", "true"),
        (ServerProps, "max_surge", "number from 0 to 1000 or a percentage such as `25%`", ""),
        (ServerProps, "readiness_probe", "[Probe](server.md#probe)", "{periodSeconds: 2, timeoutSeconds: 2}"),
        (Resources, "requests", "mapping of `cpu`, `memory`, `ephemeral-storage` to quantity", ""),
        (Alerts, "latency", "duration from 1ms to 1m", "500ms"),
    ],
)
def test_types_and_defaults_are_in_the_words_of_yaml(kind: Kind, name: str, words: str, default: str) -> None:
    assert type_in_words(fields_of(kind)[name]) == words
    assert default_of(attrs.fields_dict(kind)[name]) == default
