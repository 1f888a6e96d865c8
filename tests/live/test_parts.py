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

from cdk8s_spicedb import Delivery, SchemaProps, SpiceDBError
from cdk8s_spicedb.files.yaml import dump
from cdk8s_spicedb.labels import Component, selector_labels
from cdk8s_spicedb.live import workload as settle
from cdk8s_spicedb.live.cluster import JOB, POD, Cluster, ClusterError
from cdk8s_spicedb.live.instance import Running, find_running
from cdk8s_spicedb.live.text import first_error
from cdk8s_spicedb.live.upgrade import deliver as program
from cdk8s_spicedb.live.upgrade import helm, kubectl, lease, schema
from cdk8s_spicedb.live.upgrade.commit import write_next_step
from cdk8s_spicedb.live.upgrade.deliver import Outcome, StepError, progress, run
from cdk8s_spicedb.live.upgrade.lease import BusyError, held
from cdk8s_spicedb.live.upgrade.metrics import Counts, counts, sample, worse
from cdk8s_spicedb.live.upgrade.record import Figures
from cdk8s_spicedb.live.upgrade.schema import schema_in, write_schema_again
from cdk8s_spicedb.live.upgrade.target import deliverer_of, require_own, require_same_delivery
from cdk8s_spicedb.live.workload import Broken, settled, wait_until_settled
from tests.live.store import Object, Store, deploy, helm_revision, props, server, unreachable

OLD, NEW = "v1.52.0", "v1.56.0"


@pytest.fixture
def store() -> Store:
    made = Store()
    deploy(made, props(OLD))
    helm_revision(made, 1)
    return made


def running(store: Store) -> Running:
    found = find_running(store.cluster(), "spicedb")
    assert found is not None
    return found


# ---------------------------------------------------------------- settled


def test_done_roll_out_is_settled(store: Store) -> None:
    assert settled(store.cluster(), running(store)) is None


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"observedGeneration": 0}, "Kubernetes has not seen the change yet"),
        ({"updatedReplicas": 1}, "1 of 2 new servers ready"),
        ({"availableReplicas": 0}, "0 of 2 new servers ready"),
    ],
)
def test_roll_out_that_is_not_done(store: Store, status: Object, reason: str) -> None:
    store.get("deployments", "spicedb")["status"].update(status)
    assert settled(store.cluster(), running(store)) == reason


def test_servers_that_drain_or_lack_endpoints_are_not_settled(store: Store) -> None:
    labels = store.get("pods", "spicedb-0")["metadata"]["labels"]
    old = server("old", labels)
    old["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    store.put("pods", old)
    assert settled(store.cluster(), running(store)) == "1 older server draining"
    del store.objects["pods", "old"]
    store.get("endpointslices", "spicedb")["endpoints"] = []
    assert settled(store.cluster(), running(store)) == "the Service spicedb has 0 of 1 servers"


def test_waiting_ends_with_the_reason(store: Store) -> None:
    store.get("deployments", "spicedb")["status"]["updatedReplicas"] = 0
    seen: list[str] = []
    assert wait_until_settled(store.cluster(), running(store), 0, seen.append) == "0 of 2 new servers ready"
    assert (
        wait_until_settled(store.cluster(), attrs.evolve(running(store), name="other"), 0)
        == "there is no Deployment other"
    )


def waiting(reason: str, **more: Any) -> Object:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": "why"}}, **more}]}


def test_server_that_crashes_is_broken_at_once() -> None:
    last = {"terminated": {"message": "unknown flag: --x", "exitCode": 1}}
    status = waiting("CrashLoopBackOff", restartCount=2, lastState=last)
    assert Broken().reason([server("a", {}, **status)]) == "pod a: it stopped 3 times: unknown flag: --x"
    assert Broken().reason([server("a", {}, **waiting("CrashLoopBackOff", restartCount=1))]) is None


def test_server_without_image_is_broken_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    broken, pods = Broken(), [server("a", {}, **waiting("ErrImagePull"))]
    assert broken.reason(pods) is None
    monkeypatch.setattr(settle, "_BROKEN_SECONDS", -1)
    assert broken.reason(pods) == "pod a: ErrImagePull: why"
    pods[0]["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert broken.reason(pods) is None


# ---------------------------------------------------------------- the lock


def held_by(store: Store, identity: str, renewed: str = "2999-01-01T00:00:00.000000Z") -> Object:
    spec = {"holderIdentity": identity, "leaseDurationSeconds": 30, "acquireTime": renewed, "renewTime": renewed}
    return store.put("leases", {"metadata": {"name": "spicedb-upgrade"}, "spec": spec})


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_lock_of_a_process_that_is_gone_is_taken(store: Store) -> None:
    for identity, renewed in (
        (f"u@{socket.gethostname()}:{gone()}:abc", "2999-01-01T00:00:00.000000Z"),
        ("u@elsewhere:1:abc", "2020-01-01T00:00:00.000000Z"),
    ):
        held_by(store, identity, renewed)
        with held(store.cluster(), "spicedb") as require:
            require()
            holder = store.get("leases", "spicedb-upgrade")["spec"]["holderIdentity"]
            assert f":{os.getpid()}:" in holder
        assert ("leases", "spicedb-upgrade") not in store.objects


def test_lock_that_is_renewed_is_refused(store: Store) -> None:
    taken = held_by(store, "somebody@elsewhere:42:abc")
    seen: list[str] = []

    def renew() -> None:
        time.sleep(0.3)
        taken["spec"]["renewTime"] = "2999-01-01T00:00:09.000000Z"

    thread = threading.Thread(target=renew)
    thread.start()
    with (
        pytest.raises(BusyError, match=r"somebody@elsewhere:42 \(user@host:process\)"),
        held(store.cluster(), "spicedb", seen.append),
    ):
        pass
    thread.join()
    assert seen[0].startswith("somebody@elsewhere:42:abc holds the lock")


def test_lock_is_renewed_through_an_outage(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.01)
    with held(store.cluster(), "spicedb") as require:
        first = store.get("leases", "spicedb-upgrade")["spec"]["renewTime"]
        with unreachable(store):
            time.sleep(0.1)
        time.sleep(0.1)
        assert store.get("leases", "spicedb-upgrade")["spec"]["renewTime"] > first
        require()


def test_only_one_of_two_processes_gets_a_free_lock(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one sees the conflict, and then the Lease of the first."""
    create, first = Cluster.create, [True]

    def faster(self: Cluster, manifest: Object, **options: Any) -> Object:
        if first.pop():
            first.append(False)
            held_by(store, "u@elsewhere:1:abc", "2020-01-01T00:00:00.000000Z")
        return create(self, manifest, **options)

    monkeypatch.setattr(Cluster, "create", faster)
    with held(store.cluster(), "spicedb") as require:
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

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store, self.commands = store, list[list[str]]()
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
def a_helm(store: Store, monkeypatch: pytest.MonkeyPatch) -> Helm:
    return Helm(store, monkeypatch)


def of_helm(store: Store, notes: list[str] | None = None) -> helm.HelmDeliverer:
    found = deliverer_of(store.cluster(), running(store), (notes if notes is not None else []).append)
    assert isinstance(found, helm.HelmDeliverer)
    return found


def test_helm_upgrades_with_a_chart_of_the_step(store: Store, a_helm: Helm) -> None:
    of_helm(store).apply(props(NEW), "the label", 3, lambda _: None)
    (command,) = a_helm.called("upgrade")
    assert command[1] == "release"
    assert command[3:7] == ["--description", "the label", "--wait", "--timeout"]
    assert command[-2:] == ["--namespace", "authz"]


def test_helm_keeps_the_values_of_the_release(store: Store, a_helm: Helm) -> None:
    a_helm.outcomes["get"] = [Outcome(True, '{"replicas": 3}')]
    notes: list[str] = []
    of_helm(store, notes).apply(props(NEW), "the label", 1, lambda _: None)
    assert "--reset-then-reuse-values" in a_helm.called("upgrade")[0]
    assert "the release keeps its own values: replicas" in notes


def test_failed_helm_says_why(store: Store, a_helm: Helm) -> None:
    a_helm.outcomes["upgrade"] = [Outcome(False, "log line\nError: UPGRADE FAILED: job failed")]
    with pytest.raises(StepError, match="helm upgrade: Error: UPGRADE FAILED: job failed") as error:
        of_helm(store).apply(props(NEW), "label", 1, lambda _: None)
    assert error.value.details.startswith("log line")


def test_passwords_in_the_output_of_helm_are_hidden(store: Store, a_helm: Helm) -> None:
    a_helm.outcomes["upgrade"] = [Outcome(False, "postgres://spicedb:hidden@db/x\nError: postgres://u:hidden@db")]
    with pytest.raises(StepError) as error:
        of_helm(store).apply(props(NEW), "label", 1, lambda _: None)
    assert "hidden@" not in f"{error.value} {error.value.details}"
    assert "(hidden)@db" in error.value.details


def test_helm_runs_again_after_an_outage(store: Store, a_helm: Helm) -> None:
    helm_revision(store, 2, "pending-upgrade")
    a_helm.outcomes["upgrade"] = [Outcome(False, "Error: dial tcp 10.0.0.1:443: connect: connection refused")]
    of_helm(store).apply(props(NEW), "label", 1, lambda _: None)
    assert len(a_helm.called("upgrade")) == 2
    assert ("secrets", "sh.helm.release.v1.release.v2") not in store.objects, "Helm refuses a pending release"


def test_step_that_helm_finished_in_spite_of_an_error_is_done(store: Store, a_helm: Helm) -> None:
    a_helm.outcomes["upgrade"] = [Outcome(False, "Error: EOF")]
    a_helm.outcomes["history"] = [Outcome(True, '[{"description": "label"}]')]
    of_helm(store).apply(props(NEW), "label", 1, lambda _: None)
    assert len(a_helm.called("upgrade")) == 1


def test_killed_helm_is_recovered(store: Store, a_helm: Helm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm, "_UNKNOWN_PROCESS_SECONDS", 0)
    for process in (f"{socket.gethostname()}:{gone()}", "elsewhere:1", None):
        helm_revision(store, 2, "pending-upgrade")
        of_helm(store).recover(process)
        assert [each.status for each in of_helm(store).revisions()] == ["deployed"]
    of_helm(store).recover(None)


def test_helm_that_still_runs_is_waited_for(store: Store, a_helm: Helm) -> None:
    helm_revision(store, 2, "pending-upgrade")
    timer = threading.Timer(0.3, lambda: helm_revision(store, 2))
    timer.start()
    of_helm(store).recover(f"{socket.gethostname()}:{os.getpid()}")
    assert [each.status for each in of_helm(store).revisions()] == ["superseded", "deployed"]


def test_helm_rolls_back_and_tests(store: Store, a_helm: Helm) -> None:
    of_helm(store).roll_back("1")
    assert a_helm.called("rollback")[0][:3] == ["rollback", "release", "1"]
    of_helm(store).test()
    a_helm.outcomes = {"rollback": [Outcome(False, "Error: x")], "test": [Outcome(False, "Error: y")]}
    with pytest.raises(StepError, match="helm rollback: Error: x"):
        of_helm(store).roll_back("1")
    with pytest.raises(StepError, match="the permission test failed: Error: y"):
        of_helm(store).test()
    assert of_helm(store).roll_back_command("1") == "helm rollback release 1 --namespace authz --wait"


def test_helm_release_without_a_deployed_revision_is_an_error(store: Store) -> None:
    store.objects = {key: each for key, each in store.objects.items() if key[0] != "secrets"}
    with pytest.raises(SpiceDBError, match="the Helm release release has no deployed revision"):
        of_helm(store).revision()


def test_release_of_an_old_revision(store: Store, a_helm: Helm) -> None:
    a_helm.outcomes["history"] = [Outcome(True, '[{"revision": 1, "app_version": "v1.52.0"}]')]
    assert of_helm(store).version_of("1") == OLD
    assert of_helm(store).earlier() is None
    helm_revision(store, 2)
    a_helm.outcomes["history"] = [Outcome(True, '[{"revision": 1, "app_version": "v1.52.0"}]')]
    assert of_helm(store).earlier() == ("1", OLD)


def test_broken_server_ends_the_wait_for_helm(store: Store) -> None:
    watch = of_helm(store).watcher()
    assert watch() is None
    deploy(store, props(NEW))
    for number in range(2):
        last = {"terminated": {"exitCode": 2}}
        pod = store.get("pods", f"spicedb-{number}")
        pod["status"] = waiting("CrashLoopBackOff", restartCount=4, lastState=last)
    assert watch() == "pod spicedb-0: it stopped 5 times: exit code 2"
    with unreachable(store):
        assert watch() is None


# ---------------------------------------------------------------- kubectl


@pytest.fixture
def by_kubectl(monkeypatch: pytest.MonkeyPatch) -> tuple[Store, list[list[str]]]:
    store, commands = Store(), list[list[str]]()
    deploy(store, props(OLD), helm=False)

    def run(command: list[str]) -> Outcome:
        commands.append(command)
        return Outcome("undo" not in command or "--to-revision=1" in command, "error: no such revision")

    def get(self: Cluster, kind: Any, name: str) -> Object | None:
        if kind == JOB and name not in ("spicedb-none",):
            return {"metadata": {"name": name}, "status": {"conditions": [{"type": state[0], "status": "True"}]}}
        return original(self, kind, name)

    original, state = Cluster.get, ["Complete"]
    store.on_change = lambda *_: None
    monkeypatch.setattr(Cluster, "get", get)
    monkeypatch.setattr(kubectl, "run", run)
    monkeypatch.setattr(store, "metrics", state)
    return store, commands


def test_kubectl_applies_the_migration_first(by_kubectl: tuple[Store, list[list[str]]]) -> None:
    store, commands = by_kubectl
    settings = attrs.evolve(props(NEW), delivery=Delivery.KUBECTL, schema=SchemaProps(text="definition user {}"))
    applies = deliverer_of(store.cluster(), running(store))
    applies.recover(None)
    assert not applies.is_applied("label")
    applies.apply(settings, "label", 1, lambda _: None)
    assert [command[1] for command in commands] == ["apply", "apply"]
    assert "--server-side" in commands[0]
    assert applies.revision() == "1"
    applies.roll_back("1")
    with pytest.raises(StepError, match="kubectl rollout: error: no such revision"):
        applies.roll_back("7")
    with pytest.raises(SpiceDBError, match="only Helm"):
        applies.test()
    assert applies.roll_back_command("1").startswith("kubectl rollout undo deployment/spicedb --to-revision=1")


def test_kubectl_finds_the_revision_before_the_current_one() -> None:
    store = Store()
    deploy(store, props("v1.51.1"), helm=False)
    deploy(store, props(OLD), helm=False)
    assert deliverer_of(store.cluster(), running(store)).earlier() == ("1", "v1.51.1")
    deploy(store, props(NEW), helm=False)
    assert deliverer_of(store.cluster(), running(store)).earlier() == ("2", OLD)
    one = Store()
    deploy(one, props(NEW), helm=False)
    assert deliverer_of(one.cluster(), running(one)).earlier() is None


def test_failed_migration_of_kubectl_stops(by_kubectl: tuple[Store, list[list[str]]]) -> None:
    store, commands = by_kubectl
    store.metrics[0] = "Failed"  # type: ignore[index]
    settings = attrs.evolve(props(NEW), delivery=Delivery.KUBECTL)
    with pytest.raises(StepError, match=r"the Job spicedb-migration-\w+ failed"):
        deliverer_of(store.cluster(), running(store)).apply(settings, "label", 1, lambda _: None)
    assert len(commands) == 1, "the servers are not touched"


def test_release_with_other_objects_or_of_another_chart_is_refused(store: Store) -> None:
    require_own(store.cluster(), running(store))
    others = "\n---\n".join(
        dump({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}})
        for name, labels in (("app", {}), ("spicedb", selector_labels("spicedb", Component.SERVER)))
    )
    text = base64.b64encode(gzip.compress(json.dumps({"manifest": others}).encode()))
    store.objects["secrets", "sh.helm.release.v1.release.v1"]["data"] = {"release": base64.b64encode(text).decode()}
    with pytest.raises(SpiceDBError, match="the Helm release release also has Service app, which an upgrade with this"):
        require_own(store.cluster(), running(store))
    del store.get("deployments", "spicedb")["metadata"]["labels"]["app.kubernetes.io/component"]
    with pytest.raises(SpiceDBError, match="the Deployment spicedb was not made by cdk8s-spicedb"):
        require_own(store.cluster(), running(store))


def test_delivery_of_the_file_must_be_that_of_the_release(store: Store) -> None:
    require_same_delivery(props(NEW), running(store))
    store.get("deployments", "spicedb")["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = "app:x"
    with pytest.raises(SpiceDBError, match="Argo CD applies this release, so a commit changes it"):
        deliverer_of(store.cluster(), running(store))


# ---------------------------------------------------------------- the SpiceDB schema


def finishing(store: Store, log: str, state: str = "Complete") -> list[Object]:
    """Lets every Job finish when it is created. Returns the ConfigMaps that were written."""
    texts: list[Object] = []

    def finish(method: str, kind: str, each: Object) -> None:
        if kind == "jobs" and method == "PATCH" and "status" not in each:
            name = each["metadata"]["name"]
            store.objects["jobs", name]["status"] = {"conditions": [{"type": state, "status": "True"}], "failed": 1}
            metadata = {"name": f"{name}-pod", "labels": {"batch.kubernetes.io/job-name": name}}
            metadata["creationTimestamp"] = "2030-01-01T00:00:00Z"
            store.put("pods", {"metadata": metadata, "spec": {"containers": [{"name": "zed"}]}})
            store.logs[f"{name}-pod"] = log
        if kind == "configmaps" and method == "PATCH":
            texts.append(each)

    store.on_change = finish
    return texts


def test_schema_is_written_again(store: Store) -> None:
    log = '{"level":"info","message":"x"}\ndefinition user {}\n\ndefinition document {}\n'
    texts = finishing(store, log)
    write_schema_again(store.cluster(), props(NEW), lambda _: None)
    (written,) = texts
    assert written["metadata"]["name"] == "spicedb-schema-again"
    assert written["data"]["schema.zed"].split() == ["definition", "user", "{}", "definition", "document", "{}"]
    assert not store.of("jobs")
    assert not store.of("configmaps")


def test_database_without_schema_is_fine(store: Store) -> None:
    texts = finishing(store, "code = NotFound desc = no schema has been defined; please call WriteSchema", "Failed")
    write_schema_again(store.cluster(), props(NEW), lambda _: None)
    assert texts == []


def test_schema_that_cannot_be_read_or_written_stops(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    finishing(store, "connection refused", "Failed")
    with pytest.raises(StepError, match="cannot read the SpiceDB schema"):
        write_schema_again(store.cluster(), props(NEW), lambda _: None)
    finishing(store, "definition user {}", "Failed")
    with pytest.raises(StepError, match=r"the Job spicedb-schema-\w+ failed"):
        write_schema_again(store.cluster(), props(NEW), lambda _: None)
    store.on_change = lambda *_: None
    monkeypatch.setattr(schema, "_SECONDS", 0)
    with pytest.raises(StepError, match=r"the Job spicedb-schema-\w+ took too long"):
        write_schema_again(store.cluster(), props(NEW), lambda _: None)


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


def test_metrics_that_are_off_are_an_error(store: Store) -> None:
    with pytest.raises(ClusterError, match="metrics_enabled is off"):
        sample(store.cluster(), attrs.evolve(running(store), arguments={"metrics-enabled": "false"}))


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


def test_progress_of_a_migration(store: Store) -> None:
    assert progress(store.cluster(), running(store)) == "all running servers are ready"
    migration_job(store)
    assert progress(store.cluster(), running(store)) == "the migration runs: migrating"
    job = store.get("jobs", "spicedb-migration")
    job["spec"]["activeDeadlineSeconds"], job["status"]["startTime"] = 600, "2999-01-01T00:00:00Z"
    assert ", at most " in progress(store.cluster(), running(store))


def migration_job(store: Store, *conditions: Object, **status: Any) -> None:
    """Adds a migration Job, and its pod."""
    labels = selector_labels("spicedb", Component.MIGRATION)
    container = {"name": "migrate", "image": "spicedb:v1.56.0", "command": ["spicedb", "migrate", "head"]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    metadata = {"name": "spicedb-migration", "labels": labels, "creationTimestamp": "2030"}
    store.put("jobs", {"metadata": metadata, "spec": {"template": template}, "status": {"conditions": conditions}})
    pod_labels = {**labels, "batch.kubernetes.io/job-name": "spicedb-migration"}
    store.put("pods", {**server("migrate-0", pod_labels, template), "status": status})
    store.logs["migrate-0"] = '{"level":"info","message":"migrating"}'


def test_migration_without_its_image_ends_the_wait(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settle, "_BROKEN_SECONDS", -1)
    migration_job(store, **waiting("ErrImagePull"))
    assert of_helm(store).watcher()() == "pod migrate-0: ErrImagePull: why"


def test_failed_migration_is_explained(store: Store, a_helm: Helm) -> None:
    migration_job(store, {"type": "Failed", "status": "True", "reason": "DeadlineExceeded"})
    a_helm.outcomes["upgrade"] = [Outcome(False, "Error: UPGRADE FAILED: job failed")]
    with pytest.raises(StepError) as error:
        of_helm(store).apply(props(NEW), "label", 1, lambda _: None)
    assert error.value.details.splitlines()[1:] == ["Job spicedb-migration: DeadlineExceeded", "migrating"]


def test_api_server_that_returns_is_waited_for(store: Store) -> None:
    store.away = True
    threading.Timer(0.3, lambda: setattr(store, "away", False)).start()
    assert store.cluster(patience_seconds=5).get(POD, "spicedb-0") is not None


# ---------------------------------------------------------------- commits


def test_files_of_each_step_are_written_when_the_one_before_is_done(store: Store, tmp_path: Any) -> None:
    settings = attrs.evolve(props(NEW), delivery=Delivery.ARGOCD)
    settings = attrs.evolve(settings, server=attrs.evolve(settings.server, schema_mode="read-legacy-write-both"))
    kube, folder = store.cluster(), tmp_path / "step"
    first = write_next_step(kube, settings, folder)
    assert (first.step, first.steps) == (1, 2)
    assert "and run this command again for the next step" in first.text
    with pytest.raises(SpiceDBError, match=r"step 1 of 2 is not done: version of the servers is v1\.52\.0"):
        write_next_step(kube, settings, folder)
    deploy(store, attrs.evolve(settings, server=attrs.evolve(settings.server, schema_mode="read-legacy-write-legacy")))
    second = write_next_step(kube, settings, folder)
    assert second.step == 2
    assert "read-legacy-write-both" in (folder / "spicedb.k8s.yaml").read_text()
    deploy(store, settings)
    for _ in range(2):
        assert write_next_step(kube, settings, folder).text == "All 2 steps are done: SpiceDB v1.56.0 serves."


def test_chart_of_the_next_step_is_written(store: Store, tmp_path: Any) -> None:
    write_next_step(store.cluster(), props(NEW), tmp_path / "chart")
    assert "version: 1.0.0" in (tmp_path / "chart" / "Chart.yaml").read_text()
