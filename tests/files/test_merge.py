"""Several files become one SpiceDB: later files change what earlier ones set."""

from __future__ import annotations

from functools import reduce

import pytest

from cdk8s_spicedb import InvalidProps, Memory, MySQL, PostgreSQL, SecretKey, SpiceDBProps
from cdk8s_spicedb.files.read import Document, document, merge, props_of

BASE = """\
name: authz
version: v1.52.0
datastore:
  engine: postgres
  uri: {name: spicedb, key: datastore-uri}
  gcWindow: 6h
server:
  replicas: 3
  logLevel: debug
  podLabels: {team: identity, tier: one}
  tolerations: [{key: a, operator: Exists}, {key: b, operator: Exists}]
"""


def merged(*texts: str) -> Document:
    """The files 1.yaml, 2.yaml and so on as one."""
    return reduce(merge, (document(text, f"{number}.yaml") for number, text in enumerate(texts, 1)))


def read(*texts: str) -> SpiceDBProps:
    return props_of(merged(*texts))


def problems(*texts: str) -> dict[str, str]:
    """By path and place, the value and the fix."""
    with pytest.raises(InvalidProps) as caught:
        read(*texts)
    return {each.field: f"{each.value} | {each.fix}" for each in caught.value.problems}


def test_mappings_are_merged_and_other_values_replaced() -> None:
    props = read(
        BASE, "version: v1.56.0\nserver:\n  podLabels: {tier: two}\n  tolerations: [{key: c, operator: Exists}]"
    )
    assert (props.name, props.version, props.server.replicas) == ("authz", "v1.56.0", 3)
    assert props.server.pod_labels == {"team": "identity", "tier": "two"}
    assert [toleration.key for toleration in props.server.tolerations] == ["c"]


def test_each_later_file_counts_more() -> None:
    assert read(BASE, "version: v1.53.0", "", "version: v1.56.0").version == "v1.56.0"


@pytest.mark.parametrize(
    ("later", "path"), [("server: {logLevel: null}", "server.logLevel"), ("server:", "server"), ("name: ~", "name")]
)
def test_null_removes_a_key(later: str, path: str) -> None:
    found = merged(BASE, later)
    data = found.data
    for part in path.split("."):
        assert isinstance(data, dict)
        data = data.get(part)
    assert data is None
    assert found.places[path].name == "2.yaml"
    assert read(BASE, later)


def test_null_without_an_earlier_value_means_what_it_means_in_one_file() -> None:
    assert read(BASE, "server: {disruptionBudget: null}").server.disruption_budget is None
    assert problems(BASE, "migration:")["migration (2.yaml, line 1)"].startswith("null | write its keys")


def test_another_engine_replaces_the_datastore() -> None:
    assert read(BASE, "datastore: {engine: memory}\nserver: {replicas: 1}").datastore == Memory()
    mysql = MySQL(uri=SecretKey("spicedb", "other"))
    assert read(BASE, "datastore: {engine: mysql, uri: {name: spicedb, key: other}}").datastore == mysql


def test_the_same_engine_keeps_the_datastore() -> None:
    for engine in ("", "engine: postgres, "):
        datastore = read(BASE, f"datastore: {{{engine}uri: {{key: other}}}}").datastore
        assert isinstance(datastore, PostgreSQL)
        assert datastore.uri == SecretKey("spicedb", "other")
        assert datastore.gc_window is not None


def test_an_engine_can_come_later() -> None:
    assert read("datastore: {gcWindow: 6h}", BASE).datastore == read(BASE).datastore


def test_a_missing_setting_of_another_engine_is_explained() -> None:
    found = problems(BASE, "datastore:\n  engine: mysql\n  database: authz")
    assert found["datastore.host (2.yaml, line 1)"].endswith(
        "; 2.yaml names another engine, so the datastore of earlier files does not count"
    )


def test_problems_have_the_file_and_line_of_their_value() -> None:
    later = "server:\n  logLevel: loud\n  replica: 2\nmigration: {migrationTimeout: 2h}\n"
    with pytest.raises(InvalidProps, match=r"^5 problems in 1\.yaml, 2\.yaml and 3\.yaml:") as caught:
        read(f"{BASE}  zone: a\n", later, "server:\n  podLabels: {tier: 1}\n")
    assert [problem.field for problem in caught.value.problems] == [
        "server.zone (1.yaml, line 12)",
        "server.logLevel (2.yaml, line 2)",
        "server.replica (2.yaml, line 3)",
        "migration.migrationTimeout (2.yaml, line 4)",
        "server.podLabels (3.yaml, line 2)",
    ]


def test_a_rule_names_the_place_of_the_value_that_it_is_about() -> None:
    found = problems(BASE, "datastore: {engine: memory}")
    assert "server.replicas (1.yaml, line 8)" in found


def test_a_list_that_is_replaced_has_the_new_lines() -> None:
    found = problems(BASE, "server:\n  tolerations:\n    - {key: a, operator: Exist}")
    assert list(found) == ["server.tolerations[0].operator (2.yaml, line 3)"]


def test_a_removed_required_key_is_missing_where_it_was_removed() -> None:
    assert problems(BASE, "name: a\ndatastore: null") == {
        "datastore (2.yaml, line 2)": "(missing) | add it; `cdk8s-spicedb json-schema` shows what it takes"
    }


@pytest.mark.parametrize(("texts", "place"), [((BASE, "- a"), "2.yaml"), (("- a", BASE), "1.yaml")])
def test_each_file_is_a_mapping(texts: tuple[str, str], place: str) -> None:
    assert list(problems(*texts)) == [f"the file ({place}, line 1)"]


def test_secrets_are_not_shown() -> None:
    with pytest.raises(InvalidProps) as caught:
        read(BASE, "datastore: {password: hunter2}")
    assert "hunter2" not in str(caught.value)
