"""The programs that the commands run: on the same cluster, with a limit of time, and their output apart."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from cdk8s_spicedb import SpiceDBError
from cdk8s_spicedb.live import programs as program
from cdk8s_spicedb.live.kubeconfig import Kubeconfig
from cdk8s_spicedb.live.programs import Ended, environment, helm, kubectl, run, running
from tests.apiserver import ApiServer
from tests.live.clock import FakeClock
from tests.programs import ROOT

CLUSTER = ApiServer().cluster()
STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
print('on', flush=True)
time.sleep(60)
"""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_program_ends_with_its_output() -> None:
    outcome = run(python("print('a'); raise SystemExit('Error: b')"), CLUSTER)
    assert (outcome.ok, outcome.error, outcome.output) == (False, "Error: b", "a\nError: b")
    assert run(["true"], CLUSTER).ok
    assert Ended(False, "").error == "it failed without a message"


def test_messages_of_a_program_are_no_part_of_its_json() -> None:
    """A program that gets credentials may warn on standard error at any time."""
    outcome = run(python("import sys; print('{\"a\": 1}'); print('W: old', file=sys.stderr)"), CLUSTER)
    assert outcome.json() == {"a": 1}


def test_a_log_says_which_programs_are_started(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level("DEBUG")
    own = tmp_path / "backup"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o700)
    program.run_foreign([str(own), "--password=secret"], {}, clock=FakeClock(), seconds=5)
    with suppress(SpiceDBError):
        run(["helm", "version"], CLUSTER)
    assert caplog.messages == ["starts backup", "starts helm version"]


@pytest.mark.parametrize("text", ["", "null", "[", "W: old\n{}", "[" * 100_000])
def test_odd_json_of_a_program_is_nothing(text: str) -> None:
    assert Ended(True, text).json() is None
    assert Ended(False, "{}").json() is None


def test_program_is_stopped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_WATCH_SECONDS", 0)
    monkeypatch.setattr(program, "_END_SECONDS", 0.1)
    answers = iter([None, None, "broken"])
    outcome = run(python(STUBBORN), CLUSTER, watch=lambda: next(answers))
    assert (outcome.ok, outcome.error) == (False, "broken")


def test_program_that_does_not_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "_END_SECONDS", 0.1)
    cluster = ApiServer().cluster(clock=FakeClock())
    outcome = run(python(STUBBORN), cluster, seconds=5)
    assert (outcome.ok, outcome.error) == (False, "it has not ended within 5 s")


@pytest.mark.parametrize("error", [KeyboardInterrupt, SpiceDBError("the lock is lost")])
def test_no_program_is_left_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: BaseException) -> None:
    monkeypatch.setattr(program, "_WATCH_SECONDS", 0)
    began, ended = tmp_path / "began", tmp_path / "ended"
    code = f"""
import time
try:
    open({str(began)!r}, 'w')
    time.sleep(60)
except KeyboardInterrupt:
    open({str(ended)!r}, 'w')
"""

    def interrupt() -> None:
        if began.exists():
            raise error

    with pytest.raises((KeyboardInterrupt, SpiceDBError)):
        run(python(code), CLUSTER, watch=interrupt)
    assert ended.exists(), "it ended in order"


def test_program_that_is_not_installed_is_an_error() -> None:
    with pytest.raises(SpiceDBError, match=r"cannot run no-such-program: .*; install it"):
        run(["no-such-program"], CLUSTER)


def test_programs_use_the_context_that_was_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever somebody sets for Helm and kubectl, or changes in the kubeconfig later."""
    for name in (
        "HELM_KUBECONTEXT",
        "HELM_KUBETOKEN",
        "HELM_NAMESPACE",
        "HELM_DEBUG",
        "HELM_DRIVER",
        "KUBERNETES_MASTER",
    ):
        monkeypatch.setenv(name, "prod")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("HELM_CACHE_HOME", "kept")
    chosen = Kubeconfig(
        context="staging", namespace="authz", cluster={"server": "https://staging"}, user={"token": "secret"}
    )
    cluster = ApiServer().cluster(kubeconfig=chosen)
    assert helm(cluster, "history", "x") == [
        "helm",
        "history",
        "x",
        "--namespace",
        "authz",
        "--kube-context",
        "staging",
    ]
    assert kubectl(cluster, "get", "x")[-2:] == ["--context", "staging"]
    found = environment(cluster)
    assert {name for name in found if name.startswith(("HELM", "KUBERNETES_MASTER"))} == {"HELM_CACHE_HOME"}
    file = Path(found["KUBECONFIG"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    content = json.loads(file.read_text())
    assert content["current-context"] == "staging"
    assert content["clusters"] == [{"name": "staging", "cluster": {"server": "https://staging"}}]
    assert environment(cluster)["KUBECONFIG"] == str(file), "it is written once"
    assert "secret" not in repr(cluster)


def test_pod_has_no_context_to_name() -> None:
    account = Kubeconfig(context=None, namespace="authz", cluster={"server": "https://10.0.0.1:443"}, user={})
    cluster = ApiServer().cluster(kubeconfig=account)
    assert helm(cluster, "list")[-2:] == ["--kube-context", "in-cluster"]
    assert cluster.options() == "--namespace authz", "a person has no such context"


# ---------------------------------------------------------------- programs that run beside this process

PRINTS = ["sh", "-c", "echo pid $$; exec sleep 60"]
KILLED = """
import os, re, signal, sys
from cdk8s_spicedb.live.programs import running
from tests.apiserver import ApiServer
with running({command}, ApiServer().cluster(), until=re.compile(r"pid (\\d+)\\n")) as found:
    print(found.printed[1], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def ends(process: int) -> bool:
    """Whether a process ends soon."""
    for _ in range(100):
        if not lives(process):
            return True
        time.sleep(0.1)
    return False


def test_a_program_beside_ends_with_its_context() -> None:
    with running(PRINTS, CLUSTER, until=re.compile(r"pid (\d+)\n")) as found:
        assert found.runs
        assert lives(int(found.printed[1]))
        assert found.output(1000) == found.printed[0]
    assert ends(int(found.printed[1]))


def test_a_program_beside_ends_with_a_process_that_is_killed() -> None:
    code = KILLED.format(command=PRINTS)
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert ends(int(killed.stdout))


def test_a_program_beside_that_fails_says_why() -> None:
    with pytest.raises(SpiceDBError, match="false failed"), running(["false"], CLUSTER, until=re.compile("x")):
        pass
    missing = "cannot run no-such-program: No such file or directory; install it"
    with pytest.raises(SpiceDBError, match=missing), running(["no-such-program"], CLUSTER, until=re.compile("x")):
        pass
