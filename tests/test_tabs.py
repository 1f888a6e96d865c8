"""The tabs of the documentation: Python and chart values mean the same as the file beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import jsonschema
import pytest
import yaml

import cdk8s_spicedb
from cdk8s_spicedb import Delivery, SpiceDBProps, known_releases, write_helm_chart
from tests.apiserver import merge_patch
from tests.charts import rendered, same
from tests.files.test_read import MATRIX, plain
from tests.helm.test_values import BASE, EVERY_POD, PARTS, POD_VALUES, VALUES, nest
from tests.pages import PAGES
from tests.programs import ROOT
from tools.parts import is_complete, part_of, props_in
from tools.source import python_of
from tools.tabs import ALONE, settings_blocks, tabs, with_tabs
from tools.values import ChartSettings, chart_settings

FILES = [path for path in sorted(ROOT.glob("examples/*/spicedb.yaml")) if is_complete(yaml.safe_load(path.read_text()))]
BLOCKS = {
    **{path.parent.name: path.read_text() for path in FILES},
    **{
        f"{page.relative_to(ROOT)}:{number}": text
        for page in PAGES
        for number, text in enumerate(settings_blocks(page.read_text()), 1)
    },
}
_NAMES = {"timedelta": timedelta, **{name: getattr(cdk8s_spicedb, name) for name in cdk8s_spicedb.__all__}}
_URI = 'SecretKey("spicedb", "datastore-uri")'
_REST = {"datastore=...": f"datastore=PostgreSQL(uri={_URI})", "uri=...": f"uri={_URI}"}
"""What stands for the parts that a block lacks, with what `props_in` adds."""


def same_props(some: Any, other: Any) -> bool:
    """Whether props are the same. Lists and tuples are the same to them."""
    return bool(_normal(some) == _normal(other))


def _normal(value: Any) -> Any:
    if attrs.has(type(value)):
        return type(value), {each.name: _normal(getattr(value, each.name)) for each in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {key: _normal(item) for key, item in value.items()}
    return [_normal(item) for item in value] if isinstance(value, (list, tuple)) else value


def run(source: str, *, complete: bool) -> SpiceDBProps:
    """The props that a source makes. A complete one has its imports."""
    names: dict[str, Any] = {} if complete else {**_NAMES}
    for missing, given in _REST.items():
        source = source.replace(missing, given)
    exec(source, names)
    found: SpiceDBProps = names["props"]
    return found


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS)
def test_python_makes_the_same_props(text: str) -> None:
    part = part_of(text)
    props = props_in(part)
    source = python_of(part.data, props)
    assert same_props(run(source, complete=is_complete(part.data)), props)
    assert max(map(len, source.splitlines())) <= 120


@pytest.mark.parametrize("props", MATRIX.values(), ids=MATRIX)
def test_python_can_say_every_setting(props: SpiceDBProps) -> None:
    part = part_of(yaml.safe_dump(plain(props)))
    props = props_in(part)
    assert same_props(run(python_of(part.data, props), complete=True), props)


VERSION = known_releases().newest
_WRITTEN: dict[str, tuple[str, str]] = {
    "backups": (
        "backup: {schedule: '@hourly'}",
        "backup: {schedule: '15 3 * * *', timeZone: Europe/Berlin, keep: 14, storage: 20Gi}",
    ),
    "another datastore": (
        "datastore: {engine: mysql, host: db, database: d, user: u, password: {name: a, key: b}}",
        "datastore: {engine: mysql, host: db, database: d, user: u, password: {name: c, key: d}}\nname: other",
    ),
    "certificates": (
        "server: {grpcTls: {fromSecret: one}}",
        "server: {grpcTls: {fromSecret: other}, logLevel: warn}",
    ),
    "an autoscaler": (
        "server: {autoscaling: {maxReplicas: 3, cpuUtilization: 50}}",
        "server: {autoscaling: {minReplicas: 3, maxReplicas: 10, cpuUtilization: 50, external: true}}",
    ),
}
"""Files of which a part is fixed when the chart is written: what the chart is written with, and the file."""
_ALL_VALUES = {
    "resources": "server: {resources: {requests: {cpu: 1}, limits: {memory: 4Gi}}}",
    "names": "name: other\nimage: mirror.example.com/spicedb:VERSION-amd64\nopenshift: true",
    "variables": "pods: {env: {A: b}}\nserver: {env: {C: {name: d, key: e}}}",
    "braces": "annotations: {a: '{{ x }}'}\nlabels: {team: a}\nrbacCreate: false\nhookLogs: false",
    "jobs": "cleanup: {image: 'example.com/kubectl:v1'}\nmigration: {backoffLimit: 0, logLevel: debug}",
    "connections": "datastore: {maxConnections: 130}\nserver: {replicas: 2, allowedMigrations: [a]}",
}
_SAMPLES = {
    **_WRITTEN,
    **{name: ("{}", text) for name, text in _ALL_VALUES.items()},
}


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes the chart of a file."""
    folders: dict[str, Path] = {}

    def write(text: str) -> Path:
        if text not in folders:
            folders[text] = tmp_path_factory.mktemp("chart") / "spicedb"
            props = attrs.evolve(props_in(part_of(text)), delivery=Delivery.HELM)
            write_helm_chart(folders[text], props, name="spicedb")
        return folders[text]

    return write


@pytest.mark.parametrize("text", BLOCKS.values(), ids=BLOCKS)
def test_a_chart_accepts_the_values(text: str, chart: Callable[[str], Path]) -> None:
    part = part_of(text)
    settings, folder = chart_settings(part.data, props_in(part)), chart(text)
    # Helm removes a null before it checks the values.
    values = merge_patch(yaml.safe_load((folder / "values.yaml").read_text()), settings.nested())
    jsonschema.Draft7Validator(json.loads((folder / "values.schema.json").read_text())).validate(values)
    assert settings.values or settings.fixed or settings.unused
    if not settings.fixed:
        _require_same(settings, chart("{}"), folder)


@pytest.mark.parametrize("name", _SAMPLES)
def test_values_render_as_the_file_does(name: str, chart: Callable[[str], Path]) -> None:
    written, text = (each.replace("VERSION", VERSION) for each in _SAMPLES[name])
    part = part_of(text)
    settings = chart_settings(part.data, props_in(part))
    _require_same(settings, chart(written), chart(text))
    assert name not in _ALL_VALUES or not settings.fixed


def _require_same(settings: ChartSettings, written: Path, of_file: Path) -> None:
    """A written chart renders with the values as the chart of the file does."""
    found = rendered(written, settings.nested())
    assert same(found, rendered(of_file))
    assert settings.values or same(found, rendered(written))


@pytest.mark.parametrize("path", VALUES)
def test_every_value_is_found(path: str) -> None:
    value, props = VALUES[path]
    data = _difference(plain(props), plain(BASE))
    settings = chart_settings(data, props)
    assert merge_patch(settings.nested(), nest(path, value)) == settings.nested()
    # Only some charts have a URI.
    assert not settings.fixed or path == "secrets.datastoreUri"


@pytest.mark.parametrize(("part", "name"), [each for each in EVERY_POD if each[0] in ("pods", "server")])
def test_every_value_of_pods_is_found(part: str, name: str) -> None:
    (value, fields), path = POD_VALUES[name], f"{PARTS[part]}{name}"
    props = attrs.evolve(BASE, **{part: attrs.evolve(getattr(BASE, part), **fields)})
    settings = chart_settings(_difference(plain(props), plain(BASE)), props)
    assert merge_patch(settings.nested(), nest(path, value)) == settings.nested()
    assert not settings.fixed


def _difference(some: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that differ, with mappings inside."""
    found = {}
    for key, value in some.items():
        if value != other.get(key):
            inner = isinstance(value, dict) and isinstance(other.get(key), dict)
            found[key] = _difference(value, other[key]) if inner else value
    return found


def test_what_is_no_value_is_said() -> None:
    text = tabs("server: {tracing: {endpoint: 'collector:4317'}}\n")
    assert text.endswith("    There is no value for this: write the chart with `server.tracing`.")
    text = tabs("upgradeBackup: {command: [backup]}\n")
    assert text.endswith('=== "Chart values"\n\n    This changes nothing in the chart: `upgradeBackup`.')
    text = tabs("backup: {schedule: '@daily'}\nversion: v1.57.1\n")
    assert text.endswith("    Fixed when the chart is written: that `backup` is set, `version`.")


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("server: {grpcPort: 50051}", "There is no value for this: write the chart with `server.grpcPort`."),
        ("server: {grpcPort: 5005}", "There is no value for this: write the chart with `server.grpcPort`."),
        ("rbacCreate: true", "    rbac:\n      create: true\n    ```"),
        ("server: {replicas: 2}", "    replicas: 2\n    ```"),
    ],
)
def test_a_setting_that_is_its_default_is_told(text: str, end: str) -> None:
    assert tabs(f"{text}\n").endswith(end)


_BLOCK = "```yaml\nserver: {replicas: 3}\n```\n"


def test_a_block_becomes_tabs_where_it_stands() -> None:
    assert with_tabs(f"Before\n\n{_BLOCK}\nafter\n") == (
        'Before\n\n=== "spicedb.yaml"\n\n    ```yaml\n    server: {replicas: 3}\n    ```\n\n'
        '=== "Python"\n\n    ```python\n    props = SpiceDBProps(\n        datastore=...,\n'
        "        server=ServerProps(replicas=3),\n    )\n    ```\n\n"
        '=== "Chart values"\n\n    ```yaml\n    replicas: 3\n    ```\n\nafter\n'
    )


def test_a_block_in_a_list_stays_in_it() -> None:
    text = with_tabs("1. Do this:\n\n    ```yaml\n    server: {replicas: 3}\n    ```\n\n2. Then this.\n")
    assert '\n    === "spicedb.yaml"\n\n        ```yaml\n        server: {replicas: 3}\n        ```\n' in text
    assert text.endswith("        ```\n\n2. Then this.\n")


@pytest.mark.parametrize(
    "text",
    [
        f"<!-- no tabs -->\n{_BLOCK}",
        f"<!-- no tabs -->\n\n{_BLOCK}",
        "```yaml\nnamespace: authz\n```\n",
        "```yaml\nreplicas: 3\n```\n",
        "```yaml\napiVersion: v1\nkind: Service\n---\napiVersion: v1\n```\n",
    ],
)
def test_other_blocks_stay_alone(text: str) -> None:
    assert with_tabs(text) == text
    assert not list(settings_blocks(text))


def test_pages_without_tabs_exist() -> None:
    assert all((ROOT / page).exists() for page in ALONE)


def test_values_of_other_types_are_written_as_python() -> None:
    text = """
    datastore:
      engine: cockroachdb
      uri: {key: uri, name: database}
      gcWindow: 25h
      relationshipIntegrity:
        keyId: new
        key: {name: keys, key: new}
        expiredKeys: [{id: old, key: {name: keys, key: old}, expiredAt: 2026-01-02T00:00:00Z}]
    server: {shutdownGracePeriod: 90s}
    """
    part = part_of(text)
    source = python_of(part.data, props_in(part))
    assert "gc_window=timedelta(days=1, hours=1)" in source
    assert "timedelta(minutes=1, seconds=30)" in source
    assert 'SecretKey("database", "uri")' in source
    assert same_props(run(source, complete=True), props_in(part))


def test_a_part_of_a_datastore_says_what_is_missing() -> None:
    part = part_of("datastore: {maxConnections: 130}")
    source = python_of(part.data, props_in(part))
    assert source == "props = SpiceDBProps(datastore=PostgreSQL(uri=..., max_connections=130))\n"
    assert same_props(run(source, complete=False), props_in(part))


def test_the_alert_about_late_backups_is_fixed() -> None:
    text = tabs("backup: {schedule: '@daily'}\nmonitoring: {alerts: {}}\n")
    assert "the alert about late backups, that `backup` is set, `monitoring.alerts`." in text
