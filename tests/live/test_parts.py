"""The parts of an upgrade: waiting, the lock, the programs, the SpiceDB schema, and what clients see."""

from __future__ import annotations

import base64
import gzip
import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import Any

import attrs
import pytest
from cdk8s_spicedb.live.upgrade.record import Figures
from cdk8s_spicedb.live.upgrade.target import deliverer_of, require_own, require_same_delivery

from cdk8s_spicedb import Delivery, SchemaProps, SpiceDBError, SpiceDBProps
from cdk8s_spicedb.files.yaml import dump
from cdk8s_spicedb.labels import Component, selector_labels
from cdk8s_spicedb.live import workload as settle
from cdk8s_spicedb.live.cluster import DEPLOYMENT, ClusterError
from cdk8s_spicedb.live.instance import Running, find_running
from cdk8s_spicedb.live.text import first_error
from cdk8s_spicedb.live.upgrade import deliver as program
from cdk8s_spicedb.live.upgrade import helm, kubectl, lease, schema
from cdk8s_spicedb.live.upgrade.commit import write_next_step
from cdk8s_spicedb.live.upgrade.deliver import Outcome, StepError, progress, run
from cdk8s_spicedb.live.upgrade.lease import BusyError, held
from cdk8s_spicedb.live.upgrade.metrics import Counts, counts, sample, worse
from cdk8s_spicedb.live.upgrade.schema import schema_in, write_schema_again
from cdk8s_spicedb.live.workload import Broken, settled, wait_until_settled
from tests.apiserver import ApiServer, Object, matches
from tests.controllers import finish_job, run_controllers
from tests.live.installed import deploy, helm_revision, migration_job, props, server, servers, waiting
from tests.live.kubectl import Kubectl

OLD, NEW = "v1.52.0", "v1.56.0"


@pytest.fixture
def api() -> ApiServer:
    made = ApiServer()
    deploy(made, props(OLD))
    helm_revision(made, 1)
    return made


def running(api: ApiServer) -> Running:
    found = find_running(api.cluster(), "spicedb")
    assert found is not None
    return found


# ---------------------------------------------------------------- settled


def test_done_roll_out_is_settled(api: ApiServer) -> None:
    assert settled(api.cluster(), running(api)) is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"observedGeneration": 0}, "Kubernetes has not seen the change yet"),
        ({"updatedReplicas": 1}, "1 of 2 new servers ready"),
        ({"availableReplicas": 0}, "0 of 2 new servers ready"),
    ],
)
def test_roll_out_that_is_not_done(api: ApiServer, status: Object, reason: str) -> None:
    api.get("deployments", "spicedb")["status"].update(status)
    assert settled(api.cluster(), running(api)) == reason


def test_servers_that_drain_or_lack_endpoints_are_not_settled(api: ApiServer) -> None:
    old = api.put("pods", server("old", servers(api)[0]["metadata"]["labels"]))
    old["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert settled(api.cluster(), running(api)) == "1 older server draining"
    api.remove("pods", "old")
    for endpoints in api.of("endpointslices"):
        endpoints["endpoints"] = []
    assert settled(api.cluster(), running(api)) == "the Service spicedb has 0 of 2 servers"


def test_waiting_ends_with_the_reason(api: ApiServer) -> None:
    api.get("deployments", "spicedb")["status"]["updatedReplicas"] = 0
    seen: list[str] = []
    assert wait_until_settled(api.cluster(), running(api), 0, seen.append) == "0 of 2 new servers ready"
    assert (
        wait_until_settled(api.cluster(), attrs.evolve(running(api), name="other"), 0) == "there is no Deployment other"
    )


def test_server_that_crashes_is_broken_at_once() -> None:
    last = {"terminated": {"message": "unknown flag: --x", "exitCode": 1}}
    status = waiting("CrashLoopBackOff", restartCount=2, lastState=last)
    assert Broken().reason([server("a", {}, **status)]) == "pod a: it stopped 3 times: unknown flag: --x"
    assert Broken().reason([server("a", {}, **waiting("CrashLoopBackOff", restartCount=1))]) is None


def test_server_without_image_is_broken_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, pods = Broken(), [server("a", {}, **waiting("ErrImagePull", "why"))]
    assert broken.reason(pods) is None
    monkeypatch.setattr(settle, "_BROKEN_SECONDS", -1)
    assert broken.reason(pods) == "pod a: ErrImagePull: why"
    pods[0]["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert broken.reason(pods) is None


# ---------------------------------------------------------------- the lock


def held_by(api: ApiServer, identity: str, renewed: str = "2999-01-01T00:00:00.000000Z") -> Object:
    spec = {"holderIdentity": identity, "leaseDurationSeconds": 30, "acquireTime": renewed, "renewTime": renewed}
    return api.put("leases", {"metadata": {"name": "spicedb-upgrade"}, "spec": spec})


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_lock_of_a_process_that_is_gone_is_taken(api: ApiServer) -> None:
    for identity, renewed in (
        (f"u@{socket.gethostname()}:{gone()}:abc", "2999-01-01T00:00:00.000000Z"),
        ("u@elsewhere:1:abc", "2020-01-01T00:00:00.000000Z"),
    ):
        held_by(api, identity, renewed)
        with held(api.cluster(), "spicedb") as require:
            require()
            holder = api.get("leases", "spicedb-upgrade")["spec"]["holderIdentity"]
            assert f":{os.getpid()}:" in holder
        assert not api.has("leases", "spicedb-upgrade")


def test_lock_that_is_renewed_is_refused(api: ApiServer) -> None:
    taken = held_by(api, "somebody@elsewhere:42:abc")
    seen: list[str] = []

    def renew() -> None:
        time.sleep(0.3)
        taken["spec"]["renewTime"] = "2999-01-01T00:00:09.000000Z"

    thread = threading.Thread(target=renew)
    thread.start()
    with (
        pytest.raises(BusyError, match=r"somebody@elsewhere:42 \(user@host:process\)"),
        held(api.cluster(), "spicedb", seen.append),
    ):
        pass
    thread.join()
    assert seen[0].startswith("somebody@elsewhere:42:abc holds the lock")


def test_lock_is_renewed_through_an_outage(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.01)
    with held(api.cluster(), "spicedb") as require:
        first = api.get("leases", "spicedb-upgrade")["spec"]["renewTime"]
        with api.unreachable():
            time.sleep(0.1)
        time.sleep(0.1)
        assert api.get("leases", "spicedb-upgrade")["spec"]["renewTime"] > first
        require()


def test_only_one_of_two_processes_gets_a_free_lock(api: ApiServer) -> None:
    """The other one sees the conflict, and then the Lease of the first."""

    def faster(*_: object) -> None:
        if api.count("create", "leases") == 1:
            held_by(api, "u@elsewhere:1:abc", "2020-01-01T00:00:00.000000Z")

    api.on(matches("create", "leases"), faster, before=True)
    with held(api.cluster(), "spicedb") as require:
        require()


# ---------------------------------------------------------------- programs


def test_program_ends_with_its_output() -> None:
    pids: list[int] = []
    outcome = run([sys.executable, "-c", "print('a'); raise SystemExit('Error: b')"], on_start=pids.append)
    assert (outcome.ok, outcome.error) == (False, "Error: b")
    assert len(pids) == 1
    assert run(["true"]).ok
    assert Outcome(False, "").error == "it failed without a message"


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


# ---------------------------------------------------------------- Helm


class Helm:
    """A Helm that does what a test says."""

    def __init__(self, api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api, self.commands = api, list[list[str]]()
        self.outcomes: dict[str, list[Outcome]] = {}
        monkeypatch.setattr(helm, "run", self.run)

    def run(self, command: list[str], *, watch: Any, on_start: Any) -> Outcome:
        self.commands.append(command[1:])
        on_start(1)
        assert watch() is None
        waiting = self.outcomes.get(command[1], [])
        empty = {"get": "{}", "history": '[{"description": "Install complete"}]'}
        return waiting.pop(0) if waiting else Outcome(True, empty.get(command[1], ""))

    def called(self, name: str) -> list[list[str]]:
        return [command for command in self.commands if command[0] == name]


@pytest.fixture
def a_helm(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Helm:
    return Helm(api, monkeypatch)


def of_helm(api: ApiServer, notes: list[str] | None = None) -> helm.HelmDeliverer:
    found = deliverer_of(api.cluster(), running(api), (notes if notes is not None else []).append)
    assert isinstance(found, helm.HelmDeliverer)
    return found


def test_helm_upgrades_with_a_chart_of_the_step(api: ApiServer, a_helm: Helm) -> None:
    of_helm(api).apply(props(NEW), "the label", 3, lambda _: None)
    (command,) = a_helm.called("upgrade")
    assert command[1] == "release"
    assert command[3:7] == ["--description", "the label", "--wait", "--timeout"]
    assert command[-2:] == ["--namespace", "authz"]


def test_helm_keeps_the_values_of_the_release(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["get"] = [Outcome(True, '{"replicas": 3}')]
    notes: list[str] = []
    of_helm(api, notes).apply(props(NEW), "the label", 1, lambda _: None)
    assert "--reset-then-reuse-values" in a_helm.called("upgrade")[0]
    assert "the release keeps its own values: replicas" in notes


def test_failed_helm_says_why(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["upgrade"] = [Outcome(False, "log line\nError: UPGRADE FAILED: job failed")]
    with pytest.raises(StepError, match="helm upgrade: Error: UPGRADE FAILED: job failed") as error:
        of_helm(api).apply(props(NEW), "label", 1, lambda _: None)
    assert error.value.details.startswith("log line")


def test_passwords_in_the_output_of_helm_are_hidden(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["upgrade"] = [Outcome(False, "postgres://spicedb:hidden@db/x\nError: postgres://u:hidden@db")]
    with pytest.raises(StepError) as error:
        of_helm(api).apply(props(NEW), "label", 1, lambda _: None)
    assert "hidden@" not in f"{error.value} {error.value.details}"
    assert "(hidden)@db" in error.value.details


def test_helm_runs_again_after_an_outage(api: ApiServer, a_helm: Helm) -> None:
    helm_revision(api, 2, "pending-upgrade")
    a_helm.outcomes["upgrade"] = [Outcome(False, "Error: dial tcp 10.0.0.1:443: connect: connection refused")]
    of_helm(api).apply(props(NEW), "label", 1, lambda _: None)
    assert len(a_helm.called("upgrade")) == 2
    assert not api.has("secrets", "sh.helm.release.v1.release.v2"), "Helm refuses a pending release"


def test_step_that_helm_finished_in_spite_of_an_error_is_done(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["upgrade"] = [Outcome(False, "Error: EOF")]
    a_helm.outcomes["history"] = [Outcome(True, '[{"description": "label"}]')]
    of_helm(api).apply(props(NEW), "label", 1, lambda _: None)
    assert len(a_helm.called("upgrade")) == 1


def test_killed_helm_is_recovered(api: ApiServer, a_helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm, "_UNKNOWN_PROCESS_SECONDS", 0)
    for process in (f"{socket.gethostname()}:{gone()}", "elsewhere:1", None):
        helm_revision(api, 2, "pending-upgrade")
        of_helm(api).recover(process)
        assert [each.status for each in of_helm(api).revisions()] == ["deployed"]
    of_helm(api).recover(None)


def test_helm_that_still_runs_is_waited_for(api: ApiServer, a_helm: Helm) -> None:
    helm_revision(api, 2, "pending-upgrade")
    timer = threading.Timer(0.3, lambda: helm_revision(api, 2))
    timer.start()
    of_helm(api).recover(f"{socket.gethostname()}:{os.getpid()}")
    assert [each.status for each in of_helm(api).revisions()] == ["superseded", "deployed"]


def test_helm_rolls_back_and_tests(api: ApiServer, a_helm: Helm) -> None:
    of_helm(api).roll_back("1")
    assert a_helm.called("rollback")[0][:3] == ["rollback", "release", "1"]
    of_helm(api).test()
    a_helm.outcomes = {"rollback": [Outcome(False, "Error: x")], "test": [Outcome(False, "Error: y")]}
    with pytest.raises(StepError, match="helm rollback: Error: x"):
        of_helm(api).roll_back("1")
    with pytest.raises(StepError, match="the permission test failed: Error: y"):
        of_helm(api).test()
    assert of_helm(api).roll_back_command("1") == "helm rollback release 1 --namespace authz --wait"


def test_helm_release_without_a_deployed_revision_is_an_error(api: ApiServer) -> None:
    api.remove("secrets")
    with pytest.raises(SpiceDBError, match="the Helm release release has no deployed revision"):
        of_helm(api).revision()


def test_release_of_an_old_revision(api: ApiServer, a_helm: Helm) -> None:
    a_helm.outcomes["history"] = [Outcome(True, '[{"revision": 1, "app_version": "v1.52.0"}]')]
    assert of_helm(api).version_of("1") == OLD


def test_broken_server_ends_the_wait_for_helm(api: ApiServer) -> None:
    watch = of_helm(api).watcher()
    assert watch() is None
    deploy(api, props(NEW))
    for pod in servers(api):
        last = {"terminated": {"exitCode": 2}}
        pod["status"] = waiting("CrashLoopBackOff", restartCount=4, lastState=last)
    assert watch() == f"pod {servers(api)[0]['metadata']['name']}: it stopped 5 times: exit code 2"
    with api.unreachable():
        assert watch() is None


# ---------------------------------------------------------------- kubectl


@pytest.fixture
def kubectl_program(monkeypatch: pytest.MonkeyPatch) -> Kubectl:
    api = ApiServer()
    deploy(api, props(OLD), helm=False)
    program = Kubectl(api)
    monkeypatch.setattr(kubectl, "run", program.run)
    return program


def by_kubectl(version: str = NEW, **fields: Any) -> SpiceDBProps:
    return attrs.evolve(props(version), delivery=Delivery.KUBECTL, **fields)


def test_kubectl_applies_the_migration_first(kubectl_program: Kubectl) -> None:
    api, commands = kubectl_program.api, kubectl_program.commands
    run_controllers(api)
    applies = deliverer_of(api.cluster(), running(api))
    applies.recover(None)
    assert not applies.is_applied("label")
    applies.apply(by_kubectl(schema=SchemaProps(text="definition user {}")), "label", 1, lambda _: None)
    assert [command[1] for command in commands] == ["apply", "apply"]
    assert "--server-side" in commands[0]
    first, later = (
        min(number for number, each in enumerate(api.requests) if matches("patch", resource)(each))
        for resource in ("jobs", "deployments")
    )
    assert first < later
    assert running(api).version == NEW
    assert applies.revision() == "2"
    applies.roll_back("1")
    assert running(api).version == OLD
    with pytest.raises(StepError, match="kubectl rollout: error: unable to find specified revision 7 in history"):
        applies.roll_back("7")
    with pytest.raises(SpiceDBError, match="only Helm"):
        applies.test()
    assert applies.roll_back_command("1").startswith("kubectl rollout undo deployment/spicedb --to-revision=1")


def test_failed_migration_of_kubectl_stops(kubectl_program: Kubectl) -> None:
    api = kubectl_program.api
    run_controllers(api, fails=lambda _: "BackoffLimitExceeded", log=lambda _: "it cannot connect")
    with pytest.raises(StepError, match=r"the Job spicedb-migration-\w+ failed") as error:
        deliverer_of(api.cluster(), running(api)).apply(by_kubectl(), "label", 1, lambda _: None)
    assert "it cannot connect" in error.value.details
    assert not api.count("patch", "deployments"), "the servers are not touched"


def test_failed_job_runs_again(kubectl_program: Kubectl) -> None:
    """A Job does not run again by itself."""
    api, ends = kubectl_program.api, iter(["BackoffLimitExceeded", "", ""])
    run_controllers(api, fails=lambda _: next(ends))
    applies = deliverer_of(api.cluster(), running(api))
    with pytest.raises(StepError, match="failed"):
        applies.apply(by_kubectl(), "label", 1, lambda _: None)
    applies.apply(by_kubectl(), "label", 1, lambda _: None)
    assert running(api).version == NEW


def test_release_with_other_objects_or_of_another_chart_is_refused(api: ApiServer) -> None:
    require_own(api.cluster(), running(api))
    others = "\n---\n".join(
        dump({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}})
        for name, labels in (("app", {}), ("spicedb", selector_labels("spicedb", Component.SERVER)))
    )
    text = base64.b64encode(gzip.compress(json.dumps({"manifest": others}).encode()))
    api.get("secrets", "sh.helm.release.v1.release.v1")["data"] = {"release": base64.b64encode(text).decode()}
    with pytest.raises(SpiceDBError, match="the Helm release release also has Service app, which an upgrade with this"):
        require_own(api.cluster(), running(api))
    del api.get("deployments", "spicedb")["metadata"]["labels"]["app.kubernetes.io/component"]
    with pytest.raises(SpiceDBError, match="the Deployment spicedb was not made by cdk8s-spicedb"):
        require_own(api.cluster(), running(api))


def test_delivery_of_the_file_must_be_that_of_the_release(api: ApiServer) -> None:
    require_same_delivery(props(NEW), running(api))
    api.get("deployments", "spicedb")["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = "app:x"
    with pytest.raises(SpiceDBError, match="argocd applies this release, so a commit changes it"):
        deliverer_of(api.cluster(), running(api))


# ---------------------------------------------------------------- the SpiceDB schema


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


# ---------------------------------------------------------------- what clients see


METRICS = """\
# TYPE grpc_server_handled_total counter
grpc_server_handled_total{grpc_code="OK",grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary"} 90
grpc_server_handled_total{grpc_code="Internal",grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary"} 10
grpc_server_handled_total{grpc_code="OK",grpc_service="grpc.health.v1.Health",grpc_type="unary"} 7
grpc_server_handled_total{grpc_code="NotFound",grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary"} 5
# TYPE grpc_server_handling_seconds histogram
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary",le="0.1"} 50
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary",le="0.2"} 100
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.PermissionsService",grpc_type="unary",le="+Inf"} 100
grpc_server_handling_seconds_bucket{grpc_service="authzed.api.v1.WatchService",grpc_type="server_stream",le="+Inf"} 9
"""


def test_figures_of_a_server() -> None:
    figures = counts(METRICS).figures()
    assert (figures.requests, round(figures.error_ratio, 3)) == (105, 0.095)
    assert figures.p99_seconds == pytest.approx(0.198)
    assert Counts().figures() == Figures(requests=0, error_ratio=0, p99_seconds=None)
    assert Counts(99, 0, {0.1: 0, float("inf"): 99}).figures().p99_seconds == pytest.approx(0.1)


def test_metrics_that_are_off_are_an_error(api: ApiServer) -> None:
    with pytest.raises(ClusterError, match="metrics_enabled is off"):
        sample(api.cluster(), attrs.evolve(running(api), arguments={"metrics-enabled": "false"}))


def figures(requests: int, ratio: float = 0, p99: float | None = 0.01) -> Figures:
    return Figures(requests=requests, error_ratio=ratio, p99_seconds=p99)


def test_worse_servers() -> None:
    assert worse(figures(1000), figures(1000)) is None
    assert worse(figures(1000), figures(10, 1)) is None, "too few requests to say"
    assert worse(None, figures(100, 0.5)) == "50.0% of 100 requests failed"
    assert worse(figures(1000), figures(5000, 0, 0.5)) == ("the 99th percentile of the latency is 500 ms, 10 ms before")
    assert worse(figures(1000), figures(500, 0, 0.5)) is None, "too few requests for a percentile"


def test_first_error_of_a_log() -> None:
    usage = "\n".join(["unknown flag: --x", "Usage:", *("  text" for _ in range(9))])
    assert first_error(usage) == "unknown flag: --x"
    lines = ['{"level":"info","message":"starts"}', '{"level":"fatal","message":"stops","error":"why"}', "a", "b"]
    assert first_error("\n".join(lines)) == "stops: why"
    assert first_error("a\nError: b\nc\nd\ne") == "Error: b"
    assert first_error("a\nb\nc\nd") == first_error("") == ""


def test_progress_of_a_migration(api: ApiServer) -> None:
    assert progress(api.cluster(), running(api)) == "all running servers are ready"
    migration_job(api)
    assert progress(api.cluster(), running(api)) == "the migration runs: migrating"
    job = api.get("jobs", "spicedb-migration")
    job["spec"]["activeDeadlineSeconds"], job["status"]["startTime"] = 600, "2999-01-01T00:00:00Z"
    assert ", at most " in progress(api.cluster(), running(api))


def test_migration_without_its_image_ends_the_wait(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "_BROKEN_SECONDS", -1)
    migration_job(api, **waiting("ErrImagePull", "why"))
    assert of_helm(api).watcher()() == "pod migrate-0: ErrImagePull: why"


def test_failed_migration_is_explained(api: ApiServer, a_helm: Helm) -> None:
    migration_job(api, {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"})
    a_helm.outcomes["upgrade"] = [Outcome(False, "Error: UPGRADE FAILED: job failed")]
    with pytest.raises(StepError) as error:
        of_helm(api).apply(props(NEW), "label", 1, lambda _: None)
    assert error.value.details.splitlines()[1:] == ["Job spicedb-migration: DeadlineExceeded", "migrating"]


def test_api_server_that_returns_is_waited_for(api: ApiServer) -> None:
    api.away = True
    threading.Timer(0.3, lambda: setattr(api, "away", False)).start()
    assert api.cluster(patience_seconds=5).get(DEPLOYMENT, "spicedb") is not None


# ---------------------------------------------------------------- commits


def test_files_of_each_step_are_written_when_the_one_before_is_done(api: ApiServer, tmp_path: Any) -> None:
    settings = attrs.evolve(props(NEW), delivery=Delivery.ARGOCD)
    settings = attrs.evolve(settings, server=attrs.evolve(settings.server, schema_mode="read-legacy-write-both"))
    kube, folder = api.cluster(), tmp_path / "step"
    first = write_next_step(kube, settings, folder)
    assert (first.step, first.steps) == (1, 2)
    assert "and run this command again for the next step" in first.text
    with pytest.raises(SpiceDBError, match=r"step 1 of 2 is not done: version of the servers is v1\.52\.0"):
        write_next_step(kube, settings, folder)
    deploy(api, attrs.evolve(settings, server=attrs.evolve(settings.server, schema_mode="read-legacy-write-legacy")))
    second = write_next_step(kube, settings, folder)
    assert second.step == 2
    assert "read-legacy-write-both" in (folder / "spicedb.k8s.yaml").read_text()
    deploy(api, settings)
    for _ in range(2):
        assert write_next_step(kube, settings, folder).text == "All 2 steps are done: SpiceDB v1.56.0 serves."


def test_chart_of_the_next_step_is_written(api: ApiServer, tmp_path: Any) -> None:
    write_next_step(api.cluster(), props(NEW), tmp_path / "chart")
    assert "version: 1.0.0" in (tmp_path / "chart" / "Chart.yaml").read_text()
