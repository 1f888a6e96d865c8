"""The record of an upgrade: what is written is read again, also by later versions."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cdk8s_spicedb import PostgreSQL, SpiceDBError, plan_upgrade
from cdk8s_spicedb.live.record import Figures, Record, RecordFile, Sound, read_record
from tests.apiserver import ApiServer, Object

FIX = "correct it, or delete it with `kubectl delete configmap spicedb-upgrade --namespace authz`$"
RECORD = Record(
    plan=plan_upgrade(PostgreSQL, "v1.30.0", "v1.56.0", relationships=50_000_000),
    started="2030-01-01T00:00:00Z",
    sound=(Sound(step=0, version="v1.30.0", schema_mode=None, revision="1"),),
    running=1,
    stopped="it failed",
    before=Figures(requests=10, error_ratio=0, p99_seconds=None),
)


@pytest.fixture
def api() -> ApiServer:
    made = ApiServer()
    RecordFile(made.cluster(), "spicedb").write(RECORD)
    return made


def rewritten(api: ApiServer, change: Callable[[Object], None]) -> None:
    """Changes the record in the ConfigMap."""
    found = api.get("configmaps", "spicedb-upgrade")["data"]
    data = json.loads(found["record.json"])
    change(data)
    found["record.json"] = json.dumps(data)


def test_what_is_written_is_read_again(api: ApiServer) -> None:
    assert any(step.estimates for step in RECORD.plan.steps), "so that nested lists and enums are read too"
    assert read_record(api.cluster(), "spicedb") == RECORD
    rewritten(api, lambda data: expect(data, format=1))


def expect(data: Object, **fields: Any) -> None:
    assert {name: data.get(name) for name in fields} == fields


def test_records_of_older_versions_are_read(api: ApiServer) -> None:
    def as_before(data: Object) -> None:
        del data["format"]
        data["process"] = "host:4711"

    rewritten(api, as_before)
    file = RecordFile(api.cluster(), "spicedb")
    found = file.read()
    assert found == RECORD
    file.write(found)
    rewritten(api, lambda data: expect(data, process=None))


def test_record_of_a_newer_version_is_refused(api: ApiServer) -> None:
    def later(data: Object) -> None:
        data.update(format=2, plan="in another form")

    rewritten(api, later)
    with pytest.raises(SpiceDBError, match=r"a newer version of cdk8s-spicedb wrote .* ConfigMap spicedb-upgrade"):
        read_record(api.cluster(), "spicedb")


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
    api: ApiServer, change: Callable[[Object], None], problem: str
) -> None:
    rewritten(api, change)
    place = "record.json in the ConfigMap spicedb-upgrade is not valid: "
    with pytest.raises(
        SpiceDBError,
        match=f"^{place}.*{problem}; {FIX}",
    ):
        read_record(api.cluster(), "spicedb")


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "3"])
def test_record_that_is_no_object(text: str) -> None:
    api = ApiServer()
    api.put("configmaps", {"metadata": {"name": "spicedb-upgrade"}, "data": {"record.json": text}})
    with pytest.raises(
        SpiceDBError, match=r"^record\.json in the ConfigMap spicedb-upgrade is not .*; correct it, or delete it"
    ):
        read_record(api.cluster(), "spicedb")


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": {"other": ""}}])
def test_config_map_without_a_record(data: Object) -> None:
    api = ApiServer()
    assert read_record(api.cluster(), "spicedb") is None
    api.put("configmaps", {"metadata": {"name": "spicedb-upgrade"}, **data})
    assert read_record(api.cluster(), "spicedb") is None
