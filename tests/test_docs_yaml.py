"""The YAML of the documentation and the examples is what the package, Helm and Kubernetes accept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
from attrs import evolve, fields

from cdk8s_spicedb import Delivery, InvalidProps, SpiceDBError, known_releases, write_helm_chart
from cdk8s_spicedb.files.read import document, metadata_of
from cdk8s_spicedb.files.releases import with_file
from cdk8s_spicedb.helm.chart import release_files
from cdk8s_spicedb.props import problems
from cdk8s_spicedb.props.chart import ChartMetadata
from cdk8s_spicedb.props.fields import camel
from cdk8s_spicedb.props.rules.warnings import advisory_warnings, all_warnings
from tests import fast_yaml
from tests.charts import rendered
from tests.manifests.test_kubernetes import VERSIONS, validate
from tests.pages import BY_HAND, PAGES, blocks
from tests.programs import ROOT
from tools.parts import is_part, part_of, props_in

_METADATA = {camel(field.name) for field in fields(ChartMetadata)}

_OTHERS = {
    "docs/install/product.md": {
        "dependencies": "a part of somebody's Chart.yaml, which Helm reads",
    },
    "docs/install/files.md": {
        "": "a comment for the editor",
    },
    "docs/install/kustomize.md": {
        "resources": "a kustomization",
        "resources, namePrefix, labels": "a kustomization",
        "resources, namePrefix, labels, replacements": "a kustomization",
    },
    "examples/updates/upgrade-plan.yaml": {
        "name, True, permissions, jobs": "a workflow of GitHub Actions, which tests/test_updates.py reads",
    },
}
"""YAML for other programs: its page, its keys, and what it is."""

_EXAMPLES = [
    path
    for path in sorted(ROOT.glob("examples/**/*.yaml"))
    # The examples run with their cdk8s.yaml, and dist/ has what they write. test_environments.py merges the files of
    # environments and tenants, which are complete only together.
    if path.name != "cdk8s.yaml" and not {"dist", "environments", "tenants"} & set(path.parts)
]
_BLOCKS = {
    f"{path.relative_to(ROOT)}:{number}": text
    for path in [*PAGES, *_EXAMPLES]
    for number, text in enumerate(blocks("yaml", path) if path.suffix == ".md" else [path.read_text()], 1)
}


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart with which values are tried."""
    folder = tmp_path_factory.mktemp("values") / "chart"
    write_helm_chart(folder, props_in(part_of("{}")))
    return folder


def kind_of(text: str) -> str:
    """What a block of YAML is. Its keys, if it is nothing that this package knows."""
    documents = list(fast_yaml.load_all(text)) or [None]
    keys = (documents[0] or {}).keys()
    if all(found and "apiVersion" in found and "kind" in found for found in documents):
        return "manifests"
    if not keys:
        return ""
    if is_part(documents[0]):
        return "file"
    if keys <= _METADATA:
        return "metadata"
    if all(key == "advisories" or key.startswith("v1.") for key in map(str, keys)):
        return "releases"
    # A chart that depends on this one, a HelmRelease, and an Application.
    if keys <= {"spicedb", "global"} or keys in ({"values"}, {"source"}):
        return "values"
    return ", ".join(map(str, keys))


def check(text: str, chart: Path) -> None:
    """Checks a block of YAML with the program that reads it."""
    kind = kind_of(text)
    if kind == "manifests":
        for manifest in fast_yaml.load_all(text):
            _check_manifest(manifest)
    elif kind == "file":
        _check_file(text)
    elif kind == "metadata":
        metadata_of(document(text, "metadata.yaml"))
    elif kind == "releases":
        with_file(known_releases(), fast_yaml.load(text))
    elif kind == "values":
        assert rendered(chart, _values_in(fast_yaml.load(text)))


def _check_file(text: str) -> None:
    """Checks a file, or a part of one: it has no problem, and can be written for each program."""
    props = props_in(part_of(text))
    assert set(all_warnings(props)) <= set(advisory_warnings(props, "acceptAdvisories: [{}]"))
    deliveries = [props.delivery] if "delivery" in fast_yaml.load(text) else list(Delivery)
    for delivery in deliveries:
        delivered = evolve(props, delivery=delivery)
        # A permission test, for example, is for Helm alone.
        if list(problems(delivered)):
            continue
        files = release_files(delivered, "1.0.0")
        assert files
        for manifest in () if delivery.is_chart else fast_yaml.load_all("---\n".join(files.values())):
            _check_manifest(manifest)


def _check_manifest(manifest: Mapping[str, Any]) -> None:
    """Checks an object of Kubernetes. Kinds of others have a domain in their group, and only a name here."""
    assert manifest["metadata"]["name"]
    group = manifest["apiVersion"].rpartition("/")[0]
    if "." not in group or group.endswith(".k8s.io"):
        for version in VERSIONS:
            validate(dict(manifest), version)


def _values_in(found: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a block passes to the chart."""
    if "source" in found:
        return dict(found["source"]["helm"]["valuesObject"])
    if "values" in found:
        return dict(found["values"])
    return {**found.get("spicedb", {}), **({"global": found["global"]} if "global" in found else {})}


_KINDS = {"manifests", "file", "metadata", "releases", "values"}


@pytest.mark.parametrize("name", _BLOCKS)
def test_yaml_is_accepted(name: str, chart: Path) -> None:
    kind = kind_of(_BLOCKS[name])
    assert kind in _KINDS or kind in _OTHERS.get(name.rpartition(":")[0], {}), f"nothing knows these keys: {kind}"
    check(_BLOCKS[name], chart)


def test_all_kinds_and_exceptions_occur() -> None:
    found = {(name.rpartition(":")[0], kind_of(text)) for name, text in _BLOCKS.items()}
    assert {kind for _, kind in found} >= _KINDS
    assert found >= {(page, keys) for page, exceptions in _OTHERS.items() for keys in exceptions}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("server: {schema_mode: read-new-write-new}\n", InvalidProps),
        ("spicedb: {migrations: {hooks: false}}\n", helm.HelmError),
        ("apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {port: 1}\n", kubernetes_validate.ValidationError),
        ("icon: 5\n", InvalidProps),
        ("v1.99.0: {postgresql: [new]}\n", SpiceDBError),
    ],
)
def test_wrong_yaml_is_found(text: str, problem: type[Exception], chart: Path) -> None:
    with pytest.raises(problem):
        check(text, chart)


# test_reference.py reads the examples of generated pages, which are settings of the class above them.
@pytest.mark.parametrize("page", BY_HAND, ids=lambda page: page.name)
def test_settings_in_sentences_are_accepted(page: Path) -> None:
    for text in _inline(page):
        props_in(part_of(text))


def _inline(page: Path) -> Iterator[str]:
    """The parts of files in the sentences of a page, such as `migration: {hook: false}`."""
    for code in re.findall(r"`([a-z]\w*:\s+[\[{][^`…]*[\]}])`", page.read_text()):
        text = " ".join(code.split())
        if is_part(fast_yaml.load(text)):
            yield text


def test_settings_in_sentences_are_found() -> None:
    assert len([text for page in BY_HAND for text in _inline(page)]) > 5


def test_unknown_yaml_is_found() -> None:
    assert kind_of("servers: {replicas: 3}\nmigration: {}\n") not in _KINDS


def test_the_tutorial_has_the_database_and_the_client_of_the_examples() -> None:
    database, _, client = blocks("yaml", ROOT / "docs" / "get-started" / "first.md")
    assert database == (ROOT / "examples" / "postgres.yaml").read_text()
    assert client == (ROOT / "examples" / "client.yaml").read_text()
