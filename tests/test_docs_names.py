"""The settings that the documentation names are settings of files, of Python or of charts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

import cdk8s_spicedb
import cdk8s_spicedb.live.data
from cdk8s_spicedb import Autoscaling, PostgreSQL, SecretKey, ServerProps, SpiceDBProps, write_helm_chart
from cdk8s_spicedb.files.schema import props_schema
from cdk8s_spicedb.props.fields import camel
from tests.pages import PAGES
from tests.programs import ROOT

_FILE = props_schema()
_OF_OTHERS = {"service.name"}
"""Names that only look like settings: an attribute of OpenTelemetry."""
_FILES = ("py", "md", "yaml", "zed")
_VALUES = ROOT / "docs" / "reference" / "values.md"

Schema = Mapping[str, Any]


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Schema]:
    """The schemas of the values of two charts, which together have all values that the documentation names."""
    key = SecretKey("database", "host")
    parts = PostgreSQL(host=key, port=key, user=key, password=key, database=key)
    scaled = ServerProps(autoscaling=Autoscaling(min_replicas=2, max_replicas=4))
    found = []
    for number, props in enumerate(
        (
            SpiceDBProps(datastore=PostgreSQL(uri=SecretKey("database", "uri")), server=scaled),
            SpiceDBProps(datastore=parts),
        )
    ):
        folder = tmp_path_factory.mktemp("names") / f"chart-{number}"
        write_helm_chart(folder, props)
        found.append(json.loads((folder / "values.schema.json").read_text()))
    return found


def _text(page: Path) -> str:
    """A page without what it says of other charts."""
    text = page.read_text()
    return "\n".join(line.rsplit(" | ", 1)[-1] for line in text.splitlines()) if page == _VALUES else text


def _inline(page: Path) -> Iterator[tuple[str, ...]]:
    """The paths in the inline code of a page, such as `server.schemaMode: …`."""
    for code in re.findall(r"`([^`\n]+)`", _text(page)):
        found = re.match(r"([A-Za-z]\w*(?:\.\w+)+)(?:$|[=:( ])", code)
        if found and found[1] not in _OF_OTHERS and not found[1].endswith(_FILES):
            yield tuple(found[1].split("."))


def _set_by_helm(page: Path) -> Iterator[tuple[str, ...]]:
    """The paths of the values that a page sets with ``--set``."""
    for options in re.findall(r"--set(?:-string)? ([^\s`]+)", page.read_text()):
        for option in options.split(","):
            yield tuple(re.sub(r"\[\d+\]", "", option.partition("=")[0]).split("."))


def _variants(schema: Schema) -> Iterator[Schema]:
    """A schema, and those that it refers to or chooses from."""
    if "$ref" in schema:
        yield from _variants(_FILE["$defs"][schema["$ref"].rpartition("/")[2]])
    yield schema
    for each in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
        yield from _variants(each)


def _has(schema: Schema, path: Sequence[str]) -> bool:
    """Whether a schema has a setting. A mapping whose keys are free has all."""
    if not path:
        return True
    known = [each["properties"] for each in _variants(schema) if "properties" in each]
    return not known or any(path[0] in each and _has(each[path[0]], path[1:]) for each in known)


def _is_value(path: Sequence[str], values: Sequence[Schema]) -> bool:
    return any(path[0] in schema["properties"] and _has(schema, path) for schema in values)


def _is_setting(path: Sequence[str], values: Sequence[Schema]) -> bool:
    """Whether a path is one of a file, with the names of files or of Python, or of a chart."""
    in_files = tuple(camel(name) for name in path)
    return _has(_FILE, in_files) or _is_value(path, values)


def _looks_like_one(path: Sequence[str], values: Sequence[Schema]) -> bool:
    return camel(path[0]) in _FILE["properties"] or any(path[0] in schema["properties"] for schema in values)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_settings_exist(page: Path, values: Sequence[Schema]) -> None:
    named = [path for path in _inline(page) if _looks_like_one(path, values)]
    assert [".".join(path) for path in named if not _is_setting(path, values)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_values_that_helm_sets_exist(page: Path, values: Sequence[Schema]) -> None:
    assert [".".join(path) for path in _set_by_helm(page) if not _is_value(path, values)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_named_members_of_classes_exist(page: Path) -> None:
    wrong = []
    for path in _inline(page):
        # The package and `live.data` both have a class `Server`.
        found = [getattr(module, path[0], None) for module in (cdk8s_spicedb, cdk8s_spicedb.live.data)]
        kinds = [kind for kind in found if isinstance(kind, type)]
        if kinds and not any(_has_member(kind, path[1]) for kind in kinds):
            wrong.append(".".join(path))
    assert wrong == []


def _has_member(kind: type, name: str) -> bool:
    return hasattr(kind, name) or (attrs.has(kind) and name in attrs.fields_dict(kind))


def test_names_are_found(values: Sequence[Schema]) -> None:
    found = [path for page in PAGES for path in _inline(page)]
    assert len([path for path in found if _looks_like_one(path, values)]) > 100
    assert len([path for path in found if hasattr(cdk8s_spicedb, path[0])]) > 10
    assert len([path for page in PAGES for path in _set_by_helm(page)]) > 5
    assert not _is_setting(("server", "schemamode"), values)
    assert not _is_value(("migrations", "hooks"), values)
    assert _is_value(("secrets", "datastoreHost", "name"), values)
