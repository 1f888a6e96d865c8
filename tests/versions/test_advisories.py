"""Releases that are known to be wrong."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest

from cdk8s_spicedb import SpiceDBError, known_releases
from cdk8s_spicedb.versions import Advisory, ReleaseRange, Severity, concerns, is_version, read_advisory, version_order

DATA: dict[str, Any] = {
    "id": "X-1",
    "severity": "severe",
    "releases": [{"from": "v1.2.0", "before": "v1.4.0"}],
    "engines": ["mysql"],
    "when": ["tracing", "expiration"],
    "what": "it is wrong",
    "source": "notes",
}
ADVISORY = read_advisory(DATA)


def found(version: str, engine: str | None = "mysql", **known: bool) -> list[str]:
    return [each.text for each in concerns([ADVISORY], version, engine, known)]


@pytest.mark.parametrize(
    ("version", "has"),
    [("v1.1.9", False), ("v1.2.0-rc1", False), ("v1.2.0", True), ("v1.4.0-rc1", True), ("v1.4.0", False)],
)
def test_a_range_begins_with_its_first_release_and_ends_before_the_fix(version: str, has: bool) -> None:
    assert ADVISORY.affects(version) is has
    assert not ADVISORY.affects(version, "helm")


def test_a_range_without_ends_has_all_releases() -> None:
    assert ReleaseRange().has("v0.0.1")
    assert ReleaseRange(before="v1.1.0").has("v0.0.1")
    assert not ReleaseRange(before="v1.1.0").has("v9.0.0")


def test_only_what_concerns_a_configuration_is_found() -> None:
    assert found("v1.3.0", tracing=True, expiration=True) == ["X-1 (severe): it is wrong"]
    assert found("v1.4.0", tracing=True, expiration=True) == []
    assert found("v1.3.0", "postgres", tracing=True, expiration=True) == []
    assert found("v1.3.0", tracing=False) == []
    assert found("v1.3.0", expiration=False) == []


def test_what_is_not_known_is_a_condition() -> None:
    assert found("v1.3.0", tracing=True) == ["X-1 (severe): it is wrong, if its schema has `use expiration`"]
    [both] = found("v1.3.0", None)
    assert both.endswith("it is wrong, if its servers send traces and if its schema has `use expiration`")


def test_the_most_severe_and_certain_one_comes_first() -> None:
    def advisory(name: str, severity: str, *when: str) -> Advisory:
        return read_advisory({**DATA, "id": name, "severity": severity, "engines": [], "when": list(when)})

    many = [
        advisory("a", "low"),
        advisory("b", "severe", "tracing"),
        advisory("c", "moderate"),
        advisory("d", "severe"),
    ]
    assert [each.advisory.id for each in concerns(many, "v1.3.0", "mysql", {})] == ["d", "b", "c", "a"]


def test_what_stands_out() -> None:
    def stands_out(severity: str, **known: bool) -> bool:
        [each] = concerns([read_advisory({**DATA, "severity": severity})], "v1.3.0", "mysql", known)
        return each.stands_out

    sure = {"tracing": True, "expiration": True}
    assert (stands_out("severe"), stands_out("moderate"), stands_out("moderate", **sure)) == (True, False, True)
    assert not stands_out("low", **sure)


@pytest.mark.parametrize(
    ("change", "fix"),
    [
        ({}, "use v1.4.0 or later"),
        ({"advice": "change it"}, "use v1.4.0 or later, and change it"),
        ({"releases": [{"from": "v1.2.0"}]}, "no release is without it yet"),
    ],
)
def test_each_says_what_to_do(change: dict[str, Any], fix: str) -> None:
    [each] = concerns([read_advisory({**DATA, **change})], "v1.3.0", "mysql", {})
    assert each.fix == fix


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"severity": "bad"}, "advisory 'X-1': severity is 'bad'; allowed: severe, moderate, low"),
        ({"when": ["rain"]}, "unknown conditions: rain; known: expiration, "),
        ({"releases": []}, "releases is empty; name a range"),
        ({"releases": [{"before": "1.4"}]}, "invalid versions: 1.4"),
        ({"releases": [{"until": "v1.4.0"}]}, "unknown field until of releases"),
        ({"releases": ["v1.4.0"]}, "releases must be a list, such as"),
        ({"what": " "}, "what is ' '; write a text"),
        ({"program": "kubectl"}, "program is 'kubectl'; allowed: spicedb, helm"),
        ({"engines": "mysql"}, "engines must be a list"),
        ({"engine": ["mysql"]}, "unknown field engine"),
        ({"withdrawn": ["1"]}, "invalid versions: 1"),
    ],
)
def test_invalid_advisories_are_rejected(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(SpiceDBError, match=re.escape(problem)):
        read_advisory({**DATA, **change})


@pytest.mark.parametrize("name", ["id", "severity", "releases", "what", "source"])
def test_advisories_without_a_field_are_rejected(name: str) -> None:
    with pytest.raises(SpiceDBError, match=f"{name} is missing"):
        read_advisory({key: value for key, value in DATA.items() if key != name})


def test_two_advisories_need_two_names() -> None:
    table = known_releases()
    with pytest.raises(SpiceDBError, match="several advisories have the same name: CVE-2026-40091"):
        table.with_advisories([read_advisory({**DATA, "aliases": ["CVE-2026-40091"]})])
    assert table.with_advisories([ADVISORY]).advisory("X-1") == ADVISORY
    assert table.advisory("X-1") is None


# ---------------------------------------------------------------- the data


def test_the_data_names_engines_and_releases_that_are_known() -> None:
    table = known_releases()
    for each in table.advisories:
        assert set(each.engines) <= set(table.engines), each.id
        assert each.fixed is not None, each.id
        assert each.program == "helm" or each.fixed in table, each.id
        assert all(is_version(version) for version in each.withdrawn)
        assert all(each.affects(version) for version in each.withdrawn), each.id


def test_withdrawn_releases_are_part_of_the_advisories() -> None:
    data = json.loads(files("cdk8s_spicedb.versions").joinpath("releases.json").read_text("utf-8"))
    assert "withdrawn" not in data
    assert sorted(known_releases().withdrawn, key=version_order) == [
        *("v1.45.0", "v1.49.0", "v1.49.1", "v1.49.2", "v1.50.0", "v1.51.0"),
    ]


def test_nothing_is_known_to_be_wrong_with_the_newest_release() -> None:
    table = known_releases()
    assert concerns(table.advisories, table.newest, None, {}) == ()


@pytest.mark.parametrize(
    ("name", "last", "engine", "severity"),
    [
        ("spicedb-3431", "v1.57.0", "mysql", Severity.SEVERE),
        ("GHSA-jf7w-wx43-32gc", "v1.56.1", "postgres", Severity.SEVERE),
        ("GO-2026-6617", "v1.56.2", "spanner", Severity.MODERATE),
        ("GHSA-hrxh-6v49-42gf", "v1.54.0", "cockroachdb", Severity.MODERATE),
        ("CVE-2026-55866", "v1.53.0", "postgres", Severity.LOW),
        ("GHSA-9m7r-g8hg-x3vr", "v1.47.0", "postgres", Severity.LOW),
        ("CVE-2025-49011", "v1.44.0", "mysql", Severity.LOW),
    ],
)
def test_known_faults_of_real_releases(name: str, last: str, engine: str, severity: Severity) -> None:
    table = known_releases()
    advisory = table.advisory(name)
    assert advisory is not None
    assert advisory.severity is severity
    assert advisory.concern(last, engine, {}) is not None
    later = min((v for v in table.engines[engine].heads if version_order(v) > version_order(last)), key=version_order)
    assert advisory.concern(later, engine, {}) is None


def test_expired_relationships_concern_only_mysql() -> None:
    advisory = known_releases().advisory("spicedb-3431")
    assert advisory is not None
    assert advisory.concern("v1.56.0", "postgres", {}) is None
    assert advisory.concern("v1.53.0", "mysql", {}) is None


def test_a_fault_of_helm_concerns_no_release_of_spicedb() -> None:
    advisory = known_releases().advisory("helm-32224")
    assert advisory is not None
    assert [advisory.affects(version, "helm") for version in ("v4.2.0", "v4.2.1", "v4.2.2")] == [False, True, False]
    assert not advisory.affects("v4.2.1")
