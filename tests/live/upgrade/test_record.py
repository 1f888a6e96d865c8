"""The record of an upgrade: what is written is read again, also by later versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cdk8s_spicedb import PostgreSQL, SpiceDBError, plan_upgrade
from cdk8s_spicedb.live.cluster import Cluster
from cdk8s_spicedb.live.record import Figures, Record, Sound, read_record, write_record
from tests.live.store import Object, Store

RECORD = Record(
    plan=plan_upgrade(PostgreSQL, "v1.30.0", "v1.56.0", relationships=50_000_000),
    started="2030-01-01T00:00:00Z",
    sound=(Sound(step=0, version="v1.30.0", schema_mode=None, revision="1"),),
    running=1,
    stopped="it failed",
    before=Figures(requests=10, error_ratio=0, p99_seconds=None),
)


@pytest.fixture
def cluster() -> Cluster:
    found = Store().cluster()
    write_record(found, "spicedb", RECORD)
    return found


def rewritten(cluster: Cluster, change: Callable[[Object], None]) -> None:
    """Changes the record in the ConfigMap."""
    from cdk8s_spicedb.live.cluster import CONFIG_MAP

    found = cluster.get(CONFIG_MAP, "spicedb-upgrade")
    assert found is not None
    data = json.loads(found["data"]["record.json"])
    change(data)
    found["data"]["record.json"] = json.dumps(data)
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", **found})


def test_what_is_written_is_read_again(cluster: Cluster) -> None:
    assert any(step.estimates for step in RECORD.plan.steps), "so that nested lists and enums are read too"
    assert read_record(cluster, "spicedb") == RECORD
    rewritten(cluster, lambda data: expect(data, format=1))


def expect(data: Object, **fields: Any) -> None:
    assert {name: data.get(name) for name in fields} == fields


def test_records_of_older_versions_are_read(cluster: Cluster) -> None:
    def as_before(data: Object) -> None:
        del data["format"]
        data["process"] = "host:4711"

    rewritten(cluster, as_before)
    found = read_record(cluster, "spicedb")
    assert found == RECORD
    write_record(cluster, "spicedb", found)
    rewritten(cluster, lambda data: expect(data, process=None))


def test_record_of_a_newer_version_is_refused(cluster: Cluster) -> None:
    def later(data: Object) -> None:
        data.update(format=2, plan="in another form")

    rewritten(cluster, later)
    with pytest.raises(SpiceDBError, match=r"a newer version of cdk8s-spicedb wrote .* ConfigMap spicedb-upgrade"):
        read_record(cluster, "spicedb")


def remove(name: str) -> Callable[[Object], None]:
    return lambda data: data.pop(name)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (remove("started"), "required field missing at started"),
        (lambda data: data.update(started=None), "expected str at started"),
        (lambda data: data.update(running="1"), r"expected int \| None at running"),
        (lambda data: data.update(running=True), r"expected int \| None at running"),
        (lambda data: data.update(sound=[]), "sound is empty"),
        (lambda data: data["sound"][0].pop("revision"), r"required field missing at sound\[0\]\.revision"),
        (lambda data: data["plan"]["steps"][0].update(migrates="yes"), r"expected bool at plan\.steps\[0\]\.migrates"),
        (lambda data: data["before"].update(error_ratio="0"), r"expected float at before\.error_ratio"),
    ],
)
def test_record_that_is_not_valid_names_the_field(
    cluster: Cluster, change: Callable[[Object], None], problem: str
) -> None:
    rewritten(cluster, change)
    place = "record.json in the ConfigMap spicedb-upgrade is not valid: "
    with pytest.raises(SpiceDBError, match=f"^{place}.*{problem}; correct it$"):
        read_record(cluster, "spicedb")


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "3"])
def test_record_that_is_no_object(text: str) -> None:
    store = Store()
    store.put("configmaps", {"metadata": {"name": "spicedb-upgrade"}, "data": {"record.json": text}})
    with pytest.raises(SpiceDBError, match=r"^record\.json in the ConfigMap spicedb-upgrade is not .*; correct it$"):
        read_record(store.cluster(), "spicedb")


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {"other": ""}}])
def test_config_map_without_a_record(data: Object) -> None:
    store = Store()
    assert read_record(store.cluster(), "spicedb") is None
    store.put("configmaps", {"metadata": {"name": "spicedb-upgrade"}, **data})
    assert read_record(store.cluster(), "spicedb") is None
