"""The SpiceDB schema, written again."""

from __future__ import annotations

import pytest

from cdk8s_spicedb.live.upgrade import schema
from cdk8s_spicedb.live.upgrade.deliver import StepError
from cdk8s_spicedb.live.upgrade.schema import schema_in, write_schema_again
from tests.apiserver import ApiServer, Object, matches
from tests.controllers import finish_job, run_controllers
from tests.live.installed import (
    NEW,
    props,
    servers,
)


def finishing(api: ApiServer, log: str, failed: str = "") -> None:
    """Lets every Job end when it is created."""
    run_controllers(api, fails=lambda _: failed, log=lambda _: log)


def written(api: ApiServer) -> list[Object]:
    """The ConfigMaps that were applied."""
    return [request.body for request in api.asked("patch", "configmaps")]


def test_schema_is_written_again(api: ApiServer) -> None:
    log = '{"level":"info","message":"x"}\ndefinition user {}\n\ndefinition document {}\n'
    finishing(api, log)
    write_schema_again(api.cluster(), props(NEW), lambda _: None)
    (text,) = written(api)
    assert text["metadata"]["name"] == "spicedb-schema-again"
    assert text["data"]["schema.zed"].split() == ["definition", "user", "{}", "definition", "document", "{}"]
    assert not api.of("jobs")
    assert not api.of("configmaps")
    assert len(servers(api)) == len(api.of("pods")), "the pods of the Jobs are gone too"


def test_database_without_schema_is_fine(api: ApiServer) -> None:
    log = "code = NotFound desc = no schema has been defined; please call WriteSchema"
    finishing(api, log, "BackoffLimitExceeded")
    write_schema_again(api.cluster(), props(NEW), lambda _: None)
    assert written(api) == []


def test_schema_that_cannot_be_read_stops(api: ApiServer) -> None:
    finishing(api, "connection refused", "BackoffLimitExceeded")
    with pytest.raises(StepError, match="cannot read the SpiceDB schema"):
        write_schema_again(api.cluster(), props(NEW), lambda _: None)


def test_schema_that_cannot_be_written_stops(api: ApiServer) -> None:
    run_controllers(
        api,
        fails=lambda job: "BackoffLimitExceeded" if api.of("configmaps") else "",
        log=lambda _: "definition user {}",
    )
    with pytest.raises(StepError, match=r"the Job spicedb-schema-\w+ failed"):
        write_schema_again(api.cluster(), props(NEW), lambda _: None)
    assert len(written(api)) == 1


def test_job_that_takes_too_long_stops(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_SECONDS", 0)

    def read(_: object, job: Object) -> None:
        if not api.of("configmaps"):
            finish_job(api, job, log="definition user {}")

    api.on(matches("patch", "jobs"), read)
    with pytest.raises(StepError, match=r"the Job spicedb-schema-\w+ took too long"):
        write_schema_again(api.cluster(), props(NEW), lambda _: None)
    assert api.of("jobs") == []


def test_schema_in_a_log() -> None:
    assert schema_in('{"level":"warn"}\ncaveat c(x int) { x > 0 }') == "caveat c(x int) { x > 0 }"
    assert schema_in("nothing") is None
