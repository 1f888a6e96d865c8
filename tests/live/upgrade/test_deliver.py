"""The programs that apply a release, and what they are waited for."""

from __future__ import annotations

import sys

import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live.upgrade import deliver as program
from cdk8s_spicedb.live.upgrade.deliver import Ended, progress, run
from tests.apiserver import ApiServer
from tests.live.installed import (
    migration_job,
    running_in,
)


def test_program_ends_with_its_output() -> None:
    pids: list[int] = []
    outcome = run([sys.executable, "-c", "print('a'); raise SystemExit('Error: b')"], on_start=pids.append)
    assert (outcome.ok, outcome.error) == (False, "Error: b")
    assert len(pids) == 1
    assert run(["true"]).ok
    assert Ended(False, "").error == "it failed without a message"


def test_program_is_stopped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_POLL_SECONDS", 0)
    monkeypatch.setattr(program, "_END_SECONDS", 0.1)
    code = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"
    answers = iter([None, None, "broken"])
    outcome = run([sys.executable, "-c", code], watch=lambda: next(answers))
    assert (outcome.ok, outcome.error) == (False, "broken")


def test_program_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(SpiceDBError, match=r"cannot run no-such-program: .*; install it"):
        run(["no-such-program"])


def test_progress_of_a_migration(api: ApiServer) -> None:
    assert progress(api.cluster(), running_in(api)) == "all running servers are ready"
    migration_job(api)
    assert progress(api.cluster(), running_in(api)) == "the migration runs: migrating"
    job = api.get("jobs", "spicedb-migration")
    job["spec"]["activeDeadlineSeconds"], job["status"]["startTime"] = 600, "2999-01-01T00:00:00Z"
    assert ", at most " in progress(api.cluster(), running_in(api))
