"""The SpiceDB schema, written again."""

from __future__ import annotations

import json

import pytest

from cdk8s_spicedb.live.schema import schema_in
from cdk8s_spicedb.live.upgrade import schema
from cdk8s_spicedb.live.upgrade.deliver import StepError
from cdk8s_spicedb.live.upgrade.schema import write_schema_again
from tests.apiserver import ApiServer, Object, matches
from tests.controllers import finish_job, run_controllers
from tests.live.clock import FakeClock
from tests.live.installed import (
    NEW,
    props,
    servers,
)


def finishing(api: ApiServer, log: str, failed: str = "") -> None:
    """Lets every Job end when it is created."""
    run_controllers(api, fails=lambda _: failed, log=lambda _: log)


def read(schema: str, *before: str) -> str:
    """What ``zed schema read --json`` prints."""
    return "\n".join([*before, json.dumps({"readAt": {"token": "x"}, "schemaText": schema}, indent=2)])


def written(api: ApiServer) -> list[Object]:
    """The ConfigMaps that were applied."""
    return [request.body for request in api.asked("patch", "configmaps")]


def test_schema_is_written_again(api: ApiServer) -> None:
    finishing(api, read("definition user {}\n\ndefinition document {}\n", '{"level":"info","message":"x"}'))
    write_schema_again(api.cluster(), props(NEW), lambda _: None)
    (text,) = written(api)
    assert text["metadata"]["name"] == "spicedb-schema-again"
    assert text["data"]["schema.zed"].split() == ["definition", "user", "{}", "definition", "document", "{}"]
    assert not api.of("jobs")
    assert not api.of("configmaps")
    assert len(servers(api)) == len(api.of("pods")), "the pods of the Jobs are gone too"


@pytest.mark.parametrize(
    "error",
    [
        # v1.37.1
        "rpc error: code = NotFound desc = No schema has been defined; please call WriteSchema to start",
        # v1.52.0, and v1.56.0 and v1.57.1 in the schema modes read-legacy-…
        "rpc error: code = NotFound desc = no schema has been defined; please call WriteSchema to start",
        # v1.56.0 and v1.57.1 in the schema modes read-new-…
        "rpc error: code = NotFound desc = failed to read stored schema: schema not found",
    ],
)
def test_database_without_schema_is_fine(api: ApiServer, error: str) -> None:
    log = json.dumps({"level": "error", "error": error, "message": "terminated with errors"})
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
        log=lambda _: read("definition user {}"),
    )
    with pytest.raises(StepError, match=r"the Job that writes the SpiceDB schema failed"):
        write_schema_again(api.cluster(), props(NEW), lambda _: None)
    assert len(written(api)) == 1


def test_job_that_takes_too_long_stops(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_SECONDS", 0)

    def end(_: object, job: Object) -> None:
        if not api.of("configmaps"):
            finish_job(api, job, log=read("definition user {}"))

    api.on(matches("patch", "jobs"), end)
    with pytest.raises(StepError, match=r"the Job that \w+ the SpiceDB schema has not ended after 0 s"):
        write_schema_again(api.cluster(), props(NEW), lambda _: None)
    assert api.of("jobs") == []


WHOLE = read('caveat ccc(x int) {\n\tx > 0\n}\n\n/** {"level" */\ndefinition user {}', '{"level":"warn"}')


def test_schema_in_a_log() -> None:
    assert schema_in(WHOLE) == 'caveat ccc(x int) {\n\tx > 0\n}\n\n/** {"level" */\ndefinition user {}'


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_schema_that_is_cut_is_none(end: int) -> None:
    assert schema_in(WHOLE[:end]) is None


@pytest.mark.parametrize("log", ["nothing", "{}", '{"schemaText": null}', '{"schemaText": " "}', "[]", "[" * 100_000])
def test_log_without_a_schema(log: str) -> None:
    assert schema_in(log) is None


def test_end_of_the_log_that_comes_late_is_waited_for(api: ApiServer, clock: FakeClock) -> None:
    """The node may write it after the Job has succeeded."""
    finishing(api, WHOLE[:60])

    def complete(_: float) -> None:
        for pod in api.logs:
            api.logs[pod] = WHOLE

    clock.on_sleep = complete
    write_schema_again(api.cluster(clock=clock), props(NEW), lambda _: None)
    (text,) = written(api)
    assert text["data"]["schema.zed"] == schema_in(WHOLE)


def test_schema_whose_end_never_comes_is_not_written(api: ApiServer, clock: FakeClock) -> None:
    finishing(api, WHOLE[:60])
    with pytest.raises(StepError, match="the log of the Job that reads it is not complete"):
        write_schema_again(api.cluster(clock=clock), props(NEW), lambda _: None)
    assert written(api) == []


def test_schema_of_a_job_that_failed_in_the_end_is_not_written(api: ApiServer) -> None:
    finishing(api, WHOLE, "BackoffLimitExceeded")
    with pytest.raises(StepError, match="cannot read the SpiceDB schema: the Job that reads it failed"):
        write_schema_again(api.cluster(), props(NEW), lambda _: None)
    assert written(api) == []


def test_jobs_are_deleted_even_if_this_process_is_killed(api: ApiServer) -> None:
    """With the Deployment, or some minutes after their end."""
    finishing(api, WHOLE)
    write_schema_again(api.cluster(), props(NEW), lambda _: None)
    jobs = [request.body for request in api.asked("patch", "jobs")]
    assert [job["spec"]["ttlSecondsAfterFinished"] for job in jobs] == [300, 300]
    uid = api.get("deployments", "spicedb")["metadata"]["uid"]
    assert {each["metadata"]["ownerReferences"][0]["uid"] for each in [*jobs, *written(api)]} == {uid}
